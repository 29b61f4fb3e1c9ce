//! What members say of their own records beyond demographics.

use super::*;

fn word(event: LocalEvent) -> LocalWord {
    LocalWord {
        event,
        event_time: None,
        source_message: Some("MSG2".to_owned()),
        fed_by: "north-feeder".to_owned(),
    }
}

fn retire(record: &str) -> LocalWord {
    word(LocalEvent::Retire { record: key(record) })
}

fn merge(subsumed: &str, survivor: &str) -> LocalWord {
    word(LocalEvent::Merge { subsumed: key(subsumed), survivor: key(survivor) })
}

fn rename(old: &str, new: &str) -> LocalWord {
    word(LocalEvent::ChangeIdentifier { old: key(old), new: key(new) })
}

fn link(one: &str, other: &str) -> LocalWord {
    word(LocalEvent::Link { records: [key(one), key(other)] })
}

fn unlink(one: &str, other: &str) -> LocalWord {
    word(LocalEvent::Unlink { records: [key(one), key(other)] })
}

fn at_hour(hour: i64, word: LocalWord) -> LocalWord {
    LocalWord { event_time: Some(START - Duration::hours(24 - hour)), ..word }
}

impl World {
    async fn follow(&self, word: LocalWord) -> Followed {
        self.index.follow(word).await.expect("it can be followed")
    }

    async fn refuses(&self, word: LocalWord, expected: LocalRefusal) {
        let before = (self.memory(), self.journal().await.len());
        assert_eq!(self.index.follow(word).await, Err(expected));
        assert_eq!((self.memory(), self.journal().await.len()), before, "nothing changed");
    }

    fn person_of(&self, record: &str) -> Option<EnterpriseId> {
        self.index.person_of(&key(record)).map(|person| person.id)
    }

    fn records_of(&self, person: EnterpriseId) -> Vec<RecordKey> {
        self.index.person(person).map(|person| person.records).unwrap_or_default()
    }

    /// Says it again: nothing is written.
    async fn again(&self, word: LocalWord) {
        let before = (self.memory(), self.journal().await.len());
        let again = self.follow(word).await;
        assert_eq!((again.outcome, again.decision), (Following::Unchanged, None));
        assert_eq!((self.memory(), self.journal().await.len()), before);
    }
}

#[tokio::test]
async fn a_retired_record_is_neither_located_nor_matched_nor_shown() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("south/1", &imogen_mistyped()).await;
    let retired = world.follow(retire("south/1")).await;
    assert_eq!((retired.person, retired.outcome), (first.person, Following::Done));
    assert_eq!(world.person_of("south/1"), None);
    let person = world.index.person(first.person).expect("she is known");
    assert_eq!((person.records, person.former), (vec![key("north/1")], vec![key("south/1")]));
    world.again(retire("south/1")).await;

    world.follow(retire("north/1")).await;
    assert_eq!(world.index.person(first.person), None, "nothing is told of her any more");
    assert!(world.index.find(&imogen(), 5).is_empty());
    let world = world.check_rebuild().await;
    assert_eq!(world.index.person(first.person), None);
    world.refuses(retire("north/9"), LocalRefusal::UnknownRecord).await;
}

#[tokio::test]
async fn a_retired_record_that_is_registered_again_is_judged_again() {
    let world = World::new().await;
    let alone = world.register("north/1", &imogen()).await;
    world.follow(retire("north/1")).await;
    let back = world.register("north/1", &imogen_mistyped()).await;
    assert_eq!(back.person, alone.person, "nobody else is certain: its own person");
    assert_eq!((back.outcome, back.record_version), (Outcome::Created, 3));

    let other = world.register("south/1", &bertha()).await;
    world.follow(retire("north/1")).await;
    let elsewhere = world.register("north/1", &bertha()).await;
    assert_eq!(elsewhere.person, other.person, "now she is certainly somebody else");
    assert_eq!(world.index.person(alone.person), None);
    assert_eq!(world.index.records_total(), 2);
    world.check_rebuild().await;
}

#[tokio::test]
async fn the_end_of_a_record_counts_from_its_time() {
    let world = World::new().await;
    let registered = at(8, telling("north/1", &imogen()));
    world.index.register(registered).await.expect("the disk is fine");
    let stale = world.follow(at_hour(7, retire("north/1"))).await;
    assert_eq!(stale.outcome, Following::Stale, "it was registered since");
    assert!(world.person_of("north/1").is_some());
    assert_eq!(world.follow(at_hour(7, retire("north/1"))).await.decision, None, "kept once");
    assert_eq!(world.follow(at_hour(10, retire("north/1"))).await.outcome, Following::Done);
    let late = at(9, telling("north/1", &bertha()));
    let late = world.index.register(late).await.expect("the disk is fine");
    assert_eq!(late.outcome, Outcome::Stale, "it held before the end");
    assert_eq!(world.person_of("north/1"), None);
    let world = world.check_rebuild().await;
    let later = world.index.register(at(11, telling("north/1", &imogen()))).await;
    assert_eq!(later.expect("the disk is fine").outcome, Outcome::Created);
}

#[tokio::test]
async fn questions_about_what_is_no_more_are_withdrawn() {
    let world = World::new().await;
    let told = [imogen(), twin(), mixed_up()];
    let [.., both] = world.bring_together(told.each_ref()).await;
    assert!(!world.tasks().is_empty());
    world.follow(retire("east/1")).await;
    let left_over = world.tasks();
    assert!(left_over.iter().all(|(_, person, _)| *person != both.person), "{left_over:?}");
    world.follow(retire("north/1")).await;
    assert!(world.tasks().is_empty(), "nobody is left to compare with");
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_merged_identifier_leads_to_the_survivor() {
    let world = World::new().await;
    let survivor = world.register("north/1", &imogen()).await;
    let gone = world.register("north/2", &imogen_married()).await;
    assert_ne!(survivor.person, gone.person, "they look like two");
    let merged = world.follow(merge("north/2", "north/1")).await;
    assert_eq!((merged.person, merged.outcome), (survivor.person, Following::Done));
    assert_eq!(world.person_of("north/2"), Some(survivor.person));
    assert_eq!(world.records_of(survivor.person), [key("north/1")], "one record is told of");
    let by_old_id = world.index.person(gone.person).expect("her old id leads to her");
    assert_eq!(by_old_id.id, survivor.person);
    assert_eq!(by_old_id.former, [key("north/2")]);
    // What was told under the old number still finds her.
    let found = world.index.find(&imogen_married(), 5);
    assert_eq!(found.first().map(|found| found.person.id), Some(survivor.person));
    let located = world.index.locate(&permit(&world, gone.person)).await.expect("it reads");
    assert_eq!(located.len(), 1);
    world.again(merge("north/2", "north/1")).await;
    assert!(world.tasks().is_empty());
    assert_eq!(world.index.persons_total(), 1);
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_merge_of_what_others_are_linked_to_leaves_them_and_asks() {
    let world = World::new().await;
    let survivor = world.register("north/1", &imogen()).await;
    let gone = world.register("north/2", &imogen_married()).await;
    let with_gone = world.register("south/1", &imogen_married()).await;
    assert_eq!(with_gone.person, gone.person);
    world.follow(merge("north/2", "north/1")).await;
    assert_eq!(world.person_of("north/2"), Some(survivor.person));
    assert_eq!(world.person_of("south/1"), Some(gone.person), "her own member says nothing");
    let asked = (TaskKind::PossibleDuplicatePersons, gone.person, Some(survivor.person));
    assert_eq!(world.tasks(), [asked]);
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_merge_of_two_people_is_followed_and_put_in_doubt() {
    let world = World::new().await;
    let survivor = world.register("north/1", &imogen()).await;
    world.register("north/2", &twin()).await;
    world.register("north/3", &bertha()).await;
    let merged = world.follow(merge("north/3", "north/1")).await;
    assert_eq!(merged.outcome, Following::Asked);
    assert_eq!(world.person_of("north/3"), Some(survivor.person));
    assert!(world.tasks().contains(&(TaskKind::LinkInDoubt, survivor.person, None)));
    let found = world.index.find(&bertha(), 5);
    assert!(found.is_empty(), "what contradicts the survivor tells nothing of her: {found:?}");
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_merge_that_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new().await;
    for record in ["north/1", "north/2", "north/3", "north/4"] {
        world.register(record, &imogen()).await;
    }
    world.follow(merge("north/2", "north/1")).await;
    world.follow(retire("north/4")).await;
    let mut foreign = merge("north/1", "north/3");
    if let LocalEvent::Merge { survivor, .. } = &mut foreign.event {
        survivor.local_id = LocalId::parse("urn:other", "3").expect("a legal identifier");
    }
    for (word, expected) in [
        (merge("north/1", "north/1"), LocalRefusal::SameRecord),
        (merge("north/9", "north/1"), LocalRefusal::UnknownSubsumed),
        (merge("north/4", "north/1"), LocalRefusal::UnknownSubsumed),
        (merge("north/1", "north/9"), LocalRefusal::UnknownSurvivor),
        (merge("north/1", "north/4"), LocalRefusal::UnknownSurvivor),
        (merge("north/2", "north/3"), LocalRefusal::SubsumedAlready),
        (merge("north/3", "north/2"), LocalRefusal::SurvivorSubsumed),
        (merge("north/1", "north/2"), LocalRefusal::SurvivorSubsumed),
        (foreign, LocalRefusal::OtherAuthority),
    ] {
        world.refuses(word, expected).await;
    }
    // A chain in its right order is none.
    world.follow(merge("north/1", "north/3")).await;
    assert_eq!(world.records_of(world.person_of("north/2").expect("known")), [key("north/3")]);
    world.check_rebuild().await;
}

#[tokio::test]
async fn nothing_more_is_told_under_a_merged_identifier() {
    let world = World::new().await;
    let early = at(8, telling("north/2", &imogen()));
    world.index.register(early).await.expect("the disk is fine");
    world.register("north/1", &imogen()).await;
    world.follow(at_hour(10, merge("north/2", "north/1"))).await;
    let late = world.index.register(at(9, telling("north/2", &bertha()))).await;
    assert_eq!(late.expect("it is kept").outcome, Outcome::Stale);
    let later = world.index.register(at(11, telling("north/2", &bertha()))).await;
    assert_eq!(later, Err(IndexError::SubsumedIdentifier));
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_renamed_record_is_the_same_record() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("north/3", &bertha()).await;
    let renamed = world.follow(rename("north/1", "north/2")).await;
    assert_eq!((renamed.person, renamed.outcome), (first.person, Following::Done));
    assert_eq!(world.records_of(first.person), [key("north/2")]);
    assert_eq!(world.person_of("north/1"), Some(first.person), "the old identifier leads to it");
    world.again(rename("north/1", "north/2")).await;
    for (word, expected) in [
        (rename("north/2", "north/2"), LocalRefusal::SameRecord),
        (rename("north/9", "north/8"), LocalRefusal::UnknownRecord),
        (rename("north/1", "north/8"), LocalRefusal::UnknownRecord),
        (rename("north/2", "north/3"), LocalRefusal::IdentifierInUse),
    ] {
        world.refuses(word, expected).await;
    }
    let updated = world.register("north/2", &imogen_mistyped()).await;
    assert_eq!((updated.outcome, updated.person), (Outcome::Updated, first.person));
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_members_own_id_leads_to_one_record() {
    let id = |value: &str| LocalId::parse("urn:tessera:patient:north", value).expect("an id");
    let name =
        |record: &str, value: &str| word(LocalEvent::Name { record: key(record), id: id(value) });
    let known = |world: &World, value: &str| {
        let name = RecordKey { member: key("north/1").member, local_id: id(value) };
        world.index.known_record(&name).map(|known| (known.record, known.standing))
    };
    let world = World::new().await;
    world.register("north/1", &imogen()).await;
    world.register("north/2", &bertha()).await;
    world.refuses(name("north/9", "a"), LocalRefusal::UnknownRecord).await;
    assert_eq!(world.follow(name("north/1", "a")).await.outcome, Following::Done);
    world.again(name("north/1", "a")).await;
    world.refuses(name("north/1", "b"), LocalRefusal::NamedOtherwise).await;
    world.refuses(name("north/2", "a"), LocalRefusal::IdentifierInUse).await;
    world.follow(rename("north/1", "north/3")).await;
    let world = world.check_rebuild().await;
    assert_eq!(known(&world, "a"), Some((key("north/3"), RecordStanding::Active)));

    world.follow(retire("north/3")).await;
    assert_eq!(known(&world, "a"), Some((key("north/3"), RecordStanding::Ended)));
    world.follow(name("north/2", "a")).await;
    let world = world.check_rebuild().await;
    assert_eq!(known(&world, "a"), Some((key("north/2"), RecordStanding::Active)));
    assert_eq!(known(&world, "b"), None);
}

#[tokio::test]
async fn an_identifier_that_was_given_up_may_be_somebody_elses() {
    let world = World::new().await;
    let told = at(8, telling("north/1", &imogen()));
    let first = world.index.register(told).await.expect("the disk is fine");
    world.follow(at_hour(10, rename("north/1", "north/2"))).await;
    let late = world.index.register(at(9, telling("north/1", &bertha()))).await;
    assert_eq!(late.expect("it is kept").outcome, Outcome::Stale, "it was the old record's then");
    let other = world.index.register(at(11, telling("north/1", &bertha()))).await;
    let other = other.expect("the disk is fine");
    assert_eq!(other.outcome, Outcome::Created);
    assert_ne!(other.person, first.person);
    assert_eq!(world.person_of("north/1"), Some(other.person));
    assert_eq!(world.person_of("north/2"), Some(first.person));
    let former = world.index.person(first.person).map(|person| person.former);
    assert_eq!(former, Some(vec![key("north/1")]), "consents given under it still count");
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_member_links_two_of_its_records_and_takes_them_apart_again() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    let second = world.register("north/2", &imogen_married()).await;
    assert_ne!(first.person, second.person);
    let linked = world.follow(link("north/1", "north/2")).await;
    assert_eq!((linked.person, linked.outcome), (first.person, Following::Done));
    assert_eq!(world.records_of(second.person), [key("north/1"), key("north/2")]);
    world.again(link("north/2", "north/1")).await;

    let apart = world.follow(unlink("north/1", "north/2")).await;
    assert_eq!(apart.outcome, Following::Done);
    assert_eq!(world.records_of(first.person), [key("north/1")]);
    assert_eq!(world.records_of(apart.person), [key("north/2")]);
    assert_ne!(apart.person, second.person, "who leaves gets an id of its own");
    world.again(unlink("north/2", "north/1")).await;
    let world = world.check_rebuild().await;

    // The word outlasts what demographics say.
    let alike = world.register("north/2", &imogen()).await;
    assert_eq!((alike.person, alike.tasks_raised), (apart.person, 0));
    let both = world.register("south/1", &imogen_mistyped()).await;
    assert!(both.person != first.person && both.person != apart.person, "nothing joins them");
    for (word, expected) in [
        (link("north/1", "north/1"), LocalRefusal::SameRecord),
        (link("north/1", "north/9"), LocalRefusal::UnknownRecord),
        (unlink("north/9", "north/1"), LocalRefusal::UnknownRecord),
    ] {
        world.refuses(word, expected).await;
    }
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_retired_record_that_comes_back_stays_apart_from_what_it_was_unlinked_from() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("north/2", &imogen()).await;
    let apart = world.follow(unlink("north/1", "north/2")).await;
    world.follow(retire("north/2")).await;
    let back = world.register("north/2", &imogen()).await;
    assert_eq!(back.person, apart.person);
    assert_ne!(back.person, first.person);
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_link_that_a_veto_speaks_against_is_a_stewards() {
    let world = World::new().await;
    let senior = suffixed("Sr", with_ssn(imogen()));
    let junior = suffixed("Jr", with_ssn(imogen()));
    let first = world.register("north/1", &senior).await;
    let second = world.register("north/2", &junior).await;
    assert_ne!(first.person, second.person);
    let asked = world.follow(link("north/1", "north/2")).await;
    assert_eq!(asked.outcome, Following::Asked);
    assert_ne!(world.person_of("north/1"), world.person_of("north/2"));
    assert!(!world.tasks().is_empty());
    world.again(link("north/1", "north/2")).await;
    world.check_rebuild().await;
}

#[tokio::test]
async fn who_is_left_when_two_are_taken_apart_is_in_doubt() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("north/2", &imogen()).await;
    world.register("south/1", &imogen()).await;
    world.follow(unlink("north/1", "north/2")).await;
    assert_eq!(world.tasks(), [(TaskKind::LinkInDoubt, first.person, None)]);
    world.check_rebuild().await;
}

pub(super) fn words() -> impl Strategy<Value = LocalWord> {
    let record = || prop::sample::select(vec!["north/1", "north/2", "north/3", "north/4"]);
    let hour = prop::option::of(0_i64..24);
    (0_u8..5, record(), record(), hour).prop_map(|(what, one, other, hour)| {
        let word = match what {
            0 => retire(one),
            1 => merge(one, other),
            2 => rename(one, other),
            3 => link(one, other),
            _ => unlink(one, other),
        };
        hour.map_or(word.clone(), |hour| at_hour(hour, word))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_members_say_can_be_rebuilt(
        steps in prop::collection::vec((tellings(), words()), 1..8),
    ) {
        tokio::runtime::Runtime::new().expect("threads can be made").block_on(async {
            let world = World::new().await;
            for (batch, word) in steps {
                for answer in world.index.register_many(batch).await {
                    // What was merged away cannot be told of; everything else can.
                    assert!(answer.is_ok() || answer == Err(IndexError::SubsumedIdentifier));
                }
                let before = world.memory();
                if world.index.follow(word).await.is_err() {
                    assert_eq!(world.memory(), before, "what is refused changes nothing");
                }
            }
            world.check_rebuild().await;
        });
    }
}
