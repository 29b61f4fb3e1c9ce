//! What the journal says of each decision.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::{
    domain::EnterpriseId,
    matching::{MatchGrade, PersonVerdict},
};

use super::review::TaskKind;

/// Journal kinds. A journal with any other kind was written by a later version and is refused.
pub(super) const REGISTERED: &str = "registered";
pub(super) const UPDATED: &str = "updated";
pub(super) const REVIVED: &str = "revived";
pub(super) const CONFIRMED: &str = "confirmed";
pub(super) const STALE: &str = "stale";
pub(super) const JOINED: &str = "joined";

/// A decision with the evidence it was taken on. Fields may be added, never renamed.
#[derive(Serialize)]
pub(super) struct Decision<'a> {
    /// How the person was found.
    pub(super) link: Link,
    /// What the demographics say, so that the same content is known again.
    pub(super) content: Content,
    /// Records that were compared.
    pub(super) compared: usize,
    /// The strongest evidence, person by person.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) evidence: &'a [KeptEvidence],
    /// The persons that the record is certain about, each two judged against each other and found
    /// not to be one for certain.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) between: &'a [Between],
    /// Questions raised for a steward.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) tasks: &'a [RaisedTask],
    /// The message that brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_message: Option<&'a str>,
    /// The client that fed it; of a discovered record, the client that asked for the person.
    pub(super) fed_by: &'a str,
    /// How the record was found, where nobody fed it: `match` or `search`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) discovered: Option<&'a str>,
}

/// What folding needs of a decision; the evidence is for those who ask why.
#[derive(Deserialize)]
pub(super) struct FoldedDecision {
    pub(super) content: Content,
    #[serde(default)]
    pub(super) tasks: Vec<RaisedTask>,
    #[serde(default)]
    pub(super) discovered: Option<String>,
}

/// Persons joined into one by the record registered just before, with the evidence. Fields may be
/// added, never renamed.
#[derive(Serialize)]
pub(super) struct JoinDecision<'a> {
    /// The persons whose ids lead to the survivor from now on.
    pub(super) gone: &'a [EnterpriseId],
    /// Each two of them.
    pub(super) between: &'a [Between],
    /// Pairs of records that were compared.
    pub(super) compared: usize,
    /// Review tasks that are settled by it.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) settled: &'a [u64],
}

/// What folding needs of a join.
#[derive(Deserialize)]
pub(super) struct FoldedJoin {
    pub(super) gone: Vec<EnterpriseId>,
    #[serde(default)]
    pub(super) settled: Vec<u64>,
}

/// How a record came to its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Link {
    /// Nobody was certain: a person was minted.
    Minted,
    /// Exactly one person was certain.
    Certain,
    /// Several persons were certain and are one: they were joined, and it is linked to them.
    Joined,
    /// Several persons were certain: linked to none of them, a person was minted.
    Ambiguous,
    /// The source itself does not know who it is: held out of matching, a person was minted.
    HeldOut,
    /// The record keeps the person that it had.
    Kept,
}

/// What spoke for and against one person.
#[derive(Serialize)]
pub(super) struct KeptEvidence {
    pub(super) person: EnterpriseId,
    /// The number of the source record that agrees best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<u32>,
    pub(super) bits: f32,
    pub(super) grade: MatchGrade,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) contradicted: bool,
}

impl KeptEvidence {
    pub(super) fn of(person: EnterpriseId, record: Option<u32>, verdict: &PersonVerdict) -> Self {
        Self {
            person,
            record,
            bits: verdict.bits,
            grade: verdict.grade,
            contradicted: verdict.contradicted,
        }
    }
}

/// What spoke for two persons being one, and against.
#[derive(Clone, Serialize)]
pub(super) struct Between {
    /// The older first.
    persons: [EnterpriseId; 2],
    bits: f32,
    grade: MatchGrade,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    contradicted: bool,
}

impl Between {
    pub(super) fn of(persons: [EnterpriseId; 2], verdict: &PersonVerdict) -> Self {
        let PersonVerdict { bits, grade, contradicted, .. } = *verdict;
        Self { persons, bits, grade, contradicted }
    }

    pub(super) fn is_one(&self) -> bool {
        self.grade == MatchGrade::Certain && !self.contradicted
    }
}

/// A question raised for a steward, as the journal keeps it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RaisedTask {
    pub(super) no: u64,
    pub(super) kind: TaskKind,
    /// The person that the record is linked to.
    pub(super) person: EnterpriseId,
    /// The other person, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) other: Option<EnterpriseId>,
    pub(super) bits: f32,
}

/// What demographics say, in 128 bits: the first half of the SHA-256 of their JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Content(pub(super) u128);

impl Content {
    pub(super) fn of(json: &str) -> Self {
        Self(first_half(json.as_bytes()))
    }

    /// This content as told for one record at one time, to know a late message again.
    pub(super) fn told_at(self, record_no: u32, event_micros: i64) -> Self {
        let mut bytes = [0; 28];
        bytes[..16].copy_from_slice(&self.0.to_be_bytes());
        bytes[16..20].copy_from_slice(&record_no.to_be_bytes());
        bytes[20..].copy_from_slice(&event_micros.to_be_bytes());
        Self(first_half(&bytes))
    }
}

fn first_half(bytes: &[u8]) -> u128 {
    let hash = digest(&SHA256, bytes);
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_ref()[..16]);
    u128::from_be_bytes(half)
}

impl fmt::Debug for Content {
    // A digest of demographics can be guessed at, so it stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(…)")
    }
}

impl From<Content> for String {
    fn from(content: Content) -> Self {
        format!("{:032x}", content.0)
    }
}

impl TryFrom<String> for Content {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}
