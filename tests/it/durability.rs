//! Acknowledged means durable, whatever becomes of the process.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use reqwest::Method;
use tessera::{
    app::SystemClock,
    simulator::Faults,
    storage::{Durability, Reader},
};

use crate::{
    answers::{Answer, Event},
    people::{anne, anybody, number_of, patient, ruth},
    process::{Process, apply_members},
    wire::{TlsWire, anne_by_messages, message, ruths_pid, takes_messages},
    world::{Engine, Stage, World, engine, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_live_writer_flushes_every_commit_to_the_disk() {
    let world = World::of(vec![anne()]).await;
    let durability = world.gateway.store().writer_durability().await.expect("it answers");
    durability.check().expect("durable");
    let on_server = matches!(durability, Durability::Postgres { .. });
    assert_eq!(on_server, engine() == Engine::Postgres, "{durability:?}");
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

/// As the server says it where its disk is full.
const SERVER_DISK_FULL: &str = "
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
    END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION full_disk()";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_leaves_everybody_as_they_were() {
    let stage = Stage::set(vec![anne()], |settings| {
        settings["storage"]["file_bytes_max"] = serde_json::json!(500_000);
    });
    let world = World::start(stage, Arc::new(SystemClock)).await;
    let anne = world.feeder("anne");
    let told = |number: usize| patient("anne", &format!("n{number}"), &anybody(number));
    let mut taken = 0;
    let refused = loop {
        if taken == 20 && engine() == Engine::Postgres {
            world.stage.tamper(SERVER_DISK_FULL).await;
        }
        let answer = anne.feed(&told(taken)).await;
        if answer.status != 201 {
            break answer;
        }
        taken += 1;
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    let issue = &refused.json()["issue"][0];
    assert_eq!(issue["code"], "transient", "{refused:?}");
    assert!(!refused.json().to_string().contains(&number_of(&told(taken)).1), "no patient data");

    let World { stage, gateway } = world;
    gateway.stop().await;
    stage.change(|settings| {
        settings["storage"].as_object_mut().expect("keys").remove("file_bytes_max");
    });
    if engine() == Engine::Postgres {
        stage.tamper("DROP TRIGGER full_disk ON journal").await;
    }
    let world = World::start(stage, Arc::new(SystemClock)).await;
    let ed = world.client("ed");
    for number in 0..taken {
        assert_eq!(ed.matches(&told(number)).await.certain().len(), 1, "{number} was taken");
    }
    assert_eq!(ed.matches(&told(taken)).await.certain().len(), 0, "it was refused");
    assert_eq!(
        world.feeder("anne").feed(&told(taken)).await.status,
        201,
        "as if for the first time"
    );
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
async fn a_message_that_was_acknowledged_outlives_a_kill() {
    let stage = Stage::set(vec![anne_by_messages()], takes_messages);
    assert!(apply_members(&stage).status.success());
    let told = message("A28", "1", "20260105120000+0000", &[&ruths_pid("R1")]);
    let gateway = Process::serve(&stage);
    let mut wire = TlsWire::of_process(&stage, &gateway, "anne").await;
    wire.send(&told).await.accepts("registered");
    gateway.kill();
    assert!(wire.is_closed().await);
    let gateway = Process::serve(&stage);
    let mut wire = TlsWire::of_process(&stage, &gateway, "anne").await;
    wire.send(&told).await.accepts("nothing new");
    stage.client("ed", &gateway.base).person(&ruth()).await;
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
