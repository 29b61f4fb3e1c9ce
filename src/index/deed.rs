//! What a member or a steward did to records and persons, as the journal keeps it.
//!
//! A deed says outright what changed, from what to what: folding it decides nothing, and turning it
//! round undoes it.

use serde::{Deserialize, Serialize};

use crate::domain::{EnterpriseId, LocalId};

use super::{
    decision::{Content, RaisedTask},
    review::TaskState,
    rules::Rule,
};

/// What was done: the journal's kinds of deeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeedKind {
    /// A member says that a record is no more (HL7 v2 A29, FHIR delete).
    Retired,
    /// A member merged one of its records into another (A40, `replaced-by`).
    MergedLocally,
    /// A member gave a record another identifier (A47).
    Renamed,
    /// A member's own `Patient.id` leads to one of its records from now on.
    Named,
    /// A member says that two of its records are one person (A24).
    Linked,
    /// A member says that two of its records are two persons (A37).
    Unlinked,
    /// A steward took a question in hand, or put it back.
    TaskClaimed,
    /// A steward answered a question.
    TaskDecided,
    /// A steward made two persons one.
    PersonsMerged,
    /// A steward took records out of a person.
    PersonSeparated,
    /// A steward took back what a steward had done.
    Undone,
    /// Another model decides from here on.
    ModelActivated,
}

impl DeedKind {
    const ALL: [Self; 12] = [
        Self::Retired,
        Self::MergedLocally,
        Self::Renamed,
        Self::Named,
        Self::Linked,
        Self::Unlinked,
        Self::TaskClaimed,
        Self::TaskDecided,
        Self::PersonsMerged,
        Self::PersonSeparated,
        Self::Undone,
        Self::ModelActivated,
    ];

    /// As the journal names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retired => "retired",
            Self::MergedLocally => "merged_locally",
            Self::Renamed => "renamed",
            Self::Named => "named",
            Self::Linked => "linked",
            Self::Unlinked => "unlinked",
            Self::TaskClaimed => "task_claimed",
            Self::TaskDecided => "task_decided",
            Self::PersonsMerged => "persons_merged",
            Self::PersonSeparated => "person_separated",
            Self::Undone => "undone",
            Self::ModelActivated => "model_activated",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One deed with all that it changed. Fields may be added, never renamed.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Deed {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) standings: Vec<StandingChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renamed: Option<Rename>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) named: Option<Naming>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) moved: Vec<Move>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) redirected: Vec<Redirect>,
    /// What is to hold between records from now on; known by the deed's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<Rule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) asked: Vec<AskedTask>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tasks: Vec<TaskChange>,
    /// Statements that no longer hold, by the number of the deed that made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) lifted: Vec<u64>,
    /// The deed that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) undoes: Option<u64>,
    /// The question that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<u64>,
    /// Why, in the steward's words; it may name the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Since when what it takes apart was shown as one, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mixed_since: Option<i64>,
    /// The model that decides from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) activated: Option<String>,
    /// Told after something later was known: nothing changes, and it is known again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) late: Option<Content>,
    /// Whether nobody said so: the record was found and not fed, and its time is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) expired: bool,
    /// The message that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source_message: Option<String>,
    /// The client that did it.
    pub(super) by: String,
}

/// Whether a record is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    Active,
    /// Its member says that it is no more.
    Retired,
    /// Its member merged it into another of its records.
    Subsumed {
        by: u32,
        /// Whether its demographics still tell of the person: not where they contradict the survivor.
        counts: bool,
    },
}

impl Standing {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Subsumed { .. } => "subsumed",
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StandingChange {
    pub(super) record: u32,
    pub(super) from: Standing,
    pub(super) to: Standing,
}

/// Another identifier for a record of the same member.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Rename {
    pub(super) record: u32,
    pub(super) from: LocalId,
    pub(super) to: LocalId,
}

/// What leads to a record beside its identifier.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Naming {
    pub(super) record: u32,
    pub(super) id: LocalId,
}

/// A record goes from one person to another, who is minted where nobody knows the id.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Move {
    pub(super) record: u32,
    pub(super) from: EnterpriseId,
    pub(super) to: EnterpriseId,
}

/// Where a person's id leads; nowhere else where absent.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Redirect {
    pub(super) person: EnterpriseId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<EnterpriseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<EnterpriseId>,
}

/// A question that a deed raises, and the record that it is about.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AskedTask {
    pub(super) record: u32,
    #[serde(flatten)]
    pub(super) task: RaisedTask,
}

/// What becomes of a question.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TaskChange {
    pub(super) no: u64,
    pub(super) from: TaskState,
    pub(super) to: TaskState,
}
