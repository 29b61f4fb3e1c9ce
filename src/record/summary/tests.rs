use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::{
    fhir::{Bundle, IssueSeverity, IssueType},
    record::brief::tests::{allergy, person, record, warfarin},
};

fn document(resources: &[Value], statement: &[Issue], is_whole: bool) -> Value {
    let json = summary(&SummaryInput {
        person: &person(),
        record: &record(resources),
        statement,
        is_whole,
        base_url: "https://gw.example/fhir",
        exchange_name: "Exchange",
        document_id: Uuid::from_u128(7 << 64),
        now: datetime!(2026-11-23 12:00 UTC),
    });
    Bundle::parse(json.as_bytes()).expect("a Bundle");
    serde_json::from_str(&json).expect("JSON")
}

fn section<'a>(document: &'a Value, code: &str) -> &'a Value {
    let sections = document["entry"][0]["resource"]["section"].as_array().expect("sections");
    let named = |one: &&Value| one["code"]["coding"][0]["code"] == code;
    sections.iter().find(named).unwrap_or_else(|| panic!("no section {code}"))
}

const PROBLEMS: &str = "11450-4";
const ALLERGIES: &str = "48765-2";
const MEDICATIONS: &str = "10160-0";

#[test]
fn every_entry_is_there_once_and_every_reference_of_a_section_leads_to_one() {
    let rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
    let mut order = warfarin("mercy.w", rxnorm, "5 mg <daily> & \"more\"");
    order["requester"] = json!({"reference": "Practitioner/dr"});
    order["subject"] = json!({"reference": "Patient/p"});
    let pacemaker = json!({"resourceType": "Device", "id": "mercy.d", "serialNumber": "S1",
        "patient": {"reference": "Patient/p"}, "type": {"text": "Pacemaker"}});
    let told = document(
        &[
            allergy("mercy.p", "91936005", "Allergy to penicillin", "high"),
            order,
            json!({"resourceType": "Practitioner", "id": "mercy.dr"}),
            json!({"resourceType": "Patient", "id": "mercy.p"}),
            pacemaker,
        ],
        &[],
        true,
    );
    assert_eq!(
        (told["type"].as_str(), told["entry"][0]["resource"]["resourceType"].as_str()),
        (Some("document"), Some("Composition"))
    );
    let entries = told["entry"].as_array().expect("entries");
    let urls: BTreeSet<&str> =
        entries.iter().map(|entry| entry["fullUrl"].as_str().expect("a URL")).collect();
    assert_eq!(urls.len(), entries.len());
    let of_kind = |kind: &str| {
        entries.iter().filter(|entry| entry["resource"]["resourceType"] == kind).count()
    };
    assert_eq!((of_kind("Patient"), of_kind("Composition"), of_kind("Practitioner")), (1, 1, 1));
    for section in entries[0]["resource"]["section"].as_array().expect("sections") {
        for entry in section["entry"].as_array().into_iter().flatten() {
            let reference = entry["reference"].as_str().expect("a reference");
            let url = format!("https://gw.example/fhir/{reference}");
            assert!(urls.contains(reference) || urls.contains(url.as_str()), "{reference}");
        }
        let has = |name: &str| !section[name].is_null();
        assert!(has("entry") != has("emptyReason"), "{section}");
        assert!(has("text") && has("title") && has("code"), "{section}");
    }
    let medications = section(&told, MEDICATIONS)["text"]["div"].as_str().expect("text");
    assert!(medications.contains("5 mg &lt;daily&gt; &amp; &quot;more&quot;"), "{medications}");
    let device = section(&told, "46264-8");
    assert_eq!(device["entry"].as_array().map(Vec::len), Some(1));
    assert_eq!(of_kind("DeviceUseStatement"), 1);
}

#[test]
fn nothing_is_known_to_be_nothing_only_where_everybody_answered() {
    let reason = |told: &Value, code: &str| {
        section(told, code)["emptyReason"]["coding"][0]["code"].as_str().map(str::to_owned)
    };
    let whole = document(&[], &[], true);
    let gap = Issue::new(IssueSeverity::Warning, IssueType::Timeout, "lakeside did not answer");
    let partial = document(&[], &[gap], false);
    for code in [PROBLEMS, ALLERGIES, MEDICATIONS, "11369-6", "30954-2", "47519-4", "46264-8"] {
        assert_eq!(reason(&whole, code).as_deref(), Some("nilknown"), "{code}");
        assert_eq!(reason(&partial, code).as_deref(), Some("unavailable"), "{code}");
    }
    let gaps = section(&partial, "information-gaps")["text"]["div"].as_str().expect("text");
    assert!(gaps.contains("Missing: lakeside did not answer"), "{gaps}");
    assert!(!partial.to_string().contains("nilknown"));
}

#[test]
fn a_contradiction_is_told_beside_the_fact_and_among_the_gaps() {
    let told = document(
        &[
            allergy("mercy.p", "91936005", "Allergy to penicillin", "high"),
            allergy("lakeside.n", "716186003", "No known allergy", "low"),
        ],
        &[],
        true,
    );
    let allergies = section(&told, ALLERGIES)["text"]["div"].as_str().expect("text");
    assert!(allergies.contains("One source knows an allergy"), "{allergies}");
    let gaps = section(&told, "information-gaps")["text"]["div"].as_str().expect("text");
    assert!(gaps.contains("Contradiction (high)"), "{gaps}");
}

#[test]
fn what_is_not_known_of_the_person_is_said_to_be_unknown() {
    let person = presentable(&json!({"resourceType": "Patient", "id": "e1"}));
    assert_eq!(person["_birthDate"]["extension"][0]["valueCode"], "unknown");
    assert_eq!(person["name"][0]["extension"][0]["valueCode"], "unknown");
}
