//! Tells the identifiers that members have for a patient (IHE PIXm ITI-83, `Patient/$ihe-pix`).

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Disclosure, Interaction, Permit, Released, Role},
    domain::{EnterpriseId, LocalId, PersonRecords, RecordKey},
};

/// What is asked for.
#[derive(Clone)]
pub struct CrossReferenceQuery {
    /// The identifier that is known.
    pub source: SourceIdentifier,
    /// Namespaces whose identifiers are wanted; all where neither is told.
    pub target_systems: Vec<String>,
    /// Whether the person's id in this exchange is wanted, beside `target_systems`.
    pub target_exchange: bool,
}

/// An identifier that somebody knows a patient by.
#[derive(Clone)]
pub enum SourceIdentifier {
    /// A member's.
    Local(LocalId),
    /// The id of a Patient of this exchange; `None` where it cannot be one.
    Person(Option<EnterpriseId>),
}

/// A patient's other identifiers, as far as a permit lets them be seen.
pub struct CrossReference {
    /// Identifiers.
    pub identifiers: Vec<Referred>,
    /// The person's id in this exchange, where it is wanted and was not what was known.
    pub person: Option<EnterpriseId>,
    /// Whether it is in doubt that what was known is this person's.
    pub in_doubt: bool,
}

/// An identifier that one was led to.
pub struct Referred {
    /// The identifier.
    pub local_id: LocalId,
    /// What the member is called that it is from.
    pub member_name: String,
    /// Whether it may be another person's than whose identifier was known.
    pub in_doubt: bool,
}

/// Finds the person behind an identifier, and the identifiers of its permitted records.
///
/// An identifier whose record the requester may not see is not found, as one that is nobody's.
pub async fn cross_reference(
    exchange: &Exchange,
    call: &Call,
    query: CrossReferenceQuery,
) -> Result<Released<CrossReference>, ExchangeError> {
    let audit = call.open(exchange, Interaction::CrossReference, About::default()).await?;
    let outcome = refer(exchange, call, &query);
    settle(audit, outcome).await
}

fn refer(exchange: &Exchange, call: &Call, query: &CrossReferenceQuery) -> Outcome<CrossReference> {
    call.requester()?.may(Role::Query)?;
    call.purpose()?;
    let roster = exchange.directory.roster();
    let known = |system: &str| roster.owner_of(system).is_some();
    if let SourceIdentifier::Local(id) = &query.source
        && !known(id.system())
    {
        return Err(ExchangeError::UnknownSourceDomain);
    }
    if !query.target_systems.iter().all(|system| known(system)) {
        return Err(ExchangeError::UnknownTargetDomain);
    }
    let (permit, source) = match &query.source {
        SourceIdentifier::Local(id) => {
            let found = permitted_record(exchange, call, id);
            let (permit, record) = found.ok_or(ExchangeError::UnknownSourceIdentifier)?;
            (permit, Some((id, record)))
        }
        SourceIdentifier::Person(id) => {
            let person = id.and_then(|id| exchange.index.person(id));
            let permit = person.and_then(|person| decide(exchange, call, &person));
            (permit.ok_or(ExchangeError::UnknownSourceIdentifier)?, None)
        }
    };
    let all = query.target_systems.is_empty() && !query.target_exchange;
    let wanted = |record: &&RecordKey| {
        let system = record.local_id.system();
        source.as_ref().is_none_or(|(known, _)| **known != record.local_id)
            && (all || query.target_systems.iter().any(|one| one == system))
    };
    let doubted = exchange.index.doubted(&permit);
    // If the record known may be somebody else's, so may everything that it leads to.
    let in_doubt = source.as_ref().is_some_and(|(_, record)| doubted.contains(record));
    let identifiers = permit.records().iter().filter(wanted).map(|record| Referred {
        local_id: record.local_id.clone(),
        member_name: roster
            .member(&record.member)
            .map_or(record.member.as_str(), |one| one.name())
            .to_owned(),
        in_doubt: in_doubt || doubted.contains(record),
    });
    let person = (source.is_some() && (all || query.target_exchange)).then(|| permit.person());
    let reference = CrossReference { identifiers: identifiers.collect(), person, in_doubt };
    Ok((Closing::Disclosed(vec![Disclosure::of(&permit)]), reference))
}

/// The record that a member calls so, or that it merged that one into, and a permit that lets it be seen.
pub(super) fn permitted_record(
    exchange: &Exchange,
    call: &Call,
    local_id: &LocalId,
) -> Option<(Permit, RecordKey)> {
    let roster = exchange.directory.roster();
    let member = roster.owner_of(local_id.system())?.code().clone();
    let told = RecordKey { member, local_id: local_id.clone() };
    let (record, person) = exchange.index.record_of(&told)?;
    let permit = decide(exchange, call, &person)?;
    permit.permits_record(&record).then_some((permit, record))
}

fn decide(exchange: &Exchange, call: &Call, person: &PersonRecords) -> Option<Permit> {
    let (requester, purpose) = (call.requester().ok()?, call.purpose().ok()?);
    exchange.consents.decide(requester, person, purpose, exchange.clock.now()).ok()
}
