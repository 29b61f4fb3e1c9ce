//! A record that is there when the physician looks, since it was gathered at the patient's arrival.

use serde_json::{Value, json};

use crate::{
    answers::Event,
    people::{RUTHS_RESOURCES, county, lake, ruth},
    wire::{TlsWire, anne_by_messages, message, ruths_pid},
    world::{Site, Stage, World, eventually, record_numbers},
};

const SYSTEM: &str = "anne-arrivals";

/// Anne, whose arrivals are minded, and two others.
fn sites() -> Vec<Site> {
    vec![anne_by_messages().told("arrivals_as", json!(SYSTEM)), lake(), county()]
}

/// A gateway that knows the system as this client.
async fn world(sites: Vec<Site>, client: Value) -> World {
    let stage = Stage::set(sites, |settings| {
        settings["mllp"] = json!({"address": "127.0.0.1:0"});
        settings["answer_cache"] = json!({"ttl_s": 60});
        settings["federation"]["ask_own_organization"] = json!(true);
    });
    let file = stage.home().join("clients.toml");
    let text = std::fs::read_to_string(file).expect("written");
    let mut clients: Value = toml::from_str(&text).expect("TOML");
    clients["client"].as_array_mut().expect("clients").push(client);
    stage.write("clients.toml", &clients);
    let world = World::start(stage, std::sync::Arc::new(tessera::app::SystemClock)).await;
    world.feed_all().await;
    world
}

fn system(member: &str, roles: &[&str]) -> Value {
    json!({
        "id": SYSTEM,
        // No certificate has it: the gateway itself acts as this client.
        "san_uris": ["urn:tessera:system:anne-arrivals"],
        "organization": {"name": member, "identifier": format!("https://{member}.example"),
            "member": member},
        "roles": roles,
        "purposes": ["TREAT"],
        "default_purpose": "TREAT",
    })
}

/// Ruth comes to Anne's.
async fn arrives(world: &World, event: &str, class: &str) {
    let mut sender = TlsWire::of(world, "anne").await;
    let visit = format!("PV1|1|{class}|ED^1");
    let number = format!("{event}{class}");
    let told = message(event, &number, "20260305120000", &[&ruths_pid("anne-ruth"), &visit]);
    assert_eq!(sender.send(&told).await.code(), "AA");
}

/// The closing events of the system.
async fn events(world: &World) -> Vec<Event> {
    let trail = world.trail().await;
    let of_system = |event: &Event| !event.open && event.body.to_string().contains(SYSTEM);
    trail.into_iter().filter(of_system).collect()
}

fn asked(world: &World) -> u64 {
    ["anne", "lake", "county"].map(|member| world.stage.member(member).requests()).iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_there_when_the_physician_looks() {
    let world = world(sites(), system("anne", &["query"])).await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    arrives(&world, "A04", "E").await;
    eventually("the arrival is on record", || async { !events(&world).await.is_empty() }).await;
    let event = events(&world).await.remove(0);
    assert_eq!((event.outcome(), event.person.as_deref()), ("0", Some(&*person)), "{event:?}");
    assert!(event.body.to_string().contains("TREAT"), "{event:?}");
    let before = asked(&world);
    let answer = ed.get_for("ETREAT", &format!("Patient/{person}/$everything")).await;
    assert_eq!(answer.originals().len(), RUTHS_RESOURCES, "{answer:?}");
    assert_eq!(asked(&world), before, "nobody was waited for");
    assert_eq!(answer.text().matches("; kept_s=").count(), 3, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_arrival_at_an_emergency_department_is_minded() {
    let world = world(sites(), system("anne", &["query"])).await;
    let before = asked(&world);
    for (event, class) in [("A04", "O"), ("A01", "I"), ("A08", "E"), ("A03", "E"), ("A04", "")] {
        arrives(&world, event, class).await;
    }
    // Arrivals are minded in their order, so that this one comes after any of those.
    arrives(&world, "A01", "E").await;
    eventually("the arrival is on record", || async { !events(&world).await.is_empty() }).await;
    assert_eq!(events(&world).await.len(), 1);
    assert!(asked(&world) > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_gets_no_more_than_it_may() {
    for (client, words) in [
        (system("lake", &["query"]), "acts for another member"),
        (system("anne", &["steward"]), "no query role"),
    ] {
        let world = world(sites(), client).await;
        let before = asked(&world);
        arrives(&world, "A04", "E").await;
        let refused = async || {
            let trail = world.trail().await;
            trail.iter().any(|event| event.reason().contains(words))
        };
        eventually(words, refused).await;
        assert_eq!(asked(&world), before, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_did_not_ask_for_it_are_left_alone() {
    let world = world(vec![anne_by_messages(), lake(), county()], system("anne", &["query"])).await;
    let before = asked(&world);
    arrives(&world, "A04", "E").await;
    let person = world.client("ed").person(&ruth()).await;
    assert_eq!(asked(&world), before);
    let answer = world.client("ed").everything(&person).await;
    assert!(!answer.text().contains("kept_s="), "{answer:?}");
    assert!(answer.text().contains(&record_numbers("lake")));
}
