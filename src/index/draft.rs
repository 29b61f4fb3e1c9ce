//! A deed in the making: what is changed so far, on top of the committed memory.

use std::{borrow::Cow, collections::BTreeSet};

use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::{MatchGrade, PairVerdict, PersonVerdict, RecordNo},
    storage::{PersonRow, ReviewTaskRow, SourceRecordRow, Write},
};

use super::{
    IndexLimits, State,
    decide::mint,
    decision::RaisedTask,
    deed::{AskedTask, Deed, DeedKind, Move, Redirect, Standing, StandingChange, TaskChange},
    review::{Question, TaskKind, TaskState},
    tasks::KeptTask,
};

/// What a deed changes, kept free of contradictions as it grows.
pub(super) struct Draft<'a> {
    pub(super) state: &'a State,
    pub(super) deed: Deed,
    /// Records that it is about though nothing of them changes.
    pub(super) noted: Vec<u32>,
    limits: &'a IndexLimits,
    now: OffsetDateTime,
    next_task_no: u64,
}

/// Where and when a deed is entered.
pub(super) struct DeedEntry {
    pub(super) kind: DeedKind,
    pub(super) person: Option<EnterpriseId>,
    pub(super) record: Option<RecordKey>,
    /// When it held at the source, where told.
    pub(super) told: Option<OffsetDateTime>,
    pub(super) now: OffsetDateTime,
}

/// A deed that is ready to be written.
pub(super) struct Drafted {
    pub(super) seq: u64,
    pub(super) entry: DeedEntry,
    pub(super) deed: Deed,
    pub(super) projections: Vec<Write>,
}

impl Drafted {
    pub(super) fn tasks_raised(&self) -> usize {
        self.deed.asked.len()
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        state: &'a State,
        limits: &'a IndexLimits,
        now: OffsetDateTime,
        next_task_no: u64,
    ) -> Self {
        let (deed, noted) = (Deed::default(), Vec::new());
        Self { state, deed, noted, limits, now, next_task_no }
    }

    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        let Deed { standings, renamed, named, moved, redirected, rule, asked, tasks, late, .. } =
            &self.deed;
        let lists = [
            standings.is_empty(),
            moved.is_empty(),
            redirected.is_empty(),
            asked.is_empty(),
            tasks.is_empty(),
        ];
        lists.iter().all(|empty| *empty)
            && renamed.is_none()
            && named.is_none()
            && rule.is_none()
            && late.is_none()
            && self.deed.lifted.is_empty()
            && self.deed.activated.is_none()
    }

    /// Numbers the deed and works out its rows.
    pub(super) fn finish(self, seq: u64, entry: DeedEntry) -> Drafted {
        let mut projections = self.projections(seq, entry.told);
        if let Some(person) = entry.person.filter(|person| !self.persons().contains(person)) {
            projections.push(Write::PersonHistory { person, seq });
        }
        Drafted { seq, entry, deed: self.deed, projections }
    }

    /// A fresh person.
    pub(super) fn mint(&self) -> EnterpriseId {
        mint(self.now, self.state)
    }

    /// The person of a record once this is done.
    pub(super) fn person_of(&self, record_no: u32) -> EnterpriseId {
        let moved = self.deed.moved.iter().find(|moved| moved.record == record_no);
        moved.map_or_else(|| self.state.registry.person_of(record_no), |moved| moved.to)
    }

    /// A person's records once this is done, in the order in which they were registered.
    pub(super) fn records_of(&self, person: EnterpriseId) -> Vec<u32> {
        let mut records = self.state.registry.records_of(person).to_vec();
        records.retain(|&record_no| self.person_of(record_no) == person);
        let arrived = self.deed.moved.iter().filter(|moved| moved.to == person);
        records.extend(arrived.map(|moved| moved.record));
        records.sort_unstable();
        records.dedup();
        records
    }

    /// As [`Self::records_of`], of the records that are told of.
    pub(super) fn active_records_of(&self, person: EnterpriseId) -> Vec<u32> {
        let mut records = self.records_of(person);
        records.retain(|&record_no| self.standing(record_no) == Standing::Active);
        records
    }

    fn standing(&self, record_no: u32) -> Standing {
        let change = self.deed.standings.iter().find(|change| change.record == record_no);
        change.map_or_else(|| self.state.registry.standing(record_no), |change| change.to)
    }

    pub(super) fn stand(&mut self, record: u32, to: Standing) {
        let from = self.state.registry.standing(record);
        self.deed.standings.push(StandingChange { record, from, to });
    }

    pub(super) fn move_record(&mut self, record: u32, to: EnterpriseId) {
        let from = self.state.registry.person_of(record);
        if from != to {
            self.deed.moved.push(Move { record, from, to });
        }
    }

    /// Moves a record, and what was merged into it.
    pub(super) fn move_with_followers(&mut self, record: u32, to: EnterpriseId) {
        let registry = &self.state.registry;
        let follows = |no: u32| {
            let mut at = no;
            while let Standing::Subsumed { by, .. } = registry.standing(at) {
                at = by;
                if at == record {
                    return true;
                }
            }
            false
        };
        for no in self.records_of(self.person_of(record)) {
            if no == record || follows(no) {
                self.move_record(no, to);
            }
        }
    }

    /// Moves everything that a person has, and lets its ids lead to the other.
    pub(super) fn join(&mut self, gone: EnterpriseId, survivor: EnterpriseId) {
        for record_no in self.records_of(gone) {
            self.move_record(record_no, survivor);
        }
        for alias in self.state.registry.aliases(gone) {
            let from = (alias != gone).then_some(gone);
            self.deed.redirected.push(Redirect { person: alias, from, to: Some(survivor) });
        }
    }

    /// The entries of a person's records, without those of `except`; the latest come first.
    fn entries_of(&self, person: EnterpriseId, except: Option<u32>) -> Vec<RecordNo> {
        let registry = &self.state.registry;
        let records = self.records_of(person).into_iter().rev();
        records
            .filter(|&record_no| Some(record_no) != except && self.counts(record_no))
            .filter_map(|record_no| registry.record(record_no).entry)
            .take(self.limits.person_records_judged_max)
            .collect()
    }

    fn counts(&self, record_no: u32) -> bool {
        match self.standing(record_no) {
            Standing::Active => true,
            Standing::Retired => false,
            Standing::Subsumed { by, counts } => counts && self.counts(by),
        }
    }

    /// Two records; `None` where one of them has nothing to compare.
    pub(super) fn compare(&self, one: u32, other: u32) -> Option<PairVerdict> {
        let entry = |no| self.state.registry.record(no).entry;
        Some(self.state.population.compare_records(entry(one)?, entry(other)?))
    }

    /// Two persons against each other, by all that is known of both; `None` where one of them has
    /// nothing to compare.
    pub(super) fn judge(&self, one: EnterpriseId, other: EnterpriseId) -> Option<PersonVerdict> {
        let (one, other) = (self.entries_of(one, None), self.entries_of(other, None));
        let told = !one.is_empty() && !other.is_empty();
        told.then(|| self.state.population.judge_persons(&one, &other))
    }

    /// A record against the others of its person; `None` where there is nothing to compare.
    pub(super) fn judge_own(&self, record_no: u32) -> Option<PersonVerdict> {
        let own = self.state.registry.record(record_no).entry?;
        let others = self.entries_of(self.person_of(record_no), Some(record_no));
        (!others.is_empty()).then(|| self.state.population.judge_persons(&[own], &others))
    }

    /// Asks a steward, unless the very question stands already.
    pub(super) fn ask(
        &mut self,
        kind: TaskKind,
        record: u32,
        other: Option<EnterpriseId>,
        bits: f32,
    ) {
        let person = self.person_of(record);
        let registry = &self.state.registry;
        let stands = self.tasks_of(person).iter().any(|task| {
            let to = task.raised.other.map(|other| registry.living(other));
            let same_record = task.record_no == record || other.is_some();
            task.raised.kind == kind && to == other && same_record && !self.is_changed(task)
        });
        if stands {
            return;
        }
        let task = RaisedTask { no: self.next_task_no, kind, person, other, bits };
        self.next_task_no += 1;
        self.deed.asked.push(AskedTask { record, task });
    }

    /// As [`Self::ask`], whether two persons are one: not where a word that counts keeps them apart,
    /// nor where it was asked before.
    pub(super) fn ask_if_new(
        &mut self,
        kind: TaskKind,
        record: u32,
        other: EnterpriseId,
        bits: f32,
    ) {
        let person = self.person_of(record);
        let registry = &self.state.registry;
        let asked = registry.aliases(person).any(|person| {
            registry.aliases(other).any(|other| {
                registry.tasks().is_asked(&Question::new(kind, record, person, Some(other)))
            })
        });
        if !asked && !self.are_forbidden(person, other) {
            self.ask(kind, record, Some(other), bits);
        }
    }

    pub(super) fn are_forbidden(&self, one: EnterpriseId, other: EnterpriseId) -> bool {
        self.state.registry.rules().forbid(&self.records_of(one), &self.records_of(other))
    }

    fn tasks_of(&self, person: EnterpriseId) -> Vec<&'a KeptTask> {
        let tasks = self.state.registry.tasks();
        self.records_of(person).into_iter().flat_map(|no| tasks.of_record(no)).collect()
    }

    fn is_changed(&self, task: &KeptTask) -> bool {
        self.deed.tasks.iter().any(|change| change.no == task.raised.no)
    }

    pub(super) fn change_task(&mut self, no: u64, to: TaskState) {
        let Some(task) = self.state.registry.tasks().get(no) else { return };
        if !self.is_changed(task) && task.state != to {
            self.deed.tasks.push(TaskChange { no, from: task.state, to });
        }
    }

    /// Gives a claimed task to whoever this deed is by.
    pub(super) fn hand_over(&mut self, no: u64) {
        let (from, to) = (TaskState::Claimed, TaskState::Claimed);
        self.deed.tasks.push(TaskChange { no, from, to });
    }

    /// Closes a question that should not have been asked, unless it is closed.
    pub(super) fn withdraw_task(&mut self, no: u64) {
        let task = self.state.registry.tasks().get(no);
        if task.is_some_and(|task| task.state.is_pending()) {
            self.change_task(no, TaskState::Withdrawn);
        }
    }

    /// Takes back what became of a question, unless something else has become of it since.
    pub(super) fn return_task(&mut self, change: &TaskChange) {
        let task = self.state.registry.tasks().get(change.no);
        if task.is_some_and(|task| task.state == change.to) {
            self.change_task(change.no, change.from);
        }
    }

    /// Closes the questions whether records of these persons are one.
    pub(super) fn settle_between(&mut self, persons: &[EnterpriseId], to: TaskState) {
        let registry = &self.state.registry;
        let mut settled: Vec<u64> = Vec::new();
        for task in persons.iter().flat_map(|person| self.tasks_of(*person)) {
            let Some(other) = task.raised.other else { continue };
            if self.leads_to_one_of(registry.living(other), persons) {
                settled.push(task.raised.no);
            }
        }
        for no in settled {
            self.change_task(no, to);
        }
    }

    fn leads_to_one_of(&self, person: EnterpriseId, persons: &[EnterpriseId]) -> bool {
        let redirected = self.deed.redirected.iter().find(|one| one.person == person);
        let person = redirected.and_then(|one| one.to).unwrap_or(person);
        persons.contains(&person)
    }

    /// Closes the doubts about records that leave the person they were doubted in.
    pub(super) fn settle_doubts_of(&mut self, records: &[u32]) {
        let tasks = self.state.registry.tasks();
        let doubts = records.iter().flat_map(|no| tasks.of_record(*no));
        let doubts = doubts.filter(|task| task.raised.kind == TaskKind::LinkInDoubt);
        let nos: Vec<u64> = doubts.map(|task| task.raised.no).collect();
        for no in nos {
            self.change_task(no, TaskState::Settled);
        }
    }

    /// Asks about every record of a person that its other records do not hold for certain.
    pub(super) fn doubt_unheld(&mut self, person: EnterpriseId) {
        let records = self.active_records_of(person);
        if records.len() < 2 {
            return;
        }
        for &record_no in records.iter().take(self.limits.person_records_judged_max) {
            let others: Vec<u32> =
                records.iter().copied().filter(|&other| other != record_no).collect();
            let Some(verdict) = self.judge_own(record_no) else { continue };
            let held = verdict.grade == MatchGrade::Certain && !verdict.contradicted;
            if !held && !self.state.registry.rules().demand(&[record_no], &others) {
                self.ask(TaskKind::LinkInDoubt, record_no, None, verdict.bits);
            }
        }
    }

    /// Closes the questions about a record that is no more, and those that compare somebody with a
    /// person who has no other.
    pub(super) fn withdraw_tasks_of(&mut self, record_no: u32) {
        let registry = &self.state.registry;
        let tasks = registry.tasks();
        let mut nos: Vec<u64> = tasks.of_record(record_no).map(|task| task.raised.no).collect();
        let person = self.person_of(record_no);
        if self.active_records_of(person).is_empty() {
            let aliases = registry.aliases(person).flat_map(|alias| tasks.of_other(alias));
            nos.extend(aliases.map(|task| task.raised.no));
        }
        for no in nos {
            self.change_task(no, TaskState::Withdrawn);
        }
    }

    /// The persons that are no longer what they were, and those that lead elsewhere now.
    pub(super) fn persons(&self) -> BTreeSet<EnterpriseId> {
        let moved = self.deed.moved.iter().flat_map(|moved| [moved.from, moved.to]);
        let redirected = self.deed.redirected.iter();
        let redirected = redirected.flat_map(|one| [Some(one.person), one.from, one.to]).flatten();
        let asked = self.deed.asked.iter().map(|asked| asked.task.person);
        let tasks = self.state.registry.tasks();
        let answered = self.deed.answers.and_then(|no| tasks.get(no)).into_iter();
        let answered = answered.flat_map(|task| {
            let registry = &self.state.registry;
            let other = task.raised.other.map(|other| registry.living(other));
            [Some(self.person_of(task.record_no)), other].into_iter().flatten()
        });
        moved.chain(redirected).chain(asked).chain(answered).collect()
    }

    /// The records that the deed is about.
    fn records(&self) -> BTreeSet<u32> {
        let standing = self.deed.standings.iter().flat_map(|change| match change.to {
            Standing::Subsumed { by, .. } => vec![change.record, by],
            _ => vec![change.record],
        });
        let renamed = self.deed.renamed.iter().map(|rename| rename.record);
        let moved = self.deed.moved.iter().map(|moved| moved.record);
        let ruled = self.deed.rule.iter().flat_map(|rule| rule.sides.iter().flatten().copied());
        let noted = self.noted.iter().copied();
        standing.chain(renamed).chain(moved).chain(ruled).chain(noted).collect()
    }

    /// The projections of the deed for SQL, and its places in the histories.
    pub(super) fn projections(&self, seq: u64, told: Option<OffsetDateTime>) -> Vec<Write> {
        let mut writes = Vec::new();
        for record_no in self.records() {
            writes.push(Write::RecordHistory { record_no, seq });
            if let Some(row) = self.record_row(record_no, told) {
                writes.push(Write::SourceRecord(row));
            }
        }
        for person in self.persons() {
            writes.push(Write::PersonHistory { person, seq });
            writes.push(Write::Person(self.person_row(person, seq)));
        }
        writes.extend(self.task_rows(seq).into_iter().map(Write::ReviewTask));
        writes
    }

    fn record_row(&self, record_no: u32, told: Option<OffsetDateTime>) -> Option<SourceRecordRow> {
        let deed = &self.deed;
        let is_told = deed.standings.iter().any(|change| change.record == record_no);
        let renamed = deed.renamed.as_ref().filter(|rename| rename.record == record_no);
        let is_moved = deed.moved.iter().any(|moved| moved.record == record_no);
        if !is_told && renamed.is_none() && !is_moved {
            return None;
        }
        let record = self.state.registry.record(record_no);
        let mut key = self.state.registry.key(record_no);
        if let Some(rename) = renamed {
            key.local_id = rename.to.clone();
        }
        let known =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(record.event_micros) * 1_000);
        Some(SourceRecordRow {
            record_no,
            key,
            person: self.person_of(record_no),
            version: record.version + u32::from(is_told || renamed.is_some()),
            event_time: told.max(known.ok()),
            since: record.since,
            changed: self.now,
            current_seq: record.current_seq,
            registered_seq: 0,
            standing: Cow::Borrowed(self.standing(record_no).as_str()),
        })
    }

    fn person_row(&self, person: EnterpriseId, seq: u64) -> PersonRow {
        let registry = &self.state.registry;
        let redirected = self.deed.redirected.iter().find(|one| one.person == person);
        let living = registry.living(person);
        PersonRow {
            person,
            redirect_to: match redirected {
                Some(redirect) => redirect.to,
                None => (living != person).then_some(living),
            },
            created_seq: registry.created_seq(person).unwrap_or(seq),
            changed_seq: seq,
        }
    }

    fn task_rows(&self, seq: u64) -> Vec<ReviewTaskRow> {
        let registry = &self.state.registry;
        let row = |task: KeptTask, body: String| {
            let record: RecordKey = registry.key(task.record_no);
            task.row(&record, self.now, body)
        };
        let asked = self.deed.asked.iter().map(|AskedTask { record, task }| {
            row(KeptTask::new(task.clone(), *record, self.now), "{}".to_owned())
        });
        let changed = self.deed.tasks.iter().filter_map(|change| {
            let task = KeptTask { state: change.to, ..registry.tasks().get(change.no)?.clone() };
            Some(row(task, format!(r#"{{"changed_by":{seq}}}"#)))
        });
        asked.chain(changed).collect()
    }
}
