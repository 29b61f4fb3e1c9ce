//! All questions for stewards, as the memory keeps them: the closed ones too, since a decision can
//! be undone, and no question is asked twice.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::kept::{Kept, Sink, Source},
    storage::ReviewTaskRow,
};

use super::{
    decision::RaisedTask,
    deed::TaskChange,
    registry::Misfit,
    review::{Question, TaskKind, TaskState},
};

/// One question.
#[derive(Clone)]
pub(super) struct KeptTask {
    pub(super) raised: RaisedTask,
    /// The record that it is about.
    pub(super) record_no: u32,
    pub(super) opened: OffsetDateTime,
    pub(super) state: TaskState,
    /// The client that has it in hand, or had.
    pub(super) owner: Option<Box<str>>,
    pub(super) changed: OffsetDateTime,
}

impl KeptTask {
    pub(super) fn new(raised: RaisedTask, record_no: u32, opened: OffsetDateTime) -> Self {
        let state = TaskState::Open;
        Self { raised, record_no, opened, state, owner: None, changed: opened }
    }

    /// Its place in the list: the most hazardous kind first, and of that the oldest.
    pub(super) fn rank(&self) -> (usize, u64) {
        (self.raised.kind.hazard(), self.raised.no)
    }

    pub(super) fn row(
        &self,
        record: &RecordKey,
        changed: OffsetDateTime,
        body: String,
    ) -> ReviewTaskRow {
        let raised = &self.raised;
        ReviewTaskRow {
            task_no: raised.no,
            kind: Cow::Borrowed(raised.kind.as_str()),
            state: Cow::Borrowed(self.state.as_str()),
            person: raised.person,
            other: raised.other,
            record: Some(record.clone()),
            bits: f64::from(raised.bits),
            opened: self.opened,
            changed,
            body,
        }
    }
}

#[derive(Default)]
pub(super) struct Tasks {
    by_no: BTreeMap<u64, KeptTask>,
    /// Their numbers by state and hazard, so that a page of the list is read and nothing else.
    listed: [[BTreeSet<u64>; TaskKind::ALL.len()]; TaskState::ALL.len()],
    /// The unanswered and the undetermined ones, by the record that they are about.
    by_record: HashMap<u32, Vec<u64>, RandomState>,
    /// The same, by the other person as it was called then.
    by_other: HashMap<EnterpriseId, Vec<u64>, RandomState>,
    asked: HashSet<Question>,
}

impl Tasks {
    pub(super) fn raise(&mut self, task: &RaisedTask, record_no: u32, opened: OffsetDateTime) {
        self.put(KeptTask::new(task.clone(), record_no, opened));
    }

    fn put(&mut self, task: KeptTask) {
        let no = task.raised.no;
        self.asked.insert(Question::of(&task.raised, task.record_no));
        self.by_no.insert(no, task);
        self.enlist(no);
    }

    /// Moves a task from one state to another; whoever claims it owns it.
    pub(super) fn change(
        &mut self,
        change: &TaskChange,
        by: &str,
        at: OffsetDateTime,
    ) -> Result<(), Misfit> {
        let TaskChange { no, from, to } = *change;
        let task = self.by_no.get_mut(&no).filter(|task| task.state == from).ok_or(Misfit)?;
        self.listed[from as usize][task.rank().0].remove(&no);
        task.state = to;
        task.changed = at;
        match to {
            TaskState::Claimed => task.owner = Some(by.into()),
            TaskState::Open => task.owner = None,
            _ => {}
        }
        self.unlist(no);
        self.enlist(no);
        Ok(())
    }

    fn enlist(&mut self, no: u64) {
        let task = &self.by_no[&no];
        self.listed[task.state as usize][task.rank().0].insert(no);
        if task.state.is_pending() {
            self.by_record.entry(task.record_no).or_default().push(no);
            if let Some(other) = task.raised.other {
                self.by_other.entry(other).or_default().push(no);
            }
        }
    }

    fn unlist(&mut self, no: u64) {
        let task = &self.by_no[&no];
        let drop_from = |list: Option<&mut Vec<u64>>| {
            if let Some(list) = list {
                list.retain(|other| *other != no);
            }
        };
        drop_from(self.by_record.get_mut(&task.record_no));
        if let Some(other) = task.raised.other {
            drop_from(self.by_other.get_mut(&other));
        }
    }

    pub(super) fn is_asked(&self, question: &Question) -> bool {
        self.asked.contains(question)
    }

    pub(super) fn is_known(&self, no: u64) -> bool {
        self.by_no.contains_key(&no)
    }

    pub(super) fn get(&self, no: u64) -> Option<&KeptTask> {
        self.by_no.get(&no)
    }

    /// The tasks about a record that still stand: unanswered, or answered with *cannot tell*.
    pub(super) fn of_record(&self, record_no: u32) -> impl Iterator<Item = &KeptTask> {
        self.listed(self.by_record.get(&record_no))
    }

    /// The tasks that compare somebody with a person of this id, and still stand.
    pub(super) fn of_other(&self, other: EnterpriseId) -> impl Iterator<Item = &KeptTask> {
        self.listed(self.by_other.get(&other))
    }

    fn listed<'a>(&'a self, nos: Option<&'a Vec<u64>>) -> impl Iterator<Item = &'a KeptTask> {
        nos.into_iter().flatten().map(|no| &self.by_no[no])
    }

    /// How many tasks of this kind are in this state.
    pub(super) fn count(&self, state: TaskState, kind: TaskKind) -> usize {
        self.listed[state as usize][kind.hazard()].len()
    }

    /// The tasks of this kind in any of these states, the oldest first, from number `first` on.
    pub(super) fn of_kind(
        &self,
        kind: TaskKind,
        states: &[TaskState],
        first: u64,
    ) -> impl Iterator<Item = &KeptTask> {
        let from_first = |state: &TaskState| {
            self.listed[*state as usize][kind.hazard()].range(first..).peekable()
        };
        let mut listed: Vec<_> = states.iter().map(from_first).collect();
        std::iter::from_fn(move || {
            let fronts = listed.iter_mut().enumerate();
            let fronts = fronts.filter_map(|(at, list)| list.peek().map(|no| (**no, at)));
            let (_, at) = fronts.min()?;
            listed[at].next().map(|no| &self.by_no[no])
        })
    }

    /// Every task, the oldest first.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &KeptTask> {
        self.by_no.values()
    }
}

/// A task as the snapshot keeps it.
#[derive(Serialize, Deserialize)]
struct TaskInSnapshot<'a> {
    raised: Cow<'a, RaisedTask>,
    record_no: u32,
    state: TaskState,
    owner: Option<Cow<'a, str>>,
    /// Nanoseconds since 1970.
    opened: i128,
    changed: i128,
}

impl Kept for Tasks {
    fn keep(&self, out: &mut Sink<'_>) {
        // Whatever is listed beside is told by the tasks themselves.
        let Self { by_no, listed: _, by_record: _, by_other: _, asked: _ } = self;
        let tasks = by_no.values().map(|task| {
            let KeptTask { raised, record_no, opened, state, owner, changed } = task;
            TaskInSnapshot {
                raised: Cow::Borrowed(raised),
                record_no: *record_no,
                state: *state,
                owner: owner.as_deref().map(Cow::Borrowed),
                opened: opened.unix_timestamp_nanos(),
                changed: changed.unix_timestamp_nanos(),
            }
        });
        let tasks: Vec<TaskInSnapshot<'_>> = tasks.collect();
        // Serializing plain strings, numbers and lists into memory has no way to fail.
        serde_json::to_string(&tasks).expect("tasks are plain data").keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let text = String::read(from)?;
        let kept: Vec<TaskInSnapshot<'_>> = serde_json::from_str(&text).ok()?;
        let mut tasks = Self::default();
        for task in kept {
            let TaskInSnapshot { raised, record_no, state, owner, opened, changed } = task;
            let [opened, changed] =
                [opened, changed].map(OffsetDateTime::from_unix_timestamp_nanos);
            let owner = owner.map(|owner| owner.as_ref().into());
            tasks.put(KeptTask {
                raised: raised.into_owned(),
                record_no,
                opened: opened.ok()?,
                state,
                owner,
                changed: changed.ok()?,
            });
        }
        Some(tasks)
    }
}
