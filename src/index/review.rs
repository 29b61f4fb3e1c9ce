//! Questions for a steward.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, RecordKey},
    storage::ReviewTaskRow,
};

use super::{Index, decision::RaisedTask, registry::Registry, tasks::KeptTask};

/// What a steward is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// The record may belong to another person; the evidence was not enough to link.
    PossibleLink,
    /// Two persons may be one: the record agrees with both for certain.
    PossibleDuplicatePersons,
    /// The record was updated and no longer agrees with the rest of its person for certain.
    LinkInDoubt,
}

impl TaskKind {
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PossibleLink => "possible_link",
            Self::PossibleDuplicatePersons => "possible_duplicate_persons",
            Self::LinkInDoubt => "link_in_doubt",
        }
    }
}

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Nobody has looked at it.
    Open,
    /// What came later answered it: two persons became one, or two by a word that counts.
    Settled,
    /// What it is about is no more.
    Withdrawn,
}

impl TaskState {
    const ALL: [Self; 3] = [Self::Open, Self::Settled, Self::Withdrawn];

    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Parses the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether a steward has yet to answer it.
    pub const fn is_unanswered(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether what it asks is still not known.
    pub(super) const fn is_pending(self) -> bool {
        self.is_unanswered()
    }
}

/// One question for a steward.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewTask {
    /// Its number, from 1.
    pub no: u64,
    /// What is asked.
    pub kind: TaskKind,
    /// Where it stands.
    pub state: TaskState,
    /// The person that the record is linked to, today.
    pub person: EnterpriseId,
    /// The other person, where two are compared, today.
    pub other: Option<EnterpriseId>,
    /// The record that raised it.
    pub record: RecordKey,
    /// The evidence for one person rather than two, in bits.
    pub bits: f64,
    /// When it was raised.
    pub opened: OffsetDateTime,
}

/// A question that is asked once, however often the evidence comes back.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    kind: TaskKind,
    /// The record; absent where the question is about two persons, whoever raised it.
    record_no: Option<u32>,
    persons: [u128; 2],
}

impl Question {
    pub(super) fn of(task: &RaisedTask, record_no: u32) -> Self {
        Self::new(task.kind, record_no, task.person, task.other)
    }

    pub(super) fn new(
        kind: TaskKind,
        record_no: u32,
        person: EnterpriseId,
        other: Option<EnterpriseId>,
    ) -> Self {
        let mut persons = [person.as_u128(), other.map_or(0, EnterpriseId::as_u128)];
        let record_no = (kind != TaskKind::PossibleDuplicatePersons).then_some(record_no);
        if record_no.is_none() {
            persons.sort_unstable();
        }
        Self { kind, record_no, persons }
    }
}

pub(super) fn task_row(
    task: &RaisedTask,
    record: &RecordKey,
    now: OffsetDateTime,
) -> ReviewTaskRow {
    ReviewTaskRow {
        task_no: task.no,
        kind: Cow::Borrowed(task.kind.as_str()),
        state: Cow::Borrowed(TaskState::Open.as_str()),
        person: task.person,
        other: task.other,
        record: Some(record.clone()),
        bits: f64::from(task.bits),
        opened: now,
        changed: now,
        body: "{}".to_owned(),
    }
}

impl Index {
    /// Up to `tasks_max` open review tasks, oldest first, after the task `after_no` (0 for the first).
    pub fn review_tasks(&self, after_no: u64, tasks_max: usize) -> Vec<ReviewTask> {
        let state = self.shared.read();
        let registry = &state.registry;
        let tasks = registry.tasks().unanswered().filter(|task| task.raised.no > after_no);
        tasks.take(tasks_max).map(|task| ReviewTask::of(task, registry)).collect()
    }
}

impl ReviewTask {
    fn of(task: &KeptTask, registry: &Registry) -> Self {
        let raised = &task.raised;
        Self {
            no: raised.no,
            kind: raised.kind,
            state: task.state,
            person: registry.person_of(task.record_no),
            other: raised.other.map(|other| registry.living(other)),
            record: registry.key(task.record_no),
            bits: f64::from(raised.bits),
            opened: task.opened,
        }
    }
}
