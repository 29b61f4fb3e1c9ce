//! One longitudinal record out of many members' answers: nothing twice, nothing lost, nothing
//! averaged away.
//!
//! Pure. [`merge`] takes verified answers and gives a [`MergedRecord`]: every resource once under
//! its gateway id, those that tell one fact grouped behind one representative, contradictions
//! shown. The result is a function of the set of resources: the order of arrival, and how a
//! member's answer was split, change no byte of it. `docs/record.md` states the rules.

mod brief;
mod conflict;
mod facts;
mod gateway_id;
mod grouping;
mod intake;
mod merged;
mod own_resources;
mod redact;
mod representative;
mod rewrite;
mod same_fact;
mod select;
mod summary;
mod targets;

use std::fmt;

use time::OffsetDateTime;

pub use brief::{Brief, BriefInput, Line, Section, Tone};
pub use conflict::{Conflict, ConflictKind, Danger};
pub use gateway_id::{gateway_id, is_hashed};
pub use intake::TakenIn;
pub use merged::{Count, Entry, IdMapping, MergedRecord, Original, OwnResource, Role};
pub use redact::releases;
pub use select::{Include, Included, REVERSE, Selected, Selecting, SortBy, SortKey};
pub use summary::{SummaryInput, summary};
use targets::Targets;

use crate::{
    domain::{EnterpriseId, MemberCode},
    fhir::Resource,
};

/// What one member answered about one person: only resources that are verified to be theirs.
#[derive(Clone)]
pub struct MemberAnswer {
    /// Who answered.
    pub member: MemberCode,
    /// The base of its FHIR server, as its absolute references have it.
    pub base_url: String,
    /// The member's name, for Provenance.
    pub name: Option<String>,
    /// The member's organization identifier as a URI, such as `urn:oid:…`, for Provenance.
    pub organization_id: Option<String>,
    /// Logical ids of the Patient resources there that are this person.
    pub patient_ids: Vec<String>,
    /// What it sent.
    pub resources: Vec<Resource>,
}

/// Whom and by whom a record is put together.
#[derive(Clone, Debug)]
pub struct MergeContext {
    /// The person all of it is about.
    pub person: EnterpriseId,
    /// When the answers were received, for Provenance.
    pub recorded: OffsetDateTime,
    /// The exchange's name, for Provenance and Linkage.
    pub exchange_name: String,
    /// The exchange's identifier as a URI, such as `urn:oid:…`.
    pub exchange_id: Option<String>,
}

/// Something odd about what a member sent, that lost nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordIssue {
    /// What is odd.
    pub kind: RecordIssueKind,
    /// Who sent it.
    pub member: MemberCode,
    /// Its type.
    pub resource_type: String,
    /// The id under which the record shows it; empty where it is about the whole type.
    pub gateway_id: String,
}

impl fmt::Debug for RecordIssue {
    // An id may be a record number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordIssue({:?} {}/{}.…)", self.kind, self.resource_type, self.member)
    }
}

/// What is odd about a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordIssueKind {
    /// It had no id, so it bears a hash of its content and cannot be read again at its source.
    NoId,
    /// Another resource of the member had the same id and another content.
    IdUsedTwice,
    /// There are too many of one code and moment to be compared; they were left apart.
    TooManyToCompare,
}

/// Merges the answers of several members about one person.
pub fn merge(context: &MergeContext, answers: Vec<MemberAnswer>) -> MergedRecord {
    let taken = answers.into_iter().map(|answer| TakenIn::new(context.person, answer));
    merge_taken_in(context, taken.collect())
}

/// As [`merge`], of answers that were taken in when they came.
pub fn merge_taken_in(context: &MergeContext, answers: Vec<TakenIn>) -> MergedRecord {
    let intake = intake::all_together(context.person, answers);
    let targets = Targets::of(&intake);
    let facts = facts::find_facts(&intake, &targets);
    let representatives = representative::choose(&intake, &facts.groups);
    let conflicts = conflict::find_conflicts(&intake, &facts, &targets);
    merged::compose(context, intake, facts, &representatives, conflicts)
}

/// Rewrites one resource to gateway ids without merging it, as [`merge`] would: the same bytes,
/// unless its member uses the id for two contents. `answer` says whose it is; what else it holds is
/// not looked at. For a resource read alone, or shown before all members have answered.
pub fn rewrite_one(person: EnterpriseId, answer: &MemberAnswer, resource: &Resource) -> Original {
    let one = MemberAnswer {
        member: answer.member.clone(),
        base_url: answer.base_url.clone(),
        name: None,
        organization_id: None,
        patient_ids: answer.patient_ids.clone(),
        resources: vec![resource.clone()],
    };
    let intake = intake::all_together(person, vec![TakenIn::new(person, one)]);
    merged::first_original(intake)
        .unwrap_or_else(|| unreachable!("an intake holds every resource it was given"))
}

#[cfg(test)]
mod tests;
