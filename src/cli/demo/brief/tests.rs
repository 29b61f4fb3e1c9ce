use serde_json::json;
use time::macros::datetime;

use super::*;

fn print(entries: &[Value]) -> String {
    let entries: Vec<Value> = entries.iter().map(|one| json!({"resource": one})).collect();
    let bundle = json!({"resourceType": "Bundle", "type": "searchset", "entry": entries});
    let answer = Answer::parse(bundle.to_string().as_bytes()).expect("an answer");
    Brief {
        answer: &answer,
        sureness: Sureness {
            grade: "certain",
            score: Some(0.9991),
            asked_with: "name, birth date, sex, ZIP",
            candidates: 1,
        },
        elapsed: Duration::from_millis(312),
        now: datetime!(2026-11-23 12:00 UTC),
        colors: false,
    }
    .print()
}

/// The lines of a section, without its heading.
fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    page.lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect()
}

fn person() -> Value {
    json!({"resourceType": "Patient", "id": "e1", "birthDate": "1951-03-14", "gender": "female",
        "name": [{"family": "Whitcombe", "given": ["Eleanor"]}, {"use": "maiden", "family": "Lind"}],
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "219-09-9999"}],
        "link": [{"other": {"identifier": {"system": "https://mercy.example/mrn", "value": "7"},
            "display": "Mercy Heart"}, "type": "seealso"}]})
}

fn coded(system: &str, code: &str, display: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": display}]})
}

fn allergy(id: &str, code: &str, display: &str, criticality: &str) -> Value {
    json!({"resourceType": "AllergyIntolerance", "id": id, "criticality": criticality,
        "code": coded("http://snomed.info/sct", code, display),
        "clinicalStatus": {"coding": [{"code": "active"}]}, "recordedDate": "2019-11-01"})
}

fn warfarin(id: &str, system: &str, dose: &str) -> Value {
    json!({"resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "medicationCodeableConcept": coded(system, "855332", "Warfarin 5 MG"),
        "dosageInstruction": [{"text": dose}], "authoredOn": "2026-10-01"})
}

fn inr(id: &str, value: &str, day: &str, flag: &str) -> Value {
    let json = format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","category":[{{"coding":[{{"code":"laboratory"}}]}}],
        "code":{{"coding":[{{"system":"http://loinc.org","code":"6301-6","display":"INR"}}]}},
        "effectiveDateTime":"{day}","valueQuantity":{{"value":{value},"code":"{{INR}}"}},
        "interpretation":[{{"coding":[{{"code":"{flag}"}}]}}]}}"#
    );
    serde_json::from_str(&json).expect("JSON")
}

#[test]
fn who_and_how_sure_come_first() {
    let page = print(&[person()]);
    let who = section(&page, "WHO");
    assert_eq!(who[0], "Eleanor WHITCOMBE · 75 years (born 1951-03-14) · female");
    assert_eq!(who[1], "also: LIND (maiden)");
    assert!(page.contains("SSN …9999") && !page.contains("219-09"));
    let sure = section(&page, "HOW SURE");
    assert_eq!(sure[0], "certain (score 0.999); nobody else came into question");
    assert_eq!(sure[2], "source records linked: 1: Mercy Heart 7");
}

#[test]
fn a_dangerous_allergy_precedes_and_no_known_allergy_never_hides_it() {
    let page = print(&[
        allergy("lakeside.n", "716186003", "No known allergy", "low"),
        allergy("mercy.a", "300916003", "Latex allergy", "low"),
        allergy("mercy.p", "91936005", "Allergy to penicillin", "high"),
    ]);
    let lines = section(&page, "ALLERGIES");
    assert!(lines[0].starts_with("Allergy to penicillin · reaction not told · criticality HIGH"));
    assert!(lines[1].starts_with("Latex allergy"));
    assert!(lines[2].starts_with("\"no known allergy\"") && lines[2].ends_with("[lakeside]"));
}

#[test]
fn no_allergy_told_is_not_no_allergy() {
    let page = print(&[person()]);
    assert_eq!(section(&page, "ALLERGIES"), ["none told; that does not mean that there is none"]);
}

#[test]
fn a_drug_is_listed_once_with_all_its_sources_and_every_dose() {
    let rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
    let page = print(&[
        warfarin("mercy.w", rxnorm, "5 mg every evening"),
        warfarin("stanne.w", "urn:oid:2.16.840.1.113883.6.88", "2.5 mg every evening"),
        json!({"resourceType": "Linkage", "item": [
            {"type": "source", "resource": {"reference": "MedicationRequest/mercy.w"}},
            {"type": "alternate", "resource": {"reference": "MedicationRequest/lakeside.w"}}]}),
    ]);
    let lines = section(&page, "CURRENT MEDICATIONS").join(" ");
    assert_eq!(lines.matches("Warfarin").count(), 1);
    assert!(lines.contains("DOSES DIFFER: 5 mg every evening | 2.5 mg"), "{lines}");
    assert!(lines.contains("[3 sources: lakeside mercy stanne]"), "{lines}");
}

#[test]
fn both_sides_of_a_contradiction_are_told() {
    let page = print(&[
        warfarin("stanne.w", "http://www.nlm.nih.gov/research/umls/rxnorm", "5 mg twice a day"),
        warfarin("mercy.w", "http://www.nlm.nih.gov/research/umls/rxnorm", "5 mg every evening"),
        json!({"resourceType": "Linkage", "item": [
            {"type": "source", "resource": {"reference": "MedicationRequest/stanne.w"}},
            {"type": "alternate", "resource": {"reference": "MedicationRequest/mercy.w"}}]}),
        json!({"resourceType": "DetectedIssue", "id": "d", "severity": "high", "detail": "two doses",
            "implicated": [{"reference": "MedicationRequest/mercy.w"}, {"reference": "MedicationRequest/stanne.w"}]}),
    ]);
    let lines = section(&page, "CONTRADICTIONS").join(" ");
    assert!(lines.contains("5 mg every evening (mercy)"), "{lines}");
    let lines = section(&page, "CURRENT MEDICATIONS").join(" ");
    assert!(lines.contains("DOSES DIFFER") && !lines.contains("orders"), "{lines}");
}

#[test]
fn a_trend_reads_from_the_latest_and_an_error_is_never_shown() {
    let mut mistaken = inr("mercy.x", "9.9", "2026-11-22", "HH");
    mistaken["status"] = json!("entered-in-error");
    let page = print(&[
        inr("mercy.1", "2.4", "2026-10-23", "N"),
        inr("lakeside.2", "4.8", "2026-11-20", "HH"),
        inr("mercy.3", "3.1", "2026-11-13", "H"),
        mistaken,
    ]);
    let lines = section(&page, "LABORATORY").join(" ");
    assert!(
        lines.starts_with("INR 4.8 HH on 2026-11-20 (3 d ago) ↑ from 3.1 H (10 d ago), 2.4"),
        "{lines}"
    );
    assert!(!page.contains("9.9"));
}

#[test]
fn an_active_problem_that_another_calls_resolved_is_not_settled() {
    let problem = |id: &str, status: &str| {
        json!({"resourceType": "Condition", "id": id, "onsetDateTime": "2020-02-01",
            "code": coded("http://snomed.info/sct", "49436004", "Atrial fibrillation"),
            "clinicalStatus": {"coding": [{"code": status}]}})
    };
    let page = print(&[problem("mercy.a", "active"), problem("lakeside.a", "resolved")]);
    let lines = section(&page, "PROBLEMS").join(" ");
    assert!(lines.contains("STATUS DIFFERS"), "{lines}");
}

#[test]
fn contradictions_stand_before_all_else_that_is_told() {
    let page = print(&[
        json!({"resourceType": "DetectedIssue", "id": "d1", "detail": "active here, resolved there",
            "implicated": [{"reference": "Condition/mercy.a"}, {"reference": "Condition/stanne.a"}]}),
        allergy("mercy.p", "91936005", "Allergy to penicillin", "high"),
    ]);
    let lines = section(&page, "CONTRADICTIONS");
    assert!(
        lines[0].starts_with("! active here") && lines[0].ends_with("[2 sources: mercy stanne]")
    );
    assert!(page.find("CONTRADICTIONS") < page.find("ALLERGIES"));
}

#[test]
fn gaps_are_named_and_silence_about_them_is_an_alarm() {
    let outcome = |severity: &str, code: &str, text: &str| {
        json!({"resourceType": "OperationOutcome", "issue": [
            {"severity": severity, "code": code, "details": {"text": text}}]})
    };
    let page = print(&[
        outcome("information", "informational", "mercy answered"),
        outcome("warning", "timeout", "stanne did not answer in 8 s"),
        outcome("information", "suppressed", "lakeside: withheld by consent"),
    ]);
    assert_eq!(section(&page, "WHERE")[0], "mercy answered");
    assert_eq!(section(&page, "MISSING").len(), 2);
    let silent = print(&[person()]);
    assert_eq!(section(&silent, "MISSING"), ["the answer does not say whether it is complete"]);
}
