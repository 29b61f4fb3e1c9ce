//! Reads by id: single resources that name no patient, and the bytes of documents.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, consent, county, lake, max, patient, ruth, told_about},
    world::{Client, Site, World},
};

async fn everybody() -> (World, Client) {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    (world, ed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_read_for_the_person_whom_it_names() {
    let (world, ed) = everybody().await;
    for (path, who) in [
        ("Condition/anne.ruth-diabetes", ruth()),
        ("Encounter/county.ruth-visit", ruth()),
        ("AllergyIntolerance/lake.max-penicillin", max()),
        ("Patient/anne.max", max()),
    ] {
        let person = ed.person(&who).await;
        let read = ed.get(path).await;
        assert_eq!(read.status, 200, "{path}: {read:?}");
        let told = read.json();
        assert_eq!(
            format!(
                "{}/{}",
                told["resourceType"].as_str().expect("a type"),
                told["id"].as_str().expect("an id")
            ),
            path
        );
        let subject = if told["patient"].is_null() { &told["subject"] } else { &told["patient"] };
        if told["resourceType"] != "Patient" {
            assert_eq!(subject["reference"], format!("Patient/{person}"));
        }
        let events = world.events_of(&read).await;
        let closed = events.iter().find(|event| !event.open).expect("audited");
        assert_eq!((closed.outcome(), closed.person.as_deref()), ("0", Some(person.as_str())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_nobody_or_may_not_be_shown_is_not_there() {
    let (world, ed) = everybody().await;
    for path in [
        "Condition/anne.none",
        "Condition/nobody.ruth-diabetes",
        "Observation/anne.ruth-diabetes",
        "Condition/anne.h-0000000000000000000000000000000000000000",
        "Consent/anne.c1",
        "Organization/anne.1",
        "Binary/anne.1",
        "Condition/anne.",
        "Condition/ruth-diabetes",
    ] {
        ed.get(path).await.refuses(404, "not-found", "");
    }
    let told = consent(&patient("anne", "ruth", &ruth()), &json!({"type": "deny"}));
    let recorded = world.feeder("anne").put("Consent/c1", &told).await;
    assert!([200, 201].contains(&recorded.status), "{recorded:?}");
    for path in ["Condition/anne.ruth-diabetes", "Encounter/county.ruth-visit", "Patient/anne.ruth"]
    {
        ed.get(path).await.refuses(404, "not-found", "");
    }
    assert_eq!(ed.get("Condition/anne.max-diabetes").await.status, 200, "Max did not deny");
}

const LETTER: &[u8] = b"<ClinicalDocument xmlns=\"urn:hl7-org:v3\"/>";

/// A document of Ruth's at anne: its description says `size` and `hash` of its bytes.
fn with_letter(size: usize, hash: &str) -> Site {
    let attachment = json!({"contentType": "text/xml", "url": "Binary/letter", "size": size,
        "hash": hash});
    let document = told_about(
        "DocumentReference",
        "ruth",
        "letter",
        json!({"status": "current", "date": "2024-01-05T10:00:00Z",
            "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
            "content": [{"attachment": attachment}]}),
    );
    let binary = json!({"resourceType": "Binary", "id": "letter", "contentType": "text/xml",
        "data": STANDARD.encode(LETTER)});
    Site::new("anne", vec![patient("anne", "ruth", &ruth()), document, binary])
}

fn sha1(bytes: &[u8]) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes))
}

async fn read_as(client: &Client, path: &str, accept: &str) -> Answer {
    let mut request = client.request(Method::GET, path).build().expect("a request");
    request.headers_mut().insert(header::ACCEPT, accept.parse().expect("a media range"));
    client.execute(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_listed_and_its_bytes_are_read_through_to_its_member() {
    let world = World::of(vec![with_letter(LETTER.len(), &sha1(LETTER))]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    read_as(&ed, "Binary/anne.letter", "*/*").await.refuses(404, "not-found", "");

    let found = ed.get(&format!("DocumentReference?patient={person}&type=34133-9")).await;
    let documents = found.of_type("DocumentReference");
    let url = documents[0]["content"][0]["attachment"]["url"].as_str().expect("a URL");
    assert_eq!(url, "Binary/anne.letter");
    let bytes = read_as(&ed, url, "text/xml").await;
    assert_eq!((bytes.status, bytes.body.as_slice()), (200, LETTER));
    assert_eq!(bytes.header("content-type"), "text/xml");
    assert_eq!(bytes.header("x-content-type-options"), "nosniff");
    let wrapped = ed.get(url).await.json();
    assert_eq!(wrapped["data"], Value::from(STANDARD.encode(LETTER)));
    assert_eq!(wrapped["id"], "anne.letter");
    let events = world.events_of(&bytes).await;
    assert_eq!(events.iter().filter(|event| event.outcome() == "0" && !event.open).count(), 1);

    let told = consent(&patient("anne", "ruth", &ruth()), &json!({"type": "deny"}));
    world.feeder("anne").put("Consent/c1", &told).await;
    read_as(&ed, url, "*/*").await.refuses(404, "not-found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_those_described_are_never_passed_on() {
    let other = sha1(b"another letter");
    for (size, hash) in [(LETTER.len() + 1, sha1(LETTER)), (LETTER.len(), other)] {
        let world = World::of(vec![with_letter(size, &hash)]).await;
        world.feed_all().await;
        let ed = world.client("ed");
        ed.everything(&ed.person(&ruth()).await).await;
        read_as(&ed, "Binary/anne.letter", "*/*").await.refuses(502, "exception", "differ");
    }
}
