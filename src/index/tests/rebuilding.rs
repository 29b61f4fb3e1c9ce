//! What failed leaves nothing, and what was decided stands after a restart.

use super::*;

#[tokio::test]
async fn nobody_sees_what_is_not_committed() {
    let world = World::new().await;
    world.index.shared.write().population.insert(&imogen());
    assert!(world.index.find(&imogen(), 5).is_empty());
    let first = world.register("north/1", &imogen()).await;
    assert_eq!(first.outcome, Outcome::Created, "nor does the linker take it for somebody");
}

#[tokio::test]
async fn a_failed_commit_leaves_the_memory_as_it_was() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let world = World::at(home, Some(300_000), Model::default_model()).await;
    let first = world.register("north/1", &imogen()).await;
    let before = world.memory();
    let large = Demographics { emails: vec!["x".repeat(400_000)], ..imogen_mistyped() };
    let failed = world
        .index
        .register_many(vec![
            telling("south/1", &large),
            telling("south/2", &bertha()),
            telling("north/1", &bertha()),
        ])
        .await;
    let full = Err(IndexError::Storage(StorageError::DiskFull));
    assert_eq!(failed, vec![full; 3]);
    assert_eq!(world.memory(), before);
    assert!(world.index.find(&bertha(), 5).is_empty());
    assert_eq!(world.index.find(&imogen(), 5)[0].person.id, first.person);
    let small = world.register("south/1", &imogen_mistyped()).await;
    assert_eq!((small.person, small.decision), (first.person, 2), "as if nothing had been");

    let live = world.memory();
    let world = world.reopen(None, Model::default_model()).await;
    assert_eq!(world.memory(), live);
    assert_eq!(world.register("south/2", &large).await.decision, 3);
}

#[tokio::test]
async fn a_gap_in_the_journal_is_damage() {
    let world = World::new().await;
    world.register("north/1", &imogen()).await;
    world.index.close().await;
    let gap = JournalRow { seq: 3, ..world.journal().await[0].clone() };
    world.db.write(vec![crate::storage::Write::Journal(gap)]).await.expect("room");
    let clock = Arc::new(TickingClock::default());
    let model = Arc::new(Model::default_model());
    let opened = Index::open(world.db.clone(), model, IndexLimits::default(), clock).await;
    assert_eq!(opened.err(), Some(IndexError::DamagedJournal { seq: 2 }));
}

#[tokio::test]
async fn a_closed_index_takes_nothing_more() {
    let world = World::new().await;
    world.register("north/1", &imogen()).await;
    world.index.close().await;
    world.index.close().await;
    let refused = world.index.register(telling("north/2", &bertha())).await;
    assert_eq!(refused, Err(IndexError::Closed));
    let refused = world.index.register_many(vec![telling("north/2", &bertha()); 40]).await;
    assert_eq!(refused, vec![Err(IndexError::Closed); 40]);
    assert_eq!(world.index.find(&imogen(), 5).len(), 1, "reading goes on");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rebuilding_gives_the_persons_that_were_live(batches in prop::collection::vec(tellings(), 1..4)) {
        tokio::runtime::Runtime::new().expect("threads can be made").block_on(async {
            let mut world = World::new().await;
            for batch in batches {
                for answer in world.index.register_many(batch).await {
                    answer.expect("the disk is fine");
                }
                let live = world.memory();
                world = world.reopen(None, Model::default_model()).await;
                assert_eq!(world.memory(), live);
            }
            check_projections(&world).await;
        });
    }
}

#[rstest]
#[case::who_links_nobody(1e-60)]
#[case::who_links_everybody(1e60)]
#[tokio::test]
async fn another_model_does_not_touch_rebuilt_persons(#[case] matching_pairs: f64) {
    let world = World::new().await;
    for (no, told) in [imogen(), imogen_mistyped(), bertha(), twin(), imogen()].iter().enumerate() {
        world.register(&format!("north/{no}"), told).await;
    }
    let live = world.memory();
    assert!(live.persons.len() > 1 && live.persons.len() < 5, "some are linked, some are not");
    let world = world.reopen(None, other_model(matching_pairs)).await;
    assert_eq!(world.memory(), live);
    // It does decide about what comes from now on.
    let next = world.register("south/1", &imogen()).await;
    let links_everybody = matching_pairs > 1.0;
    assert_eq!(live.persons.contains_key(&next.person), links_everybody);
}
