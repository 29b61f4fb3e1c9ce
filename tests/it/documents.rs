//! A patient's documents: by kind and time of care, and by who wrote them.

use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{consent, deny_all_of, number_of, patient, ruth, told_about},
    world::{Client, Site, World},
};

/// A document of Ruth's that a practitioner of the member wrote.
fn document(name: &str, kind: &str, cared: &str, author: &str) -> Value {
    told_about(
        "DocumentReference",
        "ruth",
        name,
        json!({"status": "current", "date": format!("{cared}T10:00:00Z"),
            "type": {"coding": [{"system": "http://loinc.org", "code": kind}]},
            "author": [{"reference": format!("Practitioner/{author}")}],
            "context": {"period": {"start": cared, "end": cared}},
            "content": [{"attachment": {"contentType": "text/plain", "data": "YQ=="}}]}),
    )
}

fn practitioner(id: &str, family: &str) -> Value {
    json!({"resourceType": "Practitioner", "id": id,
        "name": [{"family": family, "given": ["Mia"]}]})
}

const SUMMARY: &str = "34133-9";
const DISCHARGE: &str = "18842-5";

async fn written() -> (World, Client, String) {
    let mut old = document("withdrawn", SUMMARY, "2024-12-01", "a");
    old["status"] = json!("superseded");
    let anne = vec![
        patient("anne", "ruth", &ruth()),
        practitioner("a", "Strand"),
        document("first", SUMMARY, "2022-03-01", "a"),
        document("second", SUMMARY, "2024-05-01", "a"),
        old,
    ];
    let lake = vec![
        patient("lake", "ruth", &ruth()),
        practitioner("b", "Moreno"),
        document("letter", DISCHARGE, "2023-07-01", "b"),
    ];
    let world = World::of(vec![Site::new("anne", anne), Site::new("lake", lake)]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.of_type("DocumentReference");
    let mut names: Vec<String> = told
        .iter()
        .map(|one| {
            one["id"].as_str().expect("an id").rsplit("ruth-").next().expect("it").to_owned()
        })
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn docref_gives_the_latest_of_each_kind_or_those_of_a_time_of_care() {
    let (world, ed, person) = written().await;
    for (query, expected) in [
        ("", vec!["letter", "second"]),
        ("&type=http://loinc.org|34133-9", vec!["second"]),
        ("&type=http://loinc.org|34133-9&type=18842-5&on-demand=false", vec!["letter", "second"]),
        ("&start=2022-01-01&end=2023-12-31T23:59:59Z", vec!["first", "letter"]),
        ("&start=2022-01-01&type=34133-9", vec!["first", "second"]),
        ("&end=2021-12-31", vec![]),
    ] {
        let path = format!("DocumentReference/$docref?patient={person}{query}");
        let answer = ed.get(&path).await;
        assert_eq!(names(&answer), expected, "{query}");
        assert!(!answer.outcome_of("lake").is_empty(), "who answered is told: {answer:?}");
    }
    let told = json!({"resourceType": "Parameters", "parameter": [
        {"name": "patient", "valueId": person},
        {"name": "start", "valueDateTime": "2024-01-01T00:00:00Z"},
        {"name": "type", "valueCoding": {"system": "http://loinc.org", "code": SUMMARY}}]});
    let posted = ed.post("DocumentReference/$docref", &told).await;
    assert_eq!(names(&posted), ["second"]);
    let events = world.events_of(&posted).await;
    let closed = events.iter().find(|event| !event.open).expect("audited");
    assert_eq!(closed.person.as_deref(), Some(person.as_str()));

    let stranger = "DocumentReference/$docref?patient=0190a1b2-0000-7000-8000-000000000001";
    assert_eq!(names(&ed.get(stranger).await), Vec::<String>::new());
    ed.get("DocumentReference/$docref").await.refuses(400, "required", "");
    for (bad, code) in [("start=soon", "value"), ("profile=http://x", "not-supported")] {
        let path = format!("DocumentReference/$docref?patient={person}&{bad}");
        ed.get(&path).await.refuses(400, code, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_found_by_who_wrote_them() {
    let (_world, ed, person) = written().await;
    let by = async |query: &str| {
        ed.get(&format!("DocumentReference?patient={person}&status=current&{query}")).await
    };
    assert_eq!(names(&by("author.family=strand").await), ["first", "second"]);
    assert_eq!(names(&by("author.family=moreno&author.given=mia").await), ["letter"]);
    assert_eq!(names(&by("author:Practitioner.family:exact=Strand&type=18842-5").await), [""; 0]);
    by("author.colour=red").await.refuses(400, "not-supported", "author");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_consent_hides_finds_nothing() {
    let (world, ed, _) = written().await;
    let (system, value) = number_of(&patient("lake", "ruth", &ruth()));
    let path = format!("DocumentReference?patient.identifier={system}|{value}");
    assert_eq!(names(&ed.get(&path).await).len(), 4);
    let hidden = consent(&patient("lake", "ruth", &ruth()), &deny_all_of("lake"));
    let recorded = world.feeder("lake").put("Consent/c1", &hidden).await;
    assert!([200, 201].contains(&recorded.status), "{recorded:?}");
    let answer = ed.get(&path).await;
    assert_eq!((names(&answer).len(), answer.json()["total"].clone()), (0, json!(0)), "{answer:?}");
}
