//! Members that behave oddly in ways that a simulator does not play: a script by path and query.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    directory::parse_members_toml,
    domain::MemberCode,
    federation::{
        Refusal,
        member_client::{Reply, TransportError},
    },
    matching::Model,
};

/// Answers by the first line whose text is in the path and query; 404 where none is.
struct Script {
    lines: Vec<(&'static str, u16, String)>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Transport for Script {
    async fn send(&self, ask: &Ask, _: usize) -> Result<Reply, TransportError> {
        let asked = format!("{}?{}", ask.url.path(), ask.url.query().unwrap_or_default());
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
        let line = self.lines.iter().find(|(part, ..)| asked.contains(part));
        let (status, body) = line.map_or((404, ""), |(_, status, body)| (*status, body));
        Ok(Reply { status, retry_after: None, body: Bytes::from(body.to_owned()) })
    }
}

fn bundle(resources: &[&str]) -> String {
    let entries: Vec<String> =
        resources.iter().map(|json| format!(r#"{{"resource":{json}}}"#)).collect();
    format!(r#"{{"resourceType":"Bundle","type":"searchset","entry":[{}]}}"#, entries.join(","))
}

fn statement(types: &[(&str, &[&str])]) -> String {
    let types: Vec<String> = types
        .iter()
        .map(|(kind, names)| {
            let names: Vec<String> =
                names.iter().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
            let operation = if *kind == "Patient" { r#"[{"name":"everything"}]"# } else { "[]" };
            format!(
                r#"{{"type":"{kind}","searchParam":[{}],"operation":{operation}}}"#,
                names.join(",")
            )
        })
        .collect();
    format!(
        r#"{{"resourceType":"CapabilityStatement","rest":[{{"mode":"server","resource":[{}]}}]}}"#,
        types.join(",")
    )
}

const RUTH: &str = r#"{"resourceType":"Patient","id":"7","identifier":[{"system":"urn:mrn","value":"A1"},
    {"system":"urn:mrn","value":"A2"}],"name":[{"family":"Okonkwo","given":["Ruth"]}],
    "birthDate":"1984-03-05","gender":"female"}"#;
const GOAL: &str = r#"{"resourceType":"Goal","id":"g","subject":{"reference":"Patient/7"}}"#;
const LAB: &str = r#"{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/7"}}"#;
const DRUG: &str = r#"{"resourceType":"MedicationRequest","id":"d","subject":{"reference":"Patient/7"},
    "medicationReference":{"reference":"Medication/m"}}"#;

/// The answers, and what was asked.
async fn visit(
    values: &[&str],
    lines: Vec<(&'static str, u16, String)>,
) -> (Vec<RecordAnswer>, Vec<String>) {
    visit_known(values, false, lines).await
}

/// As [`visit`], of records that were fed or only discovered.
async fn visit_known(
    values: &[&str],
    discovered: bool,
    lines: Vec<(&'static str, u16, String)>,
) -> (Vec<RecordAnswer>, Vec<String>) {
    let code = MemberCode::parse("mercy").expect("a code");
    let members = "[[member]]\ncode = \"mercy\"\nname = \"Mercy\"\norganization = \"urn:org\"\n\
        identifier_systems = [\"urn:mrn\"]\nfhir_base = \"https://a.example/fhir\"\n";
    let roster = parse_members_toml(members).expect("members");
    let base = MemberBase::parse("https://a.example/fhir").expect("a base");
    let settings = FederationSettings { attempts_max: 1, ..FederationSettings::default() };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let script = Script { lines, asked: Arc::clone(&asked) };
    let in_all = Arc::new(Semaphore::new(64));
    let client = MemberClient::new(code.clone(), script, 64, in_all, &settings);
    let fed = Resource::parse(RUTH.as_bytes()).expect("a resource");
    let fed = read_patient(&fed).expect("a Patient").demographics;
    let sought: Vec<SoughtRecord> = values
        .iter()
        .map(|value| SoughtRecord {
            local_id: LocalId::parse("urn:mrn", value).expect("whole"),
            fed: fed.clone(),
            discovered,
        })
        .collect();
    let visit = Visit {
        client: &client,
        base: &base,
        member: roster.member(&code).expect("there"),
        quirks: &[],
        capabilities: &CapabilityCache::new(8),
        judge: &IdentityJudge::new(Arc::new(Model::default_model())),
        settings: &settings,
        room: &Room::of(1 << 20),
        query: &RecordQuery::everything(Duration::from_mins(1)),
        person: &[],
        deadline: Instant::now() + Duration::from_mins(1),
    };
    let answers = visit.run(&sought).await;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (answers, asked)
}

fn names(answer: &RecordAnswer) -> Vec<&str> {
    answer.resources.iter().map(Resource::resource_type).collect()
}

#[tokio::test]
async fn searches_stand_in_for_everything_where_it_fails() {
    for (status, body) in [(504, ""), (500, ""), (400, ""), (200, "<html>")] {
        let (answers, _) = visit(
            &["A1"],
            vec![
                ("metadata", 200, statement(&[("Patient", &[]), ("Goal", &["patient"])])),
                ("identifier=", 200, bundle(&[RUTH])),
                ("$everything", status, body.to_owned()),
                ("Goal?patient=7", 200, bundle(&[GOAL])),
            ],
        )
        .await;
        assert_eq!(answers[0].status, Status::Answered, "{status}");
        assert_eq!(names(&answers[0]), ["Patient", "Goal"]);
    }
}

#[tokio::test]
async fn what_was_only_discovered_has_to_be_confirmed() {
    let bare =
        r#"{"resourceType":"Patient","id":"7","identifier":[{"system":"urn:mrn","value":"A1"}]}"#;
    let lines = || {
        vec![
            ("metadata", 200, statement(&[("Patient", &[]), ("Goal", &["patient"])])),
            ("identifier=", 200, bundle(&[bare])),
            ("$everything", 200, bundle(&[bare, GOAL])),
        ]
    };
    let (answers, _) = visit_known(&["A1"], false, lines()).await;
    assert_eq!(
        (answers[0].status, answers[0].identity),
        (Status::Answered, Identity::NotConfirmed)
    );
    let (answers, asked) = visit_known(&["A1"], true, lines()).await;
    assert_eq!(answers[0].status, Status::Withheld(Withholding::NotConfirmed));
    assert!(answers[0].resources.is_empty() && asked.iter().all(|url| !url.contains("everything")));
}

#[tokio::test]
async fn a_refused_or_doubtful_search_is_made_in_parts() {
    for (status, body) in [(400, String::new()), (200, bundle(&[]))] {
        let (answers, asked) = visit(
            &["A1"],
            vec![
                ("metadata", 200, statement(&[("Observation", &["patient", "category"])])),
                ("identifier=", 200, bundle(&[RUTH])),
                ("category=laboratory", 200, bundle(&[LAB])),
                ("category=sdoh", 400, String::new()),
                ("category=", 200, bundle(&[])),
                ("Observation?", status, body),
            ],
        )
        .await;
        assert_eq!((answers[0].status, answers[0].gaps.len()), (Status::Answered, 0));
        assert_eq!(names(&answers[0]), ["Patient", "Observation"]);
        assert!(asked.iter().any(|one| one.contains("category=vital-signs")));
    }
}

#[tokio::test]
async fn a_type_that_fails_is_a_gap_and_the_rest_is_there() {
    let (answers, _) = visit(
        &["A1"],
        vec![
            ("metadata", 200, statement(&[("Condition", &["patient"]), ("Goal", &["patient"])])),
            ("identifier=", 200, bundle(&[RUTH])),
            ("Goal?", 200, bundle(&[GOAL])),
            ("Condition?", 500, String::new()),
        ],
    )
    .await;
    let cut = Cut::Failed(Fault::ServerError);
    let resource_type = Some("Condition".to_owned());
    assert_eq!(answers[0].gaps, [Gap { resource_type, cut, http_status: Some(500) }]);
    assert_eq!((answers[0].status, answers[0].http_status), (Status::Truncated(cut), Some(500)));
    assert_eq!(names(&answers[0]), ["Patient", "Goal"]);
}

#[tokio::test]
async fn where_nothing_works_the_first_failure_is_the_outcome() {
    let (answers, _) = visit(
        &["A1"],
        vec![
            ("metadata", 200, statement(&[("Condition", &["patient"]), ("Goal", &["patient"])])),
            ("identifier=", 200, bundle(&[RUTH])),
            ("patient=7", 403, String::new()),
        ],
    )
    .await;
    assert_eq!(answers[0].status, Status::Refused(Refusal::Forbidden));
}

#[tokio::test]
async fn a_member_without_a_statement_is_asked_as_us_core_has_it() {
    let (answers, _) = visit(
        &["A1"],
        vec![
            ("metadata", 500, String::new()),
            ("identifier=", 200, bundle(&[RUTH])),
            ("Goal?", 200, bundle(&[GOAL])),
        ],
    )
    .await;
    assert_eq!((answers[0].status, answers[0].gaps.len()), (Status::Answered, 0));
    assert_eq!(names(&answers[0]), ["Patient", "Goal"]);
}

#[tokio::test]
async fn a_medication_that_cannot_be_read_is_told_unless_it_dangles_there() {
    for (status, expected) in
        [(500, Status::Truncated(Cut::Failed(Fault::ServerError))), (404, Status::Answered)]
    {
        let types: &[(&str, &[&str])] = &[("MedicationRequest", &["patient"]), ("Medication", &[])];
        let (answers, asked) = visit(
            &["A1"],
            vec![
                ("metadata", 200, statement(types)),
                ("identifier=", 200, bundle(&[RUTH])),
                ("MedicationRequest?", 200, bundle(&[DRUG])),
                ("Medication/m", status, String::new()),
            ],
        )
        .await;
        assert_eq!(answers[0].status, expected);
        assert_eq!(asked.iter().filter(|one| one.contains("Medication/m")).count(), 1);
    }
}

#[tokio::test]
async fn two_identifiers_of_one_patient_are_one_answer() {
    let (answers, asked) = visit(
        &["A1", "A2"],
        vec![
            ("metadata", 200, statement(&[("Goal", &["patient"])])),
            ("identifier=", 200, bundle(&[RUTH])),
            ("Goal?", 200, bundle(&[GOAL])),
        ],
    )
    .await;
    assert_eq!((answers.len(), answers[0].local_ids.len()), (1, 2));
    assert_eq!(asked.iter().filter(|one| one.contains("Goal?")).count(), 1);
}

#[tokio::test]
async fn several_patients_with_the_identifier_are_withheld_and_none_is_an_outcome() {
    let twice = RUTH.replace(r#""id":"7""#, r#""id":"8""#);
    let (answers, asked) =
        visit(&["A1"], vec![("identifier=", 200, bundle(&[RUTH, &twice]))]).await;
    assert_eq!(answers[0].status, Status::Withheld(Withholding::SeveralPatients));
    assert_eq!((answers[0].dropped.foreign(), asked.len()), (2, 2));
    let (answers, _) = visit(&["A1"], vec![("identifier=", 200, bundle(&[]))]).await;
    assert_eq!(answers[0].status, Status::Empty(Emptiness::PatientUnknown));
}

#[tokio::test]
async fn another_copy_of_the_patient_that_is_somebody_else_withholds_all() {
    let other = r#"{"resourceType":"Patient","id":"7","name":[{"family":"Lindqvist","given":["Walter"]}],
        "birthDate":"1951-11-20","gender":"male"}"#;
    let (answers, _) = visit(
        &["A1"],
        vec![
            ("metadata", 200, statement(&[("Patient", &[])])),
            ("identifier=", 200, bundle(&[RUTH])),
            ("$everything", 200, bundle(&[other, GOAL])),
        ],
    )
    .await;
    assert_eq!(answers[0].status, Status::Withheld(Withholding::IdentityContradicted));
    assert!(answers[0].resources.is_empty());
}
