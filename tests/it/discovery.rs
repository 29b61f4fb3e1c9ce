//! A patient is looked for at members that feed nobody: who is asked, who is believed, what is kept.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::{Value, json};
use tessera::{
    domain::Clock,
    exchange::expire_discovered,
    simulator::{AnswerFault, Faults, MatchFault},
};
use time::{Duration, OffsetDateTime};

use crate::{
    answers::{Answer, Event},
    people::{allergy, anne, anybody, consent, deny_all_of, lake, max, patient, ruth, twin},
    world::{Site, Stage, World},
};

/// Lake, where patients are looked for so, everybody's or as told.
fn found_by(site: Site, mode: &str, broadcast: bool) -> Site {
    site.told("discovery", json!(mode)).told("broadcast", json!(broadcast))
}

/// Anne feeds Ruth, whoever else there is does not; whom she is here.
async fn ruth_at_anne(world: &World) -> String {
    let fed = world.feeder("anne").feed(&patient("anne", "ruth", &ruth())).await;
    assert_eq!(fed.status, 201, "{fed:?}");
    fed.located().to_owned()
}

async fn with_lake(lake: Site) -> (World, String) {
    let world = World::of(vec![anne(), lake]).await;
    let person = ruth_at_anne(&world).await;
    (world, person)
}

/// Asks for the whole record, of which Lake's part came to this.
async fn check(world: &World, person: &str, expected: &str) -> Answer {
    let answer = world.client("ed").everything(person).await;
    assert_eq!(answer.outcome_of("anne"), "answered", "{:?}", answer.issues());
    assert_eq!(answer.outcome_of("lake"), expected, "{:?}", answer.issues());
    let gave = answer.originals().iter().any(|fact| fact.contains("/lake."));
    assert_eq!(gave, expected == "answered", "{:?}", answer.originals());
    answer
}

/// The events of a request that tell of demographics going to a member, closed ones.
async fn disclosures(world: &World, answer: &Answer) -> Vec<Event> {
    let events = world.events_of(answer).await;
    let is_discovery = |event: &Event| event.body["subtype"].to_string().contains("\"discovery\"");
    events.into_iter().filter(|event| is_discovery(event) && !event.open).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_found_by_match_and_remembered() {
    let (world, person) = with_lake(found_by(lake(), "match", true)).await;
    let answer = check(&world, &person, "answered").await;
    assert!(answer.facts().contains("Immunization/lake.ruth-influenza"), "{:?}", answer.facts());
    let told = disclosures(&world, &answer).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].person.as_deref(), Some(&*person));
    let body = told[0].body.to_string();
    for kept in ["lake", "linked", "discovery-bits", "Patient/$match"] {
        assert!(body.contains(kept), "no {kept} in {body}");
    }
    assert!(!body.contains("Calloway") && !body.contains("1958"), "{body}");
    // From now on it is known: nobody is told of the patient again.
    let again = check(&world, &person, "answered").await;
    assert!(disclosures(&world, &again).await.is_empty());
    assert!(
        world.client("ed").get(&format!("Patient/{person}")).await.text().contains("lake-ruth")
    );
    let history = world.client("steward").get(&format!("Patient/{person}/$identity-history")).await;
    assert!(history.text().contains("found at its member by $match"), "{history:?}");
    let world = world.restarted().await;
    let index = &world.gateway.exchange().index;
    assert_eq!(index.discovered_before(OffsetDateTime::now_utc()).len(), 1);
    let after = check(&world, &person, "answered").await;
    assert!(disclosures(&world, &after).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_found_by_a_posted_search() {
    let (world, person) = with_lake(found_by(lake(), "search", true)).await;
    let answer = check(&world, &person, "answered").await;
    let told = disclosures(&world, &answer).await;
    assert!(told[0].body.to_string().contains("Patient/_search"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_into_an_address_only_where_the_directory_says_so() {
    let (world, person) =
        with_lake(found_by(lake().without_posted_searches(), "search", true)).await;
    check(&world, &person, "refused").await;
    let get_only = found_by(lake().without_posted_searches(), "search", true);
    let (world, person) = with_lake(get_only.told("quirks", json!(["get_only"]))).await;
    check(&world, &person, "answered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_where_nobody_is() {
    let nobody = Site::new("lake", vec![patient("lake", "max", &max()), allergy("max")]);
    let (world, person) = with_lake(found_by(nobody, "match", true)).await;
    let answer = check(&world, &person, "empty").await;
    assert!(answer.text().contains("does not know the patient"));
    assert_eq!(disclosures(&world, &answer).await.len(), 1);
    // For a while it is remembered, so that the patient is not told of again and again.
    let asked = world.stage.member("lake").requests();
    let again = check(&world, &person, "empty").await;
    assert_eq!(world.stage.member("lake").requests(), asked);
    assert!(disclosures(&world, &again).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_may_be_the_one_are_nobody() {
    for mode in ["match", "search"] {
        let twice = vec![
            patient("lake", "ruth", &ruth()),
            patient("lake", "ruth-again", &ruth()),
            allergy("ruth"),
        ];
        let (world, person) = with_lake(found_by(Site::new("lake", twice), mode, true)).await;
        let answer = check(&world, &person, "not-identified").await;
        assert!(answer.text().contains("several of its patients"), "{mode}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_not_the_one() {
    for mode in ["match", "search"] {
        let sister = vec![patient("lake", "ida", &twin("Ida", 2)), allergy("ida")];
        let site = found_by(Site::new("lake", sister), mode, true);
        let world = World::of(vec![anne(), site]).await;
        let fed = world.feeder("anne").feed(&patient("anne", "clara", &twin("Clara", 1))).await;
        let answer = world.client("ed").everything(fed.located()).await;
        let outcome = answer.outcome_of("lake");
        assert!(["empty", "not-identified"].contains(&&*outcome), "{mode}: {outcome}");
        assert!(!answer.text().contains("lake.ida"), "{mode}: {answer:?}");
        assert_eq!(world.gateway.exchange().index.records_total(), 1, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_makes_of_its_own_candidates_counts_for_nothing() {
    let (world, person) = with_lake(found_by(lake(), "match", true)).await;
    let another = Faults { matching: MatchFault::AnotherPatient, ..Faults::default() };
    world.misbehave("lake", another);
    check(&world, &person, "empty").await;
    assert_eq!(world.gateway.exchange().index.records_total(), 1);

    let (world, person) = with_lake(found_by(lake(), "match", true)).await;
    let everybody = Faults { matching: MatchFault::Everybody, ..Faults::default() };
    world.misbehave("lake", everybody);
    let answer = check(&world, &person, "answered").await;
    assert!(!answer.text().contains("lake.max"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_patients_than_are_looked_at_are_nobody() {
    let stage = Stage::set(vec![anne(), found_by(lake(), "match", true)], |settings| {
        settings["federation"]["discovery_candidates_max"] = json!(1);
    });
    let world = World::start(stage, Arc::new(tessera::app::SystemClock)).await;
    let person = ruth_at_anne(&world).await;
    let everybody = Faults { matching: MatchFault::Everybody, ..Faults::default() };
    world.misbehave("lake", everybody);
    let answer = check(&world, &person, "not-identified").await;
    assert!(answer.text().contains("more of its patients than are looked at"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_known_as_anothers_stays_anothers() {
    let (world, person) = with_lake(found_by(lake(), "match", true)).await;
    let fed = world.feeder("lake").feed(&patient("lake", "ruth", &anybody(7))).await;
    assert_ne!(fed.located(), person);
    let answer = check(&world, &person, "not-identified").await;
    assert!(answer.text().contains("known here as another person's"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_fails_is_told_as_failing() {
    let (mut world, person) = with_lake(found_by(lake(), "match", true)).await;
    for (answer, expected) in [
        (AnswerFault::Html, "unreachable"),
        (AnswerFault::Truncated { bytes: 40 }, "unreachable"),
        (AnswerFault::Status { status: 403, retry_after_s: None }, "refused"),
    ] {
        world.misbehave("lake", Faults { answer, ..Faults::default() });
        check(&world, &person, expected).await;
    }
    world.go_down("lake").await;
    check(&world, &person, "unreachable").await;
    assert_eq!(world.gateway.exchange().index.records_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_consent_denies_nothing_is_sent_and_nothing_is_said() {
    let (world, person) = with_lake(found_by(lake(), "match", true)).await;
    let record = patient("anne", "ruth", &ruth());
    let rule = consent(&record, &deny_all_of("lake"));
    let kept = world.feeder("anne").put("Consent/ruth-lake", &rule).await;
    assert!([200, 201].contains(&kept.status), "{kept:?}");
    let answer = check(&world, &person, "").await;
    assert!(!answer.text().contains("lake"), "{answer:?}");
    assert_eq!(world.stage.member("lake").requests(), 0);
    assert!(disclosures(&world, &answer).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_takes_no_broadcast_is_asked_only_where_something_points_to_it() {
    let (world, person) = with_lake(found_by(lake(), "match", false)).await;
    let answer = check(&world, &person, "not-asked").await;
    assert!(answer.text().contains("nothing points to records there"), "{answer:?}");
    assert_eq!(world.stage.member("lake").requests(), 0);
    let ed = world.client("ed");
    for named in ["lake", "https%3A%2F%2Flake.example"] {
        let (world, person) = with_lake(found_by(lake(), "match", false)).await;
        let path = format!("Patient/{person}/$everything?organization={named}");
        let answer = world.client("ed").get(&path).await;
        assert_eq!(answer.outcome_of("lake"), "answered", "{named}: {answer:?}");
    }
    let elsewhere = ed.get(&format!("Patient/{person}/$everything?organization=county")).await;
    assert_eq!(elsewhere.outcome_of("lake"), "not-asked", "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_serves_the_patients_home_is_asked() {
    for (served, expected) in [("131", "answered"), ("14", "not-asked")] {
        let site = found_by(lake(), "match", false).told("serves_postal_codes", json!([served]));
        let (world, person) = with_lake(site).await;
        check(&world, &person, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_is_no_question() {
    let world = World::of(vec![anne(), found_by(lake(), "search", true)]).await;
    let mut vague = ruth();
    vague["birthDate"] = json!("1958");
    let fed = world.feeder("anne").feed(&patient("anne", "ruth", &vague)).await;
    let answer = check(&world, fed.located(), "not-asked").await;
    assert!(answer.text().contains("too little is known"), "{answer:?}");
    assert_eq!(world.stage.member("lake").requests(), 0);
}

/// A clock that can be put forward by days.
#[derive(Default)]
struct Forward(AtomicI64);

impl Clock for Forward {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + Duration::days(self.0.load(Ordering::SeqCst))
    }
}

async fn for_five_days() -> (World, Arc<Forward>, String) {
    let clock = Arc::new(Forward::default());
    let stage = Stage::set(vec![anne(), found_by(lake(), "match", true)], |settings| {
        settings["exchange"]["discovered_link_days"] = json!(5);
    });
    let world = World::start(stage, clock.clone()).await;
    let person = ruth_at_anne(&world).await;
    check(&world, &person, "answered").await;
    (world, clock, person)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_discovered_ends_and_is_looked_for_anew() {
    let (world, clock, person) = for_five_days().await;
    clock.0.store(6, Ordering::SeqCst);
    expire_discovered(world.gateway.exchange()).await;
    let ed = world.client("ed");
    let shown = ed.get(&format!("Patient/{person}")).await;
    assert!(!shown.text().contains("lake-ruth"), "{shown:?}");
    let history = world.client("steward").get(&format!("Patient/{person}/$identity-history")).await;
    assert!(history.text().contains("found and never fed, was over"), "{history:?}");
    let answer = check(&world, &person, "answered").await;
    assert_eq!(disclosures(&world, &answer).await.len(), 1);
    assert!(ed.get(&format!("Patient/{person}")).await.text().contains("lake-ruth"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_whose_time_is_over_is_not_followed_even_before_it_ends() {
    let (world, clock, person) = for_five_days().await;
    clock.0.store(6, Ordering::SeqCst);
    let nobody = Faults { matching: MatchFault::AnotherPatient, ..Faults::default() };
    world.misbehave("lake", nobody);
    check(&world, &person, "empty").await;

    let (world, clock, person) = for_five_days().await;
    clock.0.store(6, Ordering::SeqCst);
    let answer = check(&world, &person, "answered").await;
    assert_eq!(disclosures(&world, &answer).await.len(), 1, "found anew, it counts anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_member_feeds_meanwhile_does_not_end() {
    let (world, clock, person) = for_five_days().await;
    let fed = world.feeder("lake").feed(&patient("lake", "ruth", &ruth())).await;
    assert_eq!((fed.status, fed.located()), (200, &*person), "{fed:?}");
    clock.0.store(6, Ordering::SeqCst);
    expire_discovered(world.gateway.exchange()).await;
    let answer = check(&world, &person, "answered").await;
    assert!(disclosures(&world, &answer).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_takes_a_discovered_record_out_for_good() {
    let (world, person) = with_lake(found_by(lake(), "match", true)).await;
    check(&world, &person, "answered").await;
    let record = patient("lake", "ruth", &ruth());
    let leave: Value = json!({"resourceType": "Parameters", "parameter": [
        {"name": "record", "valueIdentifier": {"system": record["identifier"][0]["system"],
            "value": "lake-ruth"}},
        {"name": "reason", "valueString": "she was never there"},
    ]});
    let path = format!("Patient/{person}/$separate-records");
    let separated = world.client("steward").post(&path, &leave).await;
    assert_eq!(separated.status, 200, "{separated:?}");
    let answer = check(&world, &person, "not-identified").await;
    assert_eq!(disclosures(&world, &answer).await.len(), 1);
}
