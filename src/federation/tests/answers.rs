//! What comes of what members answer.

use super::*;

#[tokio::test]
async fn everything_comes_from_every_member_and_only_the_patients() {
    let world = World::new();
    let outcomes = world.ask(RecordQuery::everything(PATIENCE)).await;
    assert_eq!(outcomes.len(), 2);
    for (outcome, member) in outcomes.iter().zip(["lake", "mercy"]) {
        assert_eq!((outcome.member.as_str(), outcome.status()), (member, Status::Answered));
        assert_eq!(names(outcome), whole_of_ada());
        let answer = &outcome.answers[0];
        assert_eq!((answer.identity, answer.dropped.total()), (Identity::Agrees, 0));
        assert_eq!((answer.pages, answer.patient_id.as_deref()), (2, Some("ada")));
        assert_eq!(outcome.patient_ids().collect::<Vec<_>>(), ["ada"]);
    }
}

#[tokio::test]
async fn searches_by_type_and_page_find_the_same() {
    let options =
        SimulatorOptions { everything: false, page_size_max: 1, ..SimulatorOptions::default() };
    let world = World::with(&options, FederationSettings::default(), "");
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Answered);
        assert_eq!(names(&outcome), whole_of_ada());
    }
}

#[tokio::test]
async fn quirks_of_a_member_are_minded() {
    let told = "quirks = [\"no_everything\", \"post_search\", \"no_count\", \"no_since\"]";
    let world = World::with(&SimulatorOptions::default(), FederationSettings::default(), told);
    let mut query = RecordQuery::everything(PATIENCE);
    query.since = Some(time::macros::datetime!(2021-01-01 00:00 UTC));
    let mut expected = whole_of_ada();
    expected.remove("AllergyIntolerance/aallergy");
    for outcome in world.ask(query).await {
        assert_eq!(outcome.status(), Status::Answered);
        assert_eq!(names(&outcome), expected, "not updated since, and filtered here");
    }
}

#[tokio::test]
async fn only_what_was_asked_for_comes() {
    for world in [World::new(), World::of_searches()] {
        let mut query = RecordQuery::everything(PATIENCE);
        query.types = ["MedicationRequest".to_owned(), "Observation".to_owned()].into();
        query.start = crate::domain::PartialDate::parse("2024-01-01").ok();
        for outcome in world.ask(query.clone()).await {
            assert_eq!(outcome.status(), Status::Answered);
            let expected = ["Medication/pill", "MedicationRequest/adrug", "Observation/alab"];
            assert_eq!(names(&outcome), expected.map(str::to_owned).into());
        }
    }
}

#[tokio::test]
async fn a_member_that_answers_badly_is_an_outcome_and_spoils_no_other() {
    let status = |status, retry_after_s| AnswerFault::Status { status, retry_after_s };
    for (answer, expected) in [
        (AnswerFault::Html, Status::Unreachable(Fault::NotFhir)),
        (AnswerFault::Truncated { bytes: 40 }, Status::Unreachable(Fault::NotFhir)),
        (AnswerFault::Broken { bytes: 40 }, Status::Unreachable(Fault::Broken)),
        (status(503, None), Status::Unreachable(Fault::Unavailable)),
        (status(500, None), Status::Unreachable(Fault::ServerError)),
        (status(302, None), Status::Unreachable(Fault::ServerError)),
        (status(401, None), Status::Refused(Refusal::Login)),
        (status(403, None), Status::Refused(Refusal::Forbidden)),
        (status(429, Some(600)), Status::Refused(Refusal::Throttled)),
        (status(404, None), Status::Empty(Emptiness::PatientUnknown)),
    ] {
        let world = World::new();
        let lake = world.lake_with(Faults { answer: answer.clone(), ..Faults::default() }).await;
        assert_eq!(lake.status, expected, "{answer:?}");
        assert!(lake.resources.is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_not_noticed() {
    let world = World::new();
    let answer = AnswerFault::Status { status: 503, retry_after_s: None };
    let faults = Faults { answer, answers_spoiled_max: Some(2), ..Faults::default() };
    assert_eq!(world.lake_with(faults).await.status, Status::Answered);
}

#[tokio::test]
async fn another_patient_in_place_of_the_right_one_is_withheld() {
    let world = World::new();
    let identifier = |identifier| Faults { identifier, ..Faults::default() };
    let lake = world.lake_with(identifier(IdentifierFault::AnotherPatient)).await;
    assert_eq!(lake.status, Status::Withheld(Withholding::IdentifierNotEchoed));
    // Everybody comes back, and exactly one of them carries the identifier: that one is meant.
    for fault in [IdentifierFault::Ignored, IdentifierFault::Several] {
        let lake = world.lake_with(identifier(fault)).await;
        assert_eq!((lake.status, lake.resources.len()), (Status::Answered, RESOURCES));
        assert_eq!(lake.dropped.of(DropReason::OtherPatient), 1);
    }
}

#[tokio::test]
async fn other_patients_resources_are_dropped_and_counted() {
    let compartment = |compartment| Faults { compartment, ..Faults::default() };
    for world in [World::new(), World::of_searches()] {
        let lake = world.lake_with(compartment(CompartmentFault::Ignored)).await;
        assert_eq!((lake.status, lake.resources.len()), (Status::Answered, RESOURCES));
        assert!(lake.dropped.foreign() >= 6, "{:?}", lake.dropped);
        let lake = world.lake_with(compartment(CompartmentFault::AnotherPatient)).await;
        assert_eq!(lake.status, Status::Withheld(Withholding::OthersDataAlone));
        assert!(lake.resources.is_empty() && lake.dropped.foreign() >= 6);
    }
}

#[tokio::test]
async fn pages_that_lead_astray_end_the_answer_and_say_so() {
    let paging = |paging| Faults { paging, ..Faults::default() };
    let options = SimulatorOptions { page_size_max: 4, ..SimulatorOptions::default() };
    let world = World::with(&options, FederationSettings::default(), "");
    let elsewhere = PagingFault::AnotherOrigin("https://elsewhere.example".to_owned());
    let lake = world.lake_with(paging(elsewhere)).await;
    assert_eq!(lake.status, Status::Truncated(Cut::NextElsewhere));
    assert!(!lake.resources.is_empty());
    let lake = world.lake_with(paging(PagingFault::Endless)).await;
    assert_eq!(lake.status, Status::Truncated(Cut::Pages));
    assert_eq!(lake.resources.len(), RESOURCES);
    let lake = world.lake_with(paging(PagingFault::LosesCriteria)).await;
    assert!(lake.dropped.foreign() > 0);
}

#[tokio::test]
async fn bounds_on_bytes_and_resources_cut_the_answer() {
    let small = "limits = { page_bytes_max = 1024, answer_bytes_max = 1024 }";
    let world = World::with(&SimulatorOptions::default(), FederationSettings::default(), small);
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Truncated(Cut::Bytes));
    }
    let few = "limits = { resources_max = 3 }";
    let world = World::with(&SimulatorOptions::default(), FederationSettings::default(), few);
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Truncated(Cut::Resources));
        assert!(names(&outcome).iter().all(|name| !name.contains("bo")));
    }
}

#[tokio::test]
async fn answers_for_which_there_is_no_room_are_cut_and_say_so() {
    let settings =
        FederationSettings { answers_bytes_max: 1 << 10, ..FederationSettings::default() };
    let world = World::with(&SimulatorOptions::default(), settings, "");
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Truncated(Cut::NoRoom), "{outcome:?}");
        assert!(outcome.issues().iter().any(|issue| format!("{issue:?}").contains("no room")));
    }
    assert!(world.federation.has_room(), "what nobody holds any more is free again");
}

#[tokio::test]
async fn who_is_somebody_else_than_the_member_fed_is_withheld_unfetched() {
    let world = World::new();
    let mut wrong = target("lake", "ada");
    wrong.records[0].fed = fed("lake", "bo");
    let query = RecordQuery::everything(PATIENCE);
    let outcomes = world.federation.fan_out(&world.permit, vec![wrong], query).await;
    let withheld = Status::Withheld(Withholding::IdentityContradicted);
    assert_eq!(outcomes[0].status(), withheld);
    assert_eq!(outcomes[0].resources().count(), 0);
    assert_eq!(outcomes[0].patient_ids().count(), 0);
    assert_eq!(world.members[1].requests(), 2, "metadata and Patient, and nothing after");
}

#[tokio::test]
async fn next_to_nothing_fed_is_released_and_marked() {
    let world = World::new();
    let mut unknown = target("lake", "ada");
    unknown.records[0].fed = Demographics::default();
    let query = RecordQuery::everything(PATIENCE);
    let outcomes = world.federation.fan_out(&world.permit, vec![unknown], query).await;
    assert_eq!(outcomes[0].answers[0].identity, Identity::NotConfirmed);
    assert_eq!(names(&outcomes[0]), whole_of_ada());
    assert_eq!(outcomes[0].issues().len(), 2, "the count, and the doubt");
}
