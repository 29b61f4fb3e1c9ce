//! What a member says of its own records: merged, renamed, linked, ended. The journeys, with their
//! permits, their audit and what others see afterwards.

use reqwest::Method;
use tessera::{
    access::{RawRequest, Refusal},
    domain::{LocalId, RequestId},
    exchange::{
        Call, Exchange, ExchangeError, Told, change_identifier, link_records, merge_records,
        retire_record, unlink_records,
    },
    index::{Following, LocalRefusal},
};
use uuid::Uuid;

use crate::{
    people::{anne, consent, deny_all_of, lake, patient, ruth},
    world::{World, record_numbers},
};

/// A call of one of the exchange's clients.
fn call(exchange: &Exchange, client: &str) -> Call {
    Call {
        request_id: RequestId::new(Uuid::new_v4()),
        requester: exchange.clients.on_this_machine(client).ok_or(Refusal::UnknownClient),
        client_address: None,
        told_purpose: None,
        kept_age_max: std::time::Duration::MAX,
        raw: RawRequest { method: "ADT^A40".to_owned(), ..RawRequest::default() },
    }
}

fn id(member: &str, value: &str) -> LocalId {
    LocalId::parse(&record_numbers(member), &format!("{member}-{value}")).expect("an identifier")
}

/// Anne knows Ruth twice, lake once.
async fn ruth_twice() -> World {
    let world = World::of(vec![anne(), lake()]).await;
    world.feed_all().await;
    let again = world.feeder("anne").feed(&patient("anne", "again", &ruth())).await;
    assert_eq!(again.status, 201, "{again:?}");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_record_is_one_source_and_its_audit_says_who_merged() {
    let world = ruth_twice().await;
    let (exchange, ed) = (world.gateway.exchange(), world.client("ed"));
    let person = ed.person(&ruth()).await;
    let told = || Told { source_message: Some("MSG1".to_owned()), ..Told::default() };
    let (gone, stays) = (id("anne", "again"), id("anne", "ruth"));
    let call = call(exchange, "anne-feed");
    let merged = merge_records(exchange, &call, gone.clone(), stays.clone(), told()).await;
    let merged = merged.expect("it is merged").into_inner();
    assert_eq!((merged.outcome, merged.person.to_string()), (Following::Done, person.clone()));
    let shown = ed.get(&format!("Patient/{person}")).await;
    assert!(shown.text().contains("anne-ruth") && !shown.text().contains("anne-again"));
    let events = world.trail().await;
    let id = call.request_id.to_string();
    let event = events.iter().rfind(|event| event.request_id == id).expect("it is audited");
    assert_eq!(event.person.as_deref(), Some(&*person));
    assert!(event.body.to_string().contains("PatientUpdate"), "{}", event.body);

    let refused = merge_records(exchange, &call, stays, gone, told()).await;
    let refused = refused.expect_err("its survivor was merged away");
    assert!(matches!(refused, ExchangeError::Local(LocalRefusal::SurvivorSubsumed)));
    let told = world.feeder("anne").feed(&patient("anne", "again", &ruth())).await;
    told.refuses(409, "conflict", "merged into another");
    let world = world.restarted().await;
    let shown = world.client("ed").get(&format!("Patient/{person}")).await;
    assert!(!shown.text().contains("anne-again"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_outlives_the_identifier_it_was_given_under() {
    let world = ruth_twice().await;
    let (exchange, ed) = (world.gateway.exchange(), world.client("ed"));
    let person = ed.person(&ruth()).await;
    let objection = consent(&patient("anne", "again", &ruth()), &deny_all_of("lake"));
    let kept = world.feeder("anne").put("Consent/objection", &objection).await;
    assert_eq!(kept.status, 201, "{kept:?}");
    let call = call(exchange, "anne-feed");
    let told = Told::default;
    let (again, ruth, late) = (id("anne", "again"), id("anne", "ruth"), id("anne", "new"));
    let merged = merge_records(exchange, &call, again, ruth.clone(), told()).await;
    merged.expect("it is merged").into_inner();
    let hidden = |text: String| assert!(!text.contains("lake"), "{text}");
    hidden(ed.get(&format!("Patient/{person}")).await.text());
    let renamed = change_identifier(exchange, &call, ruth, late.clone(), told()).await;
    renamed.expect("it is renamed").into_inner();
    hidden(ed.get(&format!("Patient/{person}")).await.text());
    let retired = retire_record(exchange, &call, late, told()).await;
    retired.expect("it is retired").into_inner();
    let nothing = ed.get(&format!("Patient/{person}")).await;
    hidden(nothing.text());
    assert_eq!(nothing.status, 403, "all that is left is objected to: {nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_record_is_audited_as_a_deletion() {
    let world = ruth_twice().await;
    let exchange = world.gateway.exchange();
    let call = call(exchange, "lake-feed");
    let retired = retire_record(exchange, &call, id("lake", "ruth"), Told::default()).await;
    retired.expect("it is retired").into_inner();
    let id = call.request_id.to_string();
    let events = world.trail().await;
    let event = events.iter().rfind(|event| event.request_id == id).expect("it is audited");
    assert_eq!(event.body["action"], "D");
    assert!(event.body.to_string().contains("IHE.BasicAudit.PatientDelete"), "{}", event.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_speaks_of_its_own_records_only() {
    let world = ruth_twice().await;
    let exchange = world.gateway.exchange();
    let (own, foreign) = (id("lake", "ruth"), id("anne", "ruth"));
    let two = [own.clone(), foreign.clone()];
    let lake = call(exchange, "lake-feed");
    let refused = |error: ExchangeError| {
        assert!(matches!(error, ExchangeError::Refused(Refusal::ForeignIdentifierSystem)));
    };
    let told = Told::default;
    refused(retire_record(exchange, &lake, foreign.clone(), told()).await.expect_err("foreign"));
    refused(link_records(exchange, &lake, two.clone(), told()).await.expect_err("foreign"));
    refused(unlink_records(exchange, &lake, two, told()).await.expect_err("foreign"));
    let ed = call(exchange, "ed");
    let merged = merge_records(exchange, &ed, own, foreign, told()).await;
    assert!(matches!(merged, Err(ExchangeError::Refused(Refusal::MissingRole(_)))));
    let delete = world.feeder("lake");
    let answer = delete.send(delete.request(Method::DELETE, "Patient/x")).await;
    assert_eq!(answer.status, 405, "no way in but the feeds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_found_by_the_identifier_it_has_and_those_it_had() {
    let world = ruth_twice().await;
    let (exchange, ed) = (world.gateway.exchange(), world.client("ed"));
    let person = ed.person(&ruth()).await;
    let call = call(exchange, "anne-feed");
    let (again, stays, new) = (id("anne", "again"), id("anne", "ruth"), id("anne", "new"));
    let merged = merge_records(exchange, &call, again, stays.clone(), Told::default()).await;
    merged.expect("it is merged").into_inner();
    let renamed = change_identifier(exchange, &call, stays, new, Told::default()).await;
    renamed.expect("it is renamed").into_inner();
    let system = record_numbers("anne");
    for value in ["anne-new", "anne-ruth", "anne-again"] {
        let path = format!("Patient/$ihe-pix?sourceIdentifier={system}|{value}");
        let answer = ed.get(&path).await;
        assert_eq!(answer.status, 200, "{value}: {answer:?}");
        assert_eq!(answer.text().contains("anne-new"), value != "anne-new", "{answer:?}");
    }
    let path = format!("Patient?identifier={system}|anne-new");
    let found = ed.get(&path).await;
    assert_eq!(found.of_type("Patient")[0]["id"], person.as_str(), "{found:?}");
    let world = world.restarted().await;
    let found = world.client("ed").get(&path).await;
    assert_eq!(found.of_type("Patient").len(), 1, "{found:?}");
}
