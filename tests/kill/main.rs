//! A gateway that is killed again and again while it is fed loses nothing that it acknowledged,
//! and tears nobody.
//!
//! A real `tessera serve` process, fed by FHIR and by HL7 v2 messages over mutual TLS, on the same
//! database throughout; once on SQLite and once on PostgreSQL. What a sender of messages got no
//! answer to, it sends again to the next process.

#[expect(dead_code, reason = "shared with the journeys")]
#[path = "../it/answers.rs"]
mod answers;
#[expect(dead_code, reason = "shared with the journeys")]
#[path = "../it/people.rs"]
mod people;
#[expect(dead_code, reason = "shared with the journeys")]
#[path = "../it/process.rs"]
mod process;
#[path = "../../src/storage/test_server.rs"]
mod test_server;
#[expect(dead_code, reason = "shared with the journeys")]
#[path = "../it/wire.rs"]
mod wire;
#[expect(dead_code, reason = "shared with the journeys")]
#[path = "../it/world.rs"]
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tessera::storage::Reader;

use people::{number_of, patient};
use process::{Process, apply_members, serve};
use wire::{TlsWire, anne_by_messages, framed, message, takes_messages};
use world::{Client, Engine, Stage, eventually, feed_path};

/// Tasks that feed at once: every other one by messages.
const FEEDERS: usize = 4;
/// More patients than any round gets to before it is killed.
const ROUND_PATIENTS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_on_sqlite_lose_nothing() {
    rounds(Engine::Sqlite, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_postgresql_lose_nothing() {
    rounds(Engine::Postgres, 25).await;
}

async fn rounds(engine: Engine, rounds: usize) {
    let stage = Stage::set_on(engine, vec![anne_by_messages()], |settings| {
        takes_messages(settings);
        settings["index"]["snapshot"] = "index.snapshot".into();
    });
    assert!(apply_members(&stage).status.success());
    let mut random = fastrand::Rng::new();
    let mut acknowledged = BTreeSet::new();
    let mut fed = Fed::default();
    for round in 0..rounds {
        if round % 5 == 4 {
            // Anywhere between its first instruction and its first request.
            let later = Duration::from_micros(random.u64(0..400_000));
            kill_starting(&stage, later);
        }
        if round % 10 == 7 {
            kill_stopping(&stage, Duration::from_micros(random.u64(0..400_000)));
        }
        let gateway = Process::serve(&stage);
        // Whoever serves has the database for itself: what the killed one sent is settled.
        check(&stage, &acknowledged, round).await;
        acknowledged.extend(send_again(&stage, &gateway, &fed).await);
        let (first, enough) = (round * ROUND_PATIENTS, random.usize(1..24));
        fed = feed_until_killed(&stage, gateway, first, enough).await;
        acknowledged.extend(&fed.acknowledged);
    }
    let gateway = Process::serve(&stage);
    check(&stage, &acknowledged, rounds).await;
    let ed = stage.client("ed", &gateway.base);
    let sample = stream::iter(acknowledged.iter().step_by(7));
    sample.for_each_concurrent(8, |number| check_found(&ed, *number)).await;
    gateway.kill();
}

/// Starts the gateway and kills it so much later, wherever it is then.
fn kill_starting(stage: &Stage, later: Duration) {
    let mut child = serve(stage).stderr(Stdio::null()).spawn().expect("it runs");
    std::thread::sleep(later);
    child.kill().expect("killed");
    child.wait().expect("it ends");
}

/// Asks the gateway to stop and kills it so much later: before, while or after it keeps its memory.
/// What comes next is opened from that, or not.
fn kill_stopping(stage: &Stage, later: Duration) {
    let gateway = Process::serve(stage);
    gateway.terminate();
    std::thread::sleep(later);
    gateway.kill();
}

/// People whom nobody takes for one another.
fn numbered(number: usize) -> Value {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let mut word = |letters: usize| -> String {
        (0..letters)
            .map(|at| if at == 0 { random.uppercase() } else { random.lowercase() })
            .collect()
    };
    let (family, given, street, city) = (word(9), word(7), word(8), word(6));
    let (year, month, day) = (random.u32(1930..2020), random.u32(1..=12), random.u32(1..=28));
    let told = json!({
        "name": [{"use": "official", "family": family, "given": [given]}],
        "gender": if random.bool() { "female" } else { "male" },
        "birthDate": format!("{year}-{month:02}-{day:02}"),
        "telecom": [{"system": "phone", "value": format!("+1 585 555 {number:05}")}],
        "address": [{"line": [format!("{} {street} Avenue", random.u32(1..900))],
            "city": city, "state": "NY", "postalCode": random.u32(10_000..15_000).to_string()}],
    });
    patient("anne", &format!("n{number}"), &told)
}

/// What became of a round's patients, by number.
#[derive(Default)]
struct Fed {
    acknowledged: Vec<usize>,
    /// Sent as messages, and not answered before the end.
    unanswered: Vec<usize>,
    /// The last that was acknowledged as a message.
    last_message: Option<usize>,
}

/// Feeds patients from `first` on from several tasks and kills the gateway once `enough` of them
/// were acknowledged; what is acknowledged between that moment and the kill counts too.
async fn feed_until_killed(stage: &Stage, gateway: Process, first: usize, enough: usize) -> Fed {
    let count = Arc::new(AtomicUsize::new(0));
    let mut feeding = Vec::new();
    for task in 0..FEEDERS {
        let numbers = (first + task..first + ROUND_PATIENTS).step_by(FEEDERS);
        let count = Arc::clone(&count);
        feeding.push(if task.is_multiple_of(2) {
            let anne = stage.feeder("anne", &gateway.base);
            tokio::spawn(async move { feed(&anne, numbers, &count).await })
        } else {
            let wire = TlsWire::of_process(stage, &gateway, "anne").await;
            tokio::spawn(async move { send(wire, numbers, &count).await })
        });
    }
    eventually("enough was fed", || async { count.load(Ordering::SeqCst) >= enough }).await;
    gateway.kill();
    let mut all = Fed::default();
    for task in feeding {
        let fed = task.await.expect("it fed");
        all.acknowledged.extend(fed.acknowledged);
        all.unanswered.extend(fed.unanswered);
        all.last_message = fed.last_message.or(all.last_message);
    }
    all
}

async fn feed(anne: &Client, numbers: impl Iterator<Item = usize>, count: &AtomicUsize) -> Fed {
    let mut fed = Fed::default();
    for number in numbers {
        let told = numbered(number);
        let request = anne.with_body(Method::PUT, &feed_path(&told), &told);
        // The connection ends with the process.
        let Ok(response) = request.send().await else { break };
        assert_eq!(response.status().as_u16(), 201, "a new patient is created");
        fed.acknowledged.push(number);
        count.fetch_add(1, Ordering::SeqCst);
    }
    fed
}

async fn send(mut wire: TlsWire, numbers: impl Iterator<Item = usize>, count: &AtomicUsize) -> Fed {
    let mut fed = Fed::default();
    for number in numbers {
        let sent = wire.write(&framed(as_message(number))).await;
        let answer = if sent.is_ok() { wire.read().await } else { None };
        let Some(answer) = answer else {
            fed.unanswered.push(number);
            break;
        };
        answer.accepts("registered");
        fed.acknowledged.push(number);
        fed.last_message = Some(number);
        count.fetch_add(1, Ordering::SeqCst);
    }
    fed
}

/// Sends the messages again that were not answered, and one that was: the first are taken now, if
/// they were not before, and the other changes nothing.
async fn send_again(stage: &Stage, gateway: &Process, fed: &Fed) -> Vec<usize> {
    let mut wire = TlsWire::of_process(stage, gateway, "anne").await;
    for number in &fed.unanswered {
        let answer = wire.send(as_message(*number)).await;
        let done = ["registered", "nothing new"].contains(&answer.words());
        assert!(answer.code() == "AA" && done, "{number}: {answer:?}");
    }
    if let Some(number) = fed.last_message {
        wire.send(as_message(number)).await.accepts("nothing new");
    }
    fed.unanswered.clone()
}

/// The same patient as a message tells of them.
fn as_message(number: usize) -> String {
    let told = numbered(number);
    let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).expect("told");
    let pid = format!(
        "PID|1||{}^^^ANNE^MR||{}^{}||{}|{}|||{}^^{}^NY^{}||{}",
        text("/identifier/0/value"),
        text("/name/0/family"),
        text("/name/0/given/0"),
        text("/birthDate").replace('-', ""),
        if text("/gender") == "female" { "F" } else { "M" },
        text("/address/0/line/0"),
        text("/address/0/city"),
        text("/address/0/postalCode"),
        text("/telecom/0/value"),
    );
    message("A28", &format!("n{number}"), "20260105120000+0000", &[&pid])
}

/// Looks into the database that the killed process left: all that was acknowledged is there once,
/// the journal has no gap and agrees with what it is projected to, and the audit trail is whole.
async fn check(stage: &Stage, acknowledged: &BTreeSet<usize>, round: usize) {
    let reader = Reader::open(stage.database()).await.expect("opened");
    let entries: Vec<_> = reader.journal(0).try_collect().await.expect("the journal reads");
    let mut current = BTreeMap::new();
    for (entry, due) in entries.iter().zip(1..) {
        assert_eq!(entry.seq, due, "round {round}: the journal has no gap");
        if ["registered", "updated"].contains(&&*entry.kind) {
            let key = entry.record.clone().expect("it is about a record");
            current.insert(key, entry.seq);
        }
    }
    let records: Vec<_> = reader.source_records().try_collect().await.expect("records read");
    let persons: Vec<_> = reader.persons().try_collect().await.expect("persons read");
    let persons: BTreeSet<_> = persons.iter().map(|row| row.person.as_u128()).collect();
    assert_eq!(records.len(), current.len(), "round {round}: each record once");
    for record in &records {
        assert_eq!(current.get(&record.key), Some(&record.current_seq), "round {round}: torn");
        assert!(persons.contains(&record.person.as_u128()), "round {round}: torn");
    }
    let known: BTreeSet<&str> = records.iter().map(|record| record.key.local_id.value()).collect();
    for number in acknowledged {
        let (_, value) = number_of(&numbered(*number));
        assert!(known.contains(&*value), "round {round}: {number} was acknowledged and is lost");
    }
    let report = reader.verify_audit_chain().await.expect("walked");
    assert!(report.first_bad.is_none(), "round {round}: {report:?}");
    reader.close().await;
}

/// The patient of this number is found, certainly, and with the number that was fed.
async fn check_found(ed: &Client, number: usize) {
    let told = numbered(number);
    let answer = ed.matches(&told).await;
    let (_, value) = number_of(&told);
    let found = answer.certain();
    assert_eq!(found.len(), 1, "{number} was acknowledged and is not found: {answer:?}");
    assert!(found[0]["identifier"].to_string().contains(&value), "{number}: {answer:?}");
}
