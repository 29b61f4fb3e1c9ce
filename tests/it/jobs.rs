//! Records that are asked for now and fetched later (`Prefer: respond-async`).

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tessera::{
    fhir::Bundle,
    simulator::{AnswerFault, Faults},
};

use crate::{
    answers::Answer,
    people::{anne, consent, county, deny_all_of, lake, patient, ruth},
    world::{Client, World, eventually},
};

async fn everybody() -> (World, Client, String) {
    with(json!({})).await
}

async fn with(jobs: Value) -> (World, Client, String) {
    let world = World::with(vec![anne(), lake(), county()], |settings| {
        settings["jobs"] = jobs;
    })
    .await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

async fn ask(ed: &Client, person: &str) -> Answer {
    let request = ed.request(Method::GET, &format!("Patient/{person}/$everything"));
    ed.send(request.header("Prefer", "respond-async, handling=lenient")).await
}

/// Begins a job; where its status is told.
async fn begin(ed: &Client, person: &str) -> String {
    let answer = ask(ed, person).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("preference-applied"), "respond-async");
    answer.header("content-location").to_owned()
}

/// Waits until a job is done.
async fn done(ed: &Client, status: &str) -> Answer {
    eventually("the job is done", || async { ed.get(status).await.status != 202 }).await;
    ed.get(status).await
}

async fn cancel(client: &Client, status: &str) -> Answer {
    client.send(client.request(Method::DELETE, status)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gives_the_very_record_that_is_given_at_once() {
    let (world, ed, person) = everybody().await;
    let status = begin(&ed, &person).await;
    let manifest = done(&ed, &status).await;
    assert_eq!(manifest.status, 200, "{manifest:?}");
    assert!(manifest.header("expires").ends_with("GMT"), "{manifest:?}");
    let told = manifest.json();
    assert!(told["request"].as_str().expect("told").ends_with(&format!("{person}/$everything")));
    assert_eq!(told["requiresAccessToken"], false);
    let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in told["output"].as_array().expect("files") {
        let answer = ed.get(file["url"].as_str().expect("a URL")).await;
        assert_eq!(answer.header("content-type"), "application/fhir+ndjson");
        let lines: Vec<String> = answer.text().lines().map(str::to_owned).collect();
        assert_eq!(lines.len() as u64, file["count"].as_u64().expect("a number"));
        given.insert(file["type"].as_str().expect("a type").to_owned(), lines);
    }
    // Who was shown what is on record, file by file.
    let events = world.events_of(&manifest).await;
    assert!(events.iter().any(|event| !event.open && event.outcome() == "0"), "{events:?}");

    let mut whole: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let at_once = ed.everything(&person).await;
    for entry in Bundle::parse(&at_once.body).expect("a Bundle").entries {
        let kind = entry.resource.resource_type().to_owned();
        whole.entry(kind).or_default().push(entry.resource.json().to_owned());
    }
    whole.remove("OperationOutcome");
    for lines in [&mut given, &mut whole] {
        for line in lines.get_mut("Provenance").expect("told") {
            let mut resource: Value = serde_json::from_str(line).expect("JSON");
            resource["recorded"] = Value::Null;
            *line = resource.to_string();
        }
    }
    assert_eq!(given, whole);
    let statement = ed.get(told["error"][0]["url"].as_str().expect("a URL")).await;
    assert!(statement.text().contains("member=lake; outcome=answered"), "{statement:?}");
    ed.get(&format!("{status}/Goal")).await.refuses(404, "not-found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_how_far_it_is_and_can_be_cancelled() {
    let (world, ed, person) = everybody().await;
    world.misbehave("lake", Faults { delay: Duration::from_mins(4), ..Faults::default() });
    let status = begin(&ed, &person).await;
    eventually("two have been heard", || async {
        let told = ed.get(&status).await;
        assert_eq!((told.status, told.header("retry-after")), (202, "1"), "{told:?}");
        told.header("x-progress") == "2 members have been heard"
    })
    .await;
    // To anybody else there is no such job.
    let clinic = world.client("clinic");
    clinic.get(&status).await.refuses(404, "not-found", "");
    cancel(&clinic, &status).await.refuses(404, "not-found", "");

    assert_eq!(cancel(&ed, &status).await.status, 202);
    let federation = &world.gateway.exchange().federation;
    eventually("the work has stopped", || async { federation.requests_under_way() == 0 }).await;
    ed.get(&status).await.refuses(404, "not-found", "");
    let reader = world.gateway.store().reader();
    eventually("its event is closed", || async {
        reader.audit_rows_left_open().await.expect("read").is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_is_asked_again_when_a_result_is_fetched() {
    let (world, ed, person) = everybody().await;
    let status = begin(&ed, &person).await;
    assert_eq!(done(&ed, &status).await.status, 200);
    // For another purpose it was not made.
    ed.get_for("ETREAT", &status).await.refuses(410, "expired", "ask again");
    let anne = world.feeder("anne");
    for (provision, code, words) in
        [(deny_all_of("lake"), 410, "expired"), (json!({"type": "deny"}), 403, "forbidden")]
    {
        let told = consent(&patient("anne", "ruth", &ruth()), &provision);
        assert!([200, 201].contains(&anne.put("Consent/c1", &told).await.status));
        ed.get(&status).await.refuses(code, words, "");
        ed.get(&format!("{status}/Condition")).await.refuses(code, words, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_gone_after_its_time() {
    let (_world, ed, person) = with(json!({"kept_s": 1})).await;
    let status = begin(&ed, &person).await;
    eventually("it is over", || async { ed.get(&status).await.status == 410 }).await;
    ed.get(&status).await.refuses(410, "expired", "ask again");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_bounded_and_what_cannot_begin_is_refused_at_once() {
    let (world, ed, person) = with(json!({"jobs_per_client_max": 2, "jobs_max": 3})).await;
    world.misbehave("lake", Faults { delay: Duration::from_mins(4), ..Faults::default() });
    let first = begin(&ed, &person).await;
    begin(&ed, &person).await;
    ask(&ed, &person).await.refuses(429, "throttled", "too many jobs");
    let clinic = world.client("clinic");
    begin(&clinic, &person).await;
    ask(&clinic, &person).await.refuses(429, "throttled", "too many jobs");
    assert_eq!(cancel(&ed, &first).await.status, 202);
    begin(&ed, &person).await;

    ask(&world.feeder("anne"), &person).await.refuses(403, "forbidden", "no query role");
    let unknown = "0190a1b2-0000-7000-8000-000000000001";
    ask(&clinic, unknown).await.refuses(429, "throttled", "");
    ed.get("$job/nothing").await.refuses(404, "not-found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_says_so() {
    let (world, ed, person) = everybody().await;
    for member in ["anne", "lake", "county"] {
        world.misbehave(member, Faults { answer: AnswerFault::Html, ..Faults::default() });
    }
    let status = begin(&ed, &person).await;
    done(&ed, &status).await.refuses(504, "timeout", "no member");
}
