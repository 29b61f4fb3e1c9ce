//! Who may do what, and what consent hides.

use serde_json::{Value, json};

use crate::{
    answers::Answer,
    people::{anne, consent, county, deny_all_of, lake, max, patient, ruth},
    world::World,
};

async fn everybody() -> World {
    let world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    world
}

/// Asserts a 403, and that the audit trail tells of it and why.
async fn check_refused(world: &World, answer: &Answer, words: &str) {
    answer.refuses(403, "forbidden", words);
    let events = world.events_of(answer).await;
    let closed: Vec<_> = events.iter().filter(|event| !event.open).collect();
    assert_eq!(closed.len(), 1, "{events:?}");
    assert_eq!(closed[0].outcome(), "4");
    assert!(closed[0].reason().contains(words), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_feeds_may_not_ask() {
    let world = everybody().await;
    let person = world.client("ed").person(&ruth()).await;
    let feeder = world.feeder("anne");
    let words = "no query role";
    check_refused(&world, &feeder.matches(&ruth()).await, words).await;
    for path in [
        format!("Patient/{person}"),
        format!("Patient/{person}/$everything"),
        "AllergyIntolerance/anne.ruth-penicillin".to_owned(),
    ] {
        check_refused(&world, &feeder.get(&path).await, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_may_not_feed() {
    let world = World::of(vec![anne()]).await;
    let record = patient("anne", "ruth", &ruth());
    for name in ["ed", "clinic", "steward", "auditor"] {
        let answer = world.client(name).feed(&record).await;
        check_refused(&world, &answer, "no feed role").await;
    }
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_feeds_only_under_its_own_namespaces() {
    let world = World::of(vec![anne(), lake()]).await;
    let answer = world.feeder("lake").feed(&patient("anne", "ruth", &ruth())).await;
    check_refused(&world, &answer, "identifier system").await;
    assert_eq!(world.gateway.exchange().index.records_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_stewards_nor_auditors_see_patients() {
    let world = everybody().await;
    for name in ["steward", "auditor"] {
        let answer = world.client(name).matches(&ruth()).await;
        check_refused(&world, &answer, "no query role").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_purposes_are_taken() {
    let world = everybody().await;
    let person = world.client("ed").person(&ruth()).await;
    let path = format!("Patient/{person}");
    for (name, purpose, words) in [
        ("clinic", "ETREAT", "may not act for the purpose ETREAT"),
        ("clinic", "BTG", "may not act for the purpose BTG"),
        ("clinic", "HPAYMT", "may not act for the purpose HPAYMT"),
        ("payer", "TREAT", "may not act for the purpose TREAT"),
        ("ed", "CURIOSITY", "purpose of use is not known"),
        ("ed", "", "purpose of use is not known"),
    ] {
        let answer = world.client(name).get_for(purpose, &path).await;
        check_refused(&world, &answer, words).await;
    }
    let answer = world.client("payer").get(&path).await;
    check_refused(&world, &answer, "a purpose of use must be told").await;
    // Without a consent the exchange permits treatment only.
    let answer = world.client("payer").get_for("HPAYMT", &path).await;
    answer.refuses(403, "forbidden", "consent policy");
    for (name, purpose) in [("clinic", "TREAT"), ("ed", "ETREAT")] {
        assert_eq!(world.client(name).get_for(purpose, &path).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_needs_its_role_whatever_purposes_are_listed() {
    let refused = tessera::access::Clients::from_toml(
        r#"[[client]]
        id = "clinic"
        san_uris = ["urn:tessera:client:clinic"]
        roles = ["query"]
        purposes = ["TREAT", "ETREAT"]
        organization = { name = "Clinic", identifier = "https://clinic.example" }"#,
    );
    assert!(refused.is_err(), "such a client is not even taken from clients.toml");
}

/// Everything that could tell of a person, as one asks for it for a purpose.
async fn all_ways(world: &World, purpose: &str, person: &str) -> [Answer; 4] {
    let ed = world.client("ed");
    let told = patient("anne", "ruth", &ruth());
    let request = ed.with_body(reqwest::Method::POST, "Patient/$match", &told);
    [
        ed.send(request.header("Purpose-Of-Use", purpose)).await,
        ed.get_for(purpose, &format!("Patient/{person}")).await,
        ed.get_for(purpose, &format!("Patient/{person}/$everything")).await,
        ed.get_for(purpose, "Condition/anne.ruth-diabetes").await,
    ]
}

async fn record_consent(world: &World, provision: &Value) {
    let told = consent(&patient("anne", "ruth", &ruth()), provision);
    let answer = world.feeder("anne").put("Consent/c1", &told).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_denies_hides_the_person_until_the_glass_is_broken() {
    let world = everybody().await;
    let person = world.client("ed").person(&ruth()).await;
    for answer in all_ways(&world, "TREAT", &person).await {
        assert_eq!(answer.status, 200, "before the consent: {answer:?}");
    }
    record_consent(&world, &json!({"type": "deny"})).await;

    for purpose in ["TREAT", "ETREAT"] {
        let [matched, read, everything, by_id] = all_ways(&world, purpose, &person).await;
        assert_eq!((matched.status, matched.json()["total"].as_u64()), (200, Some(0)));
        assert!(!matched.text().contains(&person), "{matched:?}");
        read.refuses(403, "forbidden", "consent policy");
        everything.refuses(403, "forbidden", "consent policy");
        by_id.refuses(404, "not-found", "");
        let reason = world.events_of(&read).await.pop().expect("audited").reason().to_owned();
        assert!(reason.contains("denied by a consent on file"), "{reason}");
    }

    let [matched, read, everything, by_id] = all_ways(&world, "BTG", &person).await;
    assert_eq!(matched.certain()[0]["id"], person.as_str());
    for answer in [&read, &everything, &by_id] {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert!(everything.facts().contains("AllergyIntolerance/anne.ruth-penicillin"));
    // DICOM 110127: emergency override.
    let alerts = |event: &crate::answers::Event| event.body.to_string().contains("110127");
    assert!(world.events_of(&everything).await.iter().any(alerts));
    // Max said nothing.
    world.client("ed").person(&max()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_consent_excludes_leaves_no_trace_in_any_answer() {
    let world = everybody().await;
    let person = world.client("ed").person(&ruth()).await;
    let own = |answer: &Answer| answer.text().replace("Hospital", "").to_lowercase();
    for answer in &all_ways(&world, "TREAT", &person).await[..3] {
        assert!(own(answer).contains("lake"), "before the consent: {answer:?}");
    }
    let before = world.stage.member("lake").requests();
    record_consent(&world, &deny_all_of("lake")).await;

    for answer in &all_ways(&world, "TREAT", &person).await {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!own(answer).contains("lake"), "{answer:?}");
    }
    let everything = world.client("ed").everything(&person).await;
    assert_eq!(everything.outcome_of("anne"), "answered");
    assert!(everything.facts().contains("Observation/anne.ruth-hba1c"));
    assert_eq!(world.stage.member("lake").requests(), before, "it was asked all the same");
    let by_id = world.client("ed").get("Immunization/lake.ruth-influenza").await;
    by_id.refuses(404, "not-found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_holds_after_a_restart() {
    let world = everybody().await;
    let person = world.client("ed").person(&ruth()).await;
    record_consent(&world, &json!({"type": "deny"})).await;
    let world = world.restarted().await;
    let ed = world.client("ed");
    let read = ed.get(&format!("Patient/{person}")).await;
    read.refuses(403, "forbidden", "consent policy");
    assert_eq!(ed.matches(&ruth()).await.json()["total"].as_u64(), Some(0));
    let opened = ed.get_for("BTG", &format!("Patient/{person}")).await;
    assert_eq!(opened.json()["link"].as_array().map(Vec::len), Some(3), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_suspended_or_leaving_feeds_no_more() {
    for status in ["suspended", "draining"] {
        let world = World::of(vec![anne().told("status", json!(status))]).await;
        let answer = world.feeder("anne").feed(&patient("anne", "ruth", &ruth())).await;
        check_refused(&world, &answer, "not open for feeds").await;
    }
}
