//! Invented clinical resources of one patient at several members, some facts told by two of them.

use fastrand::Rng;
use serde_json::{Value, json};

/// Of this many facts, one is told by the neighbor too.
const TOLD_TWICE_OF: usize = 5;

const LOINC: &str = "http://loinc.org";
const SNOMED: &str = "http://snomed.info/sct";
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";

/// The resources that a member holds about the patient `patient_id`, as JSON. Same arguments, same bytes.
pub(crate) fn chart(member: usize, patient_id: &str, count: usize) -> Vec<String> {
    let told = |number: usize| {
        let owner = if number.is_multiple_of(TOLD_TWICE_OF) { member / 2 } else { member + 1_000 };
        let mut rng = Rng::with_seed((owner * 1_000_000 + number) as u64);
        let mut resource = resource(&mut rng, number);
        resource["id"] = format!("m{member}-{number}").into();
        resource["meta"] = json!({"versionId": "1", "lastUpdated": "2026-03-01T08:00:00Z"});
        let about = json!({"reference": format!("Patient/{patient_id}")});
        let kind = resource["resourceType"].as_str();
        let element = match kind {
            Some("AllergyIntolerance" | "Immunization") => "patient",
            _ => "subject",
        };
        resource[element] = about;
        resource.to_string()
    };
    (0..count).map(told).collect()
}

/// One resource: of twenty, twelve are observations.
fn resource(rng: &mut Rng, number: usize) -> Value {
    let code = rng.u32(1_000..9_999);
    let when = instant(rng);
    match number % 20 {
        12 | 13 => json!({
            "resourceType": "Condition",
            "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"),
            "category": [concept("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item", "Problem")],
            "code": concept(SNOMED, &format!("{code}00{number}"), "An invented problem"),
            "onsetDateTime": when, "recordedDate": when,
        }),
        14 | 15 => json!({
            "resourceType": "MedicationRequest", "status": "active", "intent": "order",
            "medicationCodeableConcept": concept(RXNORM, &format!("{code}{number}"), "An invented drug 10 MG Oral Tablet"),
            "authoredOn": when,
            "dosageInstruction": [{"text": "one tablet daily", "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}],
        }),
        16 => json!({
            "resourceType": "Encounter", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "type": [concept(SNOMED, "185345009", "Encounter for symptom")],
            "period": {"start": when, "end": when},
        }),
        17 => json!({
            "resourceType": "Procedure", "status": "completed",
            "code": concept(SNOMED, &format!("{code}11{number}"), "An invented procedure"),
            "performedDateTime": when,
        }),
        18 => json!({
            "resourceType": "Immunization", "status": "completed",
            "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", &format!("{}", code % 200), "An invented vaccine"),
            "occurrenceDateTime": when, "primarySource": true,
        }),
        19 => json!({
            "resourceType": "AllergyIntolerance",
            "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", "Active"),
            "code": concept(RXNORM, &format!("{code}{number}"), "An invented substance"),
            "recordedDate": when,
        }),
        _ => observation(rng, code, &when),
    }
}

fn observation(rng: &mut Rng, code: u32, when: &str) -> Value {
    let value = f64::from(rng.u32(10..5_000)) / 10.0;
    json!({
        "resourceType": "Observation", "status": "final",
        "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "Laboratory")],
        "code": concept(LOINC, &format!("{code}-{}", code % 10), "An invented analyte [Mass/volume] in Serum"),
        "effectiveDateTime": when, "issued": when,
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        "referenceRange": [{"low": {"value": 10, "unit": "mg/dL"}, "high": {"value": 300, "unit": "mg/dL"}}],
    })
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": display}], "text": display})
}

fn instant(rng: &mut Rng) -> String {
    let (year, month, day) = (rng.u32(2015..2026), rng.u32(1..13), rng.u32(1..29));
    let (hour, minute, second) = (rng.u32(0..24), rng.u32(0..60), rng.u32(0..60));
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
