//! Prescriptions and the drugs behind them.

use super::*;

const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";

#[test]
fn one_prescription_with_two_doses_is_one_and_dangerous() {
    let told = |dose: u8, more: &str| {
        format!(
            r#""status":"active","intent":"order","authoredOn":"2020-01-01T10:00:00Z","medicationCodeableConcept":{},"dosageInstruction":[{{"doseAndRate":[{{"doseQuantity":{{"value":{dose}}}}}]}}]{more}"#,
            concept(RXNORM, "1")
        )
    };
    one_fact("MedicationRequest", &told(1, ""), &told(2, ""));
    two_facts("MedicationRequest", &told(1, ""), &told(1, r#","doNotPerform":true"#));
    two_facts("MedicationRequest", &told(1, ""), &told(1, "").replace("order", "plan"));
    let record = merged(&[
        ("a", &[&resource("MedicationRequest", "1", &told(1, ""))]),
        ("b", &[&resource("MedicationRequest", "2", &told(2, ""))]),
    ]);
    assert!(kinds(&record).contains(&ConflictKind::Dose));
    assert_eq!(record.conflicts()[0].danger, Danger::High);
    // Two orders of one moment at one member: the dose says which is which.
    let record = merged(&[
        (
            "a",
            &[
                &resource("MedicationRequest", "1", &told(1, "")),
                &resource("MedicationRequest", "2", &told(2, "")),
            ],
        ),
        (
            "b",
            &[
                &resource("MedicationRequest", "3", &told(2, "")),
                &resource("MedicationRequest", "4", &told(1, "")),
            ],
        ),
    ]);
    assert_eq!(groups(&record), [["a.1", "b.4"], ["a.2", "b.3"]]);
}

#[test]
fn a_drug_behind_a_reference_is_the_same_drug() {
    let drug = format!(r#""code":{}"#, concept(RXNORM, "1"));
    let order = |medication: &str| {
        format!(r#""intent":"order","authoredOn":"2020-01-01T10:00:00Z",{medication}"#)
    };
    let inline = order(&drug.replace(r#""code":{"#, r#""medicationCodeableConcept":{"#));
    let contained = order(&format!(
        r##""contained":[{{"resourceType":"Medication","id":"m",{drug}}}],"medicationReference":{{"reference":"#m"}}"##
    ));
    one_fact("MedicationRequest", &inline, &contained);
    let linked = order(r#""medicationReference":{"reference":"Medication/m"}"#);
    let record = merged(&[
        ("a", &[&resource("MedicationRequest", "1", &inline)]),
        ("b", &[&resource("MedicationRequest", "2", &linked), &resource("Medication", "m", &drug)]),
    ]);
    assert_eq!(record.groups().count(), 1);
}

fn order(drug: &str, status: &str, authored: &str, more: &str) -> String {
    let drug = concept(RXNORM, drug);
    format!(
        r#""status":"{status}","intent":"order","authoredOn":"{authored}","medicationCodeableConcept":{drug}{more}"#
    )
}

fn conflicts_of(a: &[&str], b: &[&str]) -> Vec<(ConflictKind, Vec<String>)> {
    let of = |told: &[&str], first: usize| -> Vec<String> {
        let numbered = told.iter().enumerate();
        numbered
            .map(|(i, rest)| resource("MedicationRequest", &(first + i).to_string(), rest))
            .collect()
    };
    let (a, b) = (of(a, 1), of(b, 11));
    let (a, b): (Vec<&str>, Vec<&str>) =
        (a.iter().map(String::as_str).collect(), b.iter().map(String::as_str).collect());
    let record = merged(&[("a", &a), ("b", &b)]);
    let told = record.conflicts().iter();
    told.map(|conflict| (conflict.kind, conflict.implicated.clone())).collect()
}

#[test]
fn a_drug_that_was_stopped_here_and_is_active_there_is_shown() {
    let active = order("1", "active", "2020-01-01", "");
    let stopped = |authored: &str| order("1", "stopped", authored, "");
    let both = ["MedicationRequest/a.1", "MedicationRequest/b.11"].map(str::to_owned).to_vec();
    let shown = [(ConflictKind::Status, both)];
    assert_eq!(conflicts_of(&[&active], &[&stopped("2021-05-01")]), shown);
    // Stopped before the other began; finished as planned; taken up again; only wished for.
    let completed = order("1", "completed", "2021-05-01", "");
    let wish = stopped("2021-05-01").replace("order", "plan");
    let again = order("1", "active", "2021-06-01", "");
    assert_eq!(conflicts_of(&[&active], &[&stopped("2019-05-01")]), []);
    assert_eq!(conflicts_of(&[&active], &[&completed]), []);
    assert_eq!(conflicts_of(&[&active], &[&wish]), []);
    assert_eq!(conflicts_of(&[&active], &[&stopped("2021-05-01"), &again]), []);
    assert_eq!(conflicts_of(&[&active], &[&order("2", "stopped", "2021-05-01", "")]), []);
}

#[test]
fn two_doses_of_a_drug_behind_a_reference_are_shown() {
    let dose = |amount: u8| {
        format!(
            r#","dosageInstruction":[{{"doseAndRate":[{{"doseQuantity":{{"value":{amount}}}}}]}}]"#
        )
    };
    let inline = order("1", "active", "2020-01-01", &dose(1));
    let linked = order("1", "active", "2021-01-01", &dose(2)).replace(
        &format!(r#""medicationCodeableConcept":{}"#, concept(RXNORM, "1")),
        r#""medicationReference":{"reference":"Medication/m"}"#,
    );
    let drug = resource("Medication", "m", &format!(r#""code":{}"#, concept(RXNORM, "1")));
    let record = merged(&[
        ("a", &[&resource("MedicationRequest", "1", &inline)]),
        ("b", &[&resource("MedicationRequest", "2", &linked), &drug]),
    ]);
    assert_eq!(kinds(&record), [ConflictKind::Dose]);
}
