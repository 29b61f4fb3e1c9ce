use std::collections::BTreeMap;

use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::{
    domain::{EnterpriseId, MemberCode},
    fhir::{IssueSeverity, IssueType, Resource},
    record::{MemberAnswer, MergeContext, merge},
};

/// A record of resources whose ids begin with their member's code and a dot.
pub(in crate::record) fn record(resources: &[Value]) -> MergedRecord {
    let mut members: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
    for resource in resources {
        let mut told = resource.clone();
        let (member, id) = resource["id"].as_str().expect("an id").split_once('.').expect("a dot");
        told["id"] = json!(id);
        let told = Resource::from_value(&told).expect("a resource");
        members.entry(member.to_owned()).or_default().push(told);
    }
    let answer = |(member, resources): (String, Vec<Resource>)| MemberAnswer {
        base_url: format!("https://{member}.example/fhir"),
        member: MemberCode::parse(&member).expect("a code"),
        name: None,
        organization_id: None,
        patient_ids: vec!["p".to_owned()],
        resources,
    };
    let context = MergeContext {
        person: EnterpriseId::from_u128(1),
        recorded: OffsetDateTime::UNIX_EPOCH,
        exchange_name: "Exchange".to_owned(),
        exchange_id: None,
    };
    merge(&context, members.into_iter().map(answer).collect())
}

fn brief(resources: &[Value], statement: &[Issue]) -> Brief {
    Brief::of(&BriefInput {
        person: &person(),
        record: &record(resources),
        statement,
        now: datetime!(2026-11-23 12:00 UTC),
    })
}

fn print(resources: &[Value]) -> String {
    brief(resources, &[]).to_text()
}

/// The lines of a section, without its heading.
fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    page.lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim_start_matches(['!', '?', ' ']).trim_end())
        .collect()
}

pub(in crate::record) fn person() -> Value {
    json!({"resourceType": "Patient", "id": "e1", "birthDate": "1951-03-14", "gender": "female",
        "name": [{"family": "Whitcombe", "given": ["Eleanor"]}, {"use": "maiden", "family": "Lind"}],
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "219-09-9999"}],
        "link": [{"other": {"identifier": {"system": "https://mercy.example/mrn", "value": "7"},
            "display": "Mercy Heart"}, "type": "seealso"}]})
}

fn coded(system: &str, code: &str, display: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": display}]})
}

pub(in crate::record) fn allergy(id: &str, code: &str, display: &str, criticality: &str) -> Value {
    json!({"resourceType": "AllergyIntolerance", "id": id, "criticality": criticality,
        "code": coded("http://snomed.info/sct", code, display),
        "clinicalStatus": {"coding": [{"code": "active"}]}, "recordedDate": "2019-11-01"})
}

pub(in crate::record) fn warfarin(id: &str, system: &str, dose: &str) -> Value {
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
fn who_it_is_is_told_without_the_whole_ssn() {
    let page = print(&[]);
    let who = section(&page, "WHO");
    assert_eq!(who[0], "Eleanor WHITCOMBE · 75 years (born 1951-03-14) · female");
    assert_eq!(who[1], "also: LIND (maiden)");
    assert!(page.contains("SSN …9999") && !page.contains("219-09"));
    assert_eq!(who[3], "source records linked: 1: Mercy Heart 7");
}

#[test]
fn a_dangerous_allergy_precedes_and_no_known_allergy_never_hides_it() {
    let page = print(&[
        allergy("lakeside.n", "716186003", "No known allergy", "low"),
        allergy("mercy.a", "300916003", "Latex allergy", "low"),
        allergy("mercy.p", "91936005", "Allergy to penicillin", "high"),
    ]);
    let lines = section(&page, "ALLERGIES").join(" ");
    assert!(lines.starts_with("Allergy to penicillin · reaction not told · criticality HIGH"));
    assert!(lines.find("Latex allergy") < lines.find("\"no known allergy\""), "{lines}");
    assert!(lines.contains("CONTRADICTED: One source knows an allergy"), "{lines}");
    let lines = section(&page, "CONTRADICTIONS");
    assert!(lines[0].starts_with("One source knows an allergy"), "{lines:?}");
    assert!(page.find("CONTRADICTIONS") < page.find("ALLERGIES"));
}

#[test]
fn no_allergy_told_is_not_no_allergy() {
    let page = print(&[]);
    assert_eq!(section(&page, "ALLERGIES"), ["none told; that does not mean that there is none"]);
}

#[test]
fn a_drug_is_listed_once_with_all_its_sources_and_every_dose() {
    let rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
    let page = print(&[
        warfarin("mercy.w", rxnorm, "5 mg every evening"),
        warfarin("lakeside.w", rxnorm, "5 mg every evening"),
        warfarin("stanne.w", "urn:oid:2.16.840.1.113883.6.88", "2.5 mg every evening"),
    ]);
    let lines = section(&page, "CURRENT MEDICATIONS").join(" ");
    assert_eq!(lines.matches("Warfarin").count(), 1);
    assert!(lines.contains("DOSES DIFFER: 5 mg every evening | 2.5 mg"), "{lines}");
    assert!(lines.contains("[3 sources: lakeside mercy stanne]"), "{lines}");
    let lines = section(&page, "CONTRADICTIONS").join(" ");
    assert!(lines.contains("2.5 mg every evening · active (stanne)"), "{lines}");
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
    assert!(lines.contains("STATUS DIFFERS") && lines.contains("CONTRADICTED"), "{lines}");
}

#[test]
fn what_is_in_the_body_and_what_is_refused_is_told() {
    let page = print(&[
        json!({"resourceType": "Device", "id": "mercy.d", "status": "active", "serialNumber": "S1",
            "patient": {"reference": "Patient/p"},
            "type": coded("http://snomed.info/sct", "14106009", "Cardiac pacemaker")}),
        json!({"resourceType": "Device", "id": "mercy.scanner", "type": {"text": "MRI scanner"}}),
        json!({"resourceType": "DocumentReference", "id": "lakeside.p", "status": "current",
            "date": "2025-06-01T00:00:00Z", "type": coded("http://loinc.org", "93037-0", "Portable medical order")}),
        json!({"resourceType": "Flag", "id": "mercy.f", "status": "active", "code": {"text": "Difficult airway"},
            "period": {"start": "2020-01-01"}}),
    ]);
    let lines = section(&page, "IMPLANTS AND DEVICES");
    assert!(lines[0].starts_with("Cardiac pacemaker · serial S1") && lines.len() == 1, "{lines:?}");
    let lines = section(&page, "ADVANCE DIRECTIVES");
    assert!(lines[0].starts_with("Portable medical order · current · 2025-06-01"), "{lines:?}");
    assert!(section(&page, "ALERTS")[0].contains("Difficult airway"));
    assert_eq!(section(&print(&[]), "ADVANCE DIRECTIVES"), ["none told"]);
}

#[test]
fn every_line_has_its_sources_its_date_and_what_is_behind_it() {
    let told = brief(&[allergy("mercy.p", "91936005", "Allergy to penicillin", "high")], &[]);
    let allergies = told.sections.iter().find(|one| one.code == "allergies").expect("a section");
    let line = &allergies.lines[0];
    assert_eq!((line.sources.as_slice(), line.tone), (&["mercy".to_owned()][..], Tone::Alarm));
    assert_eq!(line.date.as_deref(), Some("2019-11-01"));
    assert_eq!(line.resources, ["AllergyIntolerance/mercy.p"]);
}

#[test]
fn gaps_come_first_and_silence_about_them_is_an_alarm() {
    let issue = |severity, code, text: &str| Issue::new(severity, code, text);
    let statement = [
        issue(IssueSeverity::Information, IssueType::Informational, "mercy answered"),
        issue(IssueSeverity::Warning, IssueType::Timeout, "stanne did not answer in 8 s"),
        issue(IssueSeverity::Information, IssueType::Suppressed, "lakeside: withheld by consent"),
    ];
    let told = brief(&[], &statement);
    assert_eq!(told.sections[0].code, "missing");
    let page = told.to_text();
    assert_eq!(section(&page, "WHERE")[0], "mercy answered");
    assert_eq!(section(&page, "MISSING").len(), 2);
    assert_eq!(section(&print(&[]), "MISSING"), ["nobody says whether this is complete"]);
}
