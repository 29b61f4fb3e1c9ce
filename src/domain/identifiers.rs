use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// The longest value a local identifier may have, in bytes: longer than any real one, short enough to index.
const LOCAL_ID_BYTES_MAX: usize = 256;
const MEMBER_CODE_BYTES_MAX: usize = 20;
const LOGICAL_ID_BYTES_MAX: usize = 64;

/// One person across the exchange. Minted by the index, never by a member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EnterpriseId(Uuid);

impl EnterpriseId {
    /// Wraps bits that the index minted or stored.
    pub const fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    /// The bits, for storage.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// Parses the hyphenated form that is the FHIR logical id of a person.
    pub fn parse(text: &str) -> Result<Self, InvalidEnterpriseId> {
        // Only the canonical spelling: two spellings of one id would be two cache keys and two audit trails.
        let id = Uuid::from_str(text).map_err(|_| InvalidEnterpriseId)?;
        (id.hyphenated().to_string() == text).then_some(Self(id)).ok_or(InvalidEnterpriseId)
    }
}

impl fmt::Display for EnterpriseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for EnterpriseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnterpriseId({self})")
    }
}

/// Not an enterprise id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not an enterprise id")]
pub struct InvalidEnterpriseId;

/// A patient as one member names them: FHIR `Identifier.system` and `.value`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "ToldLocalId")]
pub struct LocalId {
    system: String,
    value: String,
}

impl LocalId {
    /// Parses at the edge, so that every `LocalId` inside is whole.
    pub fn parse(system: &str, value: &str) -> Result<Self, InvalidLocalId> {
        let (system, value) = (system.trim(), value.trim());
        if system.is_empty() {
            return Err(InvalidLocalId::NoSystem);
        }
        if value.is_empty() {
            return Err(InvalidLocalId::NoValue);
        }
        if system.len() > LOCAL_ID_BYTES_MAX || value.len() > LOCAL_ID_BYTES_MAX {
            return Err(InvalidLocalId::TooLong);
        }
        // Nobody could type it, and PostgreSQL cannot keep U+0000.
        if system.chars().chain(value.chars()).any(char::is_control) {
            return Err(InvalidLocalId::ControlCharacter);
        }
        Ok(Self { system: system.to_owned(), value: value.to_owned() })
    }

    /// The namespace URI.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// The value within the namespace.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// A local identifier as stored or sent, before it is parsed.
#[derive(Deserialize)]
struct ToldLocalId {
    system: String,
    value: String,
}

impl TryFrom<ToldLocalId> for LocalId {
    type Error = InvalidLocalId;

    fn try_from(told: ToldLocalId) -> Result<Self, Self::Error> {
        Self::parse(&told.system, &told.value)
    }
}

impl fmt::Debug for LocalId {
    // A record number is PHI: a log may name its system, never its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalId({}|…)", self.system)
    }
}

/// What is wrong with a local identifier.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidLocalId {
    /// The namespace is missing.
    #[error("identifier has no system")]
    NoSystem,
    /// The value is missing.
    #[error("identifier has no value")]
    NoValue,
    /// Longer than 256 bytes.
    #[error("identifier is longer than {LOCAL_ID_BYTES_MAX} bytes")]
    TooLong,
    /// A character that is none to be read, such as U+0000.
    #[error("identifier holds a control character")]
    ControlCharacter,
}

/// A member's short code, the first part of every gateway id: `[a-z0-9-]{1,20}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberCode(String);

impl MemberCode {
    /// Parses `[a-z0-9-]{1,20}`; a dot is not allowed, since gateway ids are split at the first dot.
    pub fn parse(text: &str) -> Result<Self, InvalidMemberCode> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > MEMBER_CODE_BYTES_MAX || !text.bytes().all(legal) {
            return Err(InvalidMemberCode);
        }
        Ok(Self(text.to_owned()))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MemberCode {
    type Error = InvalidMemberCode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<MemberCode> for String {
    fn from(code: MemberCode) -> Self {
        code.0
    }
}

/// Not a member code.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a member code is 1 to 20 of a-z, 0-9 and hyphen")]
pub struct InvalidMemberCode;

/// One source record: a member and the patient's local identifier there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordKey {
    /// The member that fed it.
    pub member: MemberCode,
    /// Its identifier there.
    pub local_id: LocalId,
}

impl RecordKey {
    /// The name under which a member's own `Patient.id` is kept: two members' `Patient/1` are two, and
    /// none of them is anybody's record number.
    pub fn of_patient_id(member: &MemberCode, id: &LogicalId) -> Self {
        let system = format!("urn:tessera:patient:{member}");
        Self { member: member.clone(), local_id: LocalId { system, value: id.0.clone() } }
    }
}

/// A FHIR logical id: `[A-Za-z0-9\-\.]{1,64}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LogicalId(String);

impl LogicalId {
    /// Parses what FHIR R4 allows as `Resource.id`.
    pub fn parse(text: &str) -> Result<Self, InvalidLogicalId> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if text.is_empty() || text.len() > LOGICAL_ID_BYTES_MAX || !text.bytes().all(legal) {
            return Err(InvalidLogicalId);
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LogicalId {
    // Of a Patient it may be a record number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogicalId(…)")
    }
}

/// Not a FHIR logical id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an id is 1 to 64 of A-Z, a-z, 0-9, hyphen and dot")]
pub struct InvalidLogicalId;

/// One request, from its first byte to its last audit row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Wraps a fresh random UUID.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_code_holds_no_dot_and_no_capital() {
        assert!(MemberCode::parse("st-anne-2").is_ok());
        for bad in ["", "St", "a.b", "a b", "a-code-that-is-too-long-to-be-one"] {
            assert_eq!(MemberCode::parse(bad), Err(InvalidMemberCode), "{bad}");
        }
    }

    #[test]
    fn a_local_id_is_trimmed_and_whole() {
        let id = LocalId::parse(" urn:oid:1.2.3 ", " A1 ").expect("both parts are there");
        assert_eq!((id.system(), id.value()), ("urn:oid:1.2.3", "A1"));
        assert_eq!(LocalId::parse("", "A1"), Err(InvalidLocalId::NoSystem));
        assert_eq!(LocalId::parse("urn:x", "  "), Err(InvalidLocalId::NoValue));
        assert_eq!(LocalId::parse("urn:x", &"9".repeat(257)), Err(InvalidLocalId::TooLong));
        for (system, value) in
            [("urn:x", "A\0"), ("urn:\0x", "A"), ("urn:x", "A\t1"), ("urn:x", "A\u{85}1")]
        {
            let told = LocalId::parse(system, value);
            assert_eq!(told, Err(InvalidLocalId::ControlCharacter), "{value:?}");
        }
    }

    #[test]
    fn debug_never_shows_a_record_number() {
        let id = LocalId::parse("urn:x", "secret").expect("both parts are there");
        assert!(!format!("{id:?}").contains("secret"));
    }

    #[test]
    fn an_enterprise_id_has_one_spelling() {
        let id = EnterpriseId::from_u128(0x0198_7654_3210_7abc_8def_0123_4567_89ab);
        assert_eq!(EnterpriseId::parse(&id.to_string()), Ok(id));
        assert!(EnterpriseId::parse(&id.to_string().to_uppercase()).is_err());
        assert!(EnterpriseId::parse("not-an-id").is_err());
    }
}
