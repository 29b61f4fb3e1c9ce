use thiserror::Error;

use super::member::{IDENTIFIER_SYSTEMS_MAX, POSTAL_CODES_MAX, TEXT_BYTES_MAX};

/// What is wrong with one member's description.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidMember {
    /// Not `[a-z0-9-]{1,20}`.
    #[error("code: a member code is 1 to 20 of a-z, 0-9 and hyphen")]
    Code,
    /// Empty or too long.
    #[error("{key}: must be 1 to {TEXT_BYTES_MAX} bytes")]
    Text {
        /// The key in the file.
        key: &'static str,
    },
    /// Not a URI.
    #[error("organization: must be a URI such as urn:oid:2.16.840.1.113883.19.5")]
    OrganizationNotUri,
    /// None, or too many.
    #[error(
        "identifier_systems: must name 1 to {IDENTIFIER_SYSTEMS_MAX} namespaces of record numbers"
    )]
    IdentifierSystems,
    /// Not a URI.
    #[error("identifier_systems: {0:?} is not a URI")]
    IdentifierSystem(String),
    /// Not a plain https URL.
    #[error("fhir_base: must be an https URL without user, query or fragment")]
    FhirBase,
    /// A number beyond its bounds.
    #[error("{key}: must be {min} to {max}")]
    OutOfBounds {
        /// The key in the file.
        key: &'static str,
        /// Smallest legal value.
        min: u64,
        /// Greatest legal value.
        max: u64,
    },
    /// Too many authorities.
    #[error("authority: a member has at most 64")]
    Authorities,
    /// An authority that nothing could name.
    #[error("authority: needs a namespace, an oid or default = true; each of 1 to 199 bytes")]
    Authority,
    /// An authority that two tables tell.
    #[error("authority: {0:?} is told twice")]
    SharedAuthority(String),
    /// An authority for a namespace that is not the member's.
    #[error("authority: {0:?} is not among identifier_systems")]
    AuthoritySystem(String),
    /// Several defaults.
    #[error("authority: at most one authority is the default")]
    DefaultAuthorities,
    /// Not a zone.
    #[error("utc_offset: must be as -05:00")]
    UtcOffset,
    /// No client id, no file, or an endpoint that is not https.
    #[error("authorization.{key}: must be told, short enough, and an https URL where it is one")]
    Authorization {
        /// The key in the file.
        key: &'static str,
    },
    /// Not an identifier.
    #[error("check_patient: must be system|value")]
    CheckPatient,
    /// Not beginnings of postal codes.
    #[error(
        "serves_postal_codes: must be at most {POSTAL_CODES_MAX} beginnings of 2 to 10 letters and digits"
    )]
    PostalCodes,
    /// Not names of resource types.
    #[error("unserved_types: must be names of FHIR resource types")]
    UnservedTypes,
    /// One page could be larger than the whole.
    #[error("limits.answer_bytes_max: must not be below limits.page_bytes_max")]
    AnswerBelowPage,
}

/// A number within its bounds.
pub(super) fn within(
    key: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), InvalidMember> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(InvalidMember::OutOfBounds { key, min, max })
    }
}
