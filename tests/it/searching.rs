//! Who meets this? `Patient?…` and `Patient/_search` over HTTPS (IHE PDQm ITI-78).

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    answers::{Answer, check_snapshot},
    people::{anne, anybody, consent, county, deny_all_of, lake, max, patient, ruth},
    world::{Client, Site, World, record_numbers},
};

async fn everybody() -> World {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    world
}

/// Many people of one town, and one with a name of signs and accents.
async fn town(people: usize) -> World {
    let mut all: Vec<Value> =
        (0..people).map(|no| patient("anne", &format!("p{no}"), &anybody(no))).collect();
    let mut odd = ruth();
    odd["name"] = json!([{"use": "official", "family": "O'Neill-Müller", "given": ["Zoë", "Ann"]},
        {"use": "maiden", "family": "Santos, Ruiz"}]);
    odd["birthDate"] = json!("1972-07");
    odd["gender"] = json!("other");
    odd["telecom"] = json!([{"system": "email", "value": "Zoe@Example.org"},
        {"system": "phone", "value": "(585) 555-0100"}]);
    odd["extension"] = json!([{"valueString": "Grünwald",
        "url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"}]);
    let mut odd = patient("anne", "odd", &odd);
    let ssn = json!({"system": "http://hl7.org/fhir/sid/us-ssn", "value": "612-34-9876"});
    odd["identifier"].as_array_mut().expect("identifiers").push(ssn);
    all.push(odd);
    let world = World::of(vec![Site::new("anne", all)]).await;
    world.feed_all().await;
    world
}

async fn search(client: &Client, query: &str) -> Answer {
    let answer = client.get(&format!("Patient?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    assert_eq!(answer.json()["type"], "searchset");
    answer
}

fn families(answer: &Answer) -> Vec<String> {
    let family = |patient: &Value| patient["name"][0]["family"].as_str().unwrap_or("").to_owned();
    let mut families: Vec<String> = answer.of_type("Patient").iter().map(family).collect();
    families.sort_unstable();
    families
}

async fn check(client: &Client, query: &str, expected: &[&str]) {
    let answer = search(client, query).await;
    assert_eq!(families(&answer), expected, "{query}: {answer:?}");
    assert_eq!(answer.json()["total"].as_u64(), Some(expected.len() as u64), "{query}");
}

fn self_link(answer: &Answer) -> String {
    let json = answer.json();
    let link = json["link"].as_array().expect("links")[0].clone();
    assert_eq!(link["relation"], "self");
    link["url"].as_str().expect("a URL").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_finds_whom_it_describes() {
    let world = town(40).await;
    let ed = world.client("ed");
    let odd = &["O'Neill-Müller"][..];
    for query in [
        "family=oneill",
        "family=O%27NEILL-MULLER",
        "family=muller",
        "family=santos",
        r"family=Santos\,%20Ruiz",
        "family:exact=O%27Neill-M%C3%BCller",
        "family:contains=neillm",
        "given=zoe",
        "given=ann&family=oneill",
        "name=zo%C3%AB",
        "mothersMaidenName=grunwald",
        "telecom=zoe@example.org",
        "email=ZOE@example.org",
        "telecom=phone|+1%20585%20555%200100",
        "phone=5855550100",
        "identifier=612-34-9876",
        "identifier=http://hl7.org/fhir/sid/us-ssn|612-34-9876",
        "identifier=https://anne.example/mrn|anne-odd",
        "birthdate=1972-07&gender=other",
        "birthdate=1972&gender=other",
        "birthdate=ge1972&birthdate=le1973&family=oneill",
        "address=harbour&given=zoe",
        "address:contains=arbour",
        "address-city=oswego",
        "address-postalcode=13126",
        "address-state=ny&family=oneill",
        "address-country=us&address-city=osw",
        "family=nobody,oneill",
        "family=oneill&active=true",
        "family=oneill&gender=other,male",
        "birthdate:missing=false&family=oneill",
    ] {
        check(&ed, query, odd).await;
    }
    for query in [
        "family:exact=oneill",
        "family:contains=xyz",
        "family=eill",
        "given=oneill",
        "birthdate=1972-07-01&family=oneill",
        "birthdate=gt1972&family=oneill",
        "identifier=https://anne.example/mrn|612-34-9876",
        "identifier=|612-34-9876",
        "family=oneill&gender=female",
        "family=oneill&gender=unknown",
        "family=oneill&active=false",
        "telecom=email|5855550100",
        "email=5855550100",
        "mothersMaidenName:missing=true&family=oneill",
        "_id=nobody",
        "family=nobody",
    ] {
        check(&ed, query, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_a_query_and_both_ask_the_same() {
    let world = everybody().await;
    let ed = world.client("ed");
    let post = |path: &str, form: &str| {
        let request = ed.request(Method::POST, path);
        request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .body(form.to_owned())
    };
    let by_get = search(&ed, "family=calloway&birthdate=1958-03-14").await;
    let by_form = ed.send(post("Patient/_search", "family=calloway&birthdate=1958-03-14")).await;
    let by_both = ed.send(post("Patient/_search?family=calloway", "birthdate=1958-03-14")).await;
    assert_eq!(by_get.entries().len(), 1, "{by_get:?}");
    for answer in [&by_form, &by_both] {
        assert_eq!((answer.status, answer.entries()), (200, by_get.entries()), "{answer:?}");
        assert_eq!(self_link(answer), self_link(&by_get));
    }
    let json = ed.with_body(Method::POST, "Patient/_search", "{}");
    ed.send(json).await.refuses(415, "not-supported", "x-www-form-urlencoded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_a_searchset_of_golden_views() {
    let world = everybody().await;
    let answer = search(&world.client("ed"), "family=calloway&given=ruth").await;
    let person = answer.of_type("Patient")[0]["id"].as_str().expect("an id").to_owned();
    let mut shown = answer.json();
    shown["id"] = json!("[bundle]");
    shown["meta"]["lastUpdated"] = json!("[now]");
    shown["entry"][0]["resource"]["meta"]["lastUpdated"] = json!("[fed]");
    let text = shown.to_string();
    let text = text.replace(&person, "[person]").replace(world.gateway.base_url(), "[base]");
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    check_snapshot("the_answer_is_a_searchset_of_golden_views", &shown);
    let by_id = search(&world.client("ed"), &format!("_id={person}")).await;
    assert_eq!(by_id.entries(), answer.entries());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_identifiers_of_the_domains_asked_for_are_shown() {
    let world = everybody().await;
    let ed = world.client("ed");
    let (lake, county) = (record_numbers("lake"), record_numbers("county"));
    let answer = search(&ed, &format!("family=calloway&identifier={lake}|,{county}|")).await;
    let shown = &answer.of_type("Patient")[0];
    let mut systems: Vec<&str> = shown["identifier"]
        .as_array()
        .expect("identifiers")
        .iter()
        .filter_map(|one| one["system"].as_str())
        .collect();
    systems.sort_unstable();
    assert_eq!(systems, [county.as_str(), lake.as_str()]);
    assert!(!answer.text().contains("anne-ruth"), "{answer:?}");
    check(&ed, &format!("family=ostrander&identifier={county}|"), &[]).await;
    let unknown = ed.get("Patient?family=calloway&identifier=urn:oid:9.9.9|").await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let issue = &unknown.issues()[0];
    assert_eq!((&issue["severity"], &issue["code"]), (&json!("warning"), &json!("not-found")));
    assert_eq!(issue["diagnostics"], "targetSystem not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_the_same_patients_once_each_and_their_links_tell_nothing() {
    let world = town(30).await;
    let ed = world.client("ed");
    let mut page = search(&ed, "address-city=rochester&_count=12").await;
    assert_eq!(page.json()["total"].as_u64(), Some(30));
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let patients = page.of_type("Patient");
        sizes.push(patients.len());
        seen.extend(patients.iter().map(|one| one["id"].as_str().expect("an id").to_owned()));
        let events = world.events_of(&page).await;
        assert_eq!(events.iter().filter(|event| !event.open).count(), patients.len());
        let Some(next) = page.next_link() else { break };
        assert!(!next.to_lowercase().contains("rochester"), "{next}");
        page = ed.get(&next).await;
        assert_eq!(page.status, 200, "{page:?}");
    }
    assert_eq!(sizes, [12, 12, 6]);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_of_its_asker_alone_and_asks_consent_again() {
    let world = town(3).await;
    let ed = world.client("ed");
    let first = search(&ed, "address-city=rochester&_count=1").await;
    let next = first.next_link().expect("a second page");
    world.client("clinic").get(&next).await.refuses(410, "expired", "");
    ed.get("Patient?_search=00000000-0000-4000-8000-000000000000")
        .await
        .refuses(410, "expired", "");
    let second = ed.get(&next).await;
    let number = second.of_type("Patient")[0]["identifier"][0]["value"].clone();
    let id = number.as_str().expect("a number").trim_start_matches("anne-").to_owned();
    let told = consent(&patient("anne", &id, &ruth()), &json!({"type": "deny"}));
    assert_eq!(world.feeder("anne").put("Consent/c1", &told).await.status, 201);
    let again = ed.get(&next).await;
    assert!((again.status, again.entries().is_empty()) == (200, true), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_there_are_can_be_asked_alone() {
    let world = town(5).await;
    let ed = world.client("ed");
    for query in ["address-city=rochester&_summary=count", "address-city=rochester&_count=0"] {
        let answer = search(&ed, query).await;
        assert_eq!(answer.json()["total"].as_u64(), Some(5));
        assert!(answer.entries().is_empty() && answer.next_link().is_none());
        let events = world.events_of(&answer).await;
        assert_eq!(events.iter().filter(|event| !event.open).count(), 5, "each is told of");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_ignored_or_refused_and_the_self_link_tells() {
    let world = everybody().await;
    let ed = world.client("ed");
    let answer = search(&ed, "family=calloway&shoe-size=42&_sort=family").await;
    assert!(self_link(&answer).ends_with("/Patient?family=calloway"), "{answer:?}");
    let strict = ed
        .request(Method::GET, "Patient?family=calloway&shoe-size=42")
        .header("Prefer", "return=minimal, handling=strict");
    ed.send(strict).await.refuses(400, "not-supported", "not known");
    for (query, code) in [
        ("family:text=calloway", "not-supported"),
        ("family:fuzzy=calloway", "not-supported"),
        ("patient.family=calloway", "too-costly"),
        ("birthdate=yesterday", "value"),
        ("birthdate=1958-02-30", "value"),
        ("gender=f", "value"),
        ("family=calloway&_count=x", "value"),
        ("shoe-size=42", "too-costly"),
        ("gender=female", "too-costly"),
        ("active=true", "too-costly"),
        ("birthdate=ne1958-03-14", "too-costly"),
        ("", "too-costly"),
    ] {
        ed.get(&format!("Patient?{query}")).await.refuses(400, code, "");
    }
    let long = format!("Patient?family={}", "x".repeat(33_000));
    ed.get(&long).await.refuses(400, "too-long", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_who_may_meet_it_are_refused_and_more_told_finds_them() {
    let people = (0..30).map(|no| patient("anne", &format!("p{no}"), &anybody(no))).collect();
    let world = World::with(vec![Site::new("anne", people)], |settings| {
        settings["exchange"]["search_persons_max"] = json!(10);
    });
    let world = world.await;
    world.feed_all().await;
    let ed = world.client("ed");
    ed.get("Patient?address-city=rochester").await.refuses(400, "too-costly", "tell more");
    let family = anybody(7)["name"][0]["family"].as_str().expect("a name").to_owned();
    check(&ed, &format!("address-city=rochester&family={family}"), &[&family]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_consent_hides_finds_nobody() {
    let world = everybody().await;
    let ed = world.client("ed");
    let mut moved = patient("lake", "ruth", &ruth());
    moved["telecom"] = json!([{"system": "email", "value": "ruth@secret.example"}]);
    moved["meta"] = json!({"lastUpdated": "2099-01-01T00:00:00Z"});
    assert_eq!(world.feeder("lake").feed(&moved).await.status, 200);
    let number = format!("identifier={}|lake-ruth", record_numbers("lake"));
    for query in ["email=ruth@secret.example", &number] {
        check(&ed, query, &["Calloway"]).await;
    }
    let told = consent(&patient("anne", "ruth", &ruth()), &deny_all_of("lake"));
    assert_eq!(world.feeder("anne").put("Consent/c1", &told).await.status, 201);
    for query in ["email=ruth@secret.example", &number] {
        check(&ed, query, &[]).await;
    }
    let seen = search(&ed, "family=calloway").await;
    assert!(!seen.text().to_lowercase().contains("lake"), "{seen:?}");
    let told = consent(&patient("anne", "ruth", &ruth()), &json!({"type": "deny"}));
    assert_eq!(world.feeder("anne").put("Consent/c2", &told).await.status, 201);
    check(&ed, "family=calloway", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_is_found_no_more_and_all_of_it_after_a_restart() {
    let world = everybody().await;
    let mut moved = patient("anne", "max", &max());
    moved["address"] = json!([{"line": ["9 Mill Road"], "city": "Geneseo"}]);
    assert_eq!(world.feeder("anne").feed(&moved).await.status, 200);
    for world in [&world] {
        let ed = world.client("ed");
        check(&ed, "address-city=geneseo", &["Ostrander"]).await;
        check(&ed, "address-city=buffalo", &["Ostrander"]).await;
    }
    let mut moved = patient("lake", "max", &max());
    moved["address"] = json!([{"line": ["9 Mill Road"], "city": "Geneseo"}]);
    assert_eq!(world.feeder("lake").feed(&moved).await.status, 200);
    let world = world.restarted().await;
    let ed = world.client("ed");
    check(&ed, "address-city=buffalo", &[]).await;
    check(&ed, "address-city=geneseo&family=ostrander", &["Ostrander"]).await;
    check(&ed, "family=calloway", &["Calloway"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_query_may_not_search() {
    let world = everybody().await;
    let answer = world.feeder("anne").get("Patient?family=calloway").await;
    answer.refuses(403, "forbidden", "no query role");
    assert!(!answer.text().contains("alloway"));
}
