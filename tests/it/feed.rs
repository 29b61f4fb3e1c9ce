//! Members feed their patients (IHE ITI-104), and what bad input gets.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, anybody, lake, number_of, patient, ruth},
    world::{World, feed_path},
};

async fn world() -> World {
    World::with(vec![anne(), lake()], |settings| {
        settings["api"]["body_bytes_max"] = json!(65_536);
    })
    .await
}

fn ruths() -> Value {
    patient("anne", "ruth", &ruth())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_patient_is_created_and_told_again_is_updated() {
    let world = world().await;
    let anne = world.feeder("anne");
    let created = anne.feed(&ruths()).await;
    assert_eq!((created.status, created.header("etag")), (201, "W/\"1\""), "{created:?}");
    let person = created.located().to_owned();
    assert!(created.header("location").starts_with(world.gateway.base_url()));

    let repeated = anne.feed(&ruths()).await;
    assert_eq!((repeated.status, repeated.header("etag")), (200, "W/\"1\""), "nothing is new");
    assert_eq!(repeated.located(), person);

    let mut moved = ruths();
    moved["address"][0]["line"] = json!(["7 Lighthouse Road"]);
    let updated = anne.feed(&moved).await;
    assert_eq!((updated.status, updated.header("etag")), (200, "W/\"2\""));
    assert_eq!(updated.located(), person);
    let read = world.client("ed").get(&format!("Patient/{person}")).await;
    assert!(read.text().contains("7 Lighthouse Road"), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_word_is_not_undone_by_an_earlier_one() {
    let world = world().await;
    let anne = world.feeder("anne");
    let told = |line: &str, moment: &str| {
        let mut told = ruths();
        told["address"][0]["line"] = json!([line]);
        told["meta"] = json!({"lastUpdated": moment});
        told
    };
    let first = anne.feed(&told("7 Lighthouse Road", "2025-05-05T10:00:00Z")).await;
    assert_eq!(first.status, 201);
    let late = anne.feed(&told("1 Former Street", "2025-05-04T10:00:00Z")).await;
    assert_eq!((late.status, late.located()), (200, first.located()), "{late:?}");
    let read = world.client("ed").get(&format!("Patient/{}", first.located())).await;
    assert!(read.text().contains("7 Lighthouse Road") && !read.text().contains("1 Former Street"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_patients_behind_the_identifiers_are_refused() {
    let world = world().await;
    let anne = world.feeder("anne");
    let (one, other) = (ruths(), patient("anne", "other", &anybody(1)));
    let mut both = one.clone();
    let more = other["identifier"][0].clone();
    both["identifier"].as_array_mut().expect("a list").push(more);
    let ((system, a), (_, b)) = (number_of(&one), number_of(&other));
    let path = format!("Patient?identifier={system}|{a},{system}|{b}");

    // Of an unknown patient nobody could say under which number to keep it.
    anne.put(&path, &both).await.refuses(412, "multiple-matches", "several patients");
    assert_eq!(anne.feed(&one).await.status, 201);
    assert_eq!(anne.put(&path, &both).await.status, 200, "one known number names it");
    assert_eq!(anne.feed(&other).await.status, 201);
    anne.put(&path, &both).await.refuses(412, "multiple-matches", "several patients");
}

/// A feed of this body, and how it is refused.
async fn check(world: &World, body: &str, status: u16, code: &str, words: &str) {
    let answer = world.feeder("anne").put(&feed_path(&ruths()), body).await;
    answer.refuses(status, code, words);
    let events = world.events_of(&answer).await;
    let closed: Vec<_> = events.iter().filter(|event| !event.open).collect();
    assert_eq!((closed.len(), closed[0].outcome()), (1, "4"), "{words}: {events:?}");
    assert_eq!(world.gateway.exchange().index.records_total(), 0, "{words}");
}

type Change = fn(&mut Value);

fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut told = ruths();
    change(&mut told);
    told.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_resource_is_told_where_it_breaks() {
    let world = world().await;
    let broken = "{\"resourceType\": \"Patient\",\n \"name\": [}";
    check(&world, broken, 400, "structure", "line 2, column 11").await;
    check(&world, "", 400, "structure", "line 1").await;
    check(&world, "\u{feff}{}", 400, "structure", "line 1, column 1").await;
    let twice = r#"{"resourceType": "Patient", "resourceType": "Patient"}"#;
    check(&world, twice, 400, "structure", "exactly one resourceType").await;
    check(&world, "[]", 400, "structure", "resourceType").await;
    check(&world, "{}", 400, "structure", "resourceType").await;
    let cut: String = ruths().to_string().chars().take(200).collect();
    check(&world, &cut, 400, "structure", "line 1, column 200").await;
    let deep = format!("{{\"resourceType\":\"Patient\",\"x\":{}", "[".repeat(10_000));
    check(&world, &deep, 400, "structure", "nested deeper than").await;
    let shape = changed(|told| told["name"] = json!("Ruth"));
    check(&world, &shape, 400, "structure", "line 1, column").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_bound_is_refused() {
    let world = world().await;
    let long = changed(|told| told["note"] = json!("x".repeat(70_000)));
    check(&world, &long, 413, "too-long", "65536 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_that_breaks_the_rules_is_told_which() {
    let world = world().await;
    let other = r#"{"resourceType": "Practitioner", "id": "x"}"#;
    check(&world, other, 400, "invalid", "resourceType").await;
    let checks: [(Change, &str, &str); 9] = [
        (|told| told["birthDate"] = json!("1958-02-30"), "value", "Patient.birthDate"),
        (|told| told["birthDate"] = json!("14/03/1958"), "value", "Patient.birthDate"),
        (|told| told["gender"] = json!("f"), "value", "Patient.gender"),
        (|told| told["name"] = json!([]), "value", "Patient.name"),
        (|told| told["name"] = json!([{"family": " "}]), "value", "Patient.name"),
        (
            |told| told["modifierExtension"] = json!([{"url": "urn:x"}]),
            "value",
            "modifierExtension",
        ),
        (|told| told["identifier"] = json!([]), "invariant", "Patient.identifier"),
        (
            |told| told["identifier"][0]["value"] = json!("anne-\0ruth"),
            "value",
            "Patient.identifier",
        ),
        (|told| told["active"] = json!(false), "not-supported", "the end of a local record"),
    ];
    for (change, code, words) in checks {
        check(&world, &changed(change), 422, code, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_must_say_by_which_identifier() {
    let world = world().await;
    let anne = world.feeder("anne");
    let whole = feed_path(&ruths());
    for (path, code, words) in [
        ("Patient", "invalid", "identifier"),
        ("Patient?identifier=123", "invalid", "system|value"),
        ("Patient?identifier=urn:x|", "value", "identifier"),
        ("Patient?identifier=urn:x|A%00", "value", "control character"),
        ("Patient?identifier=urn:x|A%091", "value", "control character"),
        (&*format!("{whole}&name=Ruth"), "not-supported", "only identifier"),
        (&*format!("{whole}&identifier=urn:x|1"), "invalid", "more than once"),
    ] {
        anne.put(path, &ruths()).await.refuses(400, code, words);
    }
    assert_eq!(anne.put(&format!("{whole}&_format=json"), &ruths()).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_fhir_json_and_xml_are_taken_and_given() {
    let world = world().await;
    let anne = world.feeder("anne");
    let path = feed_path(&ruths());
    let put = || anne.request(Method::PUT, &path).body(ruths().to_string());
    for kind in ["application/fhir+turtle", "text/plain", ""] {
        let answer = anne.send(put().header(header::CONTENT_TYPE, kind)).await;
        answer.refuses(415, "not-supported", "application/fhir+json");
    }
    anne.send(put()).await.refuses(415, "not-supported", "application/fhir+json");
    let turtle = anne.put(&format!("{path}&_format=ttl"), &ruths()).await;
    turtle.refuses(406, "not-supported", "application/fhir+json");
    for kind in ["application/json", "application/fhir+json; charset=utf-8"] {
        let answer = anne.send(put().header(header::CONTENT_TYPE, kind)).await;
        assert!([200, 201].contains(&answer.status), "{kind}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_refused_in_fhir_too() {
    let world = world().await;
    let anne = world.feeder("anne");
    let delete = anne.send(anne.request(Method::DELETE, "Patient/x")).await;
    delete.refuses(405, "not-supported", "not offered");
    let post = anne.post("Patient", &ruths()).await;
    post.refuses(405, "not-supported", "not offered");
    let path = world.gateway.base_url().replace("/fhir", "/elsewhere");
    anne.get(&path).await.refuses(404, "not-found", "no such interaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_fed_several_times_at_once_is_created_once() {
    let world = world().await;
    let anne = world.feeder("anne");
    let told = ruths();
    let answers = join_all((0..8).map(|_| anne.feed(&told))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1, "{answers:?}");
    let persons: BTreeSet<&str> = answers.iter().map(Answer::located).collect();
    assert_eq!(persons.len(), 1, "{answers:?}");
    assert_eq!(world.gateway.exchange().index.records_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_fed_by_two_members_at_once_is_one_person() {
    let world = world().await;
    let (a, b) = (patient("anne", "ruth", &ruth()), patient("lake", "ruth", &ruth()));
    let (anne, lake) = (world.feeder("anne"), world.feeder("lake"));
    let (one, other) = tokio::join!(anne.feed(&a), lake.feed(&b));
    assert_eq!((one.status, other.status), (201, 201));
    assert_eq!(one.located(), other.located());
    assert_eq!(world.gateway.exchange().index.persons_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_of_thousands_of_names_neither_stops_nor_slows_the_index() {
    let world = world().await;
    let anne = world.feeder("anne");
    let mut many = ruths();
    let name = |number: usize| json!({"family": format!("F{number}"), "given": ["R"]});
    many["name"] = (0..1_500).map(name).collect();
    let mut again = many.clone();
    again["identifier"][0]["value"] = json!("anne-again");
    for told in [&many, &again] {
        assert_eq!(anne.feed(told).await.status, 201);
    }
    let ed = world.client("ed");
    assert_eq!(ed.matches(&many).await.status, 200);
    assert_eq!(anne.feed(&patient("anne", "other", &anybody(1))).await.status, 201);
    ed.person(&anybody(1)).await;
}

/// A merge of one of Anne's numbers into another, as FHIR tells it.
fn merged(subsumed: &str, survivor: &str) -> Value {
    let mut told = patient("anne", subsumed, &ruth());
    told["active"] = json!(false);
    let (system, _) = number_of(&told);
    let other = json!({"identifier": {"system": system, "value": format!("anne-{survivor}")}});
    told["link"] = json!([{"type": "replaced-by", "other": other}]);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_resolved_by_a_link_and_a_record_is_removed() {
    let world = world().await;
    let anne = world.feeder("anne");
    let (one, other) = (patient("anne", "one", &ruth()), patient("anne", "other", &ruth()));
    for told in [&one, &other] {
        assert_eq!(anne.feed(told).await.status, 201);
    }
    anne.feed(&merged("one", "one")).await.refuses(422, "business-rule", "same record");
    anne.feed(&merged("nobody", "one")).await.refuses(404, "not-found", "to be merged");
    anne.feed(&merged("one", "nobody")).await.refuses(404, "not-found", "to survive");
    let answer = anne.feed(&merged("other", "one")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.located().is_empty());
    anne.feed(&merged("one", "other")).await.refuses(409, "conflict", "itself merged");
    anne.feed(&other).await.refuses(409, "conflict", "merged");

    let somebody = patient("anne", "somebody", &anybody(1));
    assert_eq!(anne.feed(&somebody).await.status, 201);
    let path = feed_path(&somebody);
    let delete = |path: &str| anne.request(Method::DELETE, path);
    for _ in 0..2 {
        assert_eq!(anne.send(delete(&path)).await.status, 204, "again is as well");
    }
    assert!(world.client("ed").matches(&anybody(1)).await.certain().is_empty());
    let lake = world.feeder("lake");
    let foreign = lake.send(lake.request(Method::DELETE, &path)).await;
    foreign.refuses(403, "forbidden", "identifier system");
    anne.send(delete("Patient")).await.refuses(400, "invalid", "identifier");
    anne.send(delete(&format!("{path},urn:x|1"))).await.refuses(400, "not-supported", "one");
}
