use serde::Deserialize;

use super::{IDENTIFIER_TYPES, IDENTITY_IDENTIFIER_TYPES, MOTHERS_MAIDEN_NAME, US_MBI, US_SSN};
use crate::{
    domain::{
        Address, Demographics, Identifier, IdentifierKind, IdentifierUse, InvalidLocalId, LocalId,
        Name, NameUse, PartialDate, Sex,
    },
    fhir::{InvalidResource, Resource},
};

/// What a `Patient` says, and what in it could not be understood.
#[derive(Clone, Debug, Default)]
pub struct PatientReading {
    /// All that could be read.
    pub demographics: Demographics,
    /// `Patient.active`; true where absent.
    pub active: bool,
    /// Every identifier with a system and a value.
    pub local_ids: Vec<LocalId>,
    /// `Patient.link` of type `replaced-by`, as an identifier.
    pub replaced_by: Option<LocalId>,
    /// The same as a literal reference, such as `Patient/7`.
    pub replaced_by_reference: Option<String>,
    /// Elements that break FHIR's rules. A feed refuses them; an answer is read without them.
    pub faults: Vec<Fault>,
}

/// An element that breaks FHIR's rules, by place and rule, never by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// FHIRPath of the element.
    pub expression: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Reads a `Patient`. Fails where it is none, or where an element has another shape than FHIR's.
pub fn read_patient(resource: &Resource) -> Result<PatientReading, InvalidResource> {
    if resource.resource_type() != "Patient" {
        return Err(InvalidResource::Type);
    }
    let patient: Patient = resource.read()?;
    let mut faults = Vec::new();
    let demographics = Demographics {
        birth_date: birth_date(patient.birth_date.as_deref(), &mut faults),
        sex: sex(patient.gender.as_deref(), &mut faults),
        names: patient.name.iter().map(name).collect(),
        addresses: patient.address.into_iter().map(address).collect(),
        phones: telecom(&patient.telecom, &["phone", "sms", ""]),
        emails: telecom(&patient.telecom, &["email"]),
        identifiers: patient.identifier.iter().filter_map(identifier).collect(),
        multiple_birth: patient
            .multiple_birth_boolean
            .or(patient.multiple_birth_integer.map(|order| order > 0)),
        birth_order: patient.multiple_birth_integer.and_then(|order| u8::try_from(order).ok()),
        mothers_maiden_name: patient
            .extension
            .into_iter()
            .find(|extension| extension.url == MOTHERS_MAIDEN_NAME)
            .and_then(|extension| extension.value_string),
        deceased: patient.deceased_boolean.or(patient.deceased_date_time.map(|_| true)),
        identity_unknown: false,
    };
    let local_ids = local_ids(&patient.identifier, &mut faults);
    let replacing = patient.link.iter().find(|link| link.kind == "replaced-by");
    let replaced_by = replacing.and_then(|link| link.other.identifier.as_ref()?.local_id()?.ok());
    Ok(PatientReading {
        demographics,
        active: patient.active.unwrap_or(true),
        local_ids,
        replaced_by,
        replaced_by_reference: replacing.and_then(|link| link.other.reference.clone()),
        faults,
    })
}

/// The identifiers with a system and a value. One that cannot be kept is a fault; one without either
/// part, or longer than any that is looked for, is legal FHIR that names nobody.
fn local_ids(told: &[FhirIdentifier], faults: &mut Vec<Fault>) -> Vec<LocalId> {
    let read = told.iter().filter_map(FhirIdentifier::local_id);
    let (good, bad): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
    if bad.into_iter().any(|one| one == Err(InvalidLocalId::ControlCharacter)) {
        let problem = "holds a control character";
        faults.push(Fault { expression: "Patient.identifier", problem });
    }
    good.into_iter().flatten().collect()
}

fn birth_date(told: Option<&str>, faults: &mut Vec<Fault>) -> Option<PartialDate> {
    let told = told?;
    let date = PartialDate::parse(told).ok();
    if date.is_none() {
        let problem = "not a date of the calendar, as YYYY, YYYY-MM or YYYY-MM-DD";
        faults.push(Fault { expression: "Patient.birthDate", problem });
    }
    date
}

fn sex(told: Option<&str>, faults: &mut Vec<Fault>) -> Option<Sex> {
    match told? {
        "female" => Some(Sex::Female),
        "male" => Some(Sex::Male),
        "other" => Some(Sex::Other),
        "unknown" => None,
        _ => {
            let problem = "not one of male, female, other, unknown";
            faults.push(Fault { expression: "Patient.gender", problem });
            None
        }
    }
}

fn name(told: &HumanName) -> Name {
    let name_use = match told.name_use.as_deref() {
        Some("official") => NameUse::Official,
        Some("temp") => NameUse::Temp,
        Some("nickname") => NameUse::Nickname,
        Some("anonymous") => NameUse::Anonymous,
        Some("old") => NameUse::Old,
        Some("maiden") => NameUse::Maiden,
        _ => NameUse::Usual,
    };
    let parts = |parts: &[Option<String>]| parts.iter().flatten().cloned().collect();
    Name {
        name_use,
        family: told.family.clone().unwrap_or_default(),
        given: parts(&told.given),
        prefixes: parts(&told.prefix),
        suffixes: parts(&told.suffix),
        text: told.text.clone().unwrap_or_default(),
    }
}

fn address(told: FhirAddress) -> Address {
    Address {
        lines: told.line.into_iter().flatten().collect(),
        city: told.city.unwrap_or_default(),
        state: told.state.unwrap_or_default(),
        postal_code: told.postal_code.unwrap_or_default(),
        country: told.country.unwrap_or_default(),
        old: told.address_use.as_deref() == Some("old"),
    }
}

fn telecom(told: &[ContactPoint], systems: &[&str]) -> Vec<String> {
    told.iter()
        .filter(|contact| systems.contains(&contact.system.as_deref().unwrap_or_default()))
        .filter_map(|contact| contact.value.clone())
        .collect()
}

fn identifier(told: &FhirIdentifier) -> Option<Identifier> {
    let value = told.value.clone()?;
    let system = told.system.clone().unwrap_or_default();
    let identifier_use = match told.identifier_use.as_deref() {
        Some("old") => IdentifierUse::Old,
        Some("temp") => IdentifierUse::Temp,
        _ => IdentifierUse::Current,
    };
    Some(Identifier { kind: kind(told, &system), system, value, identifier_use })
}

fn kind(told: &FhirIdentifier, system: &str) -> IdentifierKind {
    match system {
        US_SSN | "urn:oid:2.16.840.1.113883.4.1" => return IdentifierKind::SocialSecurity,
        US_MBI | "urn:oid:2.16.840.1.113883.4.927" => return IdentifierKind::MedicareBeneficiary,
        _ => {}
    }
    let mut codings = told.kind.iter().flat_map(|kind| &kind.coding);
    codings
        .find_map(|coding| {
            let code = coding.code.as_deref()?;
            match coding.system.as_deref().unwrap_or(IDENTIFIER_TYPES) {
                IDENTIFIER_TYPES => IdentifierKind::of_type_code(code),
                IDENTITY_IDENTIFIER_TYPES if code == "SSN4" => {
                    Some(IdentifierKind::SocialSecurityLast4)
                }
                _ => None,
            }
        })
        .unwrap_or(IdentifierKind::Other)
}

impl FhirIdentifier {
    fn local_id(&self) -> Option<Result<LocalId, InvalidLocalId>> {
        Some(LocalId::parse(self.system.as_deref()?, self.value.as_deref()?))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Patient {
    active: Option<bool>,
    #[serde(default)]
    identifier: Vec<FhirIdentifier>,
    #[serde(default)]
    name: Vec<HumanName>,
    #[serde(default)]
    telecom: Vec<ContactPoint>,
    gender: Option<String>,
    birth_date: Option<String>,
    deceased_boolean: Option<bool>,
    deceased_date_time: Option<String>,
    #[serde(default)]
    address: Vec<FhirAddress>,
    multiple_birth_boolean: Option<bool>,
    multiple_birth_integer: Option<i64>,
    #[serde(default)]
    link: Vec<PatientLink>,
    #[serde(default)]
    extension: Vec<Extension>,
}

#[derive(Deserialize)]
struct FhirIdentifier {
    #[serde(rename = "use")]
    identifier_use: Option<String>,
    #[serde(rename = "type")]
    kind: Option<CodeableConcept>,
    system: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
struct CodeableConcept {
    #[serde(default)]
    coding: Vec<Coding>,
}

#[derive(Deserialize)]
struct Coding {
    system: Option<String>,
    code: Option<String>,
}

// A list of primitives may hold null where only an extension stands (FHIR R4 §2.6.2.3).
#[derive(Deserialize)]
struct HumanName {
    #[serde(rename = "use")]
    name_use: Option<String>,
    text: Option<String>,
    family: Option<String>,
    #[serde(default)]
    given: Vec<Option<String>>,
    #[serde(default)]
    prefix: Vec<Option<String>>,
    #[serde(default)]
    suffix: Vec<Option<String>>,
}

#[derive(Deserialize)]
struct ContactPoint {
    system: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FhirAddress {
    #[serde(rename = "use")]
    address_use: Option<String>,
    #[serde(default)]
    line: Vec<Option<String>>,
    city: Option<String>,
    state: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
}

#[derive(Deserialize)]
struct PatientLink {
    other: LinkedPatient,
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct LinkedPatient {
    reference: Option<String>,
    identifier: Option<FhirIdentifier>,
}

#[derive(Deserialize)]
struct Extension {
    #[serde(default)]
    url: String,
    #[serde(rename = "valueString")]
    value_string: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> PatientReading {
        let resource = Resource::parse(json.as_bytes()).expect("well-formed");
        read_patient(&resource).expect("a patient")
    }

    #[test]
    fn every_name_address_and_contact_counts() {
        let reading = read(
            r#"{"resourceType":"Patient","birthDate":"1984-03","gender":"female",
            "name":[{"family":"Okafor","given":["Ada",null,"B"]},{"use":"maiden","family":"Lind"}],
            "telecom":[{"system":"phone","value":"555"},{"system":"email","value":"a@b.org"},{"system":"fax","value":"9"}],
            "address":[{"line":["1 Elm St"],"postalCode":"02139"},{"use":"old","city":"Salem"}],
            "multipleBirthInteger":2,
            "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"Berg"}]}"#,
        );
        let told = reading.demographics;
        assert_eq!(told.names[0].given, ["Ada", "B"]);
        assert_eq!(told.names[1].name_use, NameUse::Maiden);
        assert_eq!(
            (told.phones, told.emails),
            (vec!["555".to_owned()], vec!["a@b.org".to_owned()])
        );
        assert!(told.addresses[1].old && !told.addresses[0].old);
        assert_eq!((told.multiple_birth, told.birth_order), (Some(true), Some(2)));
        assert_eq!(told.mothers_maiden_name.as_deref(), Some("Berg"));
        assert!(reading.faults.is_empty() && reading.active);
    }

    #[test]
    fn identifiers_are_known_by_system_or_type() {
        let reading = read(
            r#"{"resourceType":"Patient","identifier":[
            {"system":"http://hl7.org/fhir/sid/us-ssn","value":"123-45-6788"},
            {"system":"https://a.example/mrn","value":"7","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}},
            {"type":{"coding":[{"system":"http://hl7.org/fhir/us/identity-matching/CodeSystem/Identity-Identifier-cs","code":"SSN4"}]},"value":"6788"},
            {"system":"urn:x","value":"1"},{"system":"urn:nothing"}]}"#,
        );
        let kinds: Vec<_> = reading.demographics.identifiers.iter().map(|i| i.kind).collect();
        assert_eq!(
            kinds,
            [
                IdentifierKind::SocialSecurity,
                IdentifierKind::MedicalRecord,
                IdentifierKind::SocialSecurityLast4,
                IdentifierKind::Other
            ]
        );
        assert_eq!(reading.local_ids.len(), 3);
    }

    #[test]
    fn what_breaks_the_rules_is_named_and_the_rest_is_read() {
        let reading = read(
            r#"{"resourceType":"Patient","birthDate":"2019-02-30","gender":"f","name":[{"family":"Lind"}]}"#,
        );
        let places: Vec<_> = reading.faults.iter().map(|fault| fault.expression).collect();
        assert_eq!(places, ["Patient.birthDate", "Patient.gender"]);
        assert_eq!(reading.demographics.names[0].family, "Lind");
    }

    #[test]
    fn an_element_of_another_shape_is_refused() {
        let resource =
            Resource::parse(br#"{"resourceType":"Patient","name":"Ada"}"#).expect("well-formed");
        assert!(read_patient(&resource).is_err());
    }
}
