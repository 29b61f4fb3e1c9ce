//! What the linker has decided and not yet made durable. Readers never see it.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::{PersonVerdict, RecordNo},
    storage::{ReviewTaskRow, Write},
};

use super::{
    IndexError, State,
    decision::RaisedTask,
    registration::Registered,
    registry::{Change, Effect},
    review::{Question, TaskKind, TaskState},
};

/// The decisions of one commit, on top of the committed state.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) changes: Vec<Change>,
    pub(super) writes: Vec<Write>,
    /// The answers, by position in the linker's work list.
    pub(super) answers: Vec<(usize, Result<Registered, IndexError>)>,
    keys: HashSet<RecordKey, RandomState>,
    /// Entries of new records: their number and person.
    entries: HashMap<RecordNo, (u32, EnterpriseId), RandomState>,
    /// New records' entries, person by person.
    joined: HashMap<EnterpriseId, Vec<RecordNo>, RandomState>,
    /// The first journal entry of this commit for each person.
    minted: HashMap<EnterpriseId, u64, RandomState>,
    /// Entries of updates: the record that they belong to.
    renewed: HashMap<RecordNo, u32, RandomState>,
    /// Records with an update under way, and its entry.
    renewals: HashMap<u32, Option<RecordNo>, RandomState>,
    questions: HashSet<Question>,
    /// Persons joined into another, who is not gone itself.
    redirects: HashMap<EnterpriseId, EnterpriseId, RandomState>,
    settled: HashSet<u64>,
    new_records: u32,
}

impl Pending {
    /// Whether the record was decided about already: then this commit must end first.
    pub(super) fn holds(&self, key: &RecordKey) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn new_records(&self) -> u32 {
        self.new_records
    }

    /// The journal entry that minted a person of this commit; for one who only got another record,
    /// the entry that linked it.
    pub(super) fn minted_seq(&self, person: EnterpriseId) -> Option<u64> {
        self.minted.get(&person).copied()
    }

    /// Remembers one decision about the record numbered `record_no`.
    pub(super) fn push(&mut self, change: Change, record_no: u32, person: EnterpriseId) {
        match &change.effect {
            Effect::Registered { entry, .. } | Effect::Revived { entry, .. } => {
                self.new_records += u32::from(matches!(change.effect, Effect::Registered { .. }));
                self.minted.entry(person).or_insert(change.seq);
                if let Some(entry) = entry {
                    self.entries.insert(*entry, (record_no, person));
                    self.joined.entry(person).or_default().push(*entry);
                }
            }
            Effect::Updated { entry, .. } => {
                self.renewals.insert(record_no, *entry);
                if let Some(entry) = entry {
                    self.renewed.insert(*entry, record_no);
                }
            }
            Effect::Confirmed { .. } | Effect::Stale { .. } | Effect::Joined { .. } => {}
        }
        self.ask(&change.tasks, record_no);
        self.keys.insert(change.key.clone());
        self.changes.push(change);
    }

    /// Remembers that `gone` were joined into `survivor`, by a record pushed before.
    pub(super) fn push_join(
        &mut self,
        change: Change,
        survivor: EnterpriseId,
        gone: &[EnterpriseId],
    ) {
        for &person in gone {
            for into in self.redirects.values_mut().filter(|into| **into == person) {
                *into = survivor;
            }
            self.redirects.insert(person, survivor);
            let moved = self.joined.remove(&person).unwrap_or_default();
            let joined = self.joined.entry(survivor).or_default();
            joined.extend(moved);
            // Entries grow with time: in the order of registration.
            joined.sort_unstable();
        }
        if let Effect::Joined { settled, .. } = &change.effect {
            self.settled.extend(settled);
        }
        self.changes.push(change);
    }

    /// The person that an id leads to once this is committed.
    pub(super) fn living(&self, person: EnterpriseId) -> EnterpriseId {
        self.redirects.get(&person).copied().unwrap_or(person)
    }

    fn ask(&mut self, tasks: &[RaisedTask], record_no: u32) {
        self.questions.extend(tasks.iter().map(|task| Question::of(task, record_no)));
    }

    /// Entries that stand in the population for nothing if the commit fails.
    pub(super) fn uncommitted_entries(&self) -> impl Iterator<Item = RecordNo> {
        self.entries.keys().chain(self.renewed.keys()).copied()
    }
}

/// The committed state with the pending decisions over it: what the next decision builds on.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pending: Option<&'a Pending>,
}

impl<'a> View<'a> {
    /// What everybody may see.
    pub(super) fn committed(state: &'a State) -> Self {
        Self { state, pending: None }
    }

    /// What the linker builds on.
    pub(super) fn with_pending(state: &'a State, pending: &'a Pending) -> Self {
        Self { state, pending: Some(pending) }
    }

    /// The record behind an entry; `None` where it is superseded or not to be seen.
    pub(super) fn record_of_entry(&self, entry: RecordNo) -> Option<u32> {
        let Some(pending) = self.pending else {
            return self.state.registry.record_of_entry(entry);
        };
        if let Some((record_no, _)) = pending.entries.get(&entry) {
            return Some(*record_no);
        }
        if let Some(record_no) = pending.renewed.get(&entry) {
            return Some(*record_no);
        }
        let record_no = self.state.registry.record_of_entry(entry)?;
        (!pending.renewals.contains_key(&record_no)).then_some(record_no)
    }

    /// The person behind an entry, as [`Self::record_of_entry`].
    pub(super) fn person_of_entry(&self, entry: RecordNo) -> Option<EnterpriseId> {
        if let Some((_, person)) = self.pending.and_then(|pending| pending.entries.get(&entry)) {
            return Some(self.living(*person));
        }
        self.record_of_entry(entry).map(|record_no| self.person_of(record_no))
    }

    /// The person of a retired record, where no other record is told of it.
    pub(super) fn deserted_person_of(&self, record_no: u32) -> Option<EnterpriseId> {
        let person = self.person_of(record_no);
        let others = self.records_of(person);
        let deserted = others.iter().all(|&other| !self.state.registry.is_active(other));
        deserted.then_some(person)
    }

    /// The person of a committed record.
    pub(super) fn person_of(&self, record_no: u32) -> EnterpriseId {
        self.living(self.state.registry.person_of(record_no))
    }

    fn living(&self, person: EnterpriseId) -> EnterpriseId {
        self.pending.map_or(person, |pending| pending.living(person))
    }

    /// The ids that lead to a person, its own first.
    fn aliases(&self, person: EnterpriseId) -> Vec<EnterpriseId> {
        let mut aliases: Vec<EnterpriseId> = self.state.registry.aliases(person).collect();
        let redirects = self.pending.into_iter().flat_map(|pending| &pending.redirects);
        for (gone, _) in redirects.filter(|(_, into)| **into == person) {
            aliases.extend(self.state.registry.aliases(*gone));
        }
        aliases
    }

    /// The journal entry that minted a person.
    pub(super) fn created_seq(&self, person: EnterpriseId) -> Option<u64> {
        let pending = self.pending.and_then(|pending| pending.minted_seq(person));
        self.state.registry.created_seq(person).or(pending)
    }

    /// The numbers of a person's records, in the order in which they were registered.
    pub(super) fn records_of(&self, person: EnterpriseId) -> Vec<u32> {
        let mut records = self.committed_records(person);
        if let Some(pending) = self.pending {
            let joined = pending.joined.get(&person).into_iter().flatten();
            records.extend(joined.filter_map(|entry| pending.entries.get(entry)).map(|one| one.0));
            // What was retired and is told of again may stand among both.
            records.sort_unstable();
            records.dedup();
        }
        records
    }

    pub(super) fn records_len(&self, person: EnterpriseId) -> usize {
        self.records_of(person).len()
    }

    fn committed_records(&self, person: EnterpriseId) -> Vec<u32> {
        let registry = &self.state.registry;
        let mut records = registry.records_of(person).to_vec();
        if let Some(pending) = self.pending {
            let gone = pending.redirects.iter().filter(|(_, into)| **into == person);
            records.extend(gone.flat_map(|(gone, _)| registry.records_of(*gone)));
            records.sort_unstable();
        }
        records
    }

    /// The entries of a person's latest records, without those of record `except`.
    pub(super) fn entries_of(
        &self,
        person: EnterpriseId,
        except: Option<u32>,
        entries_max: usize,
    ) -> Vec<RecordNo> {
        let joined = self.pending.and_then(|pending| pending.joined.get(&person));
        let committed = self.committed_records(person).into_iter().rev();
        let committed = committed.filter(|&record_no| Some(record_no) != except);
        let committed = committed.filter_map(|record_no| {
            match self.pending.and_then(|pending| pending.renewals.get(&record_no)) {
                Some(renewed) => *renewed,
                None => self.state.registry.entry_of(record_no),
            }
        });
        joined.into_iter().flatten().rev().copied().chain(committed).take(entries_max).collect()
    }

    /// Whether a steward was asked this before, under whatever ids the persons had then.
    pub(super) fn is_asked(
        &self,
        kind: TaskKind,
        record_no: u32,
        person: EnterpriseId,
        other: Option<EnterpriseId>,
    ) -> bool {
        let others: Vec<Option<EnterpriseId>> = match other {
            None => vec![None],
            Some(other) => self.aliases(other).into_iter().map(Some).collect(),
        };
        self.aliases(person).into_iter().any(|person| {
            others.iter().any(|other| {
                let question = Question::new(kind, record_no, person, *other);
                self.state.registry.tasks().is_asked(&question)
                    || self.pending.is_some_and(|pending| pending.questions.contains(&question))
            })
        })
    }

    /// Whether a steward is asked if one of the person's records is another's.
    pub(super) fn is_in_doubt(&self, person: EnterpriseId) -> bool {
        self.tasks_of(person).iter().any(|task| task.kind == TaskKind::LinkInDoubt.as_str())
    }

    /// Whether a steward is asked if this record is another's.
    pub(super) fn is_doubted(&self, record_no: u32) -> bool {
        self.state.registry.is_doubted(record_no)
    }

    /// What a record's person says of it so far, where a word demands that it stays.
    pub(super) fn demanded_verdict(
        &self,
        record_no: u32,
        others: &[RecordNo],
    ) -> Option<PersonVerdict> {
        let mut records = self.records_of(self.person_of(record_no));
        records.retain(|&other| other != record_no);
        let registry = &self.state.registry;
        if !registry.rules().demand(&[record_no], &records) {
            return None;
        }
        let entry = registry.entry_of(record_no)?;
        Some(self.state.population.judge_persons(&[entry], others))
    }

    /// Whether a word of a member or a steward keeps two persons apart.
    pub(super) fn are_forbidden(&self, one: EnterpriseId, other: EnterpriseId) -> bool {
        self.state.registry.rules().forbid(&self.records_of(one), &self.records_of(other))
    }

    /// The open questions whether some of these persons are one.
    pub(super) fn tasks_between(&self, persons: &[EnterpriseId]) -> Vec<ReviewTaskRow> {
        let mut tasks: Vec<_> = persons.iter().flat_map(|person| self.tasks_of(*person)).collect();
        let leads_there = |other| persons.contains(&self.living(self.state.registry.living(other)));
        tasks.retain(|task| task.other.is_some_and(leads_there));
        tasks.sort_unstable_by_key(|task| task.task_no);
        tasks
    }

    /// The open tasks about a person's records.
    fn tasks_of(&self, person: EnterpriseId) -> Vec<ReviewTaskRow> {
        let registry = &self.state.registry;
        let committed = self.committed_records(person).into_iter().flat_map(|record_no| {
            let tasks = registry.tasks().of_record(record_no);
            tasks.map(move |task| task.row(&registry.key(record_no), task.opened, "{}".to_owned()))
        });
        let writes = self.pending.into_iter().flat_map(|pending| &pending.writes);
        let raised = writes.filter_map(|write| match write {
            Write::ReviewTask(row)
                if self.living(row.person) == person
                    && row.state == TaskState::Open.as_str()
                    && !registry.tasks().is_known(row.task_no) =>
            {
                Some(row.clone())
            }
            _ => None,
        });
        let settled = |no: &u64| self.pending.is_some_and(|pending| pending.settled.contains(no));
        committed.chain(raised).filter(|task| !settled(&task.task_no)).collect()
    }
}
