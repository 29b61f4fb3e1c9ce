use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use super::{Requester, Restrictions};
use crate::domain::{EnterpriseId, MemberCode, PurposeOfUse, RecordKey};

/// Proof that a requester may see one person's data for one purpose, and which of them.
///
/// Only [`super::ConsentBook::decide`] makes one. It holds for one request; keep none for later.
#[derive(Clone)]
pub struct Permit {
    pub(super) requester: Arc<Requester>,
    pub(super) person: EnterpriseId,
    pub(super) purpose: PurposeOfUse,
    /// All the person's records of permitted members, in order.
    pub(super) records: Vec<RecordKey>,
    /// Members with a decision of their own; `None`: excluded.
    pub(super) members: BTreeMap<MemberCode, Option<Restrictions>>,
    /// What was decided for every other member.
    pub(super) others: Option<Restrictions>,
    pub(super) broke_glass: bool,
    pub(super) decided_at: OffsetDateTime,
}

impl Permit {
    /// Who may.
    pub fn requester(&self) -> &Arc<Requester> {
        &self.requester
    }

    /// About whom.
    pub fn person(&self) -> EnterpriseId {
        self.person
    }

    /// Why.
    pub fn purpose(&self) -> PurposeOfUse {
        self.purpose
    }

    /// When it was decided.
    pub fn decided_at(&self) -> OffsetDateTime {
        self.decided_at
    }

    /// Whether it stands only because an emergency was declared, against what the patient or the
    /// exchange's policy otherwise says. Audited as a security alert.
    pub fn broke_glass(&self) -> bool {
        self.broke_glass
    }

    /// The person's records that may be shown, in key order; at least one.
    pub fn records(&self) -> &[RecordKey] {
        &self.records
    }

    /// Whether this record may be shown and asked for.
    pub fn permits_record(&self, record: &RecordKey) -> bool {
        self.records.binary_search(record).is_ok()
    }

    /// Whether this member's data may be asked for, also where it has no record that we know.
    pub fn permits_member(&self, member: &MemberCode) -> bool {
        self.restrictions(member).is_some()
    }

    /// What must be withheld of this member's data; `None`: all of them.
    pub fn restrictions(&self, member: &MemberCode) -> Option<&Restrictions> {
        self.members.get(member).unwrap_or(&self.others).as_ref()
    }

    /// Whether nothing is withheld: no member excluded, nothing hidden by its label.
    pub fn is_unrestricted(&self) -> bool {
        self.members.values().chain([&self.others]).flatten().all(Restrictions::is_none)
            && self.others.is_some()
            && self.members.values().all(Option::is_some)
    }

    /// Members whose data may not be shown. Never tell the requester who they are, nor that there
    /// are any: where somebody was treated is itself protected.
    pub fn excluded_members(&self) -> impl Iterator<Item = &MemberCode> {
        self.members.iter().filter(|(_, decided)| decided.is_none()).map(|(member, _)| member)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} for {}, {})", self.requester.client_id(), self.purpose, self.person)
    }
}
