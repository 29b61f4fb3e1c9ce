//! Searches of one person's record by type, over all members.

use serde_json::{Value, json};

use crate::{
    answers::{Answer, reference},
    people::{anne, consent, county, lake, patient, ruth, told_about},
    world::{Client, Site, World, record_numbers},
};

async fn everybody() -> (World, Client, String) {
    told_by(vec![anne(), lake(), county()]).await
}

async fn told_by(sites: Vec<Site>) -> (World, Client, String) {
    let world = World::of(sites).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

/// What a search answers.
async fn search(ed: &Client, query: &str) -> Answer {
    let answer = ed.get(query).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer
}

/// `Type/id` of the entries of a mode, in order.
fn entries(answer: &Answer, mode: &str) -> Vec<String> {
    let entries = answer.entries();
    let told = entries.iter().filter(|entry| entry["search"]["mode"] == mode);
    told.map(|entry| reference(&entry["resource"])).collect()
}

fn matches(answer: &Answer) -> Vec<String> {
    let names = entries(answer, "match");
    names.iter().map(|name| name.rsplit("ruth-").next().expect("a name").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_is_found_over_all_members_each_fact_once_the_latest_first() {
    let (world, ed, person) = everybody().await;
    let answer = search(&ed, &format!("Observation?patient={person}")).await;
    assert_eq!(matches(&answer), ["hba1c", "weight-02", "weight-01", "weight-00"]);
    assert_eq!(answer.json()["total"], 4);
    for member in ["anne", "lake", "county"] {
        assert!(!answer.outcome_of(member).is_empty(), "{member} is told of");
    }
    let events = world.events_of(&answer).await;
    let closed = events.iter().find(|event| !event.open).expect("audited");
    assert_eq!(closed.person.as_deref(), Some(person.as_str()));
    for original in entries(&answer, "match") {
        assert_eq!(ed.get(&original).await.status, 200, "{original}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_combinations_of_us_core_and_qedm_narrow_what_is_found() {
    let (_world, ed, person) = everybody().await;
    for (query, expected) in [
        ("Observation?patient=<id>&category=laboratory", vec!["hba1c"]),
        (
            "Observation?patient=<id>&category=vital-signs&date=ge2001-01-01&date=lt2002-01-01",
            vec!["weight-01"],
        ),
        ("Observation?patient=<id>&code=http://loinc.org|4548-4", vec!["hba1c"]),
        ("Observation?patient=<id>&code=urn:oid:2.16.840.1.113883.6.1|4548-4", vec!["hba1c"]),
        (
            "Observation?subject=Patient/<id>&code=29463-7&_sort=date",
            vec!["weight-00", "weight-01", "weight-02"],
        ),
        ("AllergyIntolerance?patient=<id>&clinical-status=active", vec!["penicillin"]),
        (
            "Condition?patient=<id>&category=problem-list-item&clinical-status=active",
            vec!["diabetes"],
        ),
        ("Condition?patient=<id>&onset-date=2016", vec![]),
        ("MedicationRequest?patient=<id>&intent=order&status=active", vec!["metformin"]),
        ("MedicationRequest?patient=<id>&status=stopped,completed", vec![]),
        ("Immunization?patient=<id>&status=completed&date=ge2023", vec!["influenza"]),
        ("Encounter?patient=<id>&date=ge2022-08-01&date=le2022-08-01&class=AMB", vec!["visit"]),
        ("Procedure?patient=<id>", vec![]),
        ("Condition?patient=<id>&_id=lake.ruth-diabetes", vec!["diabetes"]),
    ] {
        let answer = search(&ed, &query.replace("<id>", &person)).await;
        assert_eq!(matches(&answer), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_may_be_named_by_a_members_number_and_the_question_be_a_form() {
    let (_world, ed, person) = everybody().await;
    let number = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("patient.identifier", &format!("{}|county-ruth", record_numbers("county")))
        .append_pair("category", "laboratory")
        .finish();
    assert_eq!(matches(&search(&ed, &format!("Observation?{number}")).await), ["hba1c"]);
    let form = ed
        .request(reqwest::Method::POST, "Observation/_search?category=laboratory")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("patient={person}"));
    let answer = ed.send(form).await;
    assert_eq!((answer.status, matches(&answer)), (200, vec!["hba1c".to_owned()]), "{answer:?}");
    let wrong = ed.post("Observation/_search", &json!({"patient": person})).await;
    wrong.refuses(415, "not-supported", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_from_one_snapshot_for_who_asked_and_what_consent_allows() {
    let (world, ed, person) = everybody().await;
    let first = search(&ed, &format!("Observation?patient={person}&_count=3&_sort=-date")).await;
    assert_eq!(matches(&first), ["hba1c", "weight-02", "weight-01"]);
    let next = first.next_link().expect("a second page");
    let second = search(&ed, &next).await;
    assert_eq!((matches(&second), second.next_link()), (vec!["weight-00".to_owned()], None));
    assert_eq!(second.json()["total"], 4);
    world.client("clinic").get(&next).await.refuses(410, "expired", "");
    ed.get(&next.replace("Observation?", "Condition?")).await.refuses(410, "expired", "");
    let told = consent(&patient("anne", "ruth", &ruth()), &json!({"type": "deny"}));
    world.feeder("anne").put("Consent/c1", &told).await;
    ed.get(&next).await.refuses(403, "forbidden", "");
    ed.get(&format!("Observation?patient={person}")).await.refuses(403, "forbidden", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_alone_finds_its_resource_as_a_read_does() {
    let (world, ed, _) = everybody().await;
    let found = search(&ed, "Encounter?_id=county.ruth-visit").await;
    assert_eq!((matches(&found), found.json()["total"].clone()), (vec!["visit".into()], json!(1)));
    assert_eq!(world.events_of(&found).await.iter().filter(|event| !event.open).count(), 1);
    for nothing in ["Encounter?_id=county.other", "Condition?_id=county.ruth-visit"] {
        let none = search(&ed, nothing).await;
        assert_eq!((matches(&none).len(), none.json()["total"].clone()), (0, json!(0)));
    }
    ed.get("Encounter?_id=county.ruth-visit,county.x").await.refuses(400, "required", "");
    let told = consent(&patient("county", "ruth", &ruth()), &json!({"type": "deny"}));
    world.feeder("county").put("Consent/c1", &told).await;
    let hidden = search(&ed, "Encounter?_id=county.ruth-visit").await;
    assert_eq!(hidden.json()["total"], 0, "{hidden:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_alone_can_be_asked_for() {
    let (mut world, ed, person) = everybody().await;
    for query in ["_summary=count", "_count=0"] {
        let answer = search(&ed, &format!("Observation?patient={person}&{query}")).await;
        assert_eq!((answer.json()["total"].clone(), matches(&answer).len()), (json!(4), 0));
    }
    world.go_down("lake").await;
    let answer = search(&ed, &format!("Observation?patient={person}&_summary=count")).await;
    assert!(answer.json()["total"].is_null(), "a partial sum is no total: {answer:?}");
    assert!(answer.text().contains("at least 4 matches"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_with_a_match_is_included_where_it_is_asked_for() {
    let drug = json!({"resourceType": "Medication", "id": "m1",
        "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1"}]}});
    let order = told_about(
        "MedicationRequest",
        "ruth",
        "order",
        json!({"status": "active", "intent": "order", "authoredOn": "2024-01-01",
            "encounter": {"reference": "Encounter/ruth-visit"},
            "medicationReference": {"reference": "Medication/m1"}}),
    );
    let visit = told_about(
        "Encounter",
        "ruth",
        "visit",
        json!({"status": "finished", "class": {"code": "AMB"}, "period": {"start": "2024-01-01"}}),
    );
    let site = Site::new("anne", vec![patient("anne", "ruth", &ruth()), drug, order, visit]);
    let (_world, ed, person) = told_by(vec![site]).await;
    let base = format!("MedicationRequest?patient={person}");
    assert_eq!(entries(&search(&ed, &base).await, "include"), Vec::<String>::new());
    let with = |include: &str| format!("{base}&{include}");
    let medication = search(&ed, &with("_include=MedicationRequest:medication")).await;
    assert_eq!(entries(&medication, "include"), ["Medication/anne.m1"]);
    let encounter = search(&ed, &with("_include=MedicationRequest:encounter")).await;
    assert_eq!(entries(&encounter, "include"), ["Encounter/anne.ruth-visit"]);
    let all = search(&ed, &with("_include=MedicationRequest:*")).await;
    assert!(entries(&all, "include").contains(&format!("Patient/{person}")), "{all:?}");
    let provenance = search(&ed, &with("_revinclude=Provenance:target")).await;
    assert_eq!(provenance.of_type("Provenance").len(), 1, "{provenance:?}");
    assert_eq!(provenance.json()["total"], 1, "what is included is no match");
}

/// A problem of Ruth's that is active at one member and resolved at another.
fn problem(status: &str) -> Value {
    let clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    told_about(
        "Condition",
        "ruth",
        "asthma",
        json!({"clinicalStatus": {"coding": [{"system": clinical, "code": status}]},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "195967001"}]},
            "onsetDateTime": "2010-02-01"}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_told_otherwise_neither_hides_the_fact_nor_goes_unmentioned() {
    let site = |code: &'static str, status: &str| {
        Site::new(code, vec![patient(code, "ruth", &ruth()), problem(status)])
    };
    let (_world, ed, person) =
        told_by(vec![site("anne", "active"), site("lake", "resolved")]).await;
    for (status, expected) in
        [("active", "Condition/anne.ruth-asthma"), ("resolved", "Condition/lake.ruth-asthma")]
    {
        let query = format!("Condition?patient={person}&clinical-status={status}");
        let answer = search(&ed, &query).await;
        assert_eq!(entries(&answer, "match"), [expected]);
        assert_eq!(answer.of_type("DetectedIssue").len(), 1, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_refused_or_named_and_never_guessed() {
    let (_world, ed, person) = everybody().await;
    for (query, status, code) in [
        (format!("Observation?patient={person}&code:above=1"), 400, "not-supported"),
        (format!("Observation?patient={person}&date=yesterday"), 400, "value"),
        (format!("Observation?patient={person}&_sort=colour"), 400, "invalid"),
        ("Observation?category=laboratory".to_owned(), 400, "required"),
        ("Practitioner?name=x".to_owned(), 400, "not-supported"),
        ("Nothing?patient=1".to_owned(), 400, "not-supported"),
    ] {
        ed.get(&query).await.refuses(status, code, "");
    }
    let odd = search(&ed, &format!("Observation?patient={person}&colour=red")).await;
    assert!(odd.text().contains("parameter colour is not known here"), "{odd:?}");
    let link = odd.json()["link"][0]["url"].to_string();
    assert!(link.contains("patient=") && !link.contains("colour"), "{link}");
    let strict =
        ed.request(reqwest::Method::GET, &format!("Observation?patient={person}&colour=red"));
    ed.send(strict.header("Prefer", "handling=strict")).await.refuses(400, "not-supported", "");
    for nobody in ["0190a1b2-0000-7000-8000-000000000001", "ruth"] {
        let answer = search(&ed, &format!("Observation?patient={nobody}")).await;
        assert_eq!((answer.json()["total"].clone(), matches(&answer).len()), (json!(0), 0));
    }
}
