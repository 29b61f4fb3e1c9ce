//! What stewards decide, and that it holds.

use std::sync::Arc;

use crate::access::{Requester, StewardPermit};

use super::*;

const STEWARDS: &str = r#"
[[client]]
id = "steward"
san_uris = ["urn:client:steward"]
organization = { name = "The exchange", identifier = "urn:exchange" }
roles = ["steward"]

[[client]]
id = "other-steward"
san_uris = ["urn:client:other"]
organization = { name = "The exchange", identifier = "urn:exchange" }
roles = ["steward"]
"#;

fn steward(client: &str) -> StewardPermit {
    let clients = Clients::from_toml(STEWARDS).expect("clients");
    let requester: Arc<Requester> = clients.on_this_machine(client).expect("it is told");
    StewardPermit::decide(&requester).expect("it is a steward")
}

fn same(task: u64) -> StewardAct {
    StewardAct::Decide { task, verdict: ReviewVerdict::Same }
}

fn different(task: u64) -> StewardAct {
    StewardAct::Decide { task, verdict: ReviewVerdict::Different }
}

fn cannot_tell(task: u64) -> StewardAct {
    StewardAct::Decide { task, verdict: ReviewVerdict::CannotTell }
}

fn separate(person: EnterpriseId, records: &[&str]) -> StewardAct {
    let records = records.iter().map(|record| key(record).local_id).collect();
    StewardAct::Separate { person, records }
}

impl World {
    async fn try_act(&self, act: StewardAct) -> Result<Acted, StewardRefusal> {
        let reason = Some("their charts".to_owned());
        self.index.steward(&steward("steward"), act, reason, "REQ1".to_owned()).await
    }

    async fn act(&self, act: StewardAct) -> Acted {
        self.try_act(act).await.expect("it can be done")
    }

    async fn forbids(&self, act: StewardAct, expected: StewardRefusal) {
        let before = (self.memory(), self.journal().await.len());
        assert_eq!(self.try_act(act).await, Err(expected));
        assert_eq!((self.memory(), self.journal().await.len()), before, "nothing changed");
    }

    fn records(&self, person: EnterpriseId) -> Vec<RecordKey> {
        self.index.person(person).map(|person| person.records).unwrap_or_default()
    }

    fn in_doubt(&self, person: EnterpriseId) -> Vec<RecordKey> {
        let located = self.index.located(&permit(self, person)).into_iter();
        located.filter(|one| one.in_doubt).map(|one| one.record).collect()
    }

    fn open(&self) -> Vec<ReviewTask> {
        self.index.reviews(&ReviewQuery { tasks_max: 100, ..ReviewQuery::default() }).tasks
    }

    async fn story(&self, person: EnterpriseId) -> Vec<String> {
        let story = self.index.story(&steward("steward"), person).await.expect("it reads");
        let events = story.expect("somebody has the id").events;
        events.into_iter().map(|event| event.text).collect()
    }
}

/// Two of whom a steward is asked whether they are one.
async fn asked_about_two() -> (World, EnterpriseId, EnterpriseId, u64) {
    let world = World::new().await;
    let [left, right, both] = world.bring_together([&imogen(), &twin(), &mixed_up()]).await;
    let task = world
        .open()
        .into_iter()
        .find(|task| task.person == both.person && task.other == Some(left.person));
    let task = task.expect("a steward is asked").no;
    assert_ne!(left.person, right.person);
    (world, left.person, both.person, task)
}

/// A record that was updated and no longer looks like its person.
async fn doubted() -> (World, EnterpriseId, u64) {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    world.register("east/1", &imogen()).await;
    world.register("south/1", &imogen_mistyped()).await;
    world.register("south/1", &bertha()).await;
    let task = world.open().pop().expect("it is in doubt");
    assert_eq!((task.kind, task.person), (TaskKind::LinkInDoubt, first.person));
    (world, first.person, task.no)
}

#[tokio::test]
async fn same_makes_two_persons_one_and_settles_the_question() {
    let (world, older, younger, task) = asked_about_two().await;
    let acted = world.act(same(task)).await;
    assert_eq!((acted.persons.first(), acted.task), (Some(&older), Some(task)));
    assert_eq!(world.records(younger), [key("east/1"), key("north/1")], "her old id leads there");
    assert_eq!(world.index.review(task).map(|task| task.state), Some(TaskState::Same));
    assert!(world.open().iter().all(|one| one.no != task));
    world.forbids(same(task), StewardRefusal::TaskClosed).await;
    world.forbids(same(999), StewardRefusal::UnknownTask).await;
    world.check_rebuild().await;
}

#[tokio::test]
async fn different_keeps_apart_whatever_comes_and_is_not_asked_again() {
    let world = World::new().await;
    let told = [imogen(), imogen_cut_short(), with_ssn(imogen())];
    let left = world.register("north/1", &told[0]).await;
    let right = world.register("south/1", &told[1]).await;
    let merged = StewardAct::Merge { source: right.person, target: left.person };
    world.act(merged.clone()).await;
    let apart = world.act(separate(left.person, &["south/1"])).await;
    let right = apart.persons[1];
    assert_eq!(world.records(right), [key("south/1")]);
    let kept = StewardAct::Merge { source: right, target: left.person };
    let decision = apart.decision.expect("it was written");
    world.forbids(kept.clone(), StewardRefusal::KeptApart(decision)).await;
    let world = world.check_rebuild().await;

    // What joined them before a steward spoke no longer does.
    let both = world.register("east/1", &told[2]).await;
    assert!(both.person != left.person && both.person != right, "linked to neither");
    let asked_about_the_two =
        |one: &ReviewTask| [one.person, one.other.unwrap_or(one.person)] == [right, left.person];
    assert!(!world.open().iter().any(asked_about_the_two));
    // Nor does an update raise the question again.
    let alike = world.register("south/1", &with_ssn(imogen())).await;
    assert_eq!(alike.person, right);
    assert!(!world.open().iter().any(asked_about_the_two));
    world.act(StewardAct::Undo { decision }).await;
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_question_is_claimed_put_back_and_taken_over() {
    let (world, .., task) = asked_about_two().await;
    world.act(StewardAct::Claim { task }).await;
    assert_eq!(world.act(StewardAct::Claim { task }).await.decision, None, "it has it already");
    let review = world.index.review(task).expect("it is known");
    assert_eq!((review.state, review.owner.as_deref()), (TaskState::Claimed, Some("steward")));
    let other = steward("other-steward");
    let by_other = |act| world.index.steward(&other, act, None, "REQ2".to_owned());
    assert_eq!(by_other(same(task)).await, Err(StewardRefusal::InOtherHands));
    assert_eq!(by_other(StewardAct::Release { task }).await, Err(StewardRefusal::InOtherHands));
    by_other(StewardAct::Claim { task }).await.expect("it takes it over");
    let owned = |owner: &str| {
        let owner = Some(owner.to_owned());
        world.index.reviews(&ReviewQuery { owner, tasks_max: 9, ..ReviewQuery::default() }).total
    };
    assert_eq!((owned("steward"), owned("other-steward")), (0, 1));
    by_other(StewardAct::Release { task }).await.expect("it puts it back");
    assert_eq!(world.index.review(task).expect("known").owner, None);
    world.act(different(task)).await;
    world.check_rebuild().await;
}

#[tokio::test]
async fn the_list_is_ranked_by_hazard_and_then_by_age_page_by_page() {
    let (world, _, _, first) = asked_about_two().await;
    world.register("west/1", &bertha()).await;
    world.register("west/2", &bertha()).await;
    world.register("west/2", &imogen()).await;
    let all = world.open();
    assert!(all.len() > 2, "{all:?}");
    let hazard = |kind| TaskKind::ALL.iter().position(|one| *one == kind);
    let ranks: Vec<_> = all.iter().map(|task| (hazard(task.kind), task.no)).collect();
    assert!(ranks.is_sorted(), "{ranks:?}");
    assert_eq!(all[0].kind, TaskKind::LinkInDoubt, "what may mislead comes first");
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = ReviewQuery { after, tasks_max: 1, ..ReviewQuery::default() };
        let page = world.index.reviews(&page);
        assert_eq!(page.total, all.len());
        paged.extend(page.tasks);
        if !page.more {
            break;
        }
        after = paged.last().map(|task| task.no);
    }
    assert_eq!(paged, all);
    let of = |member: &str, kinds: &[TaskKind]| {
        let member = Some(MemberCode::parse(member).expect("a code"));
        let query =
            ReviewQuery { member, kinds: kinds.to_vec(), tasks_max: 9, ..ReviewQuery::default() };
        world.index.reviews(&query).tasks
    };
    assert!(of("east", &[]).iter().any(|task| task.no == first));
    assert!(
        of("west", &[TaskKind::LinkInDoubt])
            .iter()
            .all(|task| task.record.member.as_str() == "west")
    );
    assert!(of("nobody", &[]).is_empty());
}

#[tokio::test]
async fn evidence_shows_both_sides_attribute_by_attribute() {
    let (world, older, younger, task) = asked_about_two().await;
    let permit = steward("steward");
    let evidence = world.index.evidence(&permit, task).await.expect("it reads").expect("known");
    assert_eq!((evidence.own.person, evidence.record.record), (younger, key("east/1")));
    assert!(evidence.record.demographics == mixed_up() && evidence.own.records.is_empty());
    let other = evidence.other.expect("it is compared with somebody");
    assert_eq!((other.person, other.records.len()), (older, 1));
    let explanation = other.records[0].explanation.as_ref().expect("it is compared");
    assert!(
        explanation
            .steps
            .iter()
            .any(|step| step.attribute == "birth_date" || step.level != "missing")
    );
    let (world, person, task) = doubted().await;
    let evidence = world.index.evidence(&permit, task).await.expect("it reads").expect("known");
    assert_eq!((evidence.own.person, evidence.own.records.len()), (person, 2));
    assert!(evidence.other.is_none());
    assert!(world.index.evidence(&permit, 999).await.expect("it reads").is_none());
}

#[tokio::test]
async fn a_doubt_is_carried_until_somebody_decides() {
    let (world, person, task) = doubted().await;
    let doubted = |world: &World| world.in_doubt(person);
    assert_eq!(doubted(&world), [key("south/1")]);
    world.act(cannot_tell(task)).await;
    assert_eq!(doubted(&world), [key("south/1")], "nobody can tell, so it is still in doubt");
    let again = Demographics { emails: vec!["b@example.org".to_owned()], ..bertha() };
    assert_eq!(world.register("south/1", &again).await.tasks_raised, 0, "and not asked again");
    let world = world.check_rebuild().await;
    assert_eq!(doubted(&world), [key("south/1")]);
    // What could not be told before may be told later.
    let apart = world.act(different(task)).await;
    assert_eq!(world.records(person), [key("east/1"), key("north/1")]);
    assert!(doubted(&world).is_empty());
    assert_eq!(apart.persons[1], person);
    assert_eq!(world.records(apart.persons[0]), [key("south/1")]);
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_link_that_a_steward_keeps_is_doubted_again_only_by_a_new_contradiction() {
    let (world, person, task) = doubted().await;
    world.act(same(task)).await;
    assert!(world.in_doubt(person).is_empty());
    let other_phone = Demographics { phones: vec!["617-555-0191".to_owned()], ..bertha() };
    let updated = world.register("south/1", &other_phone).await;
    assert_eq!((updated.person, updated.tasks_raised), (person, 0), "little in common is no news");
    let world = world.check_rebuild().await;
    let contradicts = suffixed("Jr", with_ssn(imogen()));
    let senior = suffixed("Sr", with_ssn(imogen()));
    world.register("north/1", &senior).await;
    let updated = world.register("south/1", &contradicts).await;
    assert_eq!(updated.person, person, "it neither breaks nor keeps it in silence");
    assert!(
        world
            .open()
            .iter()
            .any(|one| { one.kind == TaskKind::LinkInDoubt && one.record == key("south/1") })
    );
    world.check_rebuild().await;
}

#[tokio::test]
async fn what_separates_mints_an_id_and_the_rest_is_looked_at_again() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await;
    for record in ["south/1", "east/1"] {
        world.register(record, &imogen_mistyped()).await;
    }
    for (records, expected) in [
        (&[][..], StewardRefusal::NothingToSeparate),
        (&["north/1", "south/1", "east/1"], StewardRefusal::NothingToSeparate),
        (&["south/9"], StewardRefusal::ForeignRecord),
    ] {
        world.forbids(separate(first.person, records), expected).await;
    }
    let nobody = EnterpriseId::from_u128(7);
    world.forbids(separate(nobody, &["south/1"]), StewardRefusal::UnknownPerson).await;
    let acted = world.act(separate(first.person, &["south/1"])).await;
    let [stays, left] = acted.persons[..] else { panic!("two persons: {acted:?}") };
    assert_eq!(stays, first.person);
    assert_eq!(world.records(left), [key("south/1")]);
    assert_eq!(world.records(stays), [key("east/1"), key("north/1")]);
    // Told the same again, it stays where it was put.
    let again = world.register("south/1", &imogen()).await;
    assert_eq!((again.person, again.tasks_raised), (left, 0));
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_merge_that_cannot_be_is_refused() {
    let world = World::new().await;
    let one = world.register("north/1", &imogen()).await.person;
    let other = world.register("south/1", &bertha()).await.person;
    let nobody = EnterpriseId::from_u128(7);
    let merge = |source, target| StewardAct::Merge { source, target };
    world.forbids(merge(one, one), StewardRefusal::SamePerson).await;
    world.forbids(merge(one, nobody), StewardRefusal::UnknownPerson).await;
    world.act(merge(one, other)).await;
    assert_eq!(world.records(one), [key("north/1"), key("south/1")]);
    assert_eq!(
        world.index.person(one).map(|person| person.id),
        Some(other),
        "the target's id stays"
    );
    world.forbids(merge(other, one), StewardRefusal::SamePerson).await;
    world.check_rebuild().await;
}

#[tokio::test]
async fn undoing_a_merge_gives_both_their_ids_back() {
    let world = World::new().await;
    let one = world.register("north/1", &imogen()).await.person;
    let other = world.register("south/1", &bertha()).await.person;
    let third = world.register("east/1", &twin()).await.person;
    let first = world.act(StewardAct::Merge { source: one, target: other }).await;
    let second = world.act(StewardAct::Merge { source: other, target: third }).await;
    let undo = |acted: &Acted| StewardAct::Undo { decision: acted.decision.expect("written") };
    world.forbids(undo(&first), StewardRefusal::Overtaken).await;
    world.act(undo(&second)).await;
    assert_eq!(world.records(one), [key("north/1"), key("south/1")], "as before the second");
    world.forbids(undo(&second), StewardRefusal::UndoneAlready).await;
    let world = world.check_rebuild().await;
    world.act(undo(&first)).await;
    assert_eq!(world.records(one), [key("north/1")]);
    assert_eq!(world.records(other), [key("south/1")]);
    assert_eq!(world.records(third), [key("east/1")]);
    world.forbids(StewardAct::Undo { decision: 1 }, StewardRefusal::NoDecision).await;
    world.forbids(StewardAct::Undo { decision: 999 }, StewardRefusal::NoDecision).await;
    world.check_rebuild().await;
}

#[tokio::test]
async fn undoing_an_answer_asks_the_question_again() {
    let (world, older, younger, task) = asked_about_two().await;
    for answer in [same(task), different(task), cannot_tell(task)] {
        let acted = world.act(answer).await;
        world.act(StewardAct::Undo { decision: acted.decision.expect("written") }).await;
        assert_eq!(world.index.review(task).map(|task| task.state), Some(TaskState::Open));
        assert_eq!(world.records(older), [key("north/1")]);
        assert_eq!(world.records(younger), [key("east/1")]);
    }
    let world = world.check_rebuild().await;
    assert!(world.memory().rules.is_empty(), "no word is left standing");
}

#[tokio::test]
async fn undoing_a_separation_lets_the_minted_id_lead_back() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await.person;
    world.register("south/1", &imogen_mistyped()).await;
    let apart = world.act(separate(first, &["south/1"])).await;
    let minted = apart.persons[1];
    world.act(StewardAct::Undo { decision: apart.decision.expect("written") }).await;
    assert_eq!(world.records(first), [key("north/1"), key("south/1")]);
    assert_eq!(world.index.person(minted).map(|person| person.id), Some(first));
    world.check_rebuild().await;
}

#[tokio::test]
async fn a_steward_tells_apart_what_a_member_merged() {
    let world = World::new().await;
    let survivor = world.register("north/1", &imogen()).await.person;
    world.register("north/2", &bertha()).await;
    let event = LocalEvent::Merge { subsumed: key("north/2"), survivor: key("north/1") };
    let word = LocalWord {
        event,
        event_time: None,
        source_message: None,
        fed_by: "north-feeder".to_owned(),
    };
    world.index.follow(word.clone()).await.expect("it is followed");
    assert_eq!(world.in_doubt(survivor), [key("north/1")]);
    let task = world.open().pop().expect("it is in doubt").no;
    let apart = world.act(different(task)).await;
    assert_eq!(world.records(apart.persons[0]), [key("north/2")], "told of again");
    assert_eq!(world.records(survivor), [key("north/1")]);
    let again = world.index.follow(word).await.expect("it is followed");
    assert_eq!(again.outcome, Following::Asked, "the member insists, so a steward is asked again");
    world.check_rebuild().await;
}

#[tokio::test]
async fn the_story_of_a_person_tells_everything_in_order() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await.person;
    world.register("south/1", &imogen_mistyped()).await;
    world.register("south/1", &imogen()).await;
    let other = world.register("east/1", &bertha()).await.person;
    world.act(StewardAct::Merge { source: other, target: first }).await;
    let apart = world.act(separate(first, &["east/1"])).await;
    let story = world.story(first).await;
    let expected = [
        "Record 1 of north was registered",
        "Record 1 of south was registered: linked to person",
        "Record 1 of south was updated and stays.",
        "A steward decided that two persons are one.",
        "A steward took records out of the person.",
    ];
    assert_eq!(story.len(), expected.len(), "{story:?}");
    for (told, expected) in story.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told:?} is not {expected:?}");
    }
    let left = world.story(apart.persons[1]).await;
    assert!(left.first().is_some_and(|told| told.starts_with("Record 1 of east was registered")));
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(world.story(other).await.len() > 1, "the id that is gone has the same story");
    let nobody = world.index.story(&steward("steward"), EnterpriseId::from_u128(7)).await;
    assert_eq!(nobody, Ok(None));
}

#[tokio::test]
async fn a_separation_knows_since_when_two_were_shown_as_one() {
    let world = World::new().await;
    let first = world.register("north/1", &imogen()).await.person;
    let other = world.register("south/1", &bertha()).await.person;
    let merged = world.act(StewardAct::Merge { source: other, target: first }).await;
    world.register("east/1", &bertha()).await;
    let apart = world.act(separate(first, &["south/1", "east/1"])).await;
    let journal = world.journal().await;
    let recorded = |decision: Option<u64>| {
        let seq = decision.expect("it was written");
        journal.iter().find(|row| row.seq == seq).map(|row| row.recorded)
    };
    let permit = steward("steward");
    let span = world.index.mixed_span(&permit, apart.decision.expect("written"));
    let span = span.await.expect("it reads").expect("it took something apart");
    assert_eq!(Some(span.since), recorded(merged.decision), "not before they were merged");
    assert_eq!(Some(span.until), recorded(apart.decision));
    assert!(span.persons.contains(&first) && span.persons.contains(&other));
    let nothing = world.index.mixed_span(&permit, 1).await.expect("it reads");
    assert_eq!(nothing, None);
}

#[tokio::test]
async fn activation_is_a_journal_entry_that_is_remembered() {
    let world = World::new().await;
    assert_eq!(world.index.activated_model(), None);
    let version = Model::default_model().version().to_owned();
    assert!(world.index.activate_model("operator").await.expect("the disk is fine").is_some());
    assert_eq!(world.index.activate_model("operator").await, Ok(None), "it is so already");
    let world = world.reopen(None, other_model(1e-9)).await;
    assert_eq!(world.index.activated_model(), Some(version), "another file is opened");
    let journal = world.journal().await;
    assert_eq!(journal.last().map(|row| &*row.kind), Some("model_activated"));
}

#[tokio::test]
async fn an_unidentified_patient_is_linked_to_nobody_and_a_newborn_not_to_its_mother_nor_twin() {
    let world = World::new().await;
    let mother = patient("Imogen", "Thistlewood", "1991-11-23", "17 Larkspur Lane", "508-555-0142");
    let mother = world.register("north/1", &mother).await.person;
    let child = |given: &str, order| Demographics {
        birth_date: PartialDate::parse("2026-03-01").ok(),
        multiple_birth: Some(true),
        birth_order: Some(order),
        ..named(
            &[given],
            patient("", "Thistlewood", "2026-03-01", "17 Larkspur Lane", "508-555-0142"),
        )
    };
    let mut persons = vec![mother];
    for (record, told) in [
        ("north/2", child("Imogensgirl A", 1)),
        ("north/3", child("Imogensgirl B", 2)),
        ("north/4", child("Baby Girl A", 1)),
        ("south/5", child("Maria", 1)),
        ("south/6", child("Marina", 2)),
    ] {
        persons.push(world.register(record, &told).await.person);
    }
    let [mother, girl_a, girl_b, .., maria, marina] = persons[..] else { panic!("all of them") };
    assert!(persons[1..].iter().all(|child| *child != mother), "no newborn is its mother");
    assert_ne!(girl_a, girl_b, "twins are two");
    assert_ne!(maria, marina, "consecutive birth orders are two, however alike the names");
    let john = Demographics { identity_unknown: true, ..imogen() };
    let john = world.register("south/1", &john).await;
    assert!(!persons.contains(&john.person) && john.tasks_raised == 0);
    assert!(world.index.find(&imogen(), 9).iter().all(|one| one.person.id != john.person));
    // Once known, it is judged like anybody; the update keeps its person and asks a steward.
    let known = world.register("south/1", &with_ssn(imogen())).await;
    assert_eq!(known.person, john.person);
    world.check_rebuild().await;
}

/// What a steward may try at random.
pub(super) fn tries() -> impl Strategy<Value = (u8, u64, u8)> {
    (0_u8..7, 1_u64..60, 0_u8..4)
}

impl World {
    /// Tries something on whoever is there.
    pub(super) async fn try_anything(&self, (what, number, pick): (u8, u64, u8)) {
        let persons: Vec<EnterpriseId> = self.memory().persons.into_keys().collect();
        let person = |at: u64| persons[at as usize % persons.len()];
        let task = number % 12 + 1;
        let records = self.records(person(number));
        let act = match what {
            0 => same(task),
            1 => different(task),
            2 => cannot_tell(task),
            3 => StewardAct::Merge { source: person(number), target: person(number + 1) },
            4 => StewardAct::Separate {
                person: person(number),
                records: records
                    .into_iter()
                    .take(usize::from(pick))
                    .map(|one| one.local_id)
                    .collect(),
            },
            5 => StewardAct::Undo { decision: number },
            _ => StewardAct::Claim { task },
        };
        let before = self.memory();
        if self.try_act(act).await.is_err() {
            assert_eq!(self.memory(), before, "what is refused changes nothing");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stewards_do_can_be_rebuilt(
        steps in prop::collection::vec((tellings(), prop::collection::vec(tries(), 1..6)), 1..5),
    ) {
        tokio::runtime::Runtime::new().expect("threads can be made").block_on(async {
            let world = World::new().await;
            for (batch, tries) in steps {
                for answer in world.index.register_many(batch).await {
                    answer.expect("the disk is fine");
                }
                for one in tries {
                    world.try_anything(one).await;
                }
            }
            world.check_rebuild().await;
        });
    }
}

#[tokio::test]
async fn what_another_threshold_would_change_is_told_and_nothing_changes() {
    let world = World::new().await;
    let one = world.register("north/1", &imogen()).await.person;
    world.register("south/1", &imogen_mistyped()).await;
    let sister = world.register("east/1", &twin()).await.person;
    world.register("west/1", &bertha()).await;
    let kept = world.act(separate(one, &["south/1"])).await;
    let before = (world.memory(), world.journal().await.len());
    let ask = async |model: Model| {
        let limits = IndexLimits::default();
        what_if(world.db.reader(), Arc::new(model), &limits).await.expect("it reads")
    };
    let same = ask(Model::default_model()).await;
    assert_eq!((same.records, same.persons_today, same.persons_then), (4, 4, 3));
    assert_eq!(same.made.len(), 1, "the steward's word is all that keeps the two apart");
    assert!(same.made[0].is_held && same.made[0].persons.contains(&kept.persons[1]));
    let loose = ask(Model::default_model().linking_from(-60.0)).await;
    assert!(loose.persons_then < same.persons_then, "{loose:?}");
    assert!(loose.made.iter().any(|change| change.persons.contains(&sister)), "{loose:?}");
    let strict = ask(Model::default_model().linking_from(500.0)).await;
    assert_eq!((strict.persons_then, strict.made.len()), (4, 0));
    assert_eq!((world.memory(), world.journal().await.len()), before, "nothing is kept");
    world.act(StewardAct::Undo { decision: kept.decision.expect("written") }).await;
    let strict = ask(Model::default_model().linking_from(500.0)).await;
    assert_eq!(strict.broken.len(), 1, "what is linked today would not be");
    assert_eq!(strict.broken[0].persons, [one]);
    world.check_rebuild().await;
}
