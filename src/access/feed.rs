use std::sync::Arc;

use super::{Refusal, Requester, Role};
use crate::directory::{Member, Roster};
use crate::domain::{LocalId, MemberCode, RecordKey};

/// Proof that a member may feed, and under which identifier systems. Only `access` makes one.
#[derive(Clone, Debug)]
pub struct FeedPermit {
    member: MemberCode,
    systems: Vec<String>,
    fed_by: String,
}

impl FeedPermit {
    /// Decides whether the requester may feed for its own member.
    pub fn decide(requester: &Arc<Requester>, roster: &Roster) -> Result<Self, Refusal> {
        requester.may(Role::Feed)?;
        let code = requester.member().ok_or(Refusal::NotAMember)?;
        let member = roster.member(code).ok_or(Refusal::MemberMayNotFeed)?;
        Self::of(member, requester.client_id())
    }

    /// For a bulk import that an operator starts on this machine, who has the database in hand
    /// anyway; never reachable from the network.
    pub fn on_this_machine(member: &Member) -> Result<Self, Refusal> {
        Self::of(member, "import")
    }

    fn of(member: &Member, fed_by: &str) -> Result<Self, Refusal> {
        if !member.status().may_feed() {
            return Err(Refusal::MemberMayNotFeed);
        }
        Ok(Self {
            member: member.code().clone(),
            systems: member.identifier_systems().to_vec(),
            fed_by: fed_by.to_owned(),
        })
    }

    /// The record that a fed identifier names; refused unless its system is one of the member's own.
    pub fn record(&self, local_id: LocalId) -> Result<RecordKey, Refusal> {
        if !self.systems.iter().any(|system| system == local_id.system()) {
            return Err(Refusal::ForeignIdentifierSystem);
        }
        Ok(RecordKey { member: self.member.clone(), local_id })
    }

    /// Whether the record is one that this member may tell about.
    pub fn covers(&self, record: &RecordKey) -> bool {
        record.member == self.member
            && self.systems.iter().any(|system| system == record.local_id.system())
    }

    /// The member that feeds.
    pub fn member(&self) -> &MemberCode {
        &self.member
    }

    /// The client that feeds, for the journal: its id, or `import`.
    pub fn fed_by(&self) -> &str {
        &self.fed_by
    }
}
