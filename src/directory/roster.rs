use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use thiserror::Error;

use super::{InvalidMember, Member, ToldMember};
use crate::domain::MemberCode;

/// Members of one exchange: the largest networks have a few thousand.
const MEMBERS_MAX: usize = 10_000;
/// A file of that many members stays below this.
const FILE_BYTES_MAX: usize = 16 << 20;

/// Members that agree with one another: codes, organizations and identifier systems are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    members: BTreeMap<MemberCode, Member>,
    by_system: HashMap<String, MemberCode>,
    /// Members whose status a file left out.
    status_left_out: BTreeSet<MemberCode>,
}

impl Roster {
    /// Puts members together; refuses two with the same code, organization or identifier system.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Result<Self, InvalidRoster> {
        let mut roster = Self::default();
        let mut organizations: HashMap<String, MemberCode> = HashMap::new();
        for member in members {
            let code = member.code().clone();
            if let Some(other) =
                organizations.insert(member.organization().to_owned(), code.clone())
            {
                let identifier = member.organization().to_owned();
                return Err(InvalidRoster::SharedOrganization {
                    identifier,
                    one: other,
                    two: code,
                });
            }
            for system in member.identifier_systems() {
                if let Some(other) = roster.by_system.insert(system.clone(), code.clone()) {
                    let system = system.clone();
                    return Err(InvalidRoster::SharedSystem { system, one: other, two: code });
                }
            }
            if roster.members.insert(code.clone(), member).is_some() {
                return Err(InvalidRoster::SameCode(code));
            }
        }
        if roster.members.len() > MEMBERS_MAX {
            return Err(InvalidRoster::TooMany);
        }
        Ok(roster)
    }

    /// All members, in the order of their codes.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// The member with this code.
    pub fn member(&self, code: &MemberCode) -> Option<&Member> {
        self.members.get(code)
    }

    /// The member whose record numbers live in this namespace.
    pub fn owner_of(&self, system: &str) -> Option<&Member> {
        self.by_system.get(system).and_then(|code| self.members.get(code))
    }

    /// Checks what is told of members.
    pub fn of_told(told: impl IntoIterator<Item = ToldMember>) -> Result<Self, InvalidRoster> {
        let mut status_left_out = BTreeSet::new();
        let mut members = Vec::new();
        for told in told {
            let (code, left_out) = (told.code.clone(), told.status.is_none());
            let member =
                Member::parse(told).map_err(|reason| InvalidRoster::Member { code, reason })?;
            if left_out {
                status_left_out.insert(member.code().clone());
            }
            members.push(member);
        }
        Ok(Self { status_left_out, ..Self::new(members)? })
    }

    /// As a file tells it where it left statuses out: a member keeps the status that it has.
    #[must_use]
    pub fn keeping_statuses_of(&self, known: &Self) -> Self {
        let mut kept = self.clone();
        for code in std::mem::take(&mut kept.status_left_out) {
            if let (Some(told), Some(known)) = (kept.members.get_mut(&code), known.member(&code)) {
                *told = told.with_status(known.status());
            }
        }
        kept
    }

    /// The member with this organization identifier.
    pub fn by_organization(&self, identifier: &str) -> Option<&Member> {
        self.members.values().find(|member| member.organization() == identifier)
    }
}

/// Reads a `members.toml`: a list of `[[member]]` tables. Unknown keys are refused by name.
pub fn parse_members_toml(text: &str) -> Result<Roster, InvalidRoster> {
    if text.len() > FILE_BYTES_MAX {
        return Err(InvalidRoster::FileTooLarge);
    }
    let file: MembersFile = toml::from_str(text)
        .map_err(|error| InvalidRoster::Syntax(crate::directory::toml_complaint(text, &error)))?;
    Roster::of_told(file.member)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersFile {
    #[serde(default)]
    member: Vec<ToldMember>,
}

/// Why a list of members was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidRoster {
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{0}")]
    Syntax(String),
    /// More than 16 MiB.
    #[error("the file is larger than {FILE_BYTES_MAX} bytes")]
    FileTooLarge,
    /// Too many members.
    #[error("an exchange has at most {MEMBERS_MAX} members")]
    TooMany,
    /// One member's description is wrong.
    #[error("member {code:?}: {reason}")]
    Member {
        /// The code as told.
        code: String,
        /// What is wrong.
        reason: InvalidMember,
    },
    /// A code was used twice.
    #[error("member code {0} is used twice")]
    SameCode(MemberCode),
    /// Two members claim the same namespace; records could not be told apart.
    #[error(
        "identifier system {system} belongs to both {one} and {two}; it can be only one member's"
    )]
    SharedSystem {
        /// The namespace.
        system: String,
        /// Who has it.
        one: MemberCode,
        /// Who claims it too.
        two: MemberCode,
    },
    /// Two members claim the same organization.
    #[error("organization {identifier} is told for both {one} and {two}")]
    SharedOrganization {
        /// The organization's identifier.
        identifier: String,
        /// Who has it.
        one: MemberCode,
        /// Who claims it too.
        two: MemberCode,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{MemberStatus, Quirk};

    const TWO: &str = r#"
        [[member]]
        code = "st-anne"
        name = "St. Anne Hospital"
        organization = "urn:oid:2.16.840.1.113883.19.1"
        identifier_systems = ["urn:oid:2.16.840.1.113883.19.1.1"]
        fhir_base = "https://fhir.st-anne.example/r4/"
        status = "active"

        [[member]]
        code = "lakeside"
        name = "Lakeside Clinic"
        organization = "urn:oid:2.16.840.1.113883.19.2"
        identifier_systems = ["urn:oid:2.16.840.1.113883.19.2.1"]
        fhir_base = "https://lakeside.example/fhir"
        tls_min = "1.2"
        quirks = ["post_search", "no_everything"]
        limits = { pages_max = 7 }
    "#;

    fn complaint(text: &str) -> String {
        match parse_members_toml(text) {
            Ok(_) => "accepted".to_owned(),
            Err(reason) => reason.to_string(),
        }
    }

    #[test]
    fn a_good_file_gives_members_with_their_defaults() {
        let roster = parse_members_toml(TWO).expect("the file is good");
        let anne = roster.owner_of("urn:oid:2.16.840.1.113883.19.1.1").expect("it has an owner");
        assert_eq!(anne.base(), "https://fhir.st-anne.example/r4");
        assert_eq!((anne.deadline_ms(), anne.limits().pages_max), (8_000, 50));
        let code = MemberCode::parse("lakeside").expect("a code");
        let lakeside = roster.member(&code).expect("it is in the file");
        assert_eq!(lakeside.status(), MemberStatus::Onboarding);
        assert_eq!((lakeside.limits().pages_max, lakeside.limits().requests_max), (7, 16));
        assert!(lakeside.has_quirk(Quirk::PostSearch) && !lakeside.has_quirk(Quirk::NoCount));
    }

    #[test]
    fn each_fault_is_named_with_its_key() {
        let with = |from: &str, to: &str| complaint(&TWO.replacen(from, to, 1));
        for (from, to, expected) in [
            ("status =", "stauts =", "unknown field `stauts`"),
            ("\"active\"", "\"open\"", "unknown variant `open`"),
            ("code = \"st-anne\"", "code = \"St.Anne\"", "code: a member code is"),
            ("https://fhir", "http://fhir", "fhir_base: must be an https URL"),
            ("/r4/", "/r4?x=1", "fhir_base: must be an https URL"),
            ("pages_max = 7", "pages_max = 0", "limits.pages_max: must be 1 to 1000"),
            ("pages_max = 7", "answer_bytes_max = 2000", "must not be below limits.page_bytes_max"),
            ("tls_min", "deadline_ms = 5\n        tls_min", "deadline_ms: must be 100 to 120000"),
            ("[\"urn:oid:2.16.840.1.113883.19.2.1\"]", "[]", "identifier_systems: must name"),
            ("[\"urn:oid:2.16.840.1.113883.19.2.1\"]", "[\"mrn\"]", "is not a URI"),
            ("19.2.1", "19.1.1", "belongs to both st-anne and lakeside"),
            ("113883.19.2\"", "113883.19.1\"", "is told for both st-anne and lakeside"),
            ("\"lakeside\"", "\"st-anne\"", "used twice"),
        ] {
            let told = with(from, to);
            assert!(told.contains(expected), "{to}: {told}");
        }
    }

    #[test]
    fn the_shipped_example_tells_the_defaults() {
        let shipped = include_str!("../../config/members.toml");
        let roster = parse_members_toml(shipped).expect("the example is good");
        let [lakeside, anne] = roster.members().collect::<Vec<_>>()[..] else {
            panic!("the example has two members");
        };
        assert_eq!(lakeside.limits(), anne.limits());
        assert_eq!(lakeside.deadline_ms(), anne.deadline_ms());
        assert_eq!(lakeside.tls_min(), anne.tls_min());
        assert_eq!(lakeside.discovery(), anne.discovery());
    }

    #[test]
    fn a_complaint_names_the_line() {
        let told = complaint(&TWO.replacen("status =", "stauts =", 1));
        assert!(told.starts_with("line 8:"), "{told}");
    }
}
