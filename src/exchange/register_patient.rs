//! A member tells who one of its patients is (IHE PIXm ITI-104, add or revise).

use serde::{Deserialize, de::IgnoredAny};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, FeedPermit, Interaction, Released},
    domain::{LocalId, RecordKey},
    fhir::{
        Resource,
        patient::{Fault, PatientReading, read_patient},
    },
    index::{KnownRecord, Outcome as Registry, Registered, Registration},
};

/// Registers the Patient that one of `identifiers` names: the member's own identifiers as the
/// request's search gives them, at least one.
///
/// Created or updated once this returns, durably. Several known patients behind the identifiers are
/// refused, and so is an identifier of another namespace than the member's own, and a record of
/// another version than `if_version`, where that is told.
pub async fn register_patient(
    exchange: &Exchange,
    call: &Call,
    identifiers: Vec<LocalId>,
    patient: &Resource,
    if_version: Option<u32>,
) -> Result<Released<Registered>, ExchangeError> {
    let audit = call.open(exchange, Interaction::Feed, About::default()).await?;
    let outcome = register(exchange, call, identifiers, patient, if_version).await;
    settle(audit, outcome).await
}

async fn register(
    exchange: &Exchange,
    call: &Call,
    identifiers: Vec<LocalId>,
    patient: &Resource,
    if_version: Option<u32>,
) -> Outcome<Registered> {
    let permit = FeedPermit::decide(call.requester()?, &exchange.directory.roster())?;
    let reading = acceptable(patient)?;
    let record = one_record(exchange, &permit, identifiers)?;
    if !reading.local_ids.contains(&record.local_id) {
        return Err(ExchangeError::IdentifierMismatch);
    }
    let _turn = exchange.record_locks.lock(&record).await;
    check_version(if_version, exchange.index.known_record(&record).as_ref())?;
    let registration = Registration {
        record,
        demographics: reading.demographics,
        event_time: last_updated(patient),
        source_message: Some(call.request_id.to_string()),
        fed_by: permit.fed_by().to_owned(),
    };
    let registered = exchange.index.register(registration).await?;
    exchange.federation.forget_answers(registered.person).await;
    Ok((wrote(&registered), registered))
}

/// How the audit of a registration closes.
pub(super) fn wrote(registered: &Registered) -> Closing {
    Closing::Wrote {
        resource: format!("Patient/{}", registered.person),
        person: Some(registered.person),
        created: registered.outcome == Registry::Created,
    }
}

/// Refuses what is meant for another version of the record than there is, or for one that is not
/// there.
pub(super) fn check_version(
    expected: Option<u32>,
    known: Option<&KnownRecord>,
) -> Result<(), ExchangeError> {
    let there = known.map(|known| known.version);
    if expected.is_some() && expected != there {
        return Err(ExchangeError::OtherVersion);
    }
    Ok(())
}

/// The record that the identifiers name: the only known one, or else the only one told.
fn one_record(
    exchange: &Exchange,
    permit: &FeedPermit,
    identifiers: Vec<LocalId>,
) -> Result<RecordKey, ExchangeError> {
    let mut told: Vec<RecordKey> =
        identifiers.into_iter().map(|id| permit.record(id)).collect::<Result<_, _>>()?;
    told.sort_unstable();
    told.dedup();
    let mut known =
        told.iter().filter(|record| exchange.index.person_of(record).is_some()).cloned();
    match (known.next(), known.next()) {
        (Some(record), None) => Ok(record),
        (None, _) if told.len() == 1 => Ok(told.remove(0)),
        _ => Err(ExchangeError::SeveralPatients),
    }
}

/// Reads a Patient that a feed may bring: nothing misshapen, nothing that changes its meaning.
pub fn acceptable(patient: &Resource) -> Result<PatientReading, ExchangeError> {
    let modifiers: Modifiers = patient.read()?;
    let mut reading = read_patient(patient)?;
    let mut faults = std::mem::take(&mut reading.faults);
    if modifiers.modifier_extension.is_some() || modifiers.implicit_rules.is_some() {
        let problem = "changes the meaning of the resource in a way that is not understood";
        faults.push(Fault { expression: "Patient.modifierExtension", problem });
    }
    if reading.demographics.names.iter().all(|name| {
        name.family.trim().is_empty()
            && name.text.trim().is_empty()
            && name.given.iter().all(|given| given.trim().is_empty())
    }) {
        faults.push(Fault { expression: "Patient.name", problem: "is missing" });
    }
    if !faults.is_empty() {
        return Err(ExchangeError::InvalidPatient(faults));
    }
    let is_replaced = reading.replaced_by.is_some() || reading.replaced_by_reference.is_some();
    if !reading.active || is_replaced {
        return Err(ExchangeError::NotSupported(
            "a merge is active = false with a link replaced-by to the Patient that stays, the end of a local record is its deletion",
        ));
    }
    Ok(reading)
}

/// The merge that a Patient tells of, as subsumed and surviving identifier: it is inactive and
/// replaced by another, which a logical reference names (IHE ITI-104, resolve duplicate). `None`
/// where it tells of none, and where it does not hold the one identifier that the request names.
pub fn told_merge(patient: &Resource, identifiers: &[LocalId]) -> Option<(LocalId, LocalId)> {
    let reading = read_patient(patient).ok()?;
    let survivor = reading.replaced_by.filter(|_| !reading.active)?;
    let [subsumed] = identifiers else { return None };
    reading.local_ids.contains(subsumed).then(|| (subsumed.clone(), survivor))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modifiers {
    modifier_extension: Option<IgnoredAny>,
    implicit_rules: Option<IgnoredAny>,
}

/// When the Patient held at the member: `meta.lastUpdated`, where it is told and readable.
pub fn last_updated(patient: &Resource) -> Option<OffsetDateTime> {
    #[derive(Deserialize)]
    struct WithMeta {
        meta: Option<Meta>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Meta {
        last_updated: Option<String>,
    }
    let told: WithMeta = patient.read().ok()?;
    OffsetDateTime::parse(&told.meta?.last_updated?, &Rfc3339).ok()
}
