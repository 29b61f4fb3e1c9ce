//! Answers of members that are used again: for whom, how long, and when not.

use std::{collections::BTreeSet, time::Duration};

use reqwest::{Method, header::CACHE_CONTROL};
use serde_json::{Value, json};
use tessera::simulator::{AnswerFault, CompartmentFault, Faults};

use crate::{
    answers::Answer,
    people::{
        RUTHS_RESOURCES, anne, anybody, consent, county, deny_all_of, lake, number_of, patient,
        ruth,
    },
    process::tessera,
    test_redis::TestRedis,
    world::{Client, Site, Stage, World, eventually},
};

/// Members whose answers are kept for an hour, a gateway before them, and Ruth's enterprise id.
async fn keeping() -> (World, Client, String) {
    keeping_with(vec![anne(), lake(), county()], json!({"ttl_s": 3_600})).await
}

async fn keeping_with(sites: Vec<Site>, cache: Value) -> (World, Client, String) {
    let world = World::with(sites, |settings| {
        settings["answer_cache"] = cache;
        settings["federation"]["breaker_failures"] = json!(1_000);
    })
    .await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    (world, ed, person)
}

/// How often each member was asked for anything.
fn asked(world: &World) -> [u64; 3] {
    ["anne", "lake", "county"].map(|member| world.stage.member(member).requests())
}

/// The members whose answer the statement says was kept, with an age.
fn kept(answer: &Answer) -> BTreeSet<String> {
    let issues = answer.issues();
    let told = issues.iter().filter_map(|issue| issue["diagnostics"].as_str());
    told.filter(|told| told.contains("; kept_s="))
        .map(|told| told.split(['=', ';']).nth(1).unwrap_or_default().to_owned())
        .collect()
}

fn everybody() -> BTreeSet<String> {
    ["anne", "county", "lake"].map(str::to_owned).into()
}

async fn fresh(ed: &Client, person: &str, directive: &str) -> Answer {
    let request = ed.request(Method::GET, &format!("Patient/{person}/$everything"));
    ed.send(request.header(CACHE_CONTROL, directive)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_who_asks_gets_the_same_record_and_hears_how_old_it_is() {
    let (world, ed, person) = keeping().await;
    let first = ed.everything(&person).await;
    let before = asked(&world);
    let second = world.client("clinic").everything(&person).await;
    assert_eq!(asked(&world), before, "nobody was asked again");
    assert_eq!(second.originals().len(), RUTHS_RESOURCES);
    assert_eq!((kept(&first), kept(&second)), (BTreeSet::new(), everybody()));
    for member in ["anne", "lake", "county"] {
        assert_eq!(second.outcome_of(member), "answered");
    }
    assert!(second.text().contains(", as it answered"), "{second:?}");
    // Whoever is shown a kept answer is on record like whoever was shown the first.
    let events = world.events_of(&second).await;
    let shown = events.iter().find(|event| !event.open).expect("audited");
    assert_eq!((shown.outcome(), shown.person.as_deref()), ("0", Some(&*person)), "{events:?}");
    assert!(shown.body.to_string().contains("clinic"), "{shown:?}");

    // In an emergency too: what is there at once, with its age, and the latest for who asks for it.
    let emergency = ed.get_for("ETREAT", &format!("Patient/{person}/$everything")).await;
    assert_eq!((asked(&world), kept(&emergency)), (before, everybody()));
    for directive in ["no-cache", "max-age=0", "max-age=x", "private, no-cache"] {
        let before = asked(&world);
        let latest = fresh(&ed, &person, directive).await;
        assert_eq!((latest.status, kept(&latest)), (200, BTreeSet::new()), "{directive}");
        assert!(asked(&world).iter().zip(before).all(|(now, before)| *now > before));
    }
    assert_eq!(kept(&fresh(&ed, &person, "max-age=3600").await), everybody());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_question_is_another_answer() {
    let (world, ed, person) = keeping().await;
    ed.everything(&person).await;
    let path = format!("Patient/{person}/$everything");
    for query in ["_type=Observation", "_since=2022-01-01T00:00:00Z", "start=2002", "end=2002"] {
        let before = asked(&world);
        let answer = ed.get(&format!("{path}?{query}")).await;
        assert_eq!(kept(&answer), BTreeSet::new(), "{query}");
        assert_ne!(asked(&world), before, "{query}");
        assert_eq!(kept(&ed.get(&format!("{path}?{query}")).await), everybody(), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_shown_is_decided_anew_at_every_use() {
    let (world, ed, person) = keeping().await;
    let hiv =
        json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]);
    let told =
        consent(&patient("anne", "ruth", &ruth()), &json!({"type": "deny", "securityLabel": hiv}));
    assert_eq!(world.feeder("anne").put("Consent/c1", &told).await.status, 201);
    let path = format!("Patient/{person}/$everything");
    let all = ed.get_for("BTG", &path).await;
    assert_eq!(all.originals().len(), RUTHS_RESOURCES, "{all:?}");
    let before = asked(&world);
    // Nothing says of these data that they are not what the patient meant.
    let some = ed.get_for("TREAT", &path).await;
    assert_eq!((some.status, asked(&world)), (200, before), "the same answers");
    assert!(some.originals().len() < RUTHS_RESOURCES, "{some:?}");
    assert!(!some.text().contains("penicillin"), "{some:?}");
    let payer = world.client("payer").get_for("HPAYMT", &path).await;
    payer.refuses(403, "forbidden", "consent policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_or_a_consent_lets_members_be_asked_again() {
    let (world, ed, person) = keeping().await;
    ed.everything(&person).await;
    assert_eq!(kept(&ed.everything(&person).await), everybody());
    // The same as was told before: that something was told is reason enough.
    world.feeder("lake").feed(&patient("lake", "ruth", &ruth())).await;
    assert_eq!(kept(&ed.everything(&person).await), BTreeSet::new());
    assert_eq!(kept(&ed.everything(&person).await), everybody());
    let told = consent(&patient("anne", "ruth", &ruth()), &deny_all_of("county"));
    assert_eq!(world.feeder("anne").put("Consent/c1", &told).await.status, 201);
    let after = ed.everything(&person).await;
    assert_eq!(kept(&after), BTreeSet::new());
    assert!(!after.text().contains("county"), "{after:?}");
    // Somebody else's feed is nothing to her.
    world.feeder("lake").feed(&patient("lake", "n1", &anybody(1))).await;
    assert_eq!(kept(&ed.everything(&person).await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_answers_follow_a_separation() {
    let (world, ed, person) = keeping().await;
    ed.everything(&person).await;
    let (system, value) = number_of(&patient("lake", "ruth", &ruth()));
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "record", "valueIdentifier": {"system": system, "value": value}},
        {"name": "reason", "valueString": "both charts were read"}]});
    let path = format!("Patient/{person}/$separate-records");
    let separated = world.client("steward").post(&path, &parameters).await;
    assert_eq!(separated.status, 200, "{separated:?}");
    let left = ed.everything(&person).await;
    assert!(!left.text().contains("lake"), "{left:?}");
    assert_eq!(kept(&left), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whole_and_verified_answers_are_kept() {
    let (world, ed, person) = keeping().await;
    let status = AnswerFault::Status { status: 503, retry_after_s: None };
    let faults = [
        Faults { answer: status, ..Faults::default() },
        Faults { answer: AnswerFault::Truncated { bytes: 100 }, ..Faults::default() },
        Faults { compartment: CompartmentFault::Ignored, ..Faults::default() },
    ];
    for fault in faults {
        world.misbehave("lake", fault.clone());
        fresh(&ed, &person, "no-cache").await;
        let before = asked(&world);
        let second = ed.everything(&person).await;
        assert!(!kept(&second).contains("lake"), "{fault:?}");
        assert_eq!(kept(&second).len(), 2, "{fault:?}");
        assert!(asked(&world)[1] > before[1], "{fault:?}");
        world.misbehave("lake", Faults::default());
        eventually("lake answers again", || async {
            fresh(&ed, &person, "no-cache").await.outcome_of("lake") == "answered"
        })
        .await;
        let clear = patient("lake", "ruth", &ruth());
        world.feeder("lake").feed(&clear).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_ask_at_once_ask_members_once() {
    let (world, ed, person) = keeping().await;
    ed.everything(&person).await;
    let before = asked(&world);
    fresh(&ed, &person, "no-cache").await;
    let once = asked(&world)[1] - before[1];
    world.feeder("anne").feed(&patient("anne", "ruth", &ruth())).await;
    world.misbehave("lake", Faults { delay: Duration::from_millis(300), ..Faults::default() });
    let before = asked(&world)[1];
    let first = tokio::spawn({
        let (ed, person) = (ed.clone(), person.clone());
        async move { ed.everything(&person).await }
    });
    eventually("the first is under way", || async { asked(&world)[1] > before }).await;
    let second = ed.everything(&person).await;
    let first = first.await.expect("asked");
    assert_eq!(asked(&world)[1] - before, once, "by two as by one");
    assert_eq!(first.originals(), second.originals());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_may_have_its_answers_kept_for_another_time_or_not_at_all() {
    let sites = vec![anne(), lake().told("answers_kept_s", json!(0)), county()];
    let (_world, ed, person) = keeping_with(sites, json!({"ttl_s": 3_600})).await;
    ed.everything(&person).await;
    let second = ed.everything(&person).await;
    assert_eq!(kept(&second), ["anne", "county"].map(str::to_owned).into());
}

/// A Redis of its own, and the settings for it.
fn redis(stage: &Stage, redis: &TestRedis) {
    let made = tessera(stage, &["certs", "answer-key", "answers.keys"]);
    assert!(made.status.success(), "{made:?}");
    stage.change(|settings| {
        settings["answer_cache"] = json!({"ttl_s": 3_600, "redis": {
            "url": redis.url(), "keys": "answers.keys", "timeout_ms": 1_000, "failures_max": 1,
            "pause_ms": 10, "ping_ms": 50}});
    });
}

async fn with_redis() -> (World, TestRedis, String) {
    let server = TestRedis::start();
    let stage = Stage::set(vec![anne(), lake(), county()], |_| {});
    redis(&stage, &server);
    let world = World::start(stage, std::sync::Arc::new(tessera::app::SystemClock)).await;
    world.feed_all().await;
    let person = world.client("ed").person(&ruth()).await;
    keeps(&world, true).await;
    (world, server, person)
}

async fn keeps(world: &World, expected: bool) {
    let federation = &world.gateway.exchange().federation;
    eventually("Redis is noticed", || async { federation.keeps_answers() == expected }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_finds_in_redis_what_another_kept() {
    let (world, redis, person) = with_redis().await;
    world.client("ed").everything(&person).await;
    // The copies are on their way when the answer is. A name; the turn and three, with their fields.
    eventually("all three are in Redis", || async { redis.content().await.len() >= 1 + 2 + 2 * 3 })
        .await;
    for part in redis.content().await {
        let text = String::from_utf8_lossy(&part).into_owned();
        for clear in ["Calloway", "penicillin", "resourceType", person.as_str()] {
            assert!(!text.contains(clear), "Redis sees {clear}");
        }
    }
    let world = world.restarted().await;
    keeps(&world, true).await;
    let before = asked(&world);
    let answer = world.client("ed").everything(&person).await;
    assert_eq!((asked(&world), kept(&answer)), (before, everybody()));
    assert_eq!(answer.originals().len(), RUTHS_RESOURCES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_or_hangs_makes_answers_slower_and_never_wrong() {
    let (world, mut redis, person) = with_redis().await;
    let ed = world.client("ed");
    ed.everything(&person).await;
    assert_eq!(kept(&ed.everything(&person).await), everybody());
    redis.kill();
    keeps(&world, false).await;
    let without = ed.everything(&person).await;
    assert_eq!((without.originals().len(), kept(&without)), (RUTHS_RESOURCES, BTreeSet::new()));
    world.feeder("lake").feed(&patient("lake", "ruth", &ruth())).await;
    redis.start_again();
    keeps(&world, true).await;
    assert_eq!(kept(&ed.everything(&person).await), BTreeSet::new(), "a new Redis knows nothing");
    assert_eq!(kept(&ed.everything(&person).await), everybody());

    redis.hang();
    let without = ed.everything(&person).await;
    assert_eq!(without.originals().len(), RUTHS_RESOURCES);
    keeps(&world, false).await;
    world.feeder("lake").feed(&patient("lake", "ruth", &ruth())).await;
    redis.go_on();
    keeps(&world, true).await;
    // What was fed meanwhile is minded before anything is read again.
    assert_eq!(kept(&ed.everything(&person).await), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_rotated_and_refused_in_plain_words() {
    let stage = Stage::set(vec![anne()], |_| {});
    let run = |words: &[&str]| {
        let output = tessera(&stage, words);
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    let first = run(&["certs", "answer-key", "a.keys"]);
    assert!(first.0 && !first.1.contains("move the key"), "{first:?}");
    let next = run(&["certs", "answer-key", "a.keys"]);
    assert!(next.0 && next.1.contains("move the key to the top"), "{next:?}");
    std::fs::write(stage.home().join("b.keys"), "nothing\n").expect("written");
    let wrong = run(&["certs", "answer-key", "b.keys"]);
    assert!(!wrong.0 && wrong.1.contains("line 1: not a key"), "{wrong:?}");
    stage.change(|settings| {
        settings["answer_cache"] = json!({"redis": {"url": "redis://127.0.0.1", "keys": "b.keys"}});
    });
    let refused = run(&["serve", "--config", "tessera.toml"]);
    assert!(!refused.0 && refused.1.contains("b.keys: line 1"), "{refused:?}");
}
