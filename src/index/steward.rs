//! What stewards do: take questions in hand, answer them, merge and separate persons, take back what
//! a steward did.

mod acting;

use std::sync::Arc;

use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::{
    access::StewardPermit,
    domain::{EnterpriseId, LocalId},
    storage::JournalRow,
};

use acting::{Acting, Decided};

use super::{
    Index, IndexError,
    decide::whole_micros,
    deed::{Deed, DeedKind},
    draft::{DeedEntry, Draft},
    linker::{Job, Linker},
    review::TaskKind,
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
