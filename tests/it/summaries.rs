//! A record on one page, the emergency department's brief, and the patient summary.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, consent, county, deny_all_of, lake, number_of, patient, ruth},
    world::{Client, World},
};

async fn everybody() -> (World, Client, String) {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

async fn brief_as_text(ed: &Client, person: &str) -> Answer {
    let path = format!("Patient/{person}/$ed-brief");
    let mut request = ed.request(Method::GET, &path).build().expect("a request");
    let text = header::HeaderValue::from_static("text/plain");
    request.headers_mut().insert(header::ACCEPT, text);
    ed.execute(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brief_is_a_page_with_what_is_missing_first() {
    let (mut world, ed, person) = everybody().await;
    let page = brief_as_text(&ed, &person).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/plain; charset=utf-8"));
    let text = page.text();
    assert!(text.starts_with("MISSING, AND FROM WHOM"), "{text}");
    for told in
        ["Ruth Edna CALLOWAY", "7980", "[anne]", "2 sources: anne lake", "Tetanus: no dose told"]
    {
        assert!(text.contains(told), "{told} is not in:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    world.go_down("lake").await;
    let text = brief_as_text(&ed, &person).await.text();
    let gap = text.lines().nth(1).expect("a line").to_owned();
    assert!(gap.starts_with("? Hospital lake"), "{text}");
}

/// The values of the parts of one name, over the lines of a section.
fn parts(section: &Value, name: &str, element: &str) -> Vec<String> {
    let lines = section["part"].as_array().expect("parts").iter();
    lines
        .filter(|part| part["name"] == "line")
        .flat_map(|line| line["part"].as_array().expect("parts"))
        .filter(|part| part["name"] == name)
        .map(|part| part[element].as_str().expect("told").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brief_as_parameters_names_the_sources_and_resources_of_each_line() {
    let (world, ed, person) = everybody().await;
    let answer = ed.get(&format!("Patient/{person}/$ed-brief")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    let sections: Vec<&Value> = told["parameter"]
        .as_array()
        .expect("parameters")
        .iter()
        .filter(|parameter| parameter["name"] == "section")
        .collect();
    assert_eq!(sections[0]["part"][0]["valueCode"], "missing");
    let named = |code: &str| {
        let found = sections.iter().find(|section| section["part"][0]["valueCode"] == code);
        (*found.unwrap_or_else(|| panic!("no section {code}"))).clone()
    };
    assert_eq!(parts(&named("allergies"), "date", "valueDateTime"), ["2011-04-02"]);
    assert_eq!(parts(&named("problems"), "source", "valueString"), ["anne", "lake"]);
    let behind = named("problems");
    let lines = behind["part"].as_array().expect("parts");
    let resources: Vec<&str> = lines
        .iter()
        .flat_map(|line| line["part"].as_array().into_iter().flatten())
        .filter_map(|part| part["valueReference"]["reference"].as_str())
        .collect();
    assert_eq!(resources, ["Condition/anne.ruth-diabetes", "Condition/lake.ruth-diabetes"]);
    for resource in resources {
        assert_eq!(ed.get(resource).await.status, 200, "{resource}");
    }
    let events = world.events_of(&answer).await;
    assert!(events.iter().any(|event| !event.open && event.person.as_deref() == Some(&person)));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_our_own_are_defined_where_the_statement_says() {
    let (_world, ed, person) = everybody().await;
    let statement = ed.get("metadata").await.json();
    let resources = statement["rest"][0]["resource"].as_array().expect("resources").clone();
    let patient = resources.iter().find(|one| one["type"] == "Patient").expect("Patient");
    let defined = patient["operation"]
        .as_array()
        .expect("operations")
        .iter()
        .find(|one| one["name"] == "ed-brief")
        .and_then(|one| one["definition"].as_str())
        .expect("a definition")
        .to_owned();
    let (_, path) = defined.split_once("/fhir/").expect("below the base");
    let definition = ed.get(path).await;
    assert_eq!((definition.status, definition.json()["url"].clone()), (200, defined.into()));
    ed.get(&format!("Patient/{person}/$ed-brief")).await.keeps_to(&definition.json());
    ed.get("OperationDefinition/nothing").await.refuses(404, "not-found", "");
}

/// The section of a summary by the code of its kind.
fn section<'a>(document: &'a Value, code: &str) -> &'a Value {
    let sections = document["entry"][0]["resource"]["section"].as_array().expect("sections");
    sections
        .iter()
        .find(|section| section["code"]["coding"][0]["code"] == code)
        .unwrap_or_else(|| panic!("no section {code}"))
}

const PROBLEMS: &str = "11450-4";
const PROCEDURES: &str = "47519-4";

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_is_a_document_that_never_takes_silence_for_nothing() {
    let (mut world, ed, person) = everybody().await;
    let path = format!("Patient/{person}/$summary");
    let answer = ed.get(&path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let whole = answer.json();
    assert_eq!(
        (
            whole["type"].as_str(),
            whole["entry"][0]["resource"]["type"]["coding"][0]["code"].as_str()
        ),
        (Some("document"), Some("60591-5"))
    );
    let problems = section(&whole, PROBLEMS)["entry"].as_array().expect("entries").len();
    assert_eq!(problems, 1, "one fact of two members");
    let reason =
        |told: &Value| section(told, PROCEDURES)["emptyReason"]["coding"][0]["code"].clone();
    assert_eq!(reason(&whole), "nilknown");
    for entry in whole["entry"].as_array().expect("entries") {
        let url = entry["fullUrl"].as_str().expect("a URL");
        if let Some((_, path)) = url.split_once("/fhir/") {
            assert_eq!(ed.get(path).await.status, 200, "{path}");
        }
    }
    world.go_down("lake").await;
    let partial = ed.get(&path).await.json();
    assert_eq!(reason(&partial), "unavailable");
    assert!(section(&partial, "information-gaps").to_string().contains("Hospital lake"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_found_by_a_members_number_unless_consent_hides_it() {
    let (world, ed, person) = everybody().await;
    let number = |member: &str| number_of(&patient(member, "ruth", &ruth()));
    let asked = |member: &str| {
        let (system, value) = number(member);
        format!("Patient/$summary?identifier={system}|{value}")
    };
    let answer = ed.get(&asked("lake")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let subject = answer.json()["entry"][0]["resource"]["subject"]["reference"].clone();
    assert!(subject.as_str().is_some_and(|told| told.ends_with(&person)), "{subject}");
    let events = world.events_of(&answer).await;
    let closed = events.iter().find(|event| !event.open).expect("audited");
    assert_eq!(closed.person.as_deref(), Some(person.as_str()));
    let (system, value) = number("lake");
    let identifier = json!({"system": system, "value": value});
    let told = json!({"resourceType": "Parameters", "parameter": [
        {"name": "identifier", "valueIdentifier": identifier},
        {"name": "profile", "valueCanonical":
            "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips|2.0.0"}]});
    assert_eq!(ed.post("Patient/$summary", &told).await.status, 200);

    ed.get("Patient/$summary").await.refuses(400, "invalid", "identifier");
    ed.get("Patient/$summary?identifier=7").await.refuses(400, "invalid", "system|value");
    ed.get("Patient/$summary?identifier=urn:none|7").await.refuses(404, "not-found", "");
    let other = "http://hl7.org/fhir/StructureDefinition/Composition";
    let other = format!("Patient/{person}/$summary?profile={other}");
    ed.get(&other).await.refuses(400, "not-supported", "profile");

    let hidden = consent(&patient("lake", "ruth", &ruth()), &deny_all_of("lake"));
    let recorded = world.feeder("lake").put("Consent/c1", &hidden).await;
    assert!([200, 201].contains(&recorded.status), "{recorded:?}");
    ed.get(&asked("lake")).await.refuses(404, "not-found", "");
    assert_eq!(ed.get(&asked("anne")).await.status, 200);
}
