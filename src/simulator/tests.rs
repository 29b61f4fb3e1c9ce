//! The simulator as a client sees it: over real mutual TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::*;
use crate::{
    domain::MemberCode,
    fhir::{Bundle, Resource},
    tls::{
        DevelopmentPki, MemberTls, PkiParties, RevocationLists, ServerTls, client_config,
        mint_development_pki, pki::Existing,
    },
};

pub(super) struct World {
    pub(super) simulator: Simulator,
    pub(super) pki: DevelopmentPki,
    tls: ServerTls,
    client: Client,
    _dir: TempDir,
}

impl World {
    pub(super) fn new(options: SimulatorOptions) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let code = MemberCode::parse("mercy").expect("a code");
        let parties = PkiParties { members: vec![code.clone()], clients: Vec::new() };
        let now = OffsetDateTime::now_utc();
        let pki = mint_development_pki(dir.path(), now, &parties, Existing::Keep).expect("minted");
        let roots = pki.trust_roots().expect("minted");
        let credentials = pki.member(&code).read().expect("minted");
        let tls = ServerTls::new(&credentials, &roots, &RevocationLists::default()).expect("whole");
        let data = Arc::new(MemberData::new(code, resources(), now).expect("servable"));
        let simulator = Simulator::start(data, options, any_port(), &tls).expect("started");
        Self { simulator, client: client(&pki), pki, tls, _dir: dir }
    }

    pub(super) fn allow_tls_faults(&self) {
        let code = self.simulator.member();
        self.simulator.allow_tls_faults(TlsFaults {
            tls: self.tls.clone(),
            proper: self.pki.member(code).read().expect("minted"),
            admitted: self.pki.trust_roots().expect("minted"),
            faulty: self.pki.faulty(code, OffsetDateTime::now_utc()).expect("minted"),
        });
    }

    fn small_pages() -> Self {
        Self::new(SimulatorOptions { page_size: 2, ..SimulatorOptions::default() })
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.simulator.base_url());
        self.client.get(url).send().await.expect("an answer")
    }

    async fn bundle(&self, path: &str) -> Bundle {
        bundle(self.get(path).await).await
    }

    /// The ids of one page.
    pub(super) async fn ids(&self, path: &str) -> Vec<String> {
        ids(&self.bundle(path).await)
    }

    /// The ids of all pages, `pages_max` at most.
    async fn all_ids(&self, path: &str, pages_max: usize) -> Vec<String> {
        let mut page = self.bundle(path).await;
        let mut all = ids(&page);
        for _ in 1..pages_max {
            let Some(next) = page.link("next").map(str::to_owned) else { break };
            page = bundle(self.client.get(next).send().await.expect("an answer")).await;
            all.extend(ids(&page));
        }
        all
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(super) fn client(pki: &DevelopmentPki) -> Client {
    let credentials = pki.gateway().read().expect("minted");
    let roots = pki.trust_roots().expect("minted");
    let tls = client_config(&credentials, &roots, MemberTls::Tls13).expect("whole");
    Client::builder().tls_backend_preconfigured(tls).build().expect("a client")
}

async fn bundle(response: Response) -> Bundle {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/fhir+json");
    Bundle::parse(&response.bytes().await.expect("a body")).expect("a Bundle")
}

fn ids(bundle: &Bundle) -> Vec<String> {
    let ids = bundle.entries.iter().map(|entry| entry.resource.id().unwrap_or_default());
    ids.map(str::to_owned).collect()
}

/// Two patients: Ada with seven resources about her, and Bo with three.
fn resources() -> Vec<Resource> {
    let mut all = vec![
        patient("ada", "Åström", "1984-03-05"),
        patient("bo", "Berg", "1990-01-01"),
        json!({"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Cole"}]}),
        json!({"resourceType": "Encounter", "id": "e1", "status": "finished",
            "subject": {"reference": "Patient/ada"},
            "participant": [{"individual": {"reference": "Practitioner/doc"}}],
            "period": {"start": "2024-01-01", "end": "2024-06-30"}}),
        json!({"resourceType": "AllergyIntolerance", "id": "a1",
            "patient": {"reference": "Patient/ada"}, "meta": {"lastUpdated": "2020-01-01T00:00:00Z"}}),
        observation("b1", "bo", "laboratory", "718-7", "2024-02-01"),
        observation("b2", "bo", "vital-signs", "8480-6", "2024-02-01"),
        json!({"resourceType": "Medication", "id": "m1"}),
        json!({"resourceType": "MedicationRequest", "id": "r1", "status": "active",
            "intent": "order", "subject": {"reference": "Patient/bo"},
            "medicationReference": {"reference": "Medication/m1"}}),
        json!({"resourceType": "Provenance", "id": "p1", "target": [{"reference": "Encounter/e1"}]}),
    ];
    for (id, category, code, date) in [
        ("o1", "laboratory", "718-7", "2024-03-01T10:00:00Z"),
        ("o2", "laboratory", "2345-7", "2024-03-02"),
        ("o3", "vital-signs", "8480-6", "2024-04-01"),
        ("o4", "laboratory", "718-7", "2024-05-01T09:30:00-05:00"),
    ] {
        all.push(observation(id, "ada", category, code, date));
    }
    all.iter().map(|value| Resource::from_value(value).expect("a resource")).collect()
}

fn patient(id: &str, family: &str, birth_date: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": family}],
        "birthDate": birth_date,
        "identifier": [{"system": "https://mercy.example/mrn", "value": format!("m-{id}")}]})
}

fn observation(id: &str, patient: &str, category: &str, code: &str, date: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/observation-category";
    json!({"resourceType": "Observation", "id": id, "status": "final",
        "category": [{"coding": [{"system": system, "code": category}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": date})
}

#[tokio::test]
async fn a_resource_is_read_byte_for_byte_with_its_version() {
    let world = World::new(SimulatorOptions::default());
    let response = world.get("/AllergyIntolerance/a1").await;
    assert_eq!(response.headers()["etag"], "W/\"1\"");
    assert_eq!(response.headers()["last-modified"], "Wed, 01 Jan 2020 00:00:00 GMT");
    let source = resources();
    let source = source.iter().find(|resource| resource.id() == Some("a1")).expect("there");
    assert_eq!(response.text().await.expect("a body"), source.json());
    let missing = world.get("/AllergyIntolerance/none").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let outcome: Value =
        serde_json::from_slice(&missing.bytes().await.expect("a body")).expect("JSON");
    assert_eq!(outcome["issue"][0]["code"], "not-found");
}

#[tokio::test]
async fn a_search_meets_every_criterion() {
    let world = World::new(SimulatorOptions::default());
    for (query, expected) in [
        ("Patient?identifier=https://mercy.example/mrn|m-ada", &["ada"][..]),
        ("Patient?identifier=m-bo", &["bo"]),
        ("Patient?identifier=urn:other|m-bo", &[]),
        ("Patient?family=astrom&birthdate=1984", &["ada"]),
        ("Patient?family:exact=astrom", &[]),
        ("Patient?_id=bo,ada", &["ada", "bo"]),
        ("Observation?patient=bo", &["b1", "b2"]),
        ("Observation?subject=Patient/ada&category=laboratory", &["o1", "o2", "o4"]),
        ("Observation?patient=ada&category:not=laboratory", &["o3"]),
        ("Observation?patient=ada&code=http://loinc.org|718-7,8480-6", &["o1", "o3", "o4"]),
        ("Observation?patient=ada&date=ge2024-03-02&date=lt2024-05", &["o2", "o3"]),
        ("Observation?patient=ada&date=2024-05-01T14:30:00Z", &["o4"]),
        ("Observation?patient.identifier=https://mercy.example/mrn|m-bo", &["b1", "b2"]),
        ("Observation?patient=nobody", &[]),
        ("Observation?patient=ada&status=amended", &[]),
        ("Encounter?patient=ada&date=ge2024-03-01&date=le2024-03-01", &["e1"]),
        ("Encounter?patient=ada&date=2024-03-01", &[]),
        ("AllergyIntolerance?patient=ada&_lastUpdated=lt2021", &["a1"]),
        ("AllergyIntolerance?patient=ada&code:missing=true", &["a1"]),
        ("Provenance?patient=ada", &["p1"]),
        ("Goal?patient=ada", &[]),
        (
            "MedicationRequest?patient=bo&intent=order&_include=MedicationRequest:medication",
            &["r1", "m1"],
        ),
        ("MedicationRequest?patient=bo&intent=plan&_include=MedicationRequest:medication", &[]),
        ("Encounter?patient=ada&_revinclude=Provenance:target", &["e1", "p1"]),
    ] {
        assert_eq!(world.ids(&format!("/{query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_posted_search_adds_its_form_to_the_url() {
    let world = World::new(SimulatorOptions::default());
    let url = format!("{}/Observation/_search?patient=ada", world.simulator.base_url());
    let form = world.client.post(&url).header("content-type", "application/x-www-form-urlencoded");
    let response = form.body("category=laboratory&code=718-7").send().await.expect("an answer");
    let found = bundle(response).await;
    assert_eq!(ids(&found), ["o1", "o4"]);
    let own = format!(
        "{}/Observation?patient=ada&category=laboratory&code=718-7",
        world.simulator.base_url()
    );
    assert_eq!(found.link("self"), Some(own.as_str()));
    let json = world.client.post(&url).header("content-type", "application/json").body("{}");
    let refused = json.send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn the_self_link_tells_what_was_used() {
    let world = World::new(SimulatorOptions::default());
    let asked = "/Observation?patient=bo&colour=red&_sort=date&_include=Observation:encounter";
    let found = world.bundle(asked).await;
    let own = format!("{}/Observation?patient=bo", world.simulator.base_url());
    assert_eq!((found.link("self"), found.total), (Some(own.as_str()), Some(2)));
    let base = world.simulator.base_url();
    let strict = world.client.get(format!("{base}/Observation?patient=bo&colour=red"));
    let strict = strict.header("prefer", "handling=strict").send().await.expect("an answer");
    assert_eq!(strict.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused() {
    let world = World::new(SimulatorOptions::default());
    for (path, status) in [
        ("/Observation?code:above=1", 400),
        ("/Observation?date=yesterday", 400),
        ("/Observation?_count=many", 400),
        ("/Spaceship?patient=ada", 404),
        ("/Patient/nobody/$everything", 404),
        ("/Patient/ada/$summary", 404),
        ("/?_page=00000000000000000000000000000007.2", 410),
        ("/Patient?_format=xml", 406),
    ] {
        assert_eq!(world.get(path).await.status().as_u16(), status, "{path}");
    }
    let delete = world.client.delete(format!("{}/Patient/ada", world.simulator.base_url()));
    assert_eq!(delete.send().await.expect("an answer").status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn pages_cover_a_search_once_and_stay_on_the_origin() {
    let world = World::small_pages();
    let first = world.bundle("/Observation?patient=ada").await;
    assert_eq!((ids(&first).len(), first.total), (2, Some(4)));
    let next = first.link("next").expect("more pages");
    assert!(next.starts_with(&world.simulator.base_url()) && !next.contains("ada"), "{next}");
    assert_eq!(world.all_ids("/Observation?patient=ada", 9).await, ["o1", "o2", "o3", "o4"]);
    assert_eq!(world.all_ids("/Observation?patient=ada&_count=3", 9).await.len(), 4);
    let counted = world.bundle("/Observation?patient=ada&_count=0").await;
    assert_eq!((counted.entries.len(), counted.total, counted.link("next")), (0, Some(4), None));
}

#[tokio::test]
async fn everything_is_the_patient_and_what_is_about_them() {
    let world = World::small_pages();
    let all = "/Patient/ada/$everything";
    let expected = ["ada", "e1", "a1", "p1", "o1", "o2", "o3", "o4", "doc"];
    assert_eq!(world.all_ids(all, 9).await, expected);
    let typed = format!("{all}?_type=Observation,AllergyIntolerance&_count=50");
    assert_eq!(world.ids(&typed).await, ["a1", "o1", "o2", "o3", "o4"]);
    let in_april = format!("{all}?start=2024-04-01&end=2024-04-30&_count=50");
    assert_eq!(world.ids(&in_april).await, ["ada", "e1", "a1", "p1", "o3", "doc"]);
    let since = format!("{all}?_since=2021-01-01T00:00:00Z&_type=AllergyIntolerance,Encounter");
    assert_eq!(world.ids(&since).await, ["e1"]);
}

#[tokio::test]
async fn the_capability_statement_tells_of_everything_only_where_it_is() {
    for everything in [true, false] {
        let world = World::new(SimulatorOptions { everything, ..SimulatorOptions::default() });
        let response = world.get("/metadata").await;
        let statement: Value =
            serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
        let types = statement["rest"][0]["resource"].as_array().expect("types");
        let patient = types.iter().find(|told| told["type"] == "Patient").expect("Patient");
        assert_eq!(patient["operation"][0]["name"] == "everything", everything);
        let status = world.get("/Patient/ada/$everything").await.status();
        assert_eq!(status == StatusCode::OK, everything);
    }
}

#[tokio::test]
async fn every_declared_parameter_is_understood() {
    let world = World::new(SimulatorOptions::default());
    let response = world.get("/metadata").await;
    let statement: Value =
        serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
    let base = world.simulator.base_url();
    for told in statement["rest"][0]["resource"].as_array().expect("types") {
        let kind = told["type"].as_str().expect("a name");
        for parameter in told["searchParam"].as_array().expect("parameters") {
            let name = parameter["name"].as_str().expect("a name");
            let value = if parameter["type"] == "date" { "2024" } else { "x" };
            let asked = world.client.get(format!("{base}/{kind}?{name}={value}"));
            let asked = asked.header("prefer", "handling=strict").send().await;
            assert_eq!(asked.expect("an answer").status(), StatusCode::OK, "{kind}?{name}");
        }
    }
}

#[tokio::test]
async fn faults_spoil_answers_and_can_be_taken_back() {
    let world = World::new(SimulatorOptions::default());
    let answer = |answer| Faults { answer, ..Faults::default() };
    let busy = AnswerFault::Status { status: 503, retry_after_s: Some(7) };
    world.simulator.set_faults(Faults { answers_spoiled_max: Some(1), ..answer(busy) });
    let response = world.get("/Patient/ada").await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"7".parse().expect("a header"))
    );
    assert_eq!(world.get("/Patient/ada").await.status(), StatusCode::OK, "spoiled once");

    world.simulator.set_faults(answer(AnswerFault::Html));
    assert!(world.get("/Patient/ada").await.text().await.expect("a body").starts_with("<!doctype"));
    world.simulator.set_faults(answer(AnswerFault::Truncated { bytes: 20 }));
    assert_eq!(world.get("/Patient/ada").await.bytes().await.expect("a body").len(), 20);
    world.simulator.set_faults(answer(AnswerFault::Broken { bytes: 20 }));
    assert!(world.get("/Patient/ada").await.bytes().await.is_err());
    world.simulator.set_faults(answer(AnswerFault::Stalled { bytes: 20 }));
    let mut stalled = world.get("/Patient/ada").await;
    assert_eq!(stalled.chunk().await.expect("a chunk").expect("bytes").len(), 20);
    let waited = tokio::time::timeout(Duration::from_millis(100), stalled.chunk()).await;
    assert!(waited.is_err(), "the rest never comes");

    world.simulator.set_faults(Faults::default());
    assert_eq!(world.get("/Patient/ada").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn faults_of_identity_answer_for_the_wrong_person() {
    let world = World::new(SimulatorOptions::default());
    let by_identifier = "/Patient?identifier=https://mercy.example/mrn|m-ada";
    for (identifier, expected) in [
        (IdentifierFault::Ignored, &["ada", "bo"][..]),
        (IdentifierFault::Several, &["ada", "bo"]),
        (IdentifierFault::AnotherPatient, &["bo"]),
        (IdentifierFault::None, &["ada"]),
    ] {
        world.simulator.set_faults(Faults { identifier, ..Faults::default() });
        assert_eq!(world.ids(by_identifier).await, expected, "{identifier:?}");
    }
    for (compartment, expected) in [
        (CompartmentFault::AnotherPatient, &["b1", "b2"][..]),
        (CompartmentFault::Ignored, &["b1", "b2", "o1", "o2", "o3", "o4"]),
    ] {
        world.simulator.set_faults(Faults { compartment, ..Faults::default() });
        assert_eq!(world.ids("/Observation?patient=ada").await, expected, "{compartment:?}");
        let everything = world.ids("/Patient/ada/$everything?_type=Observation").await;
        assert_eq!(everything, expected, "{compartment:?}");
    }
}

#[tokio::test]
async fn faults_of_paging_lead_astray() {
    let world = World::small_pages();
    let paging = |paging| Faults { paging, ..Faults::default() };
    let path = "/Observation?patient=ada";
    world.simulator.set_faults(paging(PagingFault::LosesCriteria));
    let all = world.all_ids(path, 9).await;
    assert_eq!(
        all,
        ["o1", "o2", "o1", "o2", "o3", "o4"],
        "all of the type, from the second page on"
    );
    world.simulator.set_faults(paging(PagingFault::AnotherOrigin("https://else.example".into())));
    let next = world.bundle(path).await.link("next").map(str::to_owned).expect("a link");
    assert!(next.starts_with("https://else.example/fhir?_page="), "{next}");
    world.simulator.set_faults(paging(PagingFault::Endless));
    assert_eq!(world.all_ids(path, 50).await.len(), 100);
}

#[tokio::test]
async fn down_is_refused_and_up_again_is_at_the_same_address() {
    let mut world = World::new(SimulatorOptions::default());
    assert_eq!(world.get("/Patient/ada").await.status(), StatusCode::OK);
    let url = format!("{}/Patient/ada", world.simulator.base_url());
    world.simulator.go_down().await;
    assert!(world.client.get(&url).send().await.is_err());
    assert!(std::net::TcpStream::connect(world.simulator.address()).is_err());
    world.simulator.come_up().expect("the port is still free");
    assert_eq!(world.client.get(&url).send().await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(world.simulator.requests(), 2);
    world.simulator.stop().await;
    assert!(world.client.get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_client_of_another_authority_gets_no_answer() {
    let (world, other) =
        (World::new(SimulatorOptions::default()), World::new(SimulatorOptions::default()));
    let url = format!("{}/metadata", world.simulator.base_url());
    assert!(other.client.get(url).send().await.is_err());
    assert_eq!(world.simulator.requests(), 0);
}

#[test]
fn folders_of_ndjson_are_members_and_a_bad_line_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let mercy = dir.path().join("mercy");
    std::fs::create_dir(&mercy).expect("made");
    let lines: Vec<_> = resources().iter().map(|resource| resource.json().to_owned()).collect();
    std::fs::write(mercy.join("Patient.ndjson"), lines.join("\n")).expect("written");
    let now = OffsetDateTime::now_utc();
    let members = MemberData::read_all(dir.path(), now).expect("servable");
    assert_eq!((members[0].code().as_str(), members[0].resource_count()), ("mercy", 14));

    let twice = r#"{"resourceType":"Goal","id":"1"}"#;
    std::fs::write(mercy.join("Goal.ndjson"), format!("{twice}\n\n{twice}\n")).expect("written");
    let error = MemberData::read_all(dir.path(), now).expect_err("an id twice");
    let InvalidData::Line { line, fault, .. } = error else { panic!("{error}") };
    assert_eq!((line, fault), (3, ResourceFault::TwiceId));
}
