//! A person's record as one page for an emergency department (`Patient/{id}/$ed-brief`).

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{
    Call, EverythingQuery, Exchange, ExchangeError, Snapshot,
    call::{About, Outcome, settle},
    gather::{ended, gather},
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Released},
    domain::EnterpriseId,
    record::{Brief, BriefInput},
};

/// A record read for an emergency department.
pub struct BriefedRecord {
    /// The page.
    pub brief: Brief,
    /// What it was read from; its resources can be read by id for some minutes.
    pub snapshot: Arc<Snapshot>,
}

/// Asks every member that holds records of the person, and reads what they answer on one page.
pub async fn brief_record(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
) -> Result<Released<BriefedRecord>, ExchangeError> {
    let mut audit = call.open(exchange, Interaction::Summary, About::patient(id)).await?;
    let outcome = brief(exchange, call, &mut audit, id).await;
    settle(audit, outcome).await
}

async fn brief(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    id: EnterpriseId,
) -> Outcome<BriefedRecord> {
    let (permit, snapshot) = gather(exchange, call, audit, id, EverythingQuery::default()).await?;
    let (_, snapshot) = exchange.snapshots.keep(snapshot);
    let (reading, now) = (Arc::clone(&snapshot), exchange.clock.now());
    let read = spawn_blocking(move || {
        Brief::of(&BriefInput {
            person: &reading.view.to_value(),
            record: &reading.record,
            statement: &reading.statement,
            now,
        })
    });
    let brief = read.await.or_else(ended)?;
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, BriefedRecord { brief, snapshot }))
}
