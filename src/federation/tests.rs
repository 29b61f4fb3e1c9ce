//! The federation against simulated members, over real mutual TLS.

mod answers;
mod who_is_asked;

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
