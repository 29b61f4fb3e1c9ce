//! What is asked: of which members, for which source records, and what of them.

use std::{collections::BTreeSet, time::Duration};

use time::OffsetDateTime;

use crate::domain::{Demographics, LocalId, MemberCode, PartialDate};

/// One member to ask, and the source records to ask it for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The member.
    pub member: MemberCode,
    /// The person's records there, in key order.
    pub records: Vec<SoughtRecord>,
    /// The demographics of the person's records at other members, as a second opinion on whose
    /// Patient the member returns; may be empty.
    pub person: Vec<Demographics>,
}

/// One source record, as the index knows it.
#[derive(Clone, Debug)]
pub struct SoughtRecord {
    /// The patient's identifier at the member.
    pub local_id: LocalId,
    /// What the member itself fed about this patient.
    pub fed: Demographics,
    /// Whether nobody fed it: the member gave the identifier when it was asked whom it knows, and
    /// `fed` is what it told then.
    pub discovered: bool,
}

/// What of a record is wanted; the parameters of `Patient/$everything` (FHIR R4).
#[derive(Clone, Debug)]
pub struct RecordQuery {
    /// `_type`; every type where empty.
    pub types: BTreeSet<String>,
    /// `_since`: only what was updated at or after this instant.
    pub since: Option<OffsetDateTime>,
    /// `start`: only care on or after this date.
    pub start: Option<PartialDate>,
    /// `end`: only care on or before this date.
    pub end: Option<PartialDate>,
    /// How long all members together may take.
    pub deadline: Duration,
    /// The oldest kept answer that may be used; zero: members are asked.
    pub kept_age_max: Duration,
    /// How long the answers may be kept, where that is longer than usual; zero otherwise.
    pub kept_for: Duration,
}

impl RecordQuery {
    /// The whole record, within a deadline.
    pub fn everything(deadline: Duration) -> Self {
        Self {
            types: BTreeSet::new(),
            since: None,
            start: None,
            end: None,
            deadline,
            kept_age_max: Duration::MAX,
            kept_for: Duration::ZERO,
        }
    }

    /// Whether resources of this type are wanted.
    pub fn wants_type(&self, resource_type: &str) -> bool {
        self.types.is_empty() || self.types.contains(resource_type)
    }
}
