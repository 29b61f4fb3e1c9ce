//! An invented exchange for the tests of this room.

use std::sync::Arc;

use time::OffsetDateTime;
use time::macros::datetime;

use super::{Clients, Requester};
use crate::directory::{Directory, Roster, parse_members_toml};
use crate::domain::{Clock, EnterpriseId, LocalId, MemberCode, PersonRecords, RecordKey};

pub(super) const NOW: OffsetDateTime = datetime!(2025-06-15 12:00 UTC);

pub(super) const CLIENTS: &str = r#"
    revoked_serials = ["00:BA:D1"]

    [[client]]
    id = "anne-ed"
    san_uris = ["urn:client:anne-ed", "urn:client:anne-ed-2"]
    organization = { name = "St. Anne", identifier = "urn:oid:1.1", member = "anne" }
    roles = ["query", "emergency"]
    purposes = ["TREAT", "ETREAT", "BTG", "HPAYMT"]
    default_purpose = "TREAT"

    [[client]]
    id = "anne-feed"
    san_uris = ["urn:client:anne-feed"]
    organization = { name = "St. Anne", identifier = "urn:oid:1.1", member = "anne" }
    roles = ["feed"]

    [[client]]
    id = "lake-feed"
    san_uris = ["urn:client:lake-feed"]
    organization = { name = "Lakeside", identifier = "urn:oid:1.2.99", member = "lake" }
    roles = ["feed"]

    [[client]]
    id = "lake-query"
    san_uris = ["urn:client:lake-query"]
    organization = { name = "Lakeside", identifier = "urn:oid:1.2.99", member = "lake" }
    roles = ["query"]
    purposes = ["TREAT"]

    [[client]]
    id = "gone-feed"
    san_uris = ["urn:client:gone-feed"]
    organization = { name = "Gone", identifier = "urn:oid:1.3", member = "gone" }
    roles = ["feed"]

    [[client]]
    id = "steward"
    san_uris = ["urn:client:steward"]
    organization = { name = "The exchange", identifier = "urn:oid:1.9" }
    roles = ["steward"]
"#;

const MEMBERS: &str = r#"
    [[member]]
    code = "anne"
    name = "St. Anne"
    organization = "urn:oid:1.1"
    identifier_systems = ["urn:oid:1.1.1"]
    fhir_base = "https://anne.example/fhir"
    status = "active"

    [[member]]
    code = "lake"
    name = "Lakeside"
    organization = "urn:oid:1.2"
    identifier_systems = ["urn:oid:1.2.1", "urn:oid:1.2.2"]
    fhir_base = "https://lake.example/fhir"
    status = "active"

    [[member]]
    code = "gone"
    name = "Gone"
    organization = "urn:oid:1.3"
    identifier_systems = ["urn:oid:1.3.1"]
    fhir_base = "https://gone.example/fhir"
    status = "suspended"
"#;

pub(super) fn clients() -> Clients {
    Clients::from_toml(CLIENTS).expect("the clients are good")
}

pub(super) fn requester(id: &str) -> Arc<Requester> {
    clients().on_this_machine(id).expect("the client is there")
}

pub(super) fn roster() -> Roster {
    parse_members_toml(MEMBERS).expect("the members are good")
}

pub(super) fn directory() -> Directory {
    Directory::in_memory(roster())
}

pub(super) fn code(text: &str) -> MemberCode {
    MemberCode::parse(text).expect("a code")
}

/// A record of `member` in its first namespace.
pub(super) fn record(member: &str, value: &str) -> RecordKey {
    let system = match member {
        "anne" => "urn:oid:1.1.1",
        "lake" => "urn:oid:1.2.1",
        _ => "urn:oid:1.3.1",
    };
    let local_id = LocalId::parse(system, value).expect("an identifier");
    RecordKey { member: code(member), local_id }
}

/// A person with a record at St. Anne and one at Lakeside.
pub(super) fn person() -> PersonRecords {
    PersonRecords {
        id: EnterpriseId::from_u128(7),
        records: vec![record("anne", "a1"), record("lake", "l1")],
        former: Vec::new(),
    }
}

/// A clock that stands still.
pub(super) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> OffsetDateTime {
        NOW
    }
}
