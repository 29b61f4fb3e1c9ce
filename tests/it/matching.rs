//! Who is this? `Patient/$match` over HTTPS.

use serde_json::{Value, json};

use crate::{
    answers::{Answer, check_snapshot, grade},
    people::{anne, county, lake, max, patient, ruth, twin},
    world::{Client, Site, World},
};

async fn everybody() -> World {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    world
}

/// Twins who must stay apart: each known to both members.
async fn twins() -> World {
    let site = |code| {
        let sisters = [("iris", twin("Iris", 1)), ("opal", twin("Opal", 2))];
        Site::new(code, sisters.iter().map(|(id, who)| patient(code, id, who)).collect())
    };
    let world = World::of(vec![site("anne"), site("lake")]).await;
    world.feed_all().await;
    world
}

fn bare(who: &Value) -> Value {
    let mut told = who.clone();
    told["resourceType"] = json!("Patient");
    told
}

fn parameters(who: &Value, more: &[Value]) -> Value {
    let mut parameters = vec![json!({"name": "resource", "resource": bare(who)})];
    parameters.extend_from_slice(more);
    json!({"resourceType": "Parameters", "parameter": parameters})
}

async fn find(client: &Client, body: &Value) -> Answer {
    let answer = client.post("Patient/$match", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let entries = answer.entries();
    assert_eq!(answer.json()["total"].as_u64(), Some(entries.len() as u64), "{answer:?}");
    for entry in &entries {
        let score = entry["search"]["score"].as_f64().expect("a score");
        assert!((0.0..=1.0).contains(&score) && entry["search"]["mode"] == "match");
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_patient_and_parameters_find_the_same_person() {
    let world = everybody().await;
    let ed = world.client("ed");
    let a = find(&ed, &bare(&ruth())).await;
    let b = find(&ed, &parameters(&ruth(), &[])).await;
    assert_eq!(a.certain().len(), 1, "{a:?}");
    assert_eq!(a.entries(), b.entries());
    let links = a.certain()[0]["link"].as_array().map(Vec::len);
    assert_eq!(links, Some(3), "a link for each source record: {a:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certain_match_shows_the_golden_view() {
    let world = everybody().await;
    let answer = find(&world.client("ed"), &bare(&ruth())).await;
    let mut shown = answer.json();
    let person = answer.certain()[0]["id"].as_str().expect("an id").to_owned();
    shown["id"] = json!("[bundle]");
    shown["meta"]["lastUpdated"] = json!("[now]");
    shown["entry"][0]["resource"]["meta"]["lastUpdated"] = json!("[fed]");
    let text = shown.to_string();
    let text = text.replace(&person, "[person]").replace(world.gateway.base_url(), "[base]");
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    check_snapshot("a_certain_match_shows_the_golden_view", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_stay_apart() {
    let world = twins().await;
    let ed = world.client("ed");
    let (iris, opal) =
        (ed.person(&bare(&twin("Iris", 1))).await, ed.person(&bare(&twin("Opal", 2))).await);
    assert_ne!(iris, opal);
    for person in [iris, opal] {
        let read = ed.get(&format!("Patient/{person}")).await;
        assert_eq!(read.json()["link"].as_array().map(Vec::len), Some(2), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_fit_alike_neither_is_certain_nor_named_by_number() {
    let world = twins().await;
    let ed = world.client("ed");
    let mut nameless = twin("", 1);
    nameless["name"] = json!([{"family": "Vandermeer"}]);
    nameless["multipleBirthInteger"] = Value::Null;
    let answer = find(&ed, &bare(&nameless)).await;
    assert_eq!(answer.entries().len(), 2, "{answer:?}");
    for entry in answer.entries() {
        assert_ne!(grade(&entry), "certain");
        let shown = &entry["resource"];
        assert!(shown["identifier"].is_null() && shown["link"].is_null(), "{shown}");
        assert!(shown["telecom"].is_null() && !shown.to_string().contains("Orchard"), "{shown}");
        assert!(!shown["name"].is_null() && !shown["birthDate"].is_null(), "{shown}");
    }
    let only = json!({"name": "onlyCertainMatches", "valueBoolean": true});
    assert!(find(&ed, &parameters(&nameless, &[only])).await.entries().is_empty());
    let one = json!({"name": "count", "valueInteger": 1});
    assert_eq!(find(&ed, &parameters(&nameless, &[one])).await.entries().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_certain_matches_gives_the_certain_one() {
    let world = everybody().await;
    let only = json!({"name": "onlyCertainMatches", "valueBoolean": true});
    let answer = find(&world.client("ed"), &parameters(&max(), &[only])).await;
    assert_eq!((answer.entries().len(), answer.certain().len()), (1, 1), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_where_nobody_fits() {
    let world = everybody().await;
    let nobody = json!({"name": [{"family": "Szczepanik", "given": ["Zdzislaw"]}],
        "birthDate": "1944-12-30", "gender": "male"});
    let answer = find(&world.client("ed"), &bare(&nobody)).await;
    assert!(answer.json()["entry"].is_null(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_tells_too_little_or_nothing_is_refused() {
    let world = everybody().await;
    let ed = world.client("ed");
    for body in [
        json!({"resourceType": "Patient", "gender": "female"}),
        json!({"resourceType": "Patient", "name": [{"family": "Calloway"}]}),
        json!({"resourceType": "Patient", "birthDate": "1958-03-14"}),
    ] {
        let answer = ed.post("Patient/$match", &body).await;
        answer.refuses(422, "required", "too little");
    }
    for (body, place) in [
        (json!({"resourceType": "Observation"}), "Parameters"),
        (json!({"resourceType": "Parameters"}), "where(name='resource')"),
        (parameters(&ruth(), &[json!({"name": "count", "valueInteger": 0})]), "name='count'"),
        (parameters(&ruth(), &[json!({"name": "onlyCertainMatches"})]), "onlyCertainMatches"),
    ] {
        ed.post("Patient/$match", &body).await.refuses(400, "invalid", place);
    }
    ed.post("Patient/$match", "{").await.refuses(400, "structure", "line 1, column 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_single_match_is_the_most_likely_one_or_nobody() {
    let single = json!({"name": "onlySingleMatch", "valueBoolean": true});
    let world = everybody().await;
    let found =
        find(&world.client("ed"), &parameters(&ruth(), std::slice::from_ref(&single))).await;
    assert_eq!((found.entries().len(), found.certain().len()), (1, 1), "{found:?}");
    let world = twins().await;
    let mut nameless = twin("", 1);
    nameless["name"] = json!([{"family": "Vandermeer"}]);
    nameless["multipleBirthInteger"] = Value::Null;
    let found = find(&world.client("ed"), &parameters(&nameless, &[single])).await;
    assert!(found.entries().is_empty(), "two are alike: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_of_a_question_is_told_and_the_rest_is_asked() {
    let world = everybody().await;
    let mut told = ruth();
    told["gender"] = json!("f");
    let answer = world.client("ed").post("Patient/$match", &bare(&told)).await;
    assert_eq!((answer.status, answer.json()["total"].as_u64()), (200, Some(1)), "{answer:?}");
    let issue = answer.issues().pop().expect("it is told");
    assert_eq!(
        (&issue["severity"], &issue["expression"][0]),
        (&json!("warning"), &json!("Patient.gender"))
    );
    let last = answer.entries().pop().expect("an entry");
    assert_eq!(last["search"]["mode"], "outcome");
}

/// What the trail keeps of how a question was judged, by name.
async fn notes(world: &World, answer: &Answer, name: &str) -> String {
    let events = world.events_of(answer).await;
    let event = events.last().expect("audited");
    let entities = event.body["entity"].as_array().expect("entities").iter();
    let details = entities.filter_map(|entity| entity["detail"].as_array()).flatten();
    let texts = details.filter(|detail| detail["type"] == name);
    texts.filter_map(|detail| detail["valueString"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_verdicts_are_asked_both_must_release() {
    let mut sparse = ruth();
    // Certain among so few, but no combination of the table.
    sparse.as_object_mut().expect("a patient").remove("telecom");
    sparse["address"] = json!([{"city": "Oswego", "state": "NY"}]);
    let only = json!({"name": "onlyCertainMatches", "valueBoolean": true});
    let world = everybody().await;
    let answer = find(&world.client("ed"), &bare(&sparse)).await;
    assert_eq!(answer.certain().len(), 1, "the probabilistic verdict releases: {answer:?}");
    assert_eq!(notes(&world, &answer, "policy-table").await, "");

    let sites = vec![anne(), lake(), county()];
    let both = |settings: &mut Value| settings["exchange"]["release_policy"] = json!("both");
    let world = World::with(sites, both).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let whole = find(&ed, &bare(&ruth())).await;
    assert_eq!(whole.certain()[0]["link"].as_array().map(Vec::len), Some(3), "{whole:?}");
    for (name, expected) in [
        ("policy-table", "3.3.0"),
        ("policy-determination", "release"),
        ("policy-persons-satisfying", "1"),
    ] {
        assert_eq!(notes(&world, &whole, name).await, expected);
    }
    assert!(notes(&world, &whole, "policy-rules").await.starts_with("01"));
    assert!(notes(&world, &whole, "policy-attributes").await.contains("birth_date=exact"));
    let apart = find(&ed, &bare(&sparse)).await;
    assert_eq!((apart.entries().len(), apart.certain().len()), (1, 0), "{apart:?}");
    let shown = &apart.entries()[0]["resource"];
    assert!(shown["identifier"].is_null() && shown["link"].is_null(), "{shown}");
    assert_eq!(notes(&world, &apart, "policy-determination").await, "no_match");
    assert_eq!(notes(&world, &apart, "policy-rules").await, "none");
    assert!(find(&ed, &parameters(&sparse, &[only])).await.entries().is_empty());
}
