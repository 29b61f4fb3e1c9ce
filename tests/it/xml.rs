//! FHIR XML in and out of every interaction: `Accept`, `_format`, `Content-Type`.

use reqwest::{
    Method, RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use tessera::fhir::xml::{FHIR_XML, to_json, to_xml};

use crate::{
    answers::Answer,
    people::{anne, county, lake, patient, ruth},
    world::{Client, World, feed_path, record_numbers},
};

async fn everybody() -> World {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    world
}

/// In the place of what was set before.
fn with(request: RequestBuilder, headers: &[(HeaderName, &'static str)]) -> RequestBuilder {
    let headers = headers.iter().cloned();
    let headers: HeaderMap =
        headers.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    request.headers(headers)
}

fn xml_request(client: &Client, method: Method, path: &str, body: Option<&str>) -> RequestBuilder {
    let request = with(client.request(method, path), &[(ACCEPT, FHIR_XML)]);
    match body {
        Some(body) => with(request, &[(CONTENT_TYPE, FHIR_XML)]).body(body.to_owned()),
        None => request,
    }
}

/// An answer in XML, as JSON.
fn read(answer: &Answer) -> Value {
    assert!(answer.header("content-type").starts_with(FHIR_XML), "{answer:?}");
    assert!(answer.text().starts_with("<?xml"), "{answer:?}");
    let json = to_json(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    serde_json::from_str(&json).expect("JSON")
}

async fn get(client: &Client, path: &str) -> Answer {
    client.send(xml_request(client, Method::GET, path, None)).await
}

/// Without what is new in every answer.
fn same(mut json: Value) -> Value {
    if json["resourceType"] == "Bundle" {
        json["id"] = Value::Null;
        json["meta"] = Value::Null;
        // The query that was heeded, `_format` among it.
        json["link"] = Value::Null;
    }
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_the_same_in_xml() {
    let world = everybody().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    let anne = record_numbers("anne");
    for path in [
        "metadata".to_owned(),
        format!("Patient/{person}"),
        "Patient?family=calloway".to_owned(),
        format!("Patient/$ihe-pix?sourceIdentifier={anne}|anne-ruth"),
        format!("Patient/{person}/$locate-records"),
        "OperationDefinition/patient-locate-records".to_owned(),
        "SearchParameter".to_owned(),
    ] {
        let (json, xml) = (ed.get(&path).await, get(&ed, &path).await);
        assert_eq!((json.status, xml.status), (200, 200), "{path}");
        assert_eq!(same(read(&xml)), same(json.json()), "{path}");
        let mark = if path.contains('?') { '&' } else { '?' };
        let by_format = ed.get(&format!("{path}{mark}_format=xml")).await;
        assert_eq!(same(read(&by_format)), same(json.json()), "{path}");
    }
    let everything = format!("Patient/{person}/$everything");
    let (json, xml) = (ed.get(&everything).await, read(&get(&ed, &everything).await));
    let ids = |bundle: &Value| {
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<String> = entries
            .iter()
            .filter(|entry| entry["search"]["mode"] == "match")
            .map(|entry| entry["resource"].to_string())
            .collect();
        ids.sort_unstable();
        ids
    };
    assert!(ids(&xml).len() > 5);
    assert_eq!(ids(&xml), ids(&json.json()), "decimals and all");
    let by_id = get(&ed, "Observation/lake.ruth-hba1c").await;
    assert_eq!(read(&by_id), ed.get("Observation/lake.ruth-hba1c").await.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_are_fed_and_asked_for_in_xml() {
    let world = World::of(vec![anne(), lake()]).await;
    let (feeder, ed) = (world.feeder("anne"), world.client("ed"));
    let mut told = patient("anne", "ruth", &ruth());
    told["extension"] = json!([{"valueString": "Grün & Wald",
        "url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"}]);
    let body = to_xml(&told.to_string()).expect("written");
    let path = feed_path(&told);
    let fed = feeder.send(xml_request(&feeder, Method::PUT, &path, Some(&body))).await;
    assert_eq!(fed.status, 201, "{fed:?}");
    let again = feeder.feed(&told).await;
    assert_eq!((again.status, again.located()), (200, fed.located()), "the same in JSON");
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "resource", "resource": told},
        {"name": "onlyCertainMatches", "valueBoolean": true}]});
    let body = to_xml(&parameters.to_string()).expect("written");
    let found = ed.send(xml_request(&ed, Method::POST, "Patient/$match", Some(&body))).await;
    let found = read(&found);
    let entry = &found["entry"][0];
    assert_eq!(entry["search"]["extension"][0]["valueCode"], "certain", "{found}");
    assert_eq!(entry["resource"]["extension"][0]["valueString"], "Grün & Wald");
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_that_is_not_fhir_is_refused_in_xml_and_audited() {
    let world = World::of(vec![anne()]).await;
    let feeder = world.feeder("anne");
    let path = feed_path(&patient("anne", "ruth", &ruth()));
    for (body, words) in [
        ("<Patient xmlns=\"http://hl7.org/fhir\"><shoe value=\"42\"/></Patient>", "line 1"),
        ("<Patient xmlns=\"http://hl7.org/fhir\">\n<gender", "not well-formed, at line 2"),
        ("<!DOCTYPE Patient><Patient xmlns=\"http://hl7.org/fhir\"/>", "document type"),
        ("{\"resourceType\":\"Patient\"}", "text"),
    ] {
        let answer = feeder.send(xml_request(&feeder, Method::PUT, &path, Some(body))).await;
        let outcome = read(&answer);
        assert_eq!(answer.status, 400, "{body}: {outcome}");
        let issue = &outcome["issue"][0];
        assert_eq!(issue["code"], "structure");
        assert!(issue["details"]["text"].as_str().expect("words").contains(words), "{issue}");
        let events = world.events_of(&answer).await;
        assert_eq!(events.last().expect("audited").outcome(), "4", "{events:?}");
    }
    let long = format!("<Patient xmlns=\"http://hl7.org/fhir\">{}</Patient>", " ".repeat(2 << 20));
    let answer = feeder.send(xml_request(&feeder, Method::PUT, &path, Some(&long))).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_and_xml_are_offered_under_the_name_asked_for() {
    let world = World::of(vec![anne()]).await;
    let ed = world.client("ed");
    for (accept, expected) in [
        ("application/xml", "application/xml"),
        ("text/html, text/xml;q=0.9", "text/xml"),
        ("application/json", "application/json"),
        ("*/*", "application/fhir+json"),
        ("application/fhir+json;q=0.1, application/fhir+xml", "application/fhir+xml"),
    ] {
        let answer = ed.send(with(ed.request(Method::GET, "metadata"), &[(ACCEPT, accept)])).await;
        assert!(answer.header("content-type").starts_with(expected), "{accept}: {answer:?}");
    }
    let turtle = with(ed.request(Method::GET, "metadata"), &[(ACCEPT, "text/turtle")]);
    ed.send(turtle).await.refuses(406, "not-supported", "application/fhir+xml");
    let plain = xml_request(&ed, Method::POST, "Patient/$match", Some("x"));
    let plain = ed.send(with(plain, &[(CONTENT_TYPE, "text/plain")])).await;
    assert_eq!((plain.status, &read(&plain)["issue"][0]["code"]), (415, &json!("not-supported")));
}
