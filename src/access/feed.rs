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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::fixture::{code, record, requester, roster};

    #[test]
    fn only_a_member_open_for_feeds_may_feed() {
        for (who, expected) in [
            ("anne-feed", Ok("anne")),
            ("lake-feed", Ok("lake")),
            ("anne-ed", Err(Refusal::MissingRole(Role::Feed))),
            ("steward", Err(Refusal::MissingRole(Role::Feed))),
            ("gone-feed", Err(Refusal::MemberMayNotFeed)),
        ] {
            let decided = FeedPermit::decide(&requester(who), &roster());
            let decided = decided.as_ref().map(|permit| permit.member().as_str());
            assert_eq!(decided.map_err(|refusal| *refusal), expected, "{who}");
        }
        let nobody = FeedPermit::decide(&requester("anne-feed"), &Roster::default());
        assert_eq!(nobody.err(), Some(Refusal::MemberMayNotFeed));
        let roster = roster();
        let import =
            |member| FeedPermit::on_this_machine(roster.member(&code(member)).expect("known"));
        assert!(import("anne").is_ok() && import("gone").is_err());
    }

    #[test]
    fn a_member_feeds_only_under_its_own_identifier_systems() {
        let permit = FeedPermit::decide(&requester("lake-feed"), &roster()).expect("permitted");
        for (system, owned) in [
            ("urn:oid:1.2.1", true),
            ("urn:oid:1.2.2", true),
            ("urn:oid:1.2", false),
            ("urn:oid:1.1.1", false),
            ("URN:OID:1.2.1", false),
        ] {
            let id = LocalId::parse(system, "1").expect("an identifier");
            let expected =
                if owned { Ok(code("lake")) } else { Err(Refusal::ForeignIdentifierSystem) };
            assert_eq!(permit.record(id).map(|key| key.member), expected, "{system}");
        }
        assert!(permit.covers(&record("lake", "l1")) && !permit.covers(&record("anne", "a1")));
    }
}
