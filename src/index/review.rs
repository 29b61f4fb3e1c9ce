//! Questions for a steward.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, RecordKey},
    storage::ReviewTaskRow,
};

use super::{Index, IndexError, decision::RaisedTask, registry::Registry};

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
    const ALL: [Self; 3] = [Self::PossibleLink, Self::PossibleDuplicatePersons, Self::LinkInDoubt];

    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PossibleLink => "possible_link",
            Self::PossibleDuplicatePersons => "possible_duplicate_persons",
            Self::LinkInDoubt => "link_in_doubt",
        }
    }
}

/// The state of a task that nobody has decided.
pub(super) const OPEN: &str = "open";
/// The state of a task whose two persons were joined, by evidence that came later.
pub(super) const SETTLED: &str = "settled";

/// One question for a steward.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewTask {
    /// Its number, from 1.
    pub no: u64,
    /// What is asked.
    pub kind: TaskKind,
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

/// A task that nobody has decided, as the memory keeps it.
pub(super) struct OpenTask {
    pub(super) no: u64,
    pub(super) kind: TaskKind,
    pub(super) other: Option<EnterpriseId>,
    pub(super) record_no: u32,
    pub(super) bits: f32,
    pub(super) opened: OffsetDateTime,
}

impl OpenTask {
    pub(super) fn row(&self, person: EnterpriseId, record: &RecordKey) -> ReviewTaskRow {
        let Self { no, kind, other, bits, opened, .. } = *self;
        task_row(&RaisedTask { no, kind, person, other, bits }, record, opened)
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
        state: Cow::Borrowed(OPEN),
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
    pub async fn review_tasks(
        &self,
        after_no: u64,
        tasks_max: u32,
    ) -> Result<Vec<ReviewTask>, IndexError> {
        let rows = self.db.reader().review_tasks(OPEN, after_no, tasks_max).await?;
        let state = self.shared.read();
        rows.into_iter().map(|row| read_task(row, &state.registry)).collect()
    }
}

fn read_task(row: ReviewTaskRow, registry: &Registry) -> Result<ReviewTask, IndexError> {
    let unreadable = || crate::storage::StorageError::Unreadable { table: "review_task" };
    let kind = TaskKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
    Ok(ReviewTask {
        no: row.task_no,
        kind: kind.ok_or_else(unreadable)?,
        person: registry.living(row.person),
        other: row.other.map(|other| registry.living(other)),
        record: row.record.ok_or_else(unreadable)?,
        bits: row.bits,
        opened: row.opened,
    })
}
