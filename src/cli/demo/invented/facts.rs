//! Clinical facts as FHIR R4 resources in the manner of US Core, without id and patient.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A coded idea: system, code, display.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(&'static str, pub(super) &'static str, &'static str);

pub(super) const fn snomed(code: &'static str, display: &'static str) -> Code {
    Code("http://snomed.info/sct", code, display)
}

pub(super) const fn rxnorm(code: &'static str, display: &'static str) -> Code {
    Code("http://www.nlm.nih.gov/research/umls/rxnorm", code, display)
}

pub(super) const fn loinc(code: &'static str, display: &'static str) -> Code {
    Code("http://loinc.org", code, display)
}

pub(super) const fn cvx(code: &'static str, display: &'static str) -> Code {
    Code("http://hl7.org/fhir/sid/cvx", code, display)
}

impl Code {
    fn concept(self) -> Value {
        let Self(system, code, display) = self;
        json!({"coding": [{"system": system, "code": code, "display": display}]})
    }
}

fn hl7(system: &str, code: &str) -> Value {
    let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
    json!({"coding": [{"system": system, "code": code}]})
}

/// A FHIR instant; each member then writes it in its own time zone.
fn instant(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0)
        .expect("zero is a nanosecond")
        .format(&Rfc3339)
        .expect("a year of four digits")
}

/// A FHIR date.
pub(super) fn day(at: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", at.year(), at.month() as u8, at.day())
}

/// A known allergy with its reaction: manifestation and severity.
pub(super) fn allergy(
    substance: Code,
    criticality: &str,
    reaction: Option<(Code, &str)>,
    recorded: OffsetDateTime,
) -> Value {
    let mut fact = json!({"resourceType": "AllergyIntolerance",
        "clinicalStatus": hl7("allergyintolerance-clinical", "active"),
        "verificationStatus": hl7("allergyintolerance-verification", "confirmed"),
        "type": "allergy", "criticality": criticality, "code": substance.concept(),
        "recordedDate": day(recorded)});
    if let Some((manifestation, severity)) = reaction {
        fact["reaction"] =
            json!([{"manifestation": [manifestation.concept()], "severity": severity}]);
    }
    fact
}

/// The statement that no allergy is known.
pub(super) fn no_known_allergy(recorded: OffsetDateTime) -> Value {
    json!({"resourceType": "AllergyIntolerance",
        "clinicalStatus": hl7("allergyintolerance-clinical", "active"),
        "verificationStatus": hl7("allergyintolerance-verification", "confirmed"),
        "code": snomed("716186003", "No known allergy").concept(), "recordedDate": day(recorded)})
}

/// An entry of the problem list.
pub(super) fn problem(code: Code, status: &str, onset: OffsetDateTime) -> Value {
    json!({"resourceType": "Condition",
        "clinicalStatus": hl7("condition-clinical", status),
        "verificationStatus": hl7("condition-ver-status", "confirmed"),
        "category": [hl7("condition-category", "problem-list-item")],
        "code": code.concept(), "onsetDateTime": day(onset), "recordedDate": day(onset)})
}

/// A prescription.
pub(super) fn prescription(
    drug: Code,
    dose: &str,
    status: &str,
    authored: OffsetDateTime,
) -> Value {
    json!({"resourceType": "MedicationRequest", "status": status, "intent": "order",
        "medicationCodeableConcept": drug.concept(), "authoredOn": instant(authored),
        "dosageInstruction": [{"text": dose}]})
}

/// What a laboratory measures: code, UCUM unit, normal range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Analyte {
    pub(super) code: Code,
    pub(super) unit: &'static str,
    pub(super) normal: (f64, f64),
    /// Where an effect may be dangerous.
    pub(super) critical: (f64, f64),
}

/// A laboratory result.
pub(super) fn laboratory(analyte: Analyte, value: f64, at: OffsetDateTime) -> Value {
    let (low, high) = analyte.normal;
    let flag = match value {
        _ if value < analyte.critical.0 => "LL",
        _ if value > analyte.critical.1 => "HH",
        _ if value < low => "L",
        _ if value > high => "H",
        _ => "N",
    };
    let quantity = |value: f64| measured(value, analyte.unit);
    json!({"resourceType": "Observation", "status": "final",
        "category": [hl7("observation-category", "laboratory")],
        "code": analyte.code.concept(), "effectiveDateTime": instant(at), "issued": instant(at),
        "valueQuantity": quantity(value), "interpretation": [hl7("v3-ObservationInterpretation", flag)],
        "referenceRange": [{"low": quantity(low), "high": quantity(high)}]})
}

/// A blood group, the result that is a code and not a number.
pub(super) fn blood_group(group: Code, at: OffsetDateTime) -> Value {
    json!({"resourceType": "Observation", "status": "final",
        "category": [hl7("observation-category", "laboratory")],
        "code": loinc("882-1", "ABO and Rh group [Type] in Blood").concept(),
        "effectiveDateTime": instant(at), "valueCodeableConcept": group.concept()})
}

/// A vital sign of one number.
pub(super) fn vital_sign(code: Code, value: f64, unit: &str, at: OffsetDateTime) -> Value {
    json!({"resourceType": "Observation", "status": "final",
        "category": [hl7("observation-category", "vital-signs")],
        "code": code.concept(), "effectiveDateTime": instant(at),
        "valueQuantity": measured(value, unit)})
}

/// A blood pressure, in mmHg.
pub(super) fn blood_pressure(systolic: u32, diastolic: u32, at: OffsetDateTime) -> Value {
    let part = |code: Code, value: u32| {
        json!({"code": code.concept(), "valueQuantity": {"value": value, "unit": "mmHg",
            "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}})
    };
    json!({"resourceType": "Observation", "status": "final",
        "category": [hl7("observation-category", "vital-signs")],
        "code": loinc("85354-9", "Blood pressure panel with all children optional").concept(),
        "effectiveDateTime": instant(at),
        "component": [part(loinc("8480-6", "Systolic blood pressure"), systolic),
            part(loinc("8462-4", "Diastolic blood pressure"), diastolic)]})
}

fn measured(value: f64, unit: &str) -> Value {
    json!({"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit})
}

/// A vaccine given.
pub(super) fn immunization(vaccine: Code, at: OffsetDateTime) -> Value {
    json!({"resourceType": "Immunization", "status": "completed", "vaccineCode": vaccine.concept(),
        "occurrenceDateTime": day(at), "primarySource": true})
}

/// A procedure done.
pub(super) fn procedure(code: Code, at: OffsetDateTime) -> Value {
    json!({"resourceType": "Procedure", "status": "completed", "code": code.concept(),
        "performedDateTime": instant(at)})
}

/// A visit of some hours: `AMB`, `EMER` or `IMP` (HL7 v3-ActCode).
pub(super) fn encounter(
    class: &str,
    kind: Code,
    reason: Code,
    start: OffsetDateTime,
    hours: i64,
) -> Value {
    let display = match class {
        "EMER" => "emergency",
        "IMP" => "inpatient encounter",
        _ => "ambulatory",
    };
    json!({"resourceType": "Encounter", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class, "display": display},
        "type": [kind.concept()], "reasonCode": [reason.concept()],
        "period": {"start": instant(start), "end": instant(start + time::Duration::hours(hours))}})
}

/// An imaging report with its conclusion.
pub(super) fn imaging_report(code: Code, conclusion: &str, at: OffsetDateTime) -> Value {
    json!({"resourceType": "DiagnosticReport", "status": "final",
        "category": [{"coding": [{"system": "http://loinc.org", "code": "LP29684-5", "display": "Radiology"}]}],
        "code": code.concept(), "effectiveDateTime": instant(at), "issued": instant(at),
        "conclusion": conclusion})
}

/// A clinical note with its text in it.
pub(super) fn note(kind: Code, text: &str, at: OffsetDateTime) -> Value {
    json!({"resourceType": "DocumentReference", "status": "current", "type": kind.concept(),
        "category": [{"coding": [{"system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
            "code": "clinical-note", "display": "Clinical Note"}]}],
        "date": instant(at), "description": text,
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8",
            "data": STANDARD.encode(text), "creation": instant(at)}}]})
}

/// Insurance.
pub(super) fn coverage(subscriber: &str, since: OffsetDateTime) -> Value {
    json!({"resourceType": "Coverage", "status": "active", "subscriberId": subscriber,
        "relationship": hl7("subscriber-relationship", "self"), "period": {"start": day(since)}})
}
