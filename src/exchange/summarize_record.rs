//! A person's record as an International Patient Summary (`Patient/{id}/$summary`).

use std::sync::Arc;

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    Call, EverythingQuery, Exchange, ExchangeError, Whom,
    call::{Outcome, settle},
    gather::{ended, gather},
    locate_records::permit_for,
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Released},
    record::{SummaryInput, summary},
};

/// Asks every member that holds records of the person, and puts together a document Bundle, as JSON.
/// `base_url` is where its entries can be read, as long as the record is kept.
pub async fn summarize_record(
    exchange: &Exchange,
    call: &Call,
    whom: Whom,
    base_url: &str,
) -> Result<Released<String>, ExchangeError> {
    let mut audit = call.open(exchange, Interaction::Summary, whom.about()).await?;
    let outcome = summarize(exchange, call, &mut audit, &whom, base_url).await;
    settle(audit, outcome).await
}

async fn summarize(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    whom: &Whom,
    base_url: &str,
) -> Outcome<String> {
    let id = permit_for(exchange, call, whom)?.person();
    let (permit, snapshot) = gather(exchange, call, audit, id, EverythingQuery::default()).await?;
    let (_, snapshot) = exchange.snapshots.keep(snapshot);
    let (snapshot, base_url) = (Arc::clone(&snapshot), base_url.to_owned());
    let (name, now) = (exchange.settings.name.clone(), exchange.clock.now());
    let composing = spawn_blocking(move || {
        summary(&SummaryInput {
            person: &snapshot.view.to_value(),
            record: &snapshot.record,
            statement: &snapshot.statement,
            is_whole: snapshot.complete && snapshot.unrestricted,
            base_url: &base_url,
            exchange_name: &name,
            document_id: Uuid::new_v4(),
            now,
        })
    });
    let document = composing.await.or_else(ended)?;
    Ok((Closing::Disclosed(vec![Disclosure::of(&permit)]), document))
}
