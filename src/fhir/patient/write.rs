use serde_json::{Map, Value, json};

use super::{IDENTIFIER_TYPES, IDENTITY_IDENTIFIER_TYPES, MOTHERS_MAIDEN_NAME, US_MBI, US_SSN};
use crate::domain::{
    Address, Demographics, Identifier, IdentifierKind, IdentifierUse, Name, NameUse, Sex,
};

/// Writes demographics as the elements of a `Patient`; the caller adds id, meta and links.
pub fn demographics_to_patient(told: &Demographics) -> Map<String, Value> {
    let mut patient = Map::new();
    patient.insert("resourceType".into(), "Patient".into());
    let mut put = |key: &str, value: Value| {
        if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
            patient.insert(key.into(), value);
        }
    };
    if let Some(name) = &told.mothers_maiden_name {
        put("extension", json!([{ "url": MOTHERS_MAIDEN_NAME, "valueString": name }]));
    }
    put("identifier", told.identifiers.iter().map(identifier_to_json).collect());
    put("name", told.names.iter().map(name).collect());
    let phones = told.phones.iter().map(|value| json!({ "system": "phone", "value": value }));
    let emails = told.emails.iter().map(|value| json!({ "system": "email", "value": value }));
    put("telecom", phones.chain(emails).collect());
    put("gender", told.sex.map_or(Value::Null, |sex| gender(sex).into()));
    put("birthDate", told.birth_date.map_or(Value::Null, |date| date.to_string().into()));
    put("deceasedBoolean", told.deceased.map_or(Value::Null, Value::Bool));
    put("address", told.addresses.iter().map(address).collect());
    match (told.birth_order, told.multiple_birth) {
        (Some(order), _) => put("multipleBirthInteger", order.into()),
        (None, Some(multiple)) => put("multipleBirthBoolean", multiple.into()),
        (None, None) => {}
    }
    patient
}

/// Writes one identifier as FHIR `Identifier`.
pub fn identifier_to_json(identifier: &Identifier) -> Value {
    let mut out = Map::new();
    match identifier.identifier_use {
        IdentifierUse::Current => {}
        IdentifierUse::Old => drop(out.insert("use".into(), "old".into())),
        IdentifierUse::Temp => drop(out.insert("use".into(), "temp".into())),
    }
    if let Some((system, code)) = type_of_kind(identifier.kind) {
        out.insert("type".into(), json!({ "coding": [{ "system": system, "code": code }] }));
    }
    let system = match identifier.kind {
        IdentifierKind::SocialSecurity if identifier.system.is_empty() => US_SSN,
        IdentifierKind::MedicareBeneficiary if identifier.system.is_empty() => US_MBI,
        _ => &identifier.system,
    };
    if !system.is_empty() {
        out.insert("system".into(), system.into());
    }
    out.insert("value".into(), identifier.value.as_str().into());
    Value::Object(out)
}

fn type_of_kind(kind: IdentifierKind) -> Option<(&'static str, &'static str)> {
    let code = match kind {
        IdentifierKind::MedicalRecord => "MR",
        IdentifierKind::SocialSecurity => "SS",
        IdentifierKind::SocialSecurityLast4 => return Some((IDENTITY_IDENTIFIER_TYPES, "SSN4")),
        IdentifierKind::TaxpayerId => "TAX",
        IdentifierKind::MedicareBeneficiary => "MC",
        IdentifierKind::Member => "MB",
        IdentifierKind::Subscriber => "SN",
        IdentifierKind::DriversLicense => "DL",
        IdentifierKind::Passport => "PPN",
        IdentifierKind::PersonId => "PE",
        IdentifierKind::Account => "AN",
        IdentifierKind::Other => return None,
    };
    Some((IDENTIFIER_TYPES, code))
}

const fn gender(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => "female",
        Sex::Male => "male",
        Sex::Other => "other",
    }
}

fn name(told: &Name) -> Value {
    let name_use = match told.name_use {
        NameUse::Usual => "usual",
        NameUse::Official => "official",
        NameUse::Temp => "temp",
        NameUse::Nickname => "nickname",
        NameUse::Anonymous => "anonymous",
        NameUse::Old => "old",
        NameUse::Maiden => "maiden",
    };
    let mut out = Map::from_iter([("use".to_owned(), Value::from(name_use))]);
    put_text(&mut out, "text", &told.text);
    put_text(&mut out, "family", &told.family);
    put_list(&mut out, "given", &told.given);
    put_list(&mut out, "prefix", &told.prefixes);
    put_list(&mut out, "suffix", &told.suffixes);
    Value::Object(out)
}

fn address(told: &Address) -> Value {
    let mut out = Map::new();
    if told.old {
        out.insert("use".into(), "old".into());
    }
    put_list(&mut out, "line", &told.lines);
    put_text(&mut out, "city", &told.city);
    put_text(&mut out, "state", &told.state);
    put_text(&mut out, "postalCode", &told.postal_code);
    put_text(&mut out, "country", &told.country);
    Value::Object(out)
}

fn put_text(out: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        out.insert(key.into(), text.into());
    }
}

fn put_list(out: &mut Map<String, Value>, key: &str, list: &[String]) {
    if !list.is_empty() {
        out.insert(key.into(), list.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::{Resource, patient::read_patient};

    #[test]
    fn what_is_written_reads_back() {
        let json = r#"{"resourceType":"Patient","birthDate":"1984-03-05","gender":"male",
            "name":[{"family":"Berg","given":["Jon"],"suffix":["Jr"]}],"telecom":[{"system":"phone","value":"1"}],
            "identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"1"},{"system":"urn:a","value":"b","use":"old"}],
            "address":[{"line":["1 Elm"],"city":"Salem","state":"MA"}],"multipleBirthInteger":2,"deceasedBoolean":false}"#;
        let read = |resource: &Resource| read_patient(resource).expect("a patient").demographics;
        let told = read(&Resource::parse(json.as_bytes()).expect("well-formed"));
        let written = Value::Object(demographics_to_patient(&told));
        assert_eq!(read(&Resource::from_value(&written).expect("a resource")), told);
    }
}
