//! What members send that no specification foresaw: nothing is lost, and what is odd is named.

use super::*;

#[test]
fn an_impossible_date_ties_nothing_and_loses_nothing() {
    let told = format!(
        r#""code":{},"onsetDateTime":"2019-02-30""#,
        concept("http://snomed.info/sct", "1")
    );
    two_facts("Condition", &told, &told);
}

#[test]
fn hostile_numbers_of_one_reading_stay_apart_and_are_named() {
    let told = format!(r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","#, loinc("1"));
    let all: Vec<String> = (0..2_100)
        .map(|i| resource("Observation", &i.to_string(), &format!(r#"{told}"valueInteger":{i}"#)))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let record = merged(&[("a", &all), ("b", &all)]);
    assert_eq!(record.originals().len(), 4_200);
    assert_eq!(record.groups().count(), 0);
    assert_eq!(record.issues()[0].kind, RecordIssueKind::TooManyToCompare);
}

#[test]
fn a_narrative_of_five_megabytes_stays_byte_for_byte() {
    let narrative = format!("<div>{}</div>", r#"\"word\" "#.repeat(600_000));
    let told = format!(r#"{},"text":{{"div":"{narrative}"}},"valueInteger":5"#, loinc("1"));
    let record = merged(&[("a", &[&resource("Observation", "1", &told)])]);
    assert!(narrative.len() > 5_000_000 && record.originals()[0].json.contains(&narrative));
}

#[test]
fn numbers_that_no_float_holds_are_told_apart() {
    let told = |value: &str| {
        format!(
            r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","valueQuantity":{{"value":{value},"code":"g"}}"#,
            loinc("1")
        )
    };
    let long = "0.1000000000000000055511151231257827021181583404541015625";
    one_fact("Observation", &told(long), &told(&format!("{long}000")));
    two_facts("Observation", &told(long), &told("0.1"));
    two_facts("Observation", &told("1e400"), &told("1e401"));
    one_fact("Observation", &told("1e400"), &told("10e399"));
    let huge = format!("1e{}", u64::MAX);
    one_fact("Observation", &told(&huge), &told(&huge));
    let record = merged(&[("a", &[&resource("Observation", "1", &told(long))])]);
    assert!(record.originals()[0].json.contains(long));
}

#[test]
fn a_resource_of_another_version_of_fhir_is_kept_as_it_is() {
    // DSTU2: `patient` for `subject`, a status of its own, the drug under another name; R5: a
    // medication that is a CodeableReference.
    let old = r#""patient":{"reference":"Patient/p"},"status":"in-progress","medicationCodeableConcept":{"text":"x"},"dateWritten":"2014-01-01""#;
    let new = r#""subject":{"reference":"Patient/p"},"status":"active","medication":{"concept":{"text":"x"}}"#;
    two_facts("MedicationOrder", old, old);
    two_facts("MedicationRequest", new, new);
    let record = merged(&[
        ("a", &[&resource("MedicationOrder", "1", old)]),
        ("b", &[&resource("MedicationRequest", "1", new)]),
    ]);
    assert_eq!(record.originals().len(), 2);
    assert!(record.originals()[0].json.contains(r#""dateWritten":"2014-01-01""#));
}

#[test]
fn elements_of_another_shape_than_fhirs_cost_nothing_but_themselves() {
    for odd in [
        r#""code":"text""#,
        r#""code":[[{"coding":7}]],"effectiveDateTime":["2020"]"#,
        r#""identifier":{"value":{}},"component":"none","valueQuantity":[1,{"value":"1"}]"#,
        r#""meta":"old","contained":{"id":[]},"subject":["Patient/p",{"reference":7}]"#,
        r#""meta":[{"source":"s"}],"status":{"reference":"Patient/p"}"#,
    ] {
        let told = resource("Observation", "1", odd);
        let record = merged(&[("a", &[&told]), ("b", &[&told])]);
        assert_eq!((record.originals().len(), record.groups().count()), (2, 0), "{odd}");
        for original in record.originals() {
            Resource::parse(original.json.as_bytes()).expect("still JSON");
        }
    }
}
