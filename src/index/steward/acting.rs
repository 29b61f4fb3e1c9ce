//! What each act of a steward changes, decided on the memory as it is.

use time::OffsetDateTime;

use crate::domain::{EnterpriseId, LocalId, RecordKey};

use super::{
    super::{
        deed::{Deed, DeedKind, Redirect, Standing, StandingChange},
        draft::Draft,
        registry::Registry,
        review::{TaskKind, TaskState},
        rules::{Bond, Rule, Voice},
        tasks::KeptTask,
    },
    Order, ReviewVerdict, StewardAct, StewardRefusal,
};

/// What is to be done.
pub(super) struct Decided {
    pub(super) kind: DeedKind,
    pub(super) persons: Vec<EnterpriseId>,
    pub(super) record: Option<RecordKey>,
    pub(super) task: Option<u64>,
}

/// One act being decided.
pub(super) struct Acting<'a> {
    pub(super) draft: Draft<'a>,
}

impl<'a> Acting<'a> {
    fn registry(&self) -> &'a Registry {
        &self.draft.state.registry
    }

    pub(super) fn decide(&mut self, order: &Order) -> Result<Decided, StewardRefusal> {
        match order {
            Order::Act(StewardAct::Claim { task }) => self.claim(*task, TaskState::Claimed),
            Order::Act(StewardAct::Release { task }) => self.claim(*task, TaskState::Open),
            Order::Act(StewardAct::Merge { source, target }) => self.merge(*source, *target),
            Order::Separate { person, records, mixed_since } => {
                self.draft.deed.mixed_since = Some(micros(*mixed_since));
                self.separate(*person, records)
            }
            Order::Decide { task, verdict, mixed_since } => {
                self.draft.deed.mixed_since = mixed_since.map(micros);
                self.answer(*task, *verdict)
            }
            Order::Undo { decision, done, deed } => {
                if !deed.moved.is_empty() {
                    self.draft.deed.mixed_since = Some(micros(*done));
                }
                self.undo(*decision, deed)
            }
            Order::Activate(model) => Ok(self.activate(model)),
            Order::Act(
                StewardAct::Decide { .. } | StewardAct::Separate { .. } | StewardAct::Undo { .. },
            ) => {
                unreachable!("what has to be read for these was read before")
            }
        }
    }

    fn activate(&mut self, model: &str) -> Decided {
        if self.registry().activated_model() != Some(model) {
            self.draft.deed.activated = Some(model.to_owned());
        }
        let kind = DeedKind::ModelActivated;
        Decided { kind, persons: Vec::new(), record: None, task: None }
    }

    fn task(&self, no: u64) -> Result<&'a KeptTask, StewardRefusal> {
        let task = self.registry().tasks().get(no).ok_or(StewardRefusal::UnknownTask)?;
        if task.state.is_pending() { Ok(task) } else { Err(StewardRefusal::TaskClosed) }
    }

    fn claim(&mut self, no: u64, to: TaskState) -> Result<Decided, StewardRefusal> {
        let task = self.task(no)?;
        if !task.state.is_unanswered() {
            return Err(StewardRefusal::TaskClosed);
        }
        let by = &*self.draft.deed.by;
        let is_own = task.owner.as_deref() == Some(by);
        match to {
            TaskState::Claimed if task.state == to && !is_own => {
                self.draft.hand_over(no);
            }
            TaskState::Open if task.state == TaskState::Claimed && !is_own => {
                return Err(StewardRefusal::InOtherHands);
            }
            _ => self.draft.change_task(no, to),
        }
        Ok(self.about(DeedKind::TaskClaimed, task, &[]))
    }

    fn about(&self, kind: DeedKind, task: &KeptTask, others: &[EnterpriseId]) -> Decided {
        let mut persons = vec![self.draft.person_of(task.record_no)];
        persons.extend(others);
        persons.dedup();
        let record = Some(self.registry().key(task.record_no));
        Decided { kind, persons, record, task: Some(task.raised.no) }
    }

    fn answer(&mut self, no: u64, verdict: ReviewVerdict) -> Result<Decided, StewardRefusal> {
        let task = self.task(no)?;
        let is_foreign = task.owner.as_deref().is_some_and(|owner| owner != self.draft.deed.by);
        if task.state == TaskState::Claimed && is_foreign {
            return Err(StewardRefusal::InOtherHands);
        }
        self.draft.deed.answers = Some(no);
        let kind = DeedKind::TaskDecided;
        let state = match verdict {
            ReviewVerdict::Same => TaskState::Same,
            ReviewVerdict::Different => TaskState::Different,
            ReviewVerdict::CannotTell => TaskState::CannotTell,
        };
        if verdict == ReviewVerdict::CannotTell && task.state == state {
            return Ok(self.about(kind, task, &[]));
        }
        self.draft.change_task(no, state);
        if verdict == ReviewVerdict::CannotTell {
            return Ok(self.about(kind, task, &[]));
        }
        if task.raised.kind == TaskKind::LinkInDoubt {
            return Ok(self.answer_doubt(task, verdict));
        }
        let person = self.registry().person_of(task.record_no);
        let other = task.raised.other.map(|other| self.registry().living(other));
        let other = other.filter(|other| *other != person).ok_or(StewardRefusal::TaskClosed)?;
        if verdict == ReviewVerdict::Same {
            let mut persons = [person, other];
            persons.sort_unstable_by_key(|person| self.registry().created_seq(*person));
            self.make_one(persons[1], persons[0])?;
            return Ok(self.about(kind, task, &[]));
        }
        self.rule(Bond::CannotLink, self.draft.records_of(person), self.draft.records_of(other));
        self.draft.settle_between(&[person, other], TaskState::Settled);
        Ok(self.about(kind, task, &[other]))
    }

    fn answer_doubt(&mut self, task: &KeptTask, verdict: ReviewVerdict) -> Decided {
        let (kind, record) = (DeedKind::TaskDecided, task.record_no);
        let person = self.registry().person_of(record);
        let mut others = self.draft.records_of(person);
        others.retain(|&other| other != record);
        if verdict == ReviewVerdict::Same {
            self.rule(Bond::MustLink, vec![record], others);
            return self.about(kind, task, &[]);
        }
        if let from @ Standing::Subsumed { .. } = self.registry().standing(record) {
            // Its member merged it away; a steward tells the two apart again.
            let change = StandingChange { record, from, to: Standing::Active };
            self.draft.deed.standings.push(change);
        }
        if self.draft.active_records_of(person).iter().all(|&other| other == record) {
            return self.about(kind, task, &[]);
        }
        self.take_out(person, &[record]);
        self.about(kind, task, &[person])
    }

    fn rule(&mut self, bond: Bond, left: Vec<u32>, right: Vec<u32>) {
        if !left.is_empty() && !right.is_empty() {
            self.draft.deed.rule = Some(Rule::new(bond, Voice::Steward, [left, right], i64::MIN));
        }
    }

    /// Lets records leave for a person of their own, and stay apart.
    fn take_out(&mut self, person: EnterpriseId, records: &[u32]) -> EnterpriseId {
        let apart = self.draft.mint();
        for &record in records {
            self.draft.move_with_followers(record, apart);
        }
        let (left, stays) = (self.draft.records_of(apart), self.draft.records_of(person));
        self.draft.settle_doubts_of(&left);
        self.rule(Bond::CannotLink, left, stays);
        self.draft.doubt_unheld(person);
        self.draft.doubt_unheld(apart);
        apart
    }

    fn make_one(
        &mut self,
        source: EnterpriseId,
        target: EnterpriseId,
    ) -> Result<(), StewardRefusal> {
        let (left, right) = (self.draft.records_of(source), self.draft.records_of(target));
        let said = self.registry().rules().between(&left, &right);
        if let Some((seq, _)) = said.filter(|(_, rule)| rule.is_stewards(Bond::CannotLink)) {
            return Err(StewardRefusal::KeptApart(seq));
        }
        self.rule(Bond::MustLink, left, right);
        self.draft.join(source, target);
        self.draft.settle_between(&[target], TaskState::Settled);
        Ok(())
    }

    fn merge(
        &mut self,
        source: EnterpriseId,
        target: EnterpriseId,
    ) -> Result<Decided, StewardRefusal> {
        let known = |id: EnterpriseId| self.registry().is_person(id);
        if !known(source) || !known(target) {
            return Err(StewardRefusal::UnknownPerson);
        }
        let [source, target] = [source, target].map(|id| self.registry().living(id));
        if source == target {
            return Err(StewardRefusal::SamePerson);
        }
        self.make_one(source, target)?;
        let kind = DeedKind::PersonsMerged;
        Ok(Decided { kind, persons: vec![target], record: None, task: None })
    }

    fn separate(
        &mut self,
        person: EnterpriseId,
        records: &[LocalId],
    ) -> Result<Decided, StewardRefusal> {
        if !self.registry().is_person(person) {
            return Err(StewardRefusal::UnknownPerson);
        }
        let person = self.registry().living(person);
        let active = self.draft.active_records_of(person);
        let mut leaving = Vec::with_capacity(records.len());
        for record in records {
            let is_meant = |no: &&u32| self.registry().key(**no).local_id == *record;
            leaving.push(*active.iter().find(is_meant).ok_or(StewardRefusal::ForeignRecord)?);
        }
        leaving.sort_unstable();
        leaving.dedup();
        if leaving.is_empty() || leaving.len() == active.len() {
            return Err(StewardRefusal::NothingToSeparate);
        }
        let apart = self.take_out(person, &leaving);
        let kind = DeedKind::PersonSeparated;
        let record = (leaving.len() == 1).then(|| self.registry().key(leaving[0]));
        Ok(Decided { kind, persons: vec![person, apart], record, task: None })
    }

    fn undo(&mut self, decision: u64, deed: &Deed) -> Result<Decided, StewardRefusal> {
        let registry = self.registry();
        if registry.is_undone(decision) {
            return Err(StewardRefusal::UndoneAlready);
        }
        let stands = deed.moved.iter().all(|one| registry.person_of(one.record) == one.to)
            && deed.redirected.iter().all(|one| registry.redirect_of(one.person) == one.to)
            && deed.standings.iter().all(|one| registry.standing(one.record) == one.to);
        if !stands {
            return Err(StewardRefusal::Overtaken);
        }
        let draft = &mut self.draft;
        draft.deed.undoes = Some(decision);
        for one in &deed.standings {
            let (from, to) = (one.to, one.from);
            draft.deed.standings.push(StandingChange { record: one.record, from, to });
        }
        for one in &deed.redirected {
            let (from, to) = (one.to, one.from);
            draft.deed.redirected.push(Redirect { person: one.person, from, to });
        }
        for one in &deed.moved {
            draft.move_record(one.record, one.from);
        }
        for asked in &deed.asked {
            draft.withdraw_task(asked.task.no);
        }
        for change in &deed.tasks {
            draft.return_task(change);
        }
        if registry.rules().is_known(decision) {
            draft.deed.lifted.push(decision);
        }
        self.let_deserted_lead_back(decision, deed);
        let mut persons: Vec<EnterpriseId> = deed.moved.iter().map(|one| one.from).collect();
        persons.extend(deed.moved.iter().map(|one| one.to));
        persons.sort_unstable();
        persons.dedup();
        for &person in &persons {
            self.draft.doubt_unheld(person);
        }
        let answered = deed.answers.and_then(|no| registry.tasks().get(no));
        if let (true, Some(task)) = (persons.is_empty(), answered) {
            persons.push(registry.person_of(task.record_no));
        }
        let task = deed.answers;
        Ok(Decided { kind: DeedKind::Undone, persons, record: None, task })
    }

    /// A person that the decision had minted and that nothing is left of leads to where it came from.
    fn let_deserted_lead_back(&mut self, decision: u64, deed: &Deed) {
        for one in &deed.moved {
            let registry = self.registry();
            let minted = registry.created_seq(one.to) == Some(decision);
            let leads = self.draft.deed.redirected.iter().any(|other| other.person == one.to);
            if minted && !leads && self.draft.records_of(one.to).is_empty() {
                self.draft.join(one.to, one.from);
            }
        }
    }
}

fn micros(time: OffsetDateTime) -> i64 {
    (time.unix_timestamp_nanos() / 1_000) as i64
}
