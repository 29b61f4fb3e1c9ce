//! FHIR R4 `Patient` to and from [`Demographics`](crate::domain::Demographics).

mod read;
mod write;

pub use read::{Fault, PatientReading, read_patient};
pub use write::{demographics_to_patient, identifier_to_json};

/// Mother's maiden name, an extension of `Patient`.
const MOTHERS_MAIDEN_NAME: &str =
    "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";
/// HL7 v2 table 0203, the types of identifiers.
const IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
/// SSN last 4 has its code in a system of its own (HL7 identity matching).
const IDENTITY_IDENTIFIER_TYPES: &str =
    "http://hl7.org/fhir/us/identity-matching/CodeSystem/Identity-Identifier-cs";
const US_SSN: &str = "http://hl7.org/fhir/sid/us-ssn";
const US_MBI: &str = "http://hl7.org/fhir/sid/us-mbi";
