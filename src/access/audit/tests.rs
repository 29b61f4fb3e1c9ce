use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::access::fixture::{NOW, Stopped, directory, person, requester};
use crate::access::{ConsentBook, ConsentSettings, DefaultPolicy, Denial, Permit, Refusal};
use crate::domain::{EnterpriseId, PersonRecords, PurposeOfUse, RequestId};
use crate::storage::{AuditRow, AuditState, Database, StorageSettings};

fn start(interaction: Interaction) -> AuditStart {
    AuditStart {
        request_id: RequestId::new(Uuid::from_u128(42)),
        requester: Some(requester("anne-ed")),
        client_address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        interaction,
        purpose: Some(PurposeOfUse::Treatment),
        patient: None,
        resource: None,
        query: RawRequest {
            method: "POST".to_owned(),
            path: "/fhir/Patient/$match".to_owned(),
            query_string: "_format=json".to_owned(),
            body: br#"{"family":"Invented"}"#.to_vec(),
        },
    }
}

fn permit(id: u128, default_policy: DefaultPolicy, purpose: PurposeOfUse) -> Permit {
    let settings = ConsentSettings { default_policy, ..Default::default() };
    let person = PersonRecords { id: EnterpriseId::from_u128(id), ..person() };
    ConsentBook::in_memory(settings, directory())
        .decide(&requester("anne-ed"), &person, purpose, NOW)
        .expect("permitted")
}

fn treatment(id: u128) -> Disclosure {
    let permit = permit(id, DefaultPolicy::PermitTreatment, PurposeOfUse::Treatment);
    Disclosure::of(&permit)
}

/// The events of one closing, parsed.
fn events(settings: &AuditSettings, start: &AuditStart, closing: &Closing) -> Vec<Value> {
    event::closing(settings, start, closing, NOW)
        .iter()
        .map(|event| serde_json::from_str(&event.body).expect("JSON"))
        .collect()
}

#[test]
fn a_match_is_told_in_the_shape_of_balp() {
    let told = events(
        &AuditSettings::default(),
        &start(Interaction::Match),
        &Closing::Disclosed(vec![treatment(7)]),
    );
    insta::assert_json_snapshot!(told);
}

#[test]
fn a_read_and_a_feed_are_told_in_the_shape_of_balp() {
    let mut read = start(Interaction::PatientRead);
    read.resource = Some(format!("Patient/{}", EnterpriseId::from_u128(7)));
    let mut told =
        events(&AuditSettings::default(), &read, &Closing::Disclosed(vec![treatment(7)]));
    let mut feed = start(Interaction::Feed);
    feed.requester = Some(requester("anne-feed"));
    feed.purpose = None;
    for created in [true, false] {
        let id = EnterpriseId::from_u128(7);
        let resource = format!("Patient/{id}");
        let closing = Closing::Wrote { resource, person: Some(id), created };
        told.extend(events(&AuditSettings::default(), &feed, &closing));
    }
    insta::assert_json_snapshot!(told);
}

#[test]
fn each_ending_has_its_outcome() {
    let settings = AuditSettings::default();
    let start = start(Interaction::Everything);
    for (closing, outcome, reason) in [
        (Closing::Disclosed(vec![]), "0", None),
        (
            Closing::Refused(Refusal::NotPermitted(Denial::Directive)),
            "4",
            Some("denied by a consent on file"),
        ),
        (Closing::Rejected("no birth date"), "4", Some("no birth date")),
        (Closing::Failed("storage failed"), "8", Some("storage failed")),
    ] {
        let told = events(&settings, &start, &closing);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["outcome"], outcome, "{closing:?}");
        assert_eq!(told[0]["outcomeDesc"].as_str(), reason, "{closing:?}");
        assert_eq!(told[0]["type"]["code"], "rest");
    }
}

#[test]
fn a_failed_authentication_is_a_security_alert() {
    let mut start = start(Interaction::Match);
    start.requester = None;
    let closing = Closing::Refused(Refusal::CertificateRevoked);
    let told = events(&AuditSettings::default(), &start, &closing);
    assert_eq!(told[0]["type"]["code"], "110113");
    assert_eq!(told[0]["subtype"][0]["code"], "110126");
    assert_eq!(told[0]["agent"][0]["who"]["display"], "not authenticated");
    assert_eq!(told[0]["outcomeDesc"], "the client certificate was revoked");
}

#[test]
fn breaking_the_glass_is_told_twice() {
    for (policy, purpose, alerts) in [
        (DefaultPolicy::EmergencyOnly, PurposeOfUse::EmergencyTreatment, 1),
        (DefaultPolicy::PermitTreatment, PurposeOfUse::EmergencyTreatment, 0),
        (DefaultPolicy::PermitTreatment, PurposeOfUse::BreakGlass, 1),
    ] {
        let disclosure = Disclosure::of(&permit(7, policy, purpose));
        let told = events(
            &AuditSettings::default(),
            &start(Interaction::Everything),
            &Closing::Disclosed(vec![disclosure]),
        );
        let alert = |one: &&Value| one["subtype"][0]["code"] == "110127";
        assert_eq!(told.iter().filter(alert).count(), alerts, "{policy:?} {purpose}");
        assert_eq!(told.len(), 1 + alerts);
        assert_eq!(told[0]["purposeOfEvent"][0]["coding"][0]["code"], purpose.code());
    }
}

#[test]
fn an_exchange_may_keep_demographics_out_of_its_trail() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let kept = |settings: &AuditSettings| {
        let told = events(settings, &start(Interaction::Match), &Closing::Disclosed(vec![]));
        let query = told[0]["entity"][0]["query"].as_str().expect("a query").to_owned();
        assert!(!told[0].to_string().contains("Invented"));
        String::from_utf8(STANDARD.decode(query).expect("base64")).expect("text")
    };
    let whole = kept(&AuditSettings::default());
    assert_eq!(whole, "POST /fhir/Patient/$match?_format=json\r\n\r\n{\"family\":\"Invented\"}");
    let cut = kept(&AuditSettings { query_bytes_max: 10, ..Default::default() });
    assert_eq!(cut, "POST /fhir");
    let none = kept(&AuditSettings { keep_query: false, ..Default::default() });
    assert_eq!(none, "POST /fhir/Patient/$match");
}

#[test]
fn settings_keep_their_bounds() {
    let parse = |text| toml::from_str::<AuditSettings>(text).map_err(|error| error.to_string());
    assert_eq!(parse(""), Ok(AuditSettings::default()));
    assert_eq!(parse("query_bytes_max = 1024").map(|one| one.query_bytes_max), Ok(1024));
    for (text, complaint) in [
        ("query_bytes_max = 1023", "must be 1024 to 1048576"),
        ("keep_querry = true", "unknown field `keep_querry`"),
    ] {
        assert!(parse(text).expect_err("refused").contains(complaint), "{text}");
    }
}

struct World {
    _home: TempDir,
    settings: StorageSettings,
    store: Database,
    log: AuditLog,
}

impl World {
    async fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let settings = StorageSettings::at(home.path().join("t.db"));
        let (store, log) = Self::run(&settings).await;
        Self { _home: home, settings, store, log }
    }

    async fn run(settings: &StorageSettings) -> (Database, AuditLog) {
        let store = Database::open(settings).await.expect("the store opens");
        let log = AuditLog::start(store.clone(), AuditSettings::default(), Arc::new(Stopped))
            .await
            .expect("the trail opens");
        (store, log)
    }

    async fn rows(&self) -> Vec<AuditRow> {
        let rows = pin!(self.store.reader().audit_rows(0));
        rows.try_collect().await.expect("the rows are read")
    }

    async fn open(&self) -> OpenAudit {
        self.log.open(start(Interaction::Match)).await.expect("opened")
    }

    async fn left_open(&self) -> usize {
        self.store.reader().audit_rows_left_open().await.expect("read").len()
    }
}

fn outcome(row: &AuditRow) -> Value {
    let event: Value = serde_json::from_str(&row.entry.body).expect("JSON");
    event["outcome"].clone()
}

#[tokio::test]
async fn an_answer_is_given_back_once_each_patient_is_on_record() {
    let world = World::new().await;
    let open = world.open().await;
    let closing = Closing::Disclosed(vec![treatment(7), treatment(8)]);
    let answer = open.close(closing, "the answer").await.expect("closed").into_inner();
    assert_eq!(answer, "the answer");
    let rows = world.rows().await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.entry.state, row.entry.person.map(EnterpriseId::as_u128)))
        .collect();
    assert_eq!(
        told,
        [(AuditState::Open, None), (AuditState::Closed, Some(7)), (AuditState::Closed, Some(8)),]
    );
    assert_eq!((outcome(&rows[0]), outcome(&rows[1])), (Value::Null, "0".into()));
    assert_eq!(world.left_open().await, 0);
}

#[tokio::test]
async fn a_stretch_is_on_record_before_it_is_given_back() {
    let world = World::new().await;
    let mut open = world.open().await;
    let part = open.stretch(&[treatment(7)], 1).await.expect("released").into_inner();
    assert_eq!((part, world.rows().await.len()), (1, 2));
    let rest = open.close(Closing::Disclosed(vec![]), 2).await.expect("closed");
    assert_eq!((rest.into_inner(), world.left_open().await), (2, 0));
}

#[tokio::test]
async fn a_dropped_action_closes_itself() {
    let world = World::new().await;
    drop(world.open().await);
    // Dropped while it waits: the future is polled once, then given up.
    let open = world.open().await;
    let closing = Closing::Disclosed(vec![treatment(7)]);
    let mut waiting = Box::pin(open.close(closing, ()));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    {
        let mut opening = Box::pin(world.log.open(start(Interaction::Match)));
        let _ = futures_util::poll!(&mut opening);
    }
    world.log.close().await;
    assert_eq!(world.left_open().await, 0);
    let closed: Vec<Value> = world
        .rows()
        .await
        .iter()
        .filter(|row| row.entry.state == AuditState::Closed)
        .map(outcome)
        .collect();
    assert!(closed.contains(&"4".into()) && closed.contains(&"0".into()), "{closed:?}");
}

#[tokio::test]
async fn nothing_is_released_where_the_trail_cannot_be_written() {
    let world = World::new().await;
    let open = world.open().await;
    world.store.close().await;
    let closed = open.close(Closing::Disclosed(vec![treatment(7)]), "the answer").await;
    assert!(matches!(closed, Err(AuditError::Storage(_))));
    // What is owed comes first, so nothing new is begun either.
    assert!(world.log.open(start(Interaction::Match)).await.is_err());
}

#[tokio::test]
async fn a_record_that_failed_is_made_up_before_anything_else_begins() {
    let home = tempfile::tempdir().expect("a folder");
    let settings =
        StorageSettings { group_rows_max: 2, ..StorageSettings::at(home.path().join("t.db")) };
    let (store, log) = World::run(&settings).await;
    let world = World { _home: home, settings, store, log };
    // More rows than the store takes in one piece: the closing fails, the store does not.
    let closing = Closing::Disclosed(vec![treatment(7), treatment(8), treatment(9)]);
    assert!(world.open().await.close(closing, "the answer").await.is_err());
    assert_eq!(world.left_open().await, 1);
    let open = world.open().await;
    let rows = world.rows().await;
    let told: Vec<_> = rows.iter().map(|row| (row.entry.state, outcome(row))).collect();
    let owed = (AuditState::Closed, Value::from("8"));
    assert_eq!(told[..2], [(AuditState::Open, Value::Null), owed]);
    assert!(rows[1].entry.body.contains("nothing was released"));
    open.close(Closing::Disclosed(vec![]), ()).await.expect("closed").into_inner();
    assert_eq!(world.left_open().await, 0);
}

#[tokio::test]
async fn what_a_crash_left_open_is_closed_as_interrupted() {
    let world = World::new().await;
    let mut open = world.open().await;
    open.begun().await.expect("durable");
    world.store.close().await;
    // As a crash does: nobody closes it.
    std::mem::forget(open);
    let (store, log) = World::run(&world.settings).await;
    let world = World { store, log, ..world };
    assert_eq!(world.left_open().await, 0);
    let rows = world.rows().await;
    assert_eq!((rows.len(), outcome(&rows[1])), (2, "12".into()));
    assert_eq!(rows[1].entry.audit_id, rows[0].entry.audit_id);
    assert!(rows[1].entry.body.contains("interrupted"));
    let report = world.store.reader().verify_audit_chain().await.expect("walked");
    assert_eq!((report.rows, report.first_bad), (2, None));
}

#[tokio::test]
async fn a_refusal_is_on_record_by_itself() {
    let world = World::new().await;
    let refusal = Refusal::MissingRole(crate::access::Role::Query);
    world.log.refused(start(Interaction::Match), refusal).await.expect("recorded");
    let rows = world.rows().await;
    assert_eq!((rows.len(), outcome(&rows[0])), (1, "4".into()));
    assert_eq!(world.left_open().await, 0);
}
