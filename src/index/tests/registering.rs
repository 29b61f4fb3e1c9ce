//! One record at a time: who it is, what is asked, and what comes twice, late or together.

use super::*;

#[tokio::test]
async fn one_patient_of_two_members_is_one_person() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let other = world.register("north/2", &bertha()).await;
    let second = world.register("south/1", &imogen_mistyped()).await;
    assert_eq!(first.outcome, Outcome::Created);
    assert_eq!(second.person, first.person);
    assert_ne!(other.person, first.person);
    let person = world.index.person(first.person).expect("she is known");
    assert_eq!(person.records, [key("north/1"), key("south/1")]);
    assert_eq!(world.index.person_of(&key("south/1")), Some(person));
    assert_eq!(world.index.person_of(&key("south/2")), None);
    assert_eq!(world.index.person(EnterpriseId::from_u128(1)), None);

    let found = world.index.find(&imogen(), 5);
    assert_eq!(found[0].person.id, first.person);
    assert_eq!(found[0].verdict.grade, MatchGrade::Certain);
    assert!(found.iter().all(|found| found.person.id != other.person));
    assert_eq!(world.index.find(&imogen(), 0).len(), 0);
}

#[tokio::test]
async fn the_journal_tells_why() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("south/1", &imogen_mistyped()).await;
    let journal = world.journal().await;
    assert_eq!(journal.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2]);
    let decision: serde_json::Value =
        serde_json::from_str(&journal[1].decision).expect("a decision is JSON");
    assert_eq!(decision["link"], "certain");
    assert_eq!(decision["evidence"][0]["person"], first.person.to_string());
    assert_eq!(decision["evidence"][0]["grade"], "certain");
    assert_eq!(decision["evidence"][0]["record"], 0);
    assert!(decision["evidence"][0]["bits"].as_f64().is_some_and(|bits| bits > 0.0));
    assert_eq!(decision["fed_by"], "north-feeder");
    assert_eq!(decision["source_message"], "MSG1");
    assert_eq!(journal[1].model_version, Model::default_model().version());
    let told: Demographics = serde_json::from_str(
        journal[1].demographics.as_deref().expect("a registration brings demographics"),
    )
    .expect("demographics are JSON");
    assert!(told == imogen_mistyped(), "as told, not as normalized");
}

#[tokio::test]
async fn the_same_content_again_writes_nothing() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let again = world.register("north/1", &imogen()).await;
    assert_eq!(again, Registered { outcome: Outcome::Unchanged, ..first });
    assert_eq!(world.journal().await.len(), 1);
}

#[tokio::test]
async fn an_update_keeps_the_person_and_replaces_what_is_known() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let changed = world.register("north/1", &bertha()).await;
    assert_eq!((changed.outcome, changed.record_version), (Outcome::Updated, 2));
    assert_eq!(changed.person, first.person);
    assert_eq!(world.index.find(&bertha(), 5)[0].person.id, first.person);
    assert!(world.index.find(&imogen(), 5).is_empty(), "what was told before finds nobody");
    assert!(world.tasks().is_empty(), "alone, a record has no link to be in doubt");
}

#[tokio::test]
async fn an_update_that_speaks_against_its_link_is_put_in_doubt_once() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("south/1", &imogen_mistyped()).await;
    let changed = world.register("south/1", &bertha()).await;
    assert_eq!(changed.person, first.person, "the link stays until a steward decides");
    assert_eq!(world.tasks(), [(TaskKind::LinkInDoubt, first.person, None)]);
    let again = Demographics { emails: vec!["b@example.org".to_owned()], ..bertha() };
    assert_eq!(world.register("south/1", &again).await.tasks_raised, 0);
    let world = world.reopen(None, Model::default_model()).await;
    let again = Demographics { emails: vec!["b@example.com".to_owned()], ..bertha() };
    assert_eq!(
        world.register("south/1", &again).await.tasks_raised,
        0,
        "not after a restart either"
    );
}

#[tokio::test]
async fn an_update_that_still_agrees_raises_nothing() {
    let world = World::new().await;
    world.register("north/1", &imogen()).await;
    world.register("south/1", &imogen_mistyped()).await;
    let corrected = world.register("south/1", &imogen()).await;
    assert_eq!((corrected.outcome, corrected.tasks_raised), (Outcome::Updated, 0));
}

#[tokio::test]
async fn an_update_that_reveals_a_second_person_asks_a_steward() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let other = world.register("south/1", &bertha()).await;
    assert_ne!(first.person, other.person);
    let revealed = world.register("south/1", &imogen()).await;
    assert_eq!(revealed.person, other.person);
    let expected = (TaskKind::PossibleDuplicatePersons, other.person, Some(first.person));
    assert_eq!(world.tasks(), [expected]);
}

#[tokio::test]
async fn what_is_only_possible_is_not_linked_but_asked() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let second = world.register("south/1", &twin()).await;
    assert_ne!(first.person, second.person);
    let grade = world
        .index
        .find(&twin(), 5)
        .into_iter()
        .find(|found| found.person.id == first.person)
        .map(|found| found.verdict.grade);
    let asked = world.tasks();
    // Whether twins are worth a look is the model's word; a look and a task go together.
    match grade {
        Some(MatchGrade::Possible | MatchGrade::Probable) => {
            assert_eq!(asked, [(TaskKind::PossibleLink, second.person, Some(first.person))]);
        }
        None => assert!(asked.is_empty()),
        other => panic!("twins must never be certain: {other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_patient_is_held_out_of_matching_until_known() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let unknown = Demographics { identity_unknown: true, ..imogen() };
    let doe = world.register("south/1", &unknown).await;
    assert_ne!(doe.person, first.person);
    assert_eq!(world.index.find(&imogen(), 5).len(), 1);
    let known = world.register("south/1", &imogen()).await;
    assert_eq!(known.person, doe.person);
    assert_eq!(known.tasks_raised, 1, "a steward is asked whether she is the known one");
}

#[tokio::test]
async fn what_comes_late_is_kept_but_not_believed() {
    let world = World::new().await;
    let index = &world.index;
    index.register(at(9, telling("north/1", &imogen()))).await.expect("room");
    let late = at(8, telling("north/1", &bertha()));
    let stale = index.register(late.clone()).await.expect("room");
    assert_eq!((stale.outcome, stale.record_version), (Outcome::Stale, 1));
    assert_eq!(index.find(&bertha(), 5).len(), 0);
    assert_eq!(world.journal().await.len(), 2);
    index.register(late.clone()).await.expect("room");
    assert_eq!(world.journal().await.len(), 2, "a late message told twice is kept once");
    // The same again, but as of ten: what held at half past nine is late by now.
    let confirmed = index.register(at(11, telling("north/1", &imogen()))).await.expect("room");
    assert_eq!(confirmed.outcome, Outcome::Unchanged);
    let between = index.register(at(10, telling("north/1", &bertha()))).await.expect("room");
    assert_eq!(between.outcome, Outcome::Stale);

    let live = world.memory();
    let world = world.reopen(None, Model::default_model()).await;
    assert_eq!(world.memory(), live);
    let again = world.index.register(late).await.expect("room");
    assert_eq!(again.outcome, Outcome::Stale);
    assert_eq!(world.journal().await.len(), 4);
}

#[tokio::test]
async fn a_time_to_come_does_not_make_later_news_stale() {
    let world = World::new().await;
    let index = &world.index;
    index.register(at(9_999, telling("north/1", &imogen()))).await.expect("room");
    let next = at(24, telling("north/1", &bertha()));
    let next = Registration { event_time: Some(START + Duration::minutes(1)), ..next };
    let outcome = index.register(next).await.expect("room").outcome;
    assert_eq!(outcome, Outcome::Updated);
}

#[tokio::test]
async fn records_of_one_batch_find_each_other() {
    let world = World::new().await;
    let batch = vec![
        telling("north/1", &imogen()),
        telling("south/1", &imogen_mistyped()),
        telling("north/1", &imogen()),
        telling("south/1", &imogen()),
        telling("east/1", &bertha()),
    ];
    let answers: Vec<Registered> = world
        .index
        .register_many(batch)
        .await
        .into_iter()
        .map(|answer| answer.expect("the disk is fine"))
        .collect();
    let outcomes: Vec<_> = answers.iter().map(|answer| answer.outcome).collect();
    let expected = [
        Outcome::Created,
        Outcome::Created,
        Outcome::Unchanged,
        Outcome::Updated,
        Outcome::Created,
    ];
    assert_eq!(outcomes, expected);
    assert!(answers[..4].iter().all(|answer| answer.person == answers[0].person));
    assert_ne!(answers[4].person, answers[0].person);
    let journal: Vec<u64> = world.journal().await.iter().map(|row| row.seq).collect();
    assert_eq!(journal, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_feeders_never_make_two_persons_of_one() {
    let world = World::new().await;
    let index = Arc::new(world.index);
    let feeders: Vec<_> = (0..64)
        .map(|feeder| {
            let index = Arc::clone(&index);
            let member = ["north", "south"][feeder % 2];
            let told = telling(&format!("{member}/{feeder}"), &imogen());
            tokio::spawn(async move { index.register(told).await })
        })
        .collect();
    for feeder in feeders {
        feeder.await.expect("no feeder panics").expect("the disk is fine");
    }
    assert_eq!((index.records_total(), index.persons_total()), (64, 1));
}

#[tokio::test]
async fn a_permit_locates_what_it_permits_and_nothing_that_came_later() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("south/1", &imogen_mistyped()).await;
    let permit = permit(&world, first.person);
    world.register("east/1", &imogen()).await;
    let moved = Demographics { phones: vec!["508-555-0199".to_owned()], ..imogen() };
    world.register("north/1", &moved).await;
    let located = world.index.locate(&permit).await.expect("the journal reads");
    let records: Vec<_> = located.iter().map(|location| location.record.clone()).collect();
    assert_eq!(records, [key("north/1"), key("south/1")]);
    assert!(located[0].demographics == moved, "as fed last");
    assert!(located[0].since < located[1].since && located[1].told < located[0].told);
    let golden = world.index.golden(&permit).await.expect("it reads").expect("she has records");
    assert_eq!(golden.person, first.person);
    assert_eq!(golden.records, records);
    assert_eq!(golden.demographics.phones, ["508-555-0199", "(508) 555-0142"]);
    assert_eq!(golden.updated, located[0].told);
}
