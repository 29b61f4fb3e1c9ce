//! A member says that one of its patients is no more (IHE PIXm ITI-104 remove, HL7 v2 A29).

use super::{
    Call, Exchange, ExchangeError,
    local_word::{Told, follow},
};
use crate::{
    access::{Interaction, Released},
    domain::LocalId,
    index::{Followed, LocalEvent},
};

/// Retires the member's record of this identifier: it is no longer located, matched or shown.
///
/// Its history stays, and the consents given under it. A later registration revives it.
pub async fn retire_record(
    exchange: &Exchange,
    call: &Call,
    identifier: LocalId,
    told: Told,
) -> Result<Released<Followed>, ExchangeError> {
    follow(exchange, call, Interaction::FeedRemoval, told, |permit| {
        Ok(LocalEvent::Retire { record: permit.record(identifier)? })
    })
    .await
}
