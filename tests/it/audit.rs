//! Who saw whom: exactly one closed event for each patient and disclosure, whatever happens.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tessera::{
    simulator::Faults,
    storage::{ChainFault, Reader},
    tls::{MemberTls, client_config},
};

use crate::{
    answers::{Answer, Event},
    people::patient,
    people::{anne, county, lake, ruth, twin},
    world::{Client, Site, World, eventually},
};

async fn everybody() -> (World, Client, String) {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

/// Asserts one opening and one closing event, and gives the closing one.
async fn check(world: &World, answer: &Answer, outcome: &str) -> Event {
    let mut events = world.events_of(answer).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events[0].open && !events[1].open, "{events:?}");
    assert_eq!(events[1].outcome(), outcome, "{events:?}");
    events.remove(1)
}

async fn check_whole(world: &World) {
    let reader = world.gateway.store().reader();
    assert!(reader.audit_rows_left_open().await.expect("read").is_empty());
    let report = reader.verify_audit_chain().await.expect("walked");
    assert!(report.first_bad.is_none() && report.rows > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_disclosure_has_one_event_about_its_patient() {
    let (world, ed, person) = everybody().await;
    for answer in [
        ed.matches(&ruth()).await,
        ed.get(&format!("Patient/{person}")).await,
        ed.get(&format!("Patient/{person}/$everything?_count=4")).await,
        ed.get("Condition/lake.ruth-diabetes").await,
    ] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let event = check(&world, &answer, "0").await;
        assert_eq!(event.person.as_deref(), Some(person.as_str()), "{event:?}");
        let body = event.body.to_string();
        for told in ["\"TREAT\"", "IHE.BasicAudit", "ed"] {
            assert!(body.contains(told), "no {told} in {body}");
        }
    }
    check_whole(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_a_disclosure_of_its_own() {
    let (world, ed, person) = everybody().await;
    let first = ed.get(&format!("Patient/{person}/$everything?_count=4")).await;
    let second = ed.get(&first.next_link().expect("a second page")).await;
    assert_ne!(first.request_id(), second.request_id());
    for page in [first, second] {
        let event = check(&world, &page, "0").await;
        assert_eq!(event.person.as_deref(), Some(person.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_two_patients_has_an_event_for_each() {
    let sisters = [("iris", twin("Iris", 1)), ("opal", twin("Opal", 2))];
    let patients = sisters.iter().map(|(id, who)| patient("anne", id, who)).collect();
    let world = World::of(vec![Site::new("anne", patients)]).await;
    world.feed_all().await;
    let mut nameless = twin("", 1);
    nameless["name"] = json!([{"family": "Vandermeer"}]);
    let answer = world.client("ed").matches(&nameless).await;
    let mut shown: Vec<String> = answer
        .of_type("Patient")
        .iter()
        .map(|patient| patient["id"].as_str().expect("an id").to_owned())
        .collect();
    let events = world.events_of(&answer).await;
    let mut told: Vec<String> = events
        .iter()
        .filter(|event| !event.open)
        .filter_map(|event| event.person.clone())
        .collect();
    shown.sort_unstable();
    told.sort_unstable();
    assert_eq!((shown.len(), &told), (2, &shown), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_refusals_and_failures_are_recorded_too() {
    let (world, ed, person) = everybody().await;
    let anne = world.feeder("anne");
    let fed = anne.feed(&patient("anne", "ruth", &ruth())).await;
    let event = check(&world, &fed, "0").await;
    assert_eq!(event.person.as_deref(), Some(person.as_str()));
    check(&world, &anne.get(&format!("Patient/{person}")).await, "4").await;
    check(&world, &ed.feed(&patient("anne", "ruth", &ruth())).await, "4").await;
    check(&world, &ed.post("Patient/$match", "{").await, "4").await;
    check(&world, &ed.get("Condition/anne.unknown").await, "4").await;
    check(&world, &ed.get("Patient/unknown").await, "4").await;
    check(&world, &ed.get(&format!("Patient/{person}/$everything?_since=x")).await, "4").await;
    check_whole(&world).await;
}

/// The emergency department over HTTP/1.1: its connection is the one request's own.
fn over_http_1(world: &World) -> Client {
    let code = tessera::domain::MemberCode::parse("ed").expect("a code");
    let credentials = world.stage.pki.client(&code).read().expect("minted");
    let roots = world.stage.pki.trust_roots().expect("minted");
    let mut tls = client_config(&credentials, &roots, MemberTls::Tls13).expect("whole");
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Client::with_tls(tls, world.gateway.base_url())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_leaves_no_open_event() {
    let (world, ed, person) = everybody().await;
    let slow = Faults { delay: Duration::from_millis(1_500), ..Faults::default() };
    world.misbehave("lake", slow);
    let path = format!("Patient/{person}/$everything");
    let before = world.trail().await.len();
    let clients = [over_http_1(&world), ed];
    for client in &clients {
        let asked = world.stage.member("lake").requests();
        let request = client.request(Method::GET, &path).send();
        tokio::select! {
            answered = request => panic!("answered before it hung up: {answered:?}"),
            () = eventually("lake is asked", || async {
                world.stage.member("lake").requests() > asked
            }) => {}
        }
    }
    drop(clients);
    let reader = world.gateway.store().reader();
    eventually("every event is closed", || async {
        let open = reader.audit_rows_left_open().await.expect("read");
        open.is_empty() && world.trail().await.len() >= before + 4
    })
    .await;
    let trail = world.trail().await;
    let of_these = &trail[before..];
    assert_eq!(of_these.len(), 4, "{of_these:?}");
    // What was put together after the client had gone is recorded as told: it may have got it.
    for event in of_these {
        assert_eq!(event.person.as_deref(), Some(person.as_str()), "{event:?}");
    }
    check_whole(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_altered_is_found() {
    let (world, _, _) = everybody().await;
    check_whole(&world).await;
    let rows = world.trail().await.len() as u64;
    let World { stage, gateway } = world;
    gateway.stop().await;

    let altered = rows / 2;
    let other = format!(
        "UPDATE audit_event SET body = replace(body, '\"outcome\":\"0\"', '\"outcome\":\"4\"') \
         || ' ' WHERE seq = {altered}"
    );
    stage.tamper(&other).await;
    let reader = Reader::open(stage.database()).await.expect("opened");
    let bad = reader.verify_audit_chain().await.expect("walked").first_bad.expect("found");
    assert_eq!((bad.seq, bad.fault), (altered, ChainFault::Altered));

    stage.tamper(&format!("DELETE FROM audit_event WHERE seq >= {altered}")).await;
    let report = reader.verify_audit_chain().await.expect("walked");
    assert!(report.first_bad.is_some(), "the end was cut off: {report:?}");
    reader.close().await;
}
