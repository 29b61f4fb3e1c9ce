//! A member sends a FHIR message of changes to its patients (IHE PMIR ITI-93).

use super::{
    Call, Exchange, ExchangeError, FedById, PutById, Told,
    call::{About, Outcome, settle},
    local_word::word,
    messages_seen::Fingerprint,
    patient_by_id::{ReadById, record_named},
    take_message::{Done, nothing},
};
use crate::{
    access::{FeedPermit, Interaction},
    domain::LogicalId,
    fhir::identity_message::{IdentityChange, IdentityMessage},
    index::{LocalEvent, LocalRefusal},
};

/// What became of each entry of a message: what was done, durably, or why it was not.
pub type EntryOutcome = Result<Done, ExchangeError>;

/// An entry that was found well formed, with nothing done about it yet.
enum Ready {
    Put(Box<ReadById>),
    Delete(LogicalId),
}

/// Carries out what the message says, entry by entry, in its order; its bytes are the call's body.
///
/// All entries are read before the first is carried out: what is wrong with any in itself refuses the
/// message, and nothing was done ([`ExchangeError::InvalidEntries`]). What only turns out when an
/// entry's turn comes (an unknown survivor, a number in use) fails that entry alone. Where nothing
/// can be stored the rest is left ([`ExchangeError::Interrupted`]); sent again, what was done changes
/// nothing. The same message again is known again and does nothing.
pub async fn take_identity_message(
    exchange: &Exchange,
    call: &Call,
    message: IdentityMessage,
) -> Result<Vec<EntryOutcome>, ExchangeError> {
    let entries = message.changes.len();
    let (permit, ready) = match begin(exchange, call, &message) {
        Ok(begun) => begun,
        Err(error) => {
            let audit = call.open(exchange, Interaction::FeedEntry, About::default()).await?;
            return settle(audit, Err(error)).await.map(crate::access::Released::into_inner);
        }
    };
    let fingerprint = Fingerprint::of_fhir(permit.fed_by(), &message.id, &call.raw.body);
    if exchange.messages.known_again(permit.fed_by(), &fingerprint) {
        let audit = call.open(exchange, Interaction::FeedEntry, About::default()).await?;
        settle(audit, Ok((nothing(&permit), ()))).await?.into_inner();
        return Ok(std::iter::repeat_with(|| Ok(Done::TakenBefore)).take(entries).collect());
    }
    let mut outcomes = Vec::with_capacity(entries);
    for (change, ready) in message.changes.iter().zip(ready) {
        let outcome = one(exchange, call, &permit, &message.id, change, ready).await;
        if matches!(outcome, Err(ExchangeError::Index(_) | ExchangeError::Audit(_))) {
            return Err(ExchangeError::Interrupted { done: outcomes.len(), entries });
        }
        outcomes.push(outcome);
    }
    if outcomes.iter().all(Result::is_ok) {
        exchange.messages.remember(&fingerprint);
    }
    Ok(outcomes)
}

/// Who sends, and every entry read.
fn begin(
    exchange: &Exchange,
    call: &Call,
    message: &IdentityMessage,
) -> Result<(FeedPermit, Vec<Ready>), ExchangeError> {
    let permit = FeedPermit::decide(call.requester()?, &exchange.directory.roster())?;
    let (mut ready, mut wrong) = (Vec::new(), Vec::new());
    for (number, change) in message.changes.iter().enumerate() {
        match read(&permit, &message.id, change) {
            Ok(one) => ready.push(one),
            Err(error) => wrong.push((number, error)),
        }
    }
    if wrong.is_empty() { Ok((permit, ready)) } else { Err(ExchangeError::InvalidEntries(wrong)) }
}

fn read(
    permit: &FeedPermit,
    message_id: &str,
    change: &IdentityChange,
) -> Result<Ready, ExchangeError> {
    let Some(patient) = &change.patient else { return Ok(Ready::Delete(change.id.clone())) };
    let fed = FedById {
        member: permit.member().clone(),
        id: change.id.clone(),
        patient,
        reference: &|told| change.id_of_reference(told),
        told: told(message_id, change),
        if_version: None,
    };
    Ok(Ready::Put(Box::new(ReadById::of(permit, fed)?)))
}

fn told(message_id: &str, change: &IdentityChange) -> Told {
    Told { event_time: change.time, source_message: Some(message_id.to_owned()) }
}

/// Carries one entry out, with an audit event of its own.
async fn one(
    exchange: &Exchange,
    call: &Call,
    permit: &FeedPermit,
    message_id: &str,
    change: &IdentityChange,
    ready: Ready,
) -> EntryOutcome {
    let mut call = call.clone();
    call.raw.body = change.patient.as_ref().map(|one| one.json().into()).unwrap_or_default();
    let interaction = match ready {
        Ready::Put(_) => Interaction::FeedEntry,
        Ready::Delete(_) => Interaction::FeedEntryRemoval,
    };
    let audit = call.open(exchange, interaction, About::default()).await?;
    let outcome = match ready {
        Ready::Put(read) => put(exchange, &call, permit, *read).await,
        Ready::Delete(id) => {
            let told = told(message_id, change);
            delete(exchange, &call, permit, &id, told).await
        }
    };
    Ok(settle(audit, outcome).await?.into_inner())
}

async fn put(
    exchange: &Exchange,
    call: &Call,
    permit: &FeedPermit,
    read: ReadById,
) -> Outcome<Done> {
    let (closing, put) = read.carry_out(exchange, permit, call).await?;
    let done = match put {
        PutById::Registered(registered) => Done::of_registration(registered.outcome),
        PutById::Merged(followed) => Done::of_word(followed.outcome, Done::Merged),
    };
    Ok((closing, done))
}

async fn delete(
    exchange: &Exchange,
    call: &Call,
    permit: &FeedPermit,
    id: &LogicalId,
    told: Told,
) -> Outcome<Done> {
    let record = match record_named(exchange, permit, permit.member(), id) {
        Ok(record) => record,
        // Deleting what is not there is deleting all the same (FHIR R4 §3.1.0.7.1).
        Err(ExchangeError::Local(LocalRefusal::UnknownRecord)) => {
            return Ok((nothing(permit), Done::NothingNew));
        }
        Err(error) => return Err(error),
    };
    let (closing, followed) =
        word(exchange, call, permit, LocalEvent::Retire { record }, told).await?;
    Ok((closing, Done::of_word(followed.outcome, Done::Deleted)))
}
