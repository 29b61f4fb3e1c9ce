//! Reads one resource by its gateway id: a fact of a record just shown, an original behind a group, or
//! any other resource that says whose it is.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{
    Call, EverythingQuery, Exchange, ExchangeError,
    call::{About, Outcome, settle},
    gather::gather_at,
    patient_view::fed_patient,
    read_patient::permit,
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Permit, Released, Role},
    domain::{EnterpriseId, LogicalId, MemberCode, RecordKey},
    fhir::Resource,
    index::{KnownRecord, RecordStanding},
    record::{is_hashed, releases},
};

/// Reads `Type/<member>.<id>`.
///
/// The id names no patient. The person is the one whose record showed it last; else the one whom the
/// resource itself names, when it is asked for at its member and not shown yet; else, of a Patient that
/// its member fed under this id, the one whom that record is linked to. Consent is decided for
/// that person and this requester, and audited, before anything goes out. In every other case there is
/// no such resource.
pub async fn read_resource(
    exchange: &Exchange,
    call: &Call,
    resource_type: &str,
    id: &str,
) -> Result<Released<String>, ExchangeError> {
    let about = About::resource(format!("{resource_type}/{id}"));
    let mut audit = call.open(exchange, Interaction::ResourceRead, about).await?;
    let outcome = read(exchange, call, &mut audit, resource_type, id).await;
    settle(audit, outcome).await
}

async fn read(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    resource_type: &str,
    id: &str,
) -> Outcome<String> {
    // Who may not ask at all hears that, and not whether the resource is known.
    call.requester()?.may(Role::Query)?;
    call.purpose()?;
    if let Some(found) = remembered(exchange, call, resource_type, id)? {
        return Ok(found);
    }
    let _slot = exchange.queries.try_acquire().map_err(|_| ExchangeError::Busy)?;
    // Whoever is asked learns of the question, so it is on record first.
    audit.begun().await?;
    if let Some(found) = at_its_member(exchange, call, resource_type, id).await {
        return Ok(found);
    }
    let told = as_fed(exchange, call, resource_type, id).await?;
    told.ok_or(ExchangeError::UnknownResource)
}

/// A Patient that its member fed under this id, where it cannot be had there: as the member told it
/// last.
async fn as_fed(
    exchange: &Exchange,
    call: &Call,
    resource_type: &str,
    id: &str,
) -> Result<Option<(Closing, String)>, ExchangeError> {
    let Some((member, source_id)) = id.split_once('.') else { return Ok(None) };
    let (Ok(member), Ok(source_id)) = (MemberCode::parse(member), LogicalId::parse(source_id))
    else {
        return Ok(None);
    };
    let name = RecordKey::of_patient_id(&member, &source_id);
    let known = exchange
        .index
        .known_record(&name)
        .filter(|known| resource_type == "Patient" && known.standing == RecordStanding::Active);
    let Some(KnownRecord { record, .. }) = known else { return Ok(None) };
    let person = exchange.index.person_of(&record).map(|person| person.id);
    // A refusal would tell that the Patient is there.
    let permit = person.and_then(|person| permit(exchange, call, person).ok());
    let Some(permit) = permit else { return Ok(None) };
    let records = exchange.index.locate(&permit).await?;
    let Some(location) = records.into_iter().find(|one| one.record == record) else {
        return Ok(None);
    };
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok(Some((closing, fed_patient(id, &location))))
}

/// What a record just shown holds.
fn remembered(
    exchange: &Exchange,
    call: &Call,
    resource_type: &str,
    id: &str,
) -> Result<Option<(Closing, String)>, ExchangeError> {
    let Some(snapshot) = exchange.snapshots.holding(resource_type, id) else { return Ok(None) };
    // A refusal would tell that the resource is there.
    let Ok(permit) = permit(exchange, call, snapshot.person) else {
        return Err(ExchangeError::UnknownResource);
    };
    let Some(original) = snapshot.record.original(resource_type, id) else { return Ok(None) };
    // Another client's snapshot may hold more than this one may see.
    if !still_shown(&snapshot, &permit, &original.member, &original.json) {
        return Err(ExchangeError::UnknownResource);
    }
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok(Some((closing, original.json.clone())))
}

/// What its member gives when it is asked for the person's resources of the type: read as in any
/// record, verified like any answer.
async fn at_its_member(
    exchange: &Exchange,
    call: &Call,
    resource_type: &str,
    id: &str,
) -> Option<(Closing, String)> {
    // What stands behind a hash only a record that showed it knows.
    let (member, source_id) = id.split_once('.').filter(|_| !is_hashed(id))?;
    let member = MemberCode::parse(member).ok()?;
    let person = person(exchange, call, &member, resource_type, source_id).await?;
    let permit = permit(exchange, call, person).ok()?;
    let types = BTreeSet::from([resource_type.to_owned()]);
    let query = EverythingQuery { types, ..EverythingQuery::default() };
    let record = gather_at(exchange, call, &permit, &member, query).await.ok()?;
    let original = record.original(resource_type, id)?;
    Some((Closing::Disclosed(vec![Disclosure::of(&permit)]), original.json.clone()))
}

/// The person whom a resource names, as far as its member's identifiers lead to one.
async fn person(
    exchange: &Exchange,
    call: &Call,
    member: &MemberCode,
    resource_type: &str,
    source_id: &str,
) -> Option<EnterpriseId> {
    let is_emergency = call.purpose().ok()?.is_emergency();
    let deadline = Instant::now() + exchange.federation.settings().deadline(is_emergency) / 2;
    let told = exchange.federation.whose(member, resource_type, source_id, deadline).await;
    let mut persons: Vec<EnterpriseId> = told
        .into_iter()
        .filter_map(|local_id| {
            let key = RecordKey { member: member.clone(), local_id };
            exchange.index.person_of(&key).map(|person| person.id)
        })
        .collect();
    persons.sort_unstable();
    persons.dedup();
    match persons.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// Whether a permit still shows what a record showed, of one member.
pub(super) fn still_shown(
    snapshot: &super::Snapshot,
    permit: &Permit,
    member: &MemberCode,
    json: &str,
) -> bool {
    let Ok(resource) = Resource::parse(json.as_bytes()) else { return false };
    permit.restrictions(member).is_some_and(|one| releases(one, &resource))
        && snapshot.still_linked(permit, member)
}
