//! Hands out one person's record as members answer (`Patient/{id}/$everything` as NDJSON).

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc::Sender, time::timeout};

use super::{
    Call, EverythingQuery, Exchange, ExchangeError, RetrievedRecord,
    call::{About, Outcome, settle},
    gather::Gathering,
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Released},
    domain::EnterpriseId,
};

/// A part of a record that is handed out before the next one is there. Each is on durable record when
/// it is released.
pub enum Stretch {
    /// What one member gave: verified, redacted, under gateway ids.
    Copies(Vec<String>),
    /// All have answered, and this is the record: the last stretch. Whoever does not get it does not
    /// have the whole.
    End(RetrievedRecord),
}

/// A stretch, or why there is no more.
pub type Streamed = Result<Released<Stretch>, ExchangeError>;

/// Asks every member that holds records of the person, and sends what each gives as it answers; at the
/// end, the record.
///
/// Ends early, with all its work, where nobody receives any longer, or where the receiver takes nothing
/// for as long as the settings allow. An error comes first where nobody could be asked, or where all who
/// were asked failed.
pub async fn stream_record(
    exchange: Arc<Exchange>,
    call: Call,
    id: EnterpriseId,
    query: EverythingQuery,
    to: Sender<Streamed>,
) {
    let streaming = async {
        let opened = call.open(&exchange, Interaction::Everything, About::patient(id)).await;
        let last = match opened {
            Ok(mut audit) => {
                let outcome = stream(&exchange, &call, &mut audit, (id, query), &to).await;
                settle(audit, outcome).await
            }
            Err(error) => Err(error),
        };
        // Whoever no longer listens needs no last word.
        let _ = send(&exchange, &to, last).await;
    };
    tokio::select! {
        () = streaming => {}
        () = to.closed() => {}
    }
}

async fn stream(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    (id, query): (EnterpriseId, EverythingQuery),
    to: &Sender<Streamed>,
) -> Outcome<Stretch> {
    let mut gathering = Gathering::begin(exchange, call, audit, id, query).await?;
    loop {
        let disclosure = Disclosure::of(gathering.permit());
        let person = gathering.permit().person();
        let Some(heard) = gathering.hear().await else { break };
        let copies = heard.resources(person).await;
        if copies.is_empty() {
            continue;
        }
        let released = audit.stretch(&[disclosure], Stretch::Copies(copies)).await?;
        send(exchange, to, Ok(released)).await?;
    }
    let (permit, snapshot) = gathering.put_together().await?;
    let (token, snapshot) = exchange.snapshots.keep(snapshot);
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, Stretch::End(RetrievedRecord { token, snapshot })))
}

async fn send(
    exchange: &Exchange,
    to: &Sender<Streamed>,
    stretch: Streamed,
) -> Result<(), ExchangeError> {
    let patience = Duration::from_secs(exchange.settings.stream_stall_s);
    match timeout(patience, to.send(stretch)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ExchangeError::NotReading),
    }
}
