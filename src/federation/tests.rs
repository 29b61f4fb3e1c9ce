//! The federation against simulated members, over real mutual TLS.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::*;
use crate::{
    access::{Clients, ConsentBook, ConsentSettings, Permit},
    directory::{Directory, parse_members_toml},
    domain::{
        Demographics, EnterpriseId, LocalId, MemberCode, PersonRecords, PurposeOfUse, RecordKey,
    },
    fhir::{IssueSeverity, Resource, patient::read_patient},
    matching::Model,
    simulator::{
        AnswerFault, CompartmentFault, Faults, IdentifierFault, MemberData, PagingFault, Simulator,
        SimulatorOptions,
    },
    tls::{
        DevelopmentPki, PkiParties, RevocationLists, ServerTls, mint_development_pki, pki::Existing,
    },
};

/// Long enough for any machine, where the deadline is not the point.
const PATIENCE: Duration = Duration::from_mins(1);

struct Now;

impl crate::domain::Clock for Now {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// Members `mercy` and `lake`, each with Ada and Bo as patients; the gateway; and a permit for Ada.
struct World {
    members: Vec<Simulator>,
    federation: Federation,
    directory: Directory,
    permit: Permit,
    pki: DevelopmentPki,
    _dir: TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(&SimulatorOptions::default(), FederationSettings::default(), "")
    }

    /// `told` is added to each member's entry in the directory.
    fn with(options: &SimulatorOptions, settings: FederationSettings, told: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let parties =
            PkiParties { members: vec![code("mercy"), code("lake")], clients: Vec::new() };
        let now = OffsetDateTime::now_utc();
        let pki = mint_development_pki(dir.path(), now, &parties, Existing::Keep).expect("minted");
        let roots = pki.trust_roots().expect("minted");
        let members: Vec<Simulator> = parties
            .members
            .iter()
            .map(|member| {
                let credentials = pki.member(member).read().expect("minted");
                let tls = ServerTls::new(&credentials, &roots, &RevocationLists::default());
                let data = MemberData::new(member.clone(), resources(member), now);
                let data = Arc::new(data.expect("servable"));
                let bind = SocketAddr::from(([127, 0, 0, 1], 0));
                Simulator::start(data, options.clone(), bind, &tls.expect("whole"))
                    .expect("started")
            })
            .collect();
        let directory = directory(&members, told);
        let identity = GatewayIdentity {
            credentials: pki.gateway().read().expect("minted"),
            authorities: roots,
        };
        let model = Arc::new(Model::default_model());
        let federation =
            Federation::new(settings, directory.clone(), identity, model, Arc::new(Now))
                .expect("a runtime");
        let permit = permit(directory.clone(), "urn:org:ed");
        Self { members, federation, directory, permit, pki, _dir: dir }
    }

    fn of_searches() -> Self {
        let options = SimulatorOptions { everything: false, ..SimulatorOptions::default() };
        Self::with(&options, FederationSettings::default(), "")
    }

    async fn ask(&self, query: RecordQuery) -> Vec<MemberOutcome> {
        let targets = vec![target("mercy", "ada"), target("lake", "ada")];
        self.federation.fan_out(&self.permit, targets, query).await
    }

    /// Lake's outcome while it misbehaves; whatever it does, Mercy's answer must be whole.
    async fn lake_with(&self, faults: Faults) -> RecordAnswer {
        self.members[1].set_faults(faults);
        let outcomes = self.ask(RecordQuery::everything(PATIENCE)).await;
        let [lake, mercy] = outcomes.as_slice() else { panic!("two members, two outcomes") };
        assert_eq!(mercy.status(), Status::Answered);
        assert_eq!(names(mercy).len(), RESOURCES);
        for outcome in &outcomes {
            assert!(names(outcome).iter().all(|name| !name.contains("bo")), "foreign released");
            let issues = outcome.issues();
            assert!(!issues.is_empty());
            let grave = [IssueSeverity::Fatal, IssueSeverity::Error];
            assert!(issues.iter().all(|issue| !grave.contains(&issue.severity)));
        }
        lake.answers[0].clone()
    }
}

fn code(text: &str) -> MemberCode {
    MemberCode::parse(text).expect("a code")
}

fn local_id(member: &str, patient: &str) -> LocalId {
    LocalId::parse(&format!("urn:{member}:mrn"), patient).expect("whole")
}

fn directory(members: &[Simulator], told: &str) -> Directory {
    Directory::in_memory(parse_members_toml(&toml_of(members, told)).expect("members"))
}

fn toml_of(members: &[Simulator], told: &str) -> String {
    let entries: Vec<String> = members
        .iter()
        .map(|one| {
            let (code, base) = (one.member(), one.base_url());
            format!(
                "[[member]]\ncode = \"{code}\"\nname = \"{code} hospital\"\n\
                 organization = \"urn:org:{code}\"\nidentifier_systems = [\"urn:{code}:mrn\"]\n\
                 fhir_base = \"{base}\"\nstatus = \"active\"\ndeadline_ms = 60000\n{told}\n"
            )
        })
        .collect();
    entries.join("\n")
}

/// For Ada's two records, to somebody of this organization.
fn permit(directory: Directory, organization: &str) -> Permit {
    let member = match organization {
        "urn:org:lake" => ", member = \"lake\"",
        _ => "",
    };
    let clients = format!(
        "[[client]]\nid = \"ed\"\nsan_uris = [\"urn:client:ed\"]\n\
         organization = {{ name = \"Emergency\", identifier = \"{organization}\"{member} }}\n\
         roles = [\"query\"]\npurposes = [\"TREAT\"]\n"
    );
    let clients = Clients::from_toml(&clients).expect("clients");
    let requester = clients.on_this_machine("ed").expect("there");
    let records = ["lake", "mercy"]
        .map(|member| RecordKey { member: code(member), local_id: local_id(member, "ada") });
    let person = PersonRecords {
        id: EnterpriseId::from_u128(7),
        records: records.into_iter().collect(),
        former: Vec::new(),
    };
    ConsentBook::in_memory(ConsentSettings::default(), directory)
        .decide(&requester, &person, PurposeOfUse::Treatment, OffsetDateTime::now_utc())
        .expect("permitted")
}

fn target(member: &str, patient: &str) -> Target {
    let record = SoughtRecord {
        local_id: local_id(member, patient),
        fed: fed(member, "ada"),
        discovered: false,
    };
    Target { member: code(member), records: vec![record], person: Vec::new() }
}

fn fed(member: &str, patient: &str) -> Demographics {
    let patient = patient_json(&code(member), patient);
    let resource = Resource::from_value(&patient).expect("a resource");
    read_patient(&resource).expect("a Patient").demographics
}

fn patient_json(member: &MemberCode, id: &str) -> Value {
    let (family, given, birth_date, gender, line) = match id {
        "ada" => ("Åström", "Ada", "1984-03-05", "female", "12 Chestnut Hill Rd"),
        _ => ("Berg", "Bo", "1951-11-20", "male", "4 Elm St"),
    };
    json!({"resourceType": "Patient", "id": id,
        "identifier": [{"system": format!("urn:{member}:mrn"), "value": id}],
        "name": [{"family": family, "given": [given]}], "birthDate": birth_date, "gender": gender,
        "address": [{"line": [line], "city": "Worcester", "postalCode": "01609"}]})
}

/// How many of a member's resources are Ada's, with what they refer to.
const RESOURCES: usize = 9;

/// Ids of Bo's resources begin with `bo`.
fn resources(member: &MemberCode) -> Vec<Resource> {
    let mut all = vec![
        json!({"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Cole"}]}),
        json!({"resourceType": "Practitioner", "id": "idle", "name": [{"family": "Dorn"}]}),
        json!({"resourceType": "Medication", "id": "pill", "code": {"text": "Amoxicillin 500 mg"}}),
    ];
    for (patient, prefix) in [("ada", "a"), ("bo", "bo-")] {
        let subject = json!({"reference": format!("Patient/{patient}")});
        let id = |name: &str| format!("{prefix}{name}");
        all.extend([
            patient_json(member, patient),
            json!({"resourceType": "Encounter", "id": id("visit"), "status": "finished",
                "subject": subject, "period": {"start": "2024-01-01", "end": "2024-01-02"},
                "participant": [{"individual": {"reference": "Practitioner/doc"}}]}),
            json!({"resourceType": "AllergyIntolerance", "id": id("allergy"), "patient": subject,
                "meta": {"lastUpdated": "2020-01-01T00:00:00Z"}}),
            json!({"resourceType": "MedicationRequest", "id": id("drug"), "status": "active",
                "intent": "order", "subject": subject,
                "medicationReference": {"reference": "Medication/pill"}}),
            json!({"resourceType": "Coverage", "id": id("cover"), "beneficiary": subject}),
            json!({"resourceType": "Observation", "id": id("lab"), "status": "final",
                "subject": subject, "effectiveDateTime": "2024-03-01T10:00:00Z",
                "category": [{"coding": [{"code": "laboratory"}]}]}),
            json!({"resourceType": "Observation", "id": id("vital"), "status": "final",
                "subject": subject, "effectiveDateTime": "2022-03-01"}),
        ]);
    }
    all.iter().map(|value| Resource::from_value(value).expect("a resource")).collect()
}

fn names(outcome: &MemberOutcome) -> BTreeSet<String> {
    outcome
        .resources()
        .map(|one| format!("{}/{}", one.resource_type(), one.id().unwrap_or_default()))
        .collect()
}

fn whole_of_ada() -> BTreeSet<String> {
    [
        "AllergyIntolerance/aallergy",
        "Coverage/acover",
        "Encounter/avisit",
        "Medication/pill",
        "MedicationRequest/adrug",
        "Observation/alab",
        "Observation/avital",
        "Patient/ada",
        "Practitioner/doc",
    ]
    .map(str::to_owned)
    .into()
}

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

#[tokio::test]
async fn nobody_is_asked_without_leave_or_without_being_active() {
    let world = World::with(
        &SimulatorOptions::default(),
        FederationSettings { members_per_query_max: 1, ..FederationSettings::default() },
        "",
    );
    let targets = vec![
        target("mercy", "bo"),
        target("nowhere", "ada"),
        target("mercy", "ada"),
        target("lake", "ada"),
    ];
    let query = RecordQuery::everything(PATIENCE);
    let outcomes = world.federation.fan_out(&world.permit, targets, query).await;
    let told: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.member.as_str(), outcome.status())).collect();
    let not_permitted = Status::NotAsked(NotAsked::NotPermitted);
    assert!(told.contains(&("lake", Status::NotAsked(NotAsked::TooManyMembers))), "{told:?}");
    assert!(told.contains(&("mercy", not_permitted)), "{told:?}");
    assert!(told.contains(&("mercy", Status::Answered)), "{told:?}");
    assert!(told.contains(&("nowhere", not_permitted)), "{told:?}");
}

#[tokio::test]
async fn the_askers_own_organization_and_who_is_suspended_are_listed_as_not_asked() {
    let mut world = World::new();
    world.permit = permit(world.directory.clone(), "urn:org:lake");
    let roster = |status: &str| {
        let members = toml_of(&world.members, "").replace("active", status);
        parse_members_toml(&members).expect("members")
    };
    let statuses = async || {
        let outcomes = world.ask(RecordQuery::everything(PATIENCE)).await;
        assert!(outcomes.iter().all(|outcome| !outcome.issues().is_empty()));
        outcomes.iter().map(MemberOutcome::status).collect::<Vec<_>>()
    };
    let own = Status::NotAsked(NotAsked::OwnOrganization);
    assert_eq!(statuses().await, [own, Status::Answered]);
    let now = OffsetDateTime::now_utc();
    world.directory.apply(roster("suspended"), now).await.expect("applied");
    assert_eq!(statuses().await, [own, Status::NotAsked(NotAsked::NotActive)]);
    assert_eq!(world.members[1].requests(), 0);
}

#[tokio::test]
async fn a_member_that_is_down_or_of_another_authority_cannot_be_reached() {
    let mut world = World::new();
    world.members[1].go_down().await;
    let lake = world.lake_with(Faults::default()).await;
    assert_eq!(lake.status, Status::Unreachable(Fault::Connect));

    let world = World::new();
    let stranger = World::new();
    world.federation.replace_identity(GatewayIdentity {
        credentials: world.pki.gateway().read().expect("minted"),
        authorities: stranger.pki.trust_roots().expect("minted"),
    });
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Unreachable(Fault::Tls));
    }
    world.federation.replace_identity(GatewayIdentity {
        credentials: stranger.pki.gateway().read().expect("minted"),
        authorities: world.pki.trust_roots().expect("minted"),
    });
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        // In TLS 1.3 a client learns that its certificate was refused after the handshake, and
        // under HTTP/2 often only that the connection closed.
        let refused = [Fault::Tls, Fault::Broken].map(Status::Unreachable);
        assert!(refused.contains(&outcome.status()), "{:?}", outcome.status());
    }
}

#[tokio::test]
async fn a_stalled_member_costs_the_deadline_and_the_others_are_there() {
    let world = World::new();
    let answer = AnswerFault::Stalled { bytes: 30 };
    world.members[1].set_faults(Faults { answer, ..Faults::default() });
    let started = Instant::now();
    let outcomes = world.ask(RecordQuery::everything(Duration::from_millis(1_500))).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    let told: Vec<_> = outcomes.iter().map(MemberOutcome::status).collect();
    assert_eq!(told, [Status::TimedOut, Status::Answered]);
}

#[tokio::test]
async fn who_goes_away_stops_the_work() {
    let world = World::new();
    let answer = AnswerFault::Stalled { bytes: 30 };
    for member in &world.members {
        member.set_faults(Faults { answer: answer.clone(), ..Faults::default() });
    }
    let targets = vec![target("mercy", "ada"), target("lake", "ada")];
    let query = RecordQuery::everything(PATIENCE);
    let mut asked = world.federation.start(&world.permit, targets, query);
    let under_way = || world.federation.requests_under_way();
    within_patience(|| under_way() == 4).await;
    assert!(tokio::time::timeout(Duration::ZERO, asked.next()).await.is_err());
    drop(asked);
    within_patience(|| under_way() == 0).await;
}

/// Waits for what another thread is about to do, without sleeping.
async fn within_patience(mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < PATIENCE, "it did not happen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_federation_that_was_shut_down_still_gives_outcomes() {
    let world = World::new();
    let federation = &world.federation;
    std::thread::scope(|scope| {
        scope.spawn(|| federation.shutdown(Duration::from_secs(1)));
    });
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Unreachable(Fault::Internal));
    }
}
