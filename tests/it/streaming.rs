//! One person's record as NDJSON, as members answer.

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt as _;
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use tessera::simulator::{AnswerFault, Faults};

use crate::{
    answers::{Answer, reference},
    people::{anne, consent, county, deny_all_of, lake, patient, ruth},
    world::{Client, World, eventually},
};

const NDJSON: &str = "application/fhir+ndjson";

async fn everybody() -> (World, Client, String) {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

/// Asks for a stream; nothing of its body is read yet.
async fn ask(ed: &Client, person: &str) -> Response {
    let mut request =
        ed.request(Method::GET, &format!("Patient/{person}/$everything")).build().expect("whole");
    request.headers_mut().insert(header::ACCEPT, NDJSON.parse().expect("a header"));
    ed.begin(request).await
}

/// A stream's lines as resources; `None` where it breaks off.
async fn lines(response: Response) -> Option<Vec<String>> {
    let mut body = response.bytes_stream();
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        all.extend_from_slice(&chunk.ok()?);
    }
    let text = String::from_utf8(all).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    Some(text.lines().map(str::to_owned).collect())
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("each line is a resource")
}

fn kind(resource: &Value) -> &str {
    resource["resourceType"].as_str().expect("a resource")
}

/// Where a stream's last line leads.
fn whole(last: &Value) -> String {
    let links = last["link"].as_array().expect("links");
    let link = links.iter().find(|link| link["relation"] == "alternate").expect("an alternate");
    link["url"].as_str().expect("a URL").to_owned()
}

/// A resource without what differs between two that ask for the same.
fn timeless(line: &str) -> String {
    let mut resource = parse(line);
    if kind(&resource) != "Provenance" {
        return line.to_owned();
    }
    resource["recorded"] = Value::Null;
    resource.to_string()
}

/// The entries of a merged record, as bytes.
fn entries(answer: &Answer) -> Vec<String> {
    // As they stand in the body: a parsed Bundle would not show a byte that differs.
    let bundle = tessera::fhir::Bundle::parse(&answer.body).expect("a Bundle");
    let entries = bundle.entries.iter().map(|entry| entry.resource.json().to_owned());
    entries.filter(|json| kind(&parse(json)) != "OperationOutcome").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_folds_into_the_very_record_that_is_given_whole() {
    let (_world, ed, person) = everybody().await;
    let response = ask(&ed, &person).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[header::CONTENT_TYPE], NDJSON);
    let lines = lines(response).await.expect("it ends");
    let last = parse(lines.last().expect("lines"));
    assert_eq!((kind(&last), last["entry"].is_null()), ("Bundle", true), "{last}");

    // What stands behind another is told by Linkage; the rest is the record.
    let resources: Vec<Value> = lines.iter().map(|line| parse(line)).collect();
    let linkages = resources.iter().filter(|resource| kind(resource) == "Linkage");
    let items = linkages.flat_map(|linkage| linkage["item"].as_array().expect("items"));
    let alternates: BTreeSet<&str> = items
        .filter(|item| item["type"] == "alternate")
        .map(|item| item["resource"]["reference"].as_str().expect("told"))
        .collect();
    assert_eq!(alternates.len(), 2, "{alternates:?}");
    let mut folded: Vec<String> = lines
        .iter()
        .zip(&resources)
        .filter(|(_, resource)| !["Bundle", "OperationOutcome"].contains(&kind(resource)))
        .filter(|(_, resource)| !alternates.contains(&*reference(resource)))
        .map(|(line, _)| timeless(line))
        .collect();
    folded.sort();
    for answer in [ed.everything(&person).await, ed.get(&whole(&last)).await] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut given: Vec<String> = entries(&answer).iter().map(|json| timeless(json)).collect();
        given.sort();
        assert_eq!(folded, given);
    }
    let statement = resources.iter().find(|resource| kind(resource) == "OperationOutcome");
    let told = statement.expect("who answered").to_string();
    for member in ["anne", "lake", "county"] {
        assert!(told.contains(&format!("member={member}; outcome=answered")), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_member_gave_is_there_before_the_next_has_answered_and_is_on_record_first() {
    let (world, ed, person) = everybody().await;
    world.misbehave("lake", Faults { delay: Duration::from_mins(4), ..Faults::default() });
    let response = ask(&ed, &person).await;
    let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
    let mut body = response.bytes_stream();
    let mut came = String::new();
    while !(came.contains("anne.ruth-penicillin") && came.contains("county.ruth-visit")) {
        let chunk = body.next().await.expect("it goes on").expect("and does not break");
        came.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(!came.contains("Bundle") && !came.contains("lake"), "{came}");
    // Each stretch has its row, and the action is still open.
    let trail = world.trail().await;
    let rows: Vec<_> = trail.iter().filter(|event| event.request_id == id).collect();
    let shown = rows.iter().filter(|event| event.outcome() == "0").count();
    assert_eq!((rows.len(), shown), (3, 2), "{rows:?}");
    assert!(rows.iter().all(|event| event.person.as_deref() == Some(&*person)));
    // Who hangs up in the middle stops the work.
    drop(body);
    drop(ed);
    let federation = &world.gateway.exchange().federation;
    eventually("the work has stopped", || async { federation.requests_under_way() == 0 }).await;
    let reader = world.gateway.store().reader();
    eventually("its event is closed", || async {
        reader.audit_rows_left_open().await.expect("read").is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_named_in_a_stream_and_what_consent_hides_is_not() {
    let (world, ed, person) = everybody().await;
    let told = consent(&patient("anne", "ruth", &ruth()), &deny_all_of("county"));
    assert_eq!(world.feeder("anne").put("Consent/c1", &told).await.status, 201);
    world.misbehave("lake", Faults { answer: AnswerFault::Html, ..Faults::default() });
    let text = lines(ask(&ed, &person).await).await.expect("it ends").join("\n");
    assert!(text.contains("member=lake; outcome=unreachable"), "{text}");
    assert!(text.contains("anne.ruth-penicillin") && !text.contains("county"), "{text}");
    assert!(!text.contains("\"total\""), "a part has no total");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_begin_is_an_error_like_any_other() {
    let (world, ed, person) = everybody().await;
    let status = async |client: &Client, person: &str| {
        let answer = Answer::read(ask(client, person).await).await;
        assert!(answer.header("content-type").starts_with("application/fhir+json"), "{answer:?}");
        (answer.status, answer.issues()[0]["code"].as_str().expect("a code").to_owned())
    };
    let unknown = "0190a1b2-0000-7000-8000-000000000001";
    assert_eq!(status(&ed, unknown).await, (404, "not-found".to_owned()));
    assert_eq!(status(&world.feeder("anne"), &person).await, (403, "forbidden".to_owned()));
    for member in ["anne", "lake", "county"] {
        world.misbehave(member, Faults { answer: AnswerFault::Html, ..Faults::default() });
    }
    assert_eq!(status(&ed, &person).await, (504, "timeout".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_page_keeps_the_format_that_was_asked_for() {
    let (_world, ed, person) = everybody().await;
    for format in ["xml", "json", "application/fhir+xml"] {
        let path = format!("Patient/{person}/$everything?_count=4&_format={format}");
        let first = ed.get(&path).await;
        let told = |answer: &Answer| answer.header("content-type").to_owned();
        let text = first.text();
        let next = text.split(['"', '<', '>']).find(|part| part.contains("_snapshot="));
        let next = next.expect("a next link").replace("&amp;", "&").replace("\\u0026", "&");
        let second = ed.get(&next).await;
        assert_eq!((second.status, told(&second)), (200, told(&first)), "{format}");
        assert_eq!(told(&first).contains("xml"), format.contains("xml"), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_larger_than_a_page_comes_in_pages_unasked() {
    let world = World::with(vec![anne(), lake(), county()], |settings| {
        settings["api"]["page_entries_max"] = json!(5);
    })
    .await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    let first = ed.everything(&person).await;
    // The person, five entries, the statement.
    assert_eq!(first.entries().len(), 7, "{first:?}");
    assert!(first.next_link().is_some());
}
