//! Everything at once: members that fail at random through thousands of queries.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tessera::simulator::{AnswerFault, CompartmentFault, Faults, IdentifierFault, PagingFault};

use crate::{
    answers::Answer,
    people::{allergy, anybody, patient, problem, weights},
    world::{Client, Site, World, eventually},
};

const MEMBERS: [&str; 4] = ["north", "east", "south", "west"];
const PEOPLE: usize = 8;
const ROUNDS: usize = 40;
/// Queries of one round, so many of them at once.
const QUERIES: usize = 50;
const AT_ONCE: usize = 25;
/// The dice always fall alike, so that a failure can be seen again.
const SEED: u64 = 20_260_301;
const DEADLINE_MS: u64 = 700;

/// What each member holds of everybody. Ids begin with the person's name, so that what is foreign
/// shows itself.
fn site(code: &'static str) -> Site {
    let held = (0..PEOPLE).flat_map(|number| {
        let id = format!("p{number}");
        let mut all = vec![patient(code, &id, &anybody(number)), problem(&id), allergy(&id)];
        all.extend(weights(&id, 4));
        all
    });
    let site = Site::new(code, held.collect()).told("deadline_ms", json!(DEADLINE_MS));
    match code {
        "east" => site.without_everything(),
        "south" => site.paged(3).told("limits", json!({"pages_max": 4})),
        _ => site,
    }
}

/// Resources of one person at one member.
const RESOURCES: usize = 7;

fn faults(dice: &mut fastrand::Rng) -> Faults {
    let status = |status, retry_after_s| AnswerFault::Status { status, retry_after_s };
    let answer = |answer| Faults { answer, ..Faults::default() };
    let delay = |ms| Faults { delay: Duration::from_millis(ms), ..Faults::default() };
    let paging = |paging| Faults { paging, ..Faults::default() };
    let mut faults = match dice.usize(..22) {
        0 => answer(status(503, Some(1))),
        1 => answer(status(503, None)),
        2 => answer(status(429, Some(1))),
        3 => answer(status(500, None)),
        4 => answer(status(401, None)),
        5 => answer(AnswerFault::Html),
        6 => answer(AnswerFault::Malformed),
        7 => answer(AnswerFault::Truncated { bytes: dice.usize(..400) }),
        8 => answer(AnswerFault::Broken { bytes: dice.usize(..400) }),
        9 => answer(AnswerFault::Stalled { bytes: dice.usize(..400) }),
        10 => answer(AnswerFault::GzipBomb { bytes: 64 << 20 }),
        11 => answer(AnswerFault::Trickled { pause_ms: 20 }),
        12 => delay(5_000),
        13 => Faults { delay_p99: Some(Duration::from_secs(2)), ..delay(30) },
        14 => Faults { identifier: IdentifierFault::Ignored, ..Faults::default() },
        15 => Faults { identifier: IdentifierFault::Several, ..Faults::default() },
        16 => Faults { identifier: IdentifierFault::AnotherPatient, ..Faults::default() },
        17 => Faults { compartment: CompartmentFault::Ignored, ..Faults::default() },
        18 => Faults { compartment: CompartmentFault::AnotherPatient, ..Faults::default() },
        19 => paging(PagingFault::LosesCriteria),
        20 => paging(PagingFault::Endless),
        _ => paging(PagingFault::AnotherOrigin("https://elsewhere.example".to_owned())),
    };
    if dice.bool() {
        faults.answers_spoiled_max = Some(dice.u32(1..20));
    }
    faults
}

/// What came of all queries.
#[derive(Debug, Default)]
struct Tally {
    answers: usize,
    without_member: usize,
    outcomes: BTreeMap<String, usize>,
}

impl Tally {
    /// Every member is told of once, what is told as complete is, and nothing is anybody else's.
    fn take(&mut self, person: usize, answer: &Answer) {
        self.answers += 1;
        assert!([200, 504].contains(&answer.status), "{answer:?}");
        let originals = answer.originals();
        let mut complete = true;
        for member in MEMBERS {
            let outcome = answer.outcome_of(member);
            assert!(!outcome.is_empty(), "{member} is not told of: {:?}", answer.issues());
            let theirs =
                originals.iter().filter(|one| one.contains(&format!("/{member}."))).count();
            match outcome.as_str() {
                "answered" => assert_eq!(theirs, RESOURCES, "{member}: {:?}", answer.issues()),
                "truncated" | "timed-out" => complete = false,
                // It holds something of everybody: to call it empty would be a gap without a name.
                "empty" | "not-asked" => panic!("{member} is {outcome}: {:?}", answer.issues()),
                "withheld" => {
                    complete = false;
                    assert_eq!(theirs, 0, "{member} is withheld: {originals:?}");
                }
                // The Patient may have been found before the rest failed.
                _ => {
                    complete = false;
                    assert!(theirs <= 1, "{member} is {outcome}: {originals:?}");
                }
            }
            *self.outcomes.entry(outcome).or_default() += 1;
        }
        if answer.status == 504 {
            self.without_member += 1;
            assert!(originals.is_empty() && !complete, "{answer:?}");
        }
        let own = format!(".p{person}");
        for original in &originals {
            let id = original.split_once(&own).map(|(_, rest)| rest);
            let whole = id.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            assert!(whole, "{original} is not of person {person}");
        }
        let total = answer.json()["total"].clone();
        assert_eq!(total.is_null(), !complete, "a total only where all is there: {answer:?}");
    }
}

async fn everybody(world: &World, ed: &Client) -> Vec<String> {
    world.feed_all().await;
    let mut persons = Vec::new();
    for number in 0..PEOPLE {
        persons.push(ed.person(&anybody(number)).await);
    }
    persons
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_members_do_every_answer_comes_and_says_what_is_missing() {
    let sites = MEMBERS.map(site).into();
    let world = World::with(sites, |settings| {
        settings["federation"]["breaker_open_ms"] = json!(200);
        settings["federation"]["retry_pause_ms"] = json!(10);
    })
    .await;
    let ed = world.client("ed");
    let persons = everybody(&world, &ed).await;
    let mut dice = fastrand::Rng::with_seed(SEED);
    let mut tally = Tally::default();
    let before = world.trail().await.len();
    for round in 0..ROUNDS {
        for member in MEMBERS {
            let misbehaves = dice.u8(..3) > 0;
            let faults = if misbehaves { faults(&mut dice) } else { Faults::default() };
            world.misbehave(member, faults);
        }
        let asked: Vec<usize> = (0..QUERIES).map(|_| dice.usize(..PEOPLE)).collect();
        let queries = asked.into_iter().map(|person| {
            let path = format!("Patient/{}/$everything", persons[person]);
            let ed = &ed;
            async move { (person, ed.get(&path).await) }
        });
        let answers: Vec<(usize, Answer)> =
            stream::iter(queries).buffer_unordered(AT_ONCE).collect().await;
        assert_eq!(answers.len(), QUERIES, "round {round}");
        for (person, answer) in &answers {
            tally.take(*person, answer);
        }
    }
    assert_eq!(tally.answers, ROUNDS * QUERIES);
    for outcome in ["answered", "timed-out", "unreachable", "refused", "truncated", "withheld"] {
        assert!(tally.outcomes.contains_key(outcome), "no {outcome} in {tally:?}");
    }
    check_at_rest(&world, before).await;
    check_recovered(&world, &ed, &persons).await;
}

/// Nothing is under way any more, no task was left behind, and every query is on record, closed.
async fn check_at_rest(world: &World, before: usize) {
    let federation = &world.gateway.exchange().federation;
    eventually("no request is under way", || async { federation.requests_under_way() == 0 }).await;
    // What is left are connections kept open: at most one bulkhead's worth for each member, each
    // with a task or two of its own.
    let kept = MEMBERS.len() * 16 * 2;
    eventually("no task is left behind", || async { federation.tasks_alive() <= kept }).await;
    let reader = world.gateway.store().reader();
    assert!(reader.audit_rows_left_open().await.expect("read").is_empty());
    assert_eq!(world.trail().await.len() - before, 2 * ROUNDS * QUERIES);
}

/// Once the members behave, every answer is whole again.
async fn check_recovered(world: &World, ed: &Client, persons: &[String]) {
    for member in MEMBERS {
        world.misbehave(member, Faults::default());
    }
    eventually("every member answers again", || async {
        let answer = ed.get(&format!("Patient/{}/$everything", persons[0])).await;
        MEMBERS.iter().all(|member| answer.outcome_of(member) == "answered")
    })
    .await;
    eventually("an answer is whole", || async {
        let answer = ed.everything(&persons[1]).await;
        answer.originals().len() == MEMBERS.len() * RESOURCES
    })
    .await;
}
