//! What stewards do: take questions in hand, answer them, merge and separate persons, take back what
//! a steward did.

use std::sync::Arc;

use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::{
    access::StewardPermit,
    domain::{EnterpriseId, LocalId, RecordKey},
    storage::JournalRow,
};

use super::{
    Index, IndexError,
    decide::whole_micros,
    deed::{Deed, DeedKind, Redirect, Standing, StandingChange},
    draft::{DeedEntry, Draft},
    linker::{Job, Linker},
    registry::Registry,
    review::{TaskKind, TaskState},
    rules::{Bond, Rule, Voice},
    tasks::KeptTask,
};

/// What a steward says of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewVerdict {
    /// One person.
    Same,
    /// Two persons.
    Different,
    /// Nobody can tell. A link in doubt stays, and stays in doubt.
    CannotTell,
}

/// What a steward wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StewardAct {
    /// Takes a question in hand, or over from somebody else.
    Claim {
        /// Its number.
        task: u64,
    },
    /// Puts a question back that it has in hand.
    Release {
        /// Its number.
        task: u64,
    },
    /// Answers a question.
    Decide {
        /// Its number.
        task: u64,
        /// The answer.
        verdict: ReviewVerdict,
    },
    /// Makes two persons one.
    Merge {
        /// Whose id leads elsewhere from now on.
        source: EnterpriseId,
        /// Whose id stays.
        target: EnterpriseId,
    },
    /// Takes records out of a person; they become a person of their own.
    Separate {
        /// The person.
        person: EnterpriseId,
        /// Some of its records, not all, by their members' identifiers.
        records: Vec<LocalId>,
    },
    /// Takes back what a steward did.
    Undo {
        /// The journal entry.
        decision: u64,
    },
}

/// What became of a steward's act, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// The journal entry, by which it can be undone; `None` where it was so already.
    pub decision: Option<u64>,
    /// The persons concerned, as they are now.
    pub persons: Vec<EnterpriseId>,
    /// The question concerned.
    pub task: Option<u64>,
    /// Questions that it raised.
    pub tasks_raised: usize,
}

/// Why an act was not done. Nothing changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StewardRefusal {
    /// No such question.
    #[error("no such review task")]
    UnknownTask,
    /// It was answered, or nothing is left to answer.
    #[error("the review task is closed")]
    TaskClosed,
    /// Another client has it in hand.
    #[error("another client has the review task in hand; claim it first")]
    InOtherHands,
    /// No such person.
    #[error("patient not found")]
    UnknownPerson,
    /// Both ids lead to the same person.
    #[error("both ids lead to the same person")]
    SamePerson,
    /// A steward decided that these are two persons.
    #[error("decision {0} keeps the two persons apart; undo that first")]
    KeptApart(u64),
    /// One of the records is not told of the person.
    #[error("a record that is to leave is not one of the person's")]
    ForeignRecord,
    /// No record, or all of them.
    #[error("some of the person's records must leave, and some must stay")]
    NothingToSeparate,
    /// No decision of a steward has this number.
    #[error("no decision of a steward has this number")]
    NoDecision,
    /// It was undone before.
    #[error("the decision was undone before")]
    UndoneAlready,
    /// What came later builds on it.
    #[error("what it changed has changed again since; undo that first, or decide anew")]
    Overtaken,
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// A steward's act on its way through the linker.
pub(super) struct StewardJob {
    order: Order,
    by: String,
    reason: Option<String>,
    source_message: String,
    done: oneshot::Sender<Result<Acted, StewardRefusal>>,
}

/// An act with what had to be read for it.
enum Order {
    Act(StewardAct),
    Separate { person: EnterpriseId, records: Vec<LocalId>, mixed_since: OffsetDateTime },
    Decide { task: u64, verdict: ReviewVerdict, mixed_since: Option<OffsetDateTime> },
    Undo { decision: u64, done: OffsetDateTime, deed: Box<Deed> },
    Activate(String),
}

impl Index {
    /// Does what a steward wants. The answer is durable; an error means that nothing changed.
    /// `source_message` is the request's id.
    pub async fn steward(
        &self,
        permit: &StewardPermit,
        act: StewardAct,
        reason: Option<String>,
        source_message: String,
    ) -> Result<Acted, StewardRefusal> {
        let order = match act {
            StewardAct::Undo { decision } => {
                let row = self.db.reader().journal_entry(decision).await;
                let row = row.map_err(IndexError::from)?;
                let row = row.ok_or(StewardRefusal::NoDecision)?;
                let deed = undoable(&row).ok_or(StewardRefusal::NoDecision)?;
                Order::Undo { decision, done: row.recorded, deed: Box::new(deed) }
            }
            StewardAct::Decide { task, verdict } => {
                let mixed_since = self.mixed_since_of(task, verdict).await?;
                Order::Decide { task, verdict, mixed_since }
            }
            StewardAct::Separate { person, records } => {
                let mixed_since = self.mixed_since(person, &records).await?;
                Order::Separate { person, records, mixed_since }
            }
            other => Order::Act(other),
        };
        self.order(order, permit.client_id().to_owned(), reason, source_message).await
    }

    /// Since when a record whose link is found wrong was shown as one with the others.
    async fn mixed_since_of(
        &self,
        task: u64,
        verdict: ReviewVerdict,
    ) -> Result<Option<OffsetDateTime>, IndexError> {
        match self.review(task) {
            Some(review)
                if review.kind == TaskKind::LinkInDoubt && verdict == ReviewVerdict::Different =>
            {
                Ok(Some(self.mixed_since(review.person, &[review.record.local_id]).await?))
            }
            _ => Ok(None),
        }
    }

    /// Enters into the journal that the model which the index was opened with decides from here on.
    pub async fn activate_model(&self, by: &str) -> Result<Option<u64>, IndexError> {
        let version = self.shared.read().population.model().version().to_owned();
        let order = Order::Activate(version);
        match self.order(order, by.to_owned(), None, String::new()).await {
            Ok(acted) => Ok(acted.decision),
            Err(StewardRefusal::Index(error)) => Err(error),
            Err(_) => unreachable!("nothing else speaks against a model"),
        }
    }

    /// The version of the model that was activated last, if any ever was.
    pub fn activated_model(&self) -> Option<String> {
        self.shared.read().registry.activated_model().map(str::to_owned)
    }

    async fn order(
        &self,
        order: Order,
        by: String,
        reason: Option<String>,
        source_message: String,
    ) -> Result<Acted, StewardRefusal> {
        let (done, answer) = oneshot::channel();
        let job = StewardJob { order, by, reason, source_message, done };
        let job = Job::Steward(Box::new(job));
        self.hand(job).await?;
        answer.await.map_err(|_| IndexError::Closed)?
    }
}

/// The deed of a journal entry, where a steward may take it back.
fn undoable(row: &JournalRow) -> Option<Deed> {
    let kind = DeedKind::parse(&row.kind)?;
    let by_steward =
        [DeedKind::TaskDecided, DeedKind::PersonsMerged, DeedKind::PersonSeparated].contains(&kind);
    by_steward.then(|| serde_json::from_str(&row.decision).ok()).flatten()
}

/// What is to be done.
struct Decided {
    kind: DeedKind,
    persons: Vec<EnterpriseId>,
    record: Option<RecordKey>,
    task: Option<u64>,
}

impl Linker {
    pub(super) fn act_for_steward(&mut self, job: StewardJob) {
        let StewardJob { order, by, reason, source_message, done } = job;
        let answer = self.act(&order, by, reason, source_message);
        // Whoever asked may have gone; what was done stands all the same.
        let _ = done.send(answer);
    }

    fn act(
        &mut self,
        order: &Order,
        by: String,
        reason: Option<String>,
        source_message: String,
    ) -> Result<Acted, StewardRefusal> {
        let now = whole_micros(self.clock.now());
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let mut draft = Draft::new(&state, &self.limits, now, self.next_task_no);
        draft.deed.by = by;
        draft.deed.reason = reason;
        draft.deed.source_message = (!source_message.is_empty()).then_some(source_message);
        let mut acting = Acting { draft };
        let Decided { kind, persons, record, task } = acting.decide(order)?;
        let draft = acting.draft;
        if draft.is_empty() {
            return Ok(Acted { decision: None, persons, task, tasks_raised: 0 });
        }
        let person = persons.first().copied();
        let entry = DeedEntry { kind, person, record, told: None, now };
        let drafted = draft.finish(self.next_seq, entry);
        drop(state);
        let tasks_raised = drafted.tasks_raised();
        let seq = self.carry_out(drafted)?;
        Ok(Acted { decision: Some(seq), persons, task, tasks_raised })
    }
}

/// One act being decided.
struct Acting<'a> {
    draft: Draft<'a>,
}

impl<'a> Acting<'a> {
    fn registry(&self) -> &'a Registry {
        &self.draft.state.registry
    }

    fn decide(&mut self, order: &Order) -> Result<Decided, StewardRefusal> {
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
