//! Questions for a steward.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, MemberCode, RecordKey},
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
    /// All of them, the most hazardous first: what may show one person's data as another's comes
    /// before what may leave something out.
    pub const ALL: [Self; 3] =
        [Self::LinkInDoubt, Self::PossibleDuplicatePersons, Self::PossibleLink];

    /// Its place in [`Self::ALL`].
    pub(super) fn hazard(self) -> usize {
        Self::ALL.into_iter().position(|kind| kind == self).unwrap_or_default()
    }

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
    /// A steward has it in hand.
    Claimed,
    /// A steward said: one person.
    Same,
    /// A steward said: two persons.
    Different,
    /// A steward said that nobody can tell. What is asked stays unknown, and is not asked again.
    CannotTell,
    /// What came later answered it: two persons became one, or two by a word that counts.
    Settled,
    /// What it is about is no more.
    Withdrawn,
}

impl TaskState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Claimed,
        Self::Same,
        Self::Different,
        Self::CannotTell,
        Self::Settled,
        Self::Withdrawn,
    ];

    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Same => "same",
            Self::Different => "different",
            Self::CannotTell => "cannot_tell",
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
        matches!(self, Self::Open | Self::Claimed)
    }

    /// Whether what it asks is still not known.
    pub(super) const fn is_pending(self) -> bool {
        self.is_unanswered() || matches!(self, Self::CannotTell)
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
    /// The client that has it in hand, or had.
    pub owner: Option<String>,
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
    /// When it last came into another state.
    pub changed: OffsetDateTime,
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

/// Which questions a steward wants to see.
#[derive(Clone, Debug, Default)]
pub struct ReviewQuery {
    /// Those in one of these states; the unanswered ones where empty.
    pub states: Vec<TaskState>,
    /// Those of these kinds; all where empty.
    pub kinds: Vec<TaskKind>,
    /// Those about a record of this member, or comparing it with a person of this member's.
    pub member: Option<MemberCode>,
    /// Those that this client has in hand, or had.
    pub owner: Option<String>,
    /// Those after this one, in the order of the list; from the first where absent.
    pub after: Option<u64>,
    /// At most so many.
    pub tasks_max: usize,
}

/// A part of the list of questions.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewPage {
    /// The most hazardous kind first, and of that the oldest.
    pub tasks: Vec<ReviewTask>,
    /// How many there are in all.
    pub total: usize,
    /// Whether more follow.
    pub more: bool,
}

impl Index {
    /// The questions that a query names, ranked by hazard and then by age. Looks at those of the page
    /// alone, or, where a member or owner is named, at those in the states asked for.
    pub fn reviews(&self, query: &ReviewQuery) -> ReviewPage {
        let state = self.shared.read();
        let (registry, tasks) = (&state.registry, state.registry.tasks());
        let (states, kinds) = (query.wanted_states(), query.wanted_kinds());
        let after = query.after.and_then(|no| tasks.get(no)).map(KeptTask::rank);
        let from = |kind: TaskKind| match after {
            Some((hazard, _)) if kind.hazard() < hazard => u64::MAX,
            Some((hazard, no)) if kind.hazard() == hazard => no + 1,
            _ => 0,
        };
        let following = |first: &dyn Fn(TaskKind) -> u64| {
            let of_kinds: Vec<_> =
                kinds.iter().map(|kind| tasks.of_kind(*kind, &states, first(*kind))).collect();
            of_kinds.into_iter().flatten().filter(|task| query.wants(task, registry))
        };
        let mut page: Vec<ReviewTask> = following(&from)
            .take(query.tasks_max.saturating_add(1))
            .map(|task| ReviewTask::of(task, registry))
            .collect();
        let more = page.len() > query.tasks_max;
        page.truncate(query.tasks_max);
        let total = if query.names_somebody() {
            following(&|_| 0).count()
        } else {
            let counts =
                states.iter().flat_map(|state| kinds.iter().map(|kind| tasks.count(*state, *kind)));
            counts.sum()
        };
        ReviewPage { tasks: page, total, more }
    }

    /// One question.
    pub fn review(&self, no: u64) -> Option<ReviewTask> {
        let state = self.shared.read();
        state.registry.tasks().get(no).map(|task| ReviewTask::of(task, &state.registry))
    }
}

impl ReviewQuery {
    /// Each once.
    fn wanted_states(&self) -> Vec<TaskState> {
        let wanted = |state: &TaskState| match &*self.states {
            [] => state.is_unanswered(),
            states => states.contains(state),
        };
        TaskState::ALL.into_iter().filter(wanted).collect()
    }

    /// Each once, the most hazardous first.
    fn wanted_kinds(&self) -> Vec<TaskKind> {
        let wanted = |kind: &TaskKind| self.kinds.is_empty() || self.kinds.contains(kind);
        TaskKind::ALL.into_iter().filter(wanted).collect()
    }

    const fn names_somebody(&self) -> bool {
        self.member.is_some() || self.owner.is_some()
    }

    fn wants(&self, task: &KeptTask, registry: &Registry) -> bool {
        let owner = self.owner.is_none() || self.owner.as_deref() == task.owner.as_deref();
        owner
            && self.member.as_ref().is_none_or(|member| {
                let mut others =
                    task.raised.other.into_iter().flat_map(|id| registry.records_of(id));
                registry.member_of(task.record_no) == member
                    || others.any(|&record_no| registry.member_of(record_no) == member)
            })
    }
}

impl ReviewTask {
    fn of(task: &KeptTask, registry: &Registry) -> Self {
        let raised = &task.raised;
        Self {
            no: raised.no,
            kind: raised.kind,
            state: task.state,
            owner: task.owner.as_deref().map(str::to_owned),
            person: registry.person_of(task.record_no),
            other: raised.other.map(|other| registry.living(other)),
            record: registry.key(task.record_no),
            bits: f64::from(raised.bits),
            opened: task.opened,
            changed: task.changed,
        }
    }
}
