//! Acknowledged means durable, whatever becomes of the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::Value;
use tessera::{
    simulator::Faults,
    storage::{Durability, Reader},
};

use crate::{
    answers::{Answer, Event},
    people::{anne, anybody, number_of, patient, ruth},
    process::{Process, apply_members},
    world::{Client, Stage, World, eventually, feed_path, on_postgres},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_live_writer_flushes_every_commit_to_the_disk() {
    let world = World::of(vec![anne()]).await;
    let durability = world.gateway.store().writer_durability().await.expect("it answers");
    durability.check().expect("durable");
    assert_eq!(matches!(durability, Durability::Postgres { .. }), on_postgres(), "{durability:?}");
}

const ROUNDS: usize = 5;
/// Tasks that feed at once.
const FEEDERS: usize = 4;
/// More patients than any round gets to before it is killed.
const ROUND_PATIENTS: usize = 400;

fn numbered(number: usize) -> Value {
    patient("anne", &format!("n{number}"), &anybody(number))
}

/// Feeds patients from `first` on from several tasks, kills the gateway once `enough` of them were
/// acknowledged, and gives all that were, also between that moment and the kill.
async fn feed_until_killed(
    gateway: Process,
    anne: &Client,
    first: usize,
    enough: usize,
) -> Vec<usize> {
    let count = Arc::new(AtomicUsize::new(0));
    let feeding: Vec<_> = (0..FEEDERS)
        .map(|task| {
            let (anne, count) = (anne.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in (first + task..first + ROUND_PATIENTS).step_by(FEEDERS) {
                    let told = numbered(number);
                    let request = anne.with_body(Method::PUT, &feed_path(&told), &told);
                    // The connection ends with the process.
                    let Ok(response) = request.send().await else { break };
                    assert_eq!(response.status().as_u16(), 201, "a new patient is created");
                    acknowledged.push(number);
                    count.fetch_add(1, Ordering::SeqCst);
                }
                acknowledged
            })
        })
        .collect();
    eventually("enough was fed", || async { count.load(Ordering::SeqCst) >= enough }).await;
    gateway.kill();
    let mut all = Vec::new();
    for task in feeding {
        all.extend(task.await.expect("it fed"));
    }
    all
}

/// The patient of this number is found, certainly, and with the number that was fed.
async fn check_there(ed: &Client, number: usize) {
    let told = numbered(number);
    let answer = ed.matches(&told).await;
    let (_, record_number) = number_of(&told);
    let found = answer.certain();
    assert_eq!(found.len(), 1, "{number} was acknowledged and is not found: {answer:?}");
    assert!(found[0]["identifier"].to_string().contains(&record_number), "{number}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_during_a_feed() {
    let stage = Stage::set(vec![anne()], |_| {});
    assert!(apply_members(&stage).status.success());
    let mut random = fastrand::Rng::new();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let gateway = Process::serve(&stage);
        let anne = stage.feeder("anne", &gateway.base);
        let enough = random.usize(8..40);
        let fed = feed_until_killed(gateway, &anne, round * ROUND_PATIENTS, enough).await;
        assert!(fed.len() >= enough && fed.len() < ROUND_PATIENTS, "killed while feeding");

        let gateway = Process::serve(&stage);
        let ed = stage.client("ed", &gateway.base);
        stream::iter(&fed).for_each_concurrent(8, |number| check_there(&ed, *number)).await;
        acknowledged.extend(fed);
        check_trail(&stage).await;
        if round + 1 == ROUNDS {
            let all = stream::iter(&acknowledged);
            all.for_each_concurrent(8, |number| check_there(&ed, *number)).await;
        }
        gateway.kill();
    }
}

/// The chain is whole, and what the killed process left open was closed at the start.
async fn check_trail(stage: &Stage) {
    let reader = Reader::open(stage.database()).await.expect("opened beside the gateway");
    let report = reader.verify_audit_chain().await.expect("walked");
    assert!(report.first_bad.is_none(), "{report:?}");
    let open = reader.audit_rows_left_open().await.expect("read").len();
    assert_eq!(open, 0, "left open");
    reader.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_a_kill_cut_off_is_on_record_as_interrupted() {
    let stage = Stage::set(vec![anne()], |_| {});
    assert!(apply_members(&stage).status.success());
    let gateway = Process::serve(&stage);
    let told = patient("anne", "ruth", &ruth());
    assert_eq!(stage.feeder("anne", &gateway.base).feed(&told).await.status, 201);
    let ed = stage.client("ed", &gateway.base);
    let person = ed.person(&ruth()).await;
    let member = stage.member("anne");
    member.set_faults(Faults { delay: Duration::from_secs(20), ..Faults::default() });
    let before = member.requests();
    let request = ed.request(Method::GET, &format!("Patient/{person}/$everything")).send();
    let asking = tokio::spawn(request);
    // Whoever is asked learns whom it is about: from then on it must be on record.
    eventually("the member is asked", || async { member.requests() > before }).await;
    gateway.kill();
    assert!(asking.await.expect("asked").is_err(), "nobody is there to answer");

    let gateway = Process::serve(&stage);
    check_trail(&stage).await;
    let reader = Reader::open(stage.database()).await.expect("opened");
    let rows: Vec<_> = reader.audit_rows(0).try_collect().await.expect("read");
    let last = Event::of(rows.last().expect("audited"));
    assert_eq!(last.outcome(), "12", "{last:?}");
    assert_eq!(last.person, Some(person), "{last:?}");
    reader.close().await;
    gateway.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_request_under_way_finish() {
    let stage = Stage::set(vec![anne()], |settings| {
        settings["server"]["drain_s"] = serde_json::json!(30);
    });
    assert!(apply_members(&stage).status.success());
    let gateway = Process::serve(&stage);
    let told = patient("anne", "ruth", &ruth());
    assert_eq!(stage.feeder("anne", &gateway.base).feed(&told).await.status, 201);
    let ed = stage.client("ed", &gateway.base);
    let person = ed.person(&ruth()).await;

    let member = stage.member("anne");
    member.set_faults(Faults { delay: Duration::from_millis(700), ..Faults::default() });
    let before = member.requests();
    let asking = {
        let request = ed.request(Method::GET, &format!("Patient/{person}/$everything"));
        tokio::spawn(async move { Answer::read(request.send().await.expect("answered")).await })
    };
    eventually("the member is asked", || async { member.requests() > before }).await;
    gateway.terminate();
    let answer = asking.await.expect("asked");
    assert_eq!((answer.status, answer.outcome_of("anne").as_str()), (200, "answered"));
    drop(ed);
    let (status, log) = tokio::task::spawn_blocking(move || gateway.exit()).await.expect("ended");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
    check_trail(&stage).await;
    let reader = Reader::open(stage.database()).await.expect("opened");
    let rows: Vec<_> = reader.audit_rows(0).try_collect().await.expect("read");
    let last = rows.last().expect("audited");
    assert_eq!(last.entry.person.map(|id| id.to_string()), Some(person), "the last disclosure");
    reader.close().await;
}
