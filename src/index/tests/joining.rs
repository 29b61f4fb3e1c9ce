//! Persons that a third record shows to be one.

use super::*;

#[rstest]
#[case::one_woman_told_short([imogen(), imogen_cut_short(), with_ssn(imogen())], true)]
#[case::one_woman_under_two_names([imogen(), imogen_married(), with_ssn(imogen())], true)]
#[case::the_other_way_round([imogen_cut_short(), imogen(), with_ssn(imogen())], true)]
#[case::twins([imogen(), twin(), mixed_up()], false)]
#[case::a_veto_between_them(
    [suffixed("Sr", with_ssn(imogen())), suffixed("Jr", with_ssn(imogen())), with_ssn(imogen())],
    false
)]
#[tokio::test]
async fn persons_are_joined_only_by_their_own_records(
    #[case] told: [Demographics; 3],
    #[case] are_one: bool,
) {
    let world = World::new().await;
    let [left, right, both] = world.bring_together(told.each_ref()).await;
    let open = world.tasks();
    if are_one {
        assert_eq!(both.person, left.person, "the older id stays");
        assert_eq!(both.tasks_raised, 0);
        assert!(open.is_empty(), "what was asked about the two is settled");
        assert_eq!(world.index.persons_total(), 1);
    } else {
        assert!(both.person != left.person && both.person != right.person);
        let asked = |person| {
            open.contains(&(TaskKind::PossibleDuplicatePersons, both.person, Some(person)))
        };
        assert!(asked(left.person) && asked(right.person));
        assert_eq!(world.index.persons_total(), 3);
    }
    let live = world.memory();
    let world = world.reopen(None, Model::default_model()).await;
    assert_eq!(world.memory(), live);
    check_projections(&world).await;
}

#[tokio::test]
async fn an_id_that_is_gone_leads_to_the_survivor() {
    let world = World::new().await;
    let told = [imogen(), imogen_cut_short(), with_ssn(imogen())];
    let [left, right, _] = world.bring_together(told.each_ref()).await;
    let person = world.index.person(left.person).expect("she is known");
    assert_eq!(person.records, [key("east/1"), key("north/1"), key("south/1")]);
    assert_eq!(world.index.person(right.person).as_ref(), Some(&person));
    assert_eq!(world.index.person_of(&key("south/1")).as_ref(), Some(&person));
    let found = world.index.find(&imogen(), 5);
    assert_eq!(found.iter().map(|found| &found.person).collect::<Vec<_>>(), [&person]);
    let located = world.index.locate(&permit(&world, right.person)).await.expect("it reads");
    assert_eq!(located.len(), 3);
    // Whatever comes now is hers, also an update of a record that was the other's.
    let moved = Demographics { emails: vec!["i@example.org".to_owned()], ..imogen_cut_short() };
    assert_eq!(world.register("south/1", &moved).await.person, left.person);
    assert_eq!(world.register("west/1", &with_ssn(imogen())).await.person, left.person);
}

#[tokio::test]
async fn a_permit_from_before_a_join_shows_what_it_showed() {
    let world = World::new().await;
    world.register("north/1", &imogen()).await;
    let right = world.register("south/1", &imogen_cut_short()).await;
    let before = permit(&world, right.person);
    world.register("east/1", &with_ssn(imogen())).await;
    let located = world.index.locate(&before).await.expect("it reads");
    let records: Vec<_> = located.into_iter().map(|location| location.record).collect();
    assert_eq!(records, [key("south/1")]);
}

#[tokio::test]
async fn the_journal_tells_why_persons_were_joined() {
    let world = World::new().await;
    let told = [imogen(), imogen_cut_short(), with_ssn(imogen())];
    let [left, right, both] = world.bring_together(told.each_ref()).await;
    let journal = world.journal().await;
    let kinds: Vec<&str> = journal.iter().map(|row| &*row.kind).collect();
    assert_eq!(kinds, ["registered", "registered", "registered", "joined"]);
    assert_eq!((both.decision, journal[3].person), (3, Some(left.person)));
    let parsed = |at: usize| -> serde_json::Value {
        serde_json::from_str(&journal[at].decision).expect("a decision is JSON")
    };
    assert_eq!(parsed(2)["link"], "joined");
    let join = parsed(3);
    assert_eq!(join["gone"], serde_json::json!([right.person]));
    assert_eq!(join["between"][0]["persons"], serde_json::json!([left.person, right.person]));
    assert_eq!(join["between"][0]["grade"], "certain");
    assert_eq!(join["compared"], 3);
}

#[tokio::test]
async fn a_join_within_one_commit_counts_for_what_follows() {
    let world = World::new().await;
    let batch = vec![
        telling("north/1", &imogen()),
        telling("south/1", &imogen_cut_short()),
        telling("east/1", &with_ssn(imogen())),
        telling("west/1", &imogen_mistyped()),
        telling("west/2", &bertha()),
    ];
    let answers = world.index.register_many(batch).await;
    let persons: Vec<_> = answers.into_iter().map(|one| one.expect("room").person).collect();
    assert!(persons[..4].iter().all(|person| *person == persons[0]));
    assert_ne!(persons[4], persons[0]);
    assert_eq!((world.index.persons_total(), world.index.records_total()), (2, 5));
    let live = world.memory();
    let world = world.reopen(None, Model::default_model()).await;
    assert_eq!(world.memory(), live);
    check_projections(&world).await;
}

#[tokio::test]
async fn a_failed_join_leaves_the_memory_as_it_was() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let world = World::at(home, Some(300_000), Model::default_model()).await;
    let left = world.register("north/1", &imogen()).await;
    let right = world.register("south/1", &imogen_cut_short()).await;
    let before = world.memory();
    let large = Demographics { emails: vec!["x".repeat(400_000)], ..with_ssn(imogen()) };
    let failed = world.index.register(telling("east/1", &large)).await;
    assert_eq!(failed, Err(IndexError::Storage(StorageError::DiskFull)));
    assert_eq!(world.memory(), before);
    assert_eq!(world.index.person(right.person).map(|person| person.id), Some(right.person));
    let small = world.register("east/1", &with_ssn(imogen())).await;
    assert_eq!((small.person, small.decision), (left.person, 3), "as if nothing had been");
    assert_eq!(world.index.persons_total(), 1);
    let live = world.memory();
    let world = world.reopen(None, Model::default_model()).await;
    assert_eq!(world.memory(), live);
}

#[rstest]
#[case::room_for_all_three(3, true)]
#[case::too_many_to_judge(2, false)]
#[tokio::test]
async fn no_join_makes_a_person_larger_than_is_judged(#[case] max: usize, #[case] joined: bool) {
    let mut world = World::new().await;
    world.index.close().await;
    let limits = IndexLimits { person_records_judged_max: max, ..IndexLimits::default() };
    let clock = Arc::new(TickingClock::default());
    let model = Arc::new(Model::default_model());
    world.index = Index::open(world.db.clone(), model, limits, clock).await.expect("it opens");
    let told = [imogen(), imogen_cut_short(), with_ssn(imogen())];
    let [left, _, both] = world.bring_together(told.each_ref()).await;
    assert_eq!(both.person == left.person, joined);
    assert_eq!(both.tasks_raised, if joined { 0 } else { 2 });
}

#[tokio::test]
async fn an_update_joins_nobody() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let other = world.register("south/1", &bertha()).await;
    let revealed = world.register("south/1", &imogen_mistyped()).await;
    assert_eq!(revealed.person, other.person);
    let question = (TaskKind::PossibleDuplicatePersons, other.person, Some(first.person));
    assert_eq!(world.tasks(), [question]);
    // A new record is what brings them together, and with it the question is settled.
    let third = world.register("east/1", &imogen()).await;
    assert_eq!((third.person, third.tasks_raised), (first.person, 0));
    assert!(world.tasks().is_empty());
    let settled = world.db.reader().review_tasks("settled", 0, 9).await.expect("tasks read");
    assert_eq!(settled.len(), 1);
    assert_eq!((settled[0].task_no, &*settled[0].body), (1, r#"{"settled_by":5}"#));
    let journal = world.journal().await;
    let join: serde_json::Value =
        serde_json::from_str(&journal[4].decision).expect("a decision is JSON");
    assert_eq!(join["settled"], serde_json::json!([1]));
    let live = world.memory();
    let world = world.reopen(None, Model::default_model()).await;
    assert_eq!(world.memory(), live);
}

#[tokio::test]
async fn a_person_with_a_link_in_doubt_joins_nobody() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("north/2", &imogen_mistyped()).await;
    world.register("north/2", &bertha()).await;
    let second = world.register("south/1", &imogen_cut_short()).await;
    assert_ne!(first.person, second.person);
    let third = world.register("east/1", &with_ssn(imogen())).await;
    assert_eq!(world.index.person(second.person).map(|person| person.id), Some(second.person));
    assert!(world.index.person(first.person).is_some_and(|person| person.id == first.person));
    assert!(third.person != first.person);
}

#[tokio::test]
async fn a_question_is_not_asked_again_under_the_survivors_id() {
    let world = World::new().await;
    let told = [imogen(), imogen_cut_short(), with_ssn(imogen())];
    world.bring_together(told.each_ref()).await;
    let other = world.register("west/1", &bertha()).await;
    let revealed = world.register("west/1", &with_ssn(imogen())).await;
    assert_eq!((revealed.person, revealed.tasks_raised), (other.person, 1));
    let again = Demographics { emails: vec!["i@example.org".to_owned()], ..with_ssn(imogen()) };
    assert_eq!(world.register("west/1", &again).await.tasks_raised, 0);
}
