//! Retrieves one person's record from every member that holds parts of it
//! (FHIR R4 `Patient/{id}/$everything`).

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Call, EverythingQuery, Exchange, ExchangeError, Snapshot,
    call::{About, Outcome, settle},
    gather::gather,
    read_patient::permit,
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Released},
    domain::EnterpriseId,
};

/// A record that was put together just now, and the token under which its pages are kept.
pub struct RetrievedRecord {
    /// Names the snapshot in page links.
    pub token: Uuid,
    /// The record.
    pub snapshot: Arc<Snapshot>,
}

/// Asks every member that holds records of the person, verifies and merges what they answer.
///
/// A member that fails is told in the statement. An error only where nobody could be asked, or where
/// all who were asked failed.
pub async fn retrieve_record(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
    query: EverythingQuery,
) -> Result<Released<RetrievedRecord>, ExchangeError> {
    let mut audit = call.open(exchange, Interaction::Everything, About::patient(id)).await?;
    let outcome = retrieve(exchange, call, &mut audit, id, query).await;
    settle(audit, outcome).await
}

async fn retrieve(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    id: EnterpriseId,
    query: EverythingQuery,
) -> Outcome<RetrievedRecord> {
    let (permit, snapshot) = gather(exchange, call, audit, id, query).await?;
    let (token, snapshot) = exchange.snapshots.keep(snapshot);
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, RetrievedRecord { token, snapshot }))
}

/// Another page of a record that was put together before.
///
/// Consent is asked again, and the page is audited like the first. Gone once its time is over, and
/// for anybody but the client, purpose and permission that it was made for.
pub async fn next_page(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
    token: Uuid,
) -> Result<Released<RetrievedRecord>, ExchangeError> {
    let audit = call.open(exchange, Interaction::Everything, About::patient(id)).await?;
    let outcome = page(exchange, call, id, token);
    settle(audit, outcome).await
}

fn page(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
    token: Uuid,
) -> Outcome<RetrievedRecord> {
    let permit = permit(exchange, call, id)?;
    let snapshot = exchange
        .snapshots
        .by_token(token)
        .filter(|snapshot| snapshot.is_for(&permit))
        .ok_or(ExchangeError::PageExpired)?;
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, RetrievedRecord { token, snapshot }))
}
