//! Members that misbehave: an outcome in the answer, never a crash, never a foreign resource.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tessera::simulator::{AnswerFault, CompartmentFault, Faults, IdentifierFault, PagingFault};

use crate::{
    answers::Answer,
    people::{allergy, anne, county, lake, patient, problem, ruth},
    world::{Site, World},
};

/// Asks for Ruth's record while Lake, set up as it is, misbehaves. The others' part must be whole,
/// and nothing but Ruth's may be there.
async fn while_lake(site: Site, faults: Faults) -> Answer {
    let world = World::of(vec![anne(), site, county()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    world.misbehave("lake", faults);
    let answer = ed.everything(&person).await;
    check_others(&answer);
    answer
}

fn check_others(answer: &Answer) {
    let originals = answer.originals();
    for member in ["anne", "county"] {
        assert_eq!(answer.outcome_of(member), "answered", "{answer:?}");
    }
    for (member, count) in [("anne", 8), ("county", 2)] {
        let of_member = originals.iter().filter(|one| one.contains(&format!("/{member}.")));
        assert_eq!(of_member.count(), count, "{member}: {originals:?}");
    }
    for original in &originals {
        assert!(original.contains(".ruth"), "{original} is not Ruth's");
    }
    assert!(!answer.text().contains(".max"), "{answer:?}");
}

fn from_lake(answer: &Answer) -> BTreeSet<String> {
    let originals = answer.originals().into_iter();
    originals.filter(|one| one.contains("/lake.")).collect()
}

/// Lake's part fails as a whole, and the answer says so in this word.
async fn check(faults: Faults, outcome: &str) {
    let answer = while_lake(lake(), faults).await;
    assert_eq!(answer.outcome_of("lake"), outcome, "{:?}", answer.issues());
    assert!(from_lake(&answer).is_empty(), "{:?}", from_lake(&answer));
    assert!(answer.json()["total"].is_null(), "a partial sum is no total");
}

fn answers(answer: AnswerFault) -> Faults {
    Faults { answer, ..Faults::default() }
}

fn status(status: u16, retry_after_s: Option<u32>) -> Faults {
    answers(AnswerFault::Status { status, retry_after_s })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_down_is_unreachable() {
    let mut world = World::of(vec![anne(), lake(), county()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    world.go_down("lake").await;
    let answer = ed.everything(&person).await;
    check_others(&answer);
    assert_eq!(answer.outcome_of("lake"), "unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slower_than_its_deadline_is_not_waited_for() {
    let site = lake().told("deadline_ms", json!(300));
    let slow = Faults { delay: Duration::from_secs(20), ..Faults::default() };
    let answer = while_lake(site, slow).await;
    assert_eq!(answer.outcome_of("lake"), "timed-out", "{:?}", answer.issues());
    assert!(from_lake(&answer).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stalls_in_its_answer_is_not_waited_for() {
    let site = lake().told("deadline_ms", json!(300));
    let answer = while_lake(site, answers(AnswerFault::Stalled { bytes: 60 })).await;
    assert_eq!(answer.outcome_of("lake"), "timed-out", "{:?}", answer.issues());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cuts_its_json_is_told_as_not_fhir() {
    check(answers(AnswerFault::Truncated { bytes: 60 }), "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_breaks_off_is_told_as_unreachable() {
    check(answers(AnswerFault::Broken { bytes: 60 }), "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_in_html_is_told_as_not_fhir() {
    check(answers(AnswerFault::Html), "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_told_as_failed() {
    check(status(500, None), "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_unavailable_is_told_so() {
    check(status(503, Some(120)), "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_refuses_is_told_as_refusing() {
    check(status(401, None), "refused").await;
    check(status(403, None), "refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stumbles_once_is_asked_again() {
    let once = Faults { answers_spoiled_max: Some(1), ..status(503, None) };
    let answer = while_lake(lake(), once).await;
    assert_eq!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
    assert_eq!(from_lake(&answer).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_patient_for_the_identifier_is_withheld() {
    let faults = Faults { identifier: IdentifierFault::AnotherPatient, ..Faults::default() };
    check(faults, "withheld").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_identifier_lets_nobody_else_in() {
    let faults = Faults { identifier: IdentifierFault::Ignored, ..Faults::default() };
    let answer = while_lake(lake(), faults).await;
    assert_eq!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_patient_beside_the_right_one_is_dropped_and_told() {
    let faults = Faults { identifier: IdentifierFault::Several, ..Faults::default() };
    let answer = while_lake(lake(), faults).await;
    assert_eq!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
    assert_eq!(from_lake(&answer).len(), 4);
    assert!(tells_of_lake(&answer, "suppressed"), "{:?}", answer.issues());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_patients_with_the_identifier_are_both_withheld() {
    let first = patient("lake", "ruth", &ruth());
    let mut second = first.clone();
    second["id"] = json!("ruth-again");
    let site = Site::new("lake", vec![first, second, problem("ruth"), allergy("ruth-again")]);
    let answer = while_lake(site, Faults::default()).await;
    assert_eq!(answer.outcome_of("lake"), "withheld", "{:?}", answer.issues());
    assert!(from_lake(&answer).is_empty(), "{:?}", answer.originals());
    assert!(tells_of_lake(&answer, "multiple-matches"), "{:?}", answer.issues());
}

/// Whether an issue of this type names Lake.
fn tells_of_lake(answer: &Answer, code: &str) -> bool {
    let mut issues = answer.issues().into_iter();
    issues.any(|issue| {
        issue["code"] == code && issue["details"]["text"].to_string().contains("Hospital lake")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_patient_criterion_lets_nothing_foreign_in() {
    let faults = || Faults { compartment: CompartmentFault::Ignored, ..Faults::default() };
    for site in [lake(), lake().without_everything()] {
        let answer = while_lake(site, faults()).await;
        assert_eq!(from_lake(&answer).len(), 4, "{:?}", answer.originals());
        assert!(tells_of_lake(&answer, "suppressed"), "{:?}", answer.issues());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_patients_record_is_withheld() {
    let faults = || Faults { compartment: CompartmentFault::AnotherPatient, ..Faults::default() };
    for site in [lake(), lake().without_everything()] {
        let answer = while_lake(site, faults()).await;
        assert_eq!(answer.outcome_of("lake"), "withheld", "{:?}", answer.issues());
        assert!(from_lake(&answer).is_empty(), "{:?}", answer.originals());
    }
}

fn pages(paging: PagingFault) -> Faults {
    Faults { paging, ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_page_elsewhere_is_not_followed() {
    let faults = pages(PagingFault::AnotherOrigin("https://elsewhere.example".to_owned()));
    let answer = while_lake(lake().paged(2), faults).await;
    assert_eq!(answer.outcome_of("lake"), "truncated", "{:?}", answer.issues());
    assert!(answer.text().contains("leads to another server"), "{:?}", answer.issues());
    assert!(answer.json()["total"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn criteria_lost_on_the_next_page_let_nothing_foreign_in() {
    let answer = while_lake(lake().paged(2), pages(PagingFault::LosesCriteria)).await;
    assert_eq!(from_lake(&answer).len(), 4, "{:?}", answer.issues());
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_pages_end_at_the_bound() {
    let site = lake().told("limits", json!({"pages_max": 5}));
    let answer = while_lake(site, pages(PagingFault::Endless)).await;
    assert_eq!(answer.outcome_of("lake"), "truncated", "{:?}", answer.issues());
    assert_eq!(from_lake(&answer).len(), 4, "what came before the bound is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_bounds_is_cut_and_told() {
    let bytes = json!({"page_bytes_max": 1024, "answer_bytes_max": 1024});
    for limits in [json!({"resources_max": 2}), bytes] {
        let answer = while_lake(lake().told("limits", limits), Faults::default()).await;
        assert_ne!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
        assert!(from_lake(&answer).len() <= 2, "{:?}", answer.originals());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_active_is_not_asked_and_that_is_told() {
    let site = lake().told("status", json!("testing"));
    let world = World::of(vec![anne(), site, county()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let answer = ed.everything(&ed.person(&ruth()).await).await;
    check_others(&answer);
    assert_eq!(answer.outcome_of("lake"), "not-asked", "{:?}", answer.issues());
    assert_eq!(world.stage.member("lake").requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_servers_are_asked_as_they_want_it() {
    for quirks in [json!(["post_search", "no_everything"]), json!(["no_count", "no_since"])] {
        let answer = while_lake(lake().told("quirks", quirks), Faults::default()).await;
        assert_eq!(answer.outcome_of("lake"), "answered", "{:?}", answer.issues());
        assert_eq!(from_lake(&answer).len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_there_is_no_answer() {
    let mut world = World::of(vec![anne(), lake()]).await;
    world.feed_all().await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    world.go_down("anne").await;
    world.misbehave("lake", answers(AnswerFault::Html));
    let answer = ed.get(&format!("Patient/{person}/$everything")).await;
    answer.refuses(504, "timeout", "no member that holds records answered");
    for member in ["anne", "lake"] {
        assert_eq!(answer.outcome_of(member), "unreachable", "{answer:?}");
    }
    let events = world.events_of(&answer).await;
    let closed: Vec<_> = events.iter().filter(|event| !event.open).collect();
    assert_eq!((closed.len(), closed[0].outcome()), (1, "8"), "{events:?}");
}
