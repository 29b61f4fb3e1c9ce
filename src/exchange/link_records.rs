//! A member says that two of its own records are one person, or two (HL7 v2 A24, A37).

use super::{
    Call, Exchange, ExchangeError,
    local_word::{Told, follow},
};
use crate::{
    access::{Interaction, Released},
    domain::LocalId,
    index::{Followed, LocalEvent},
};

/// Links two of the member's records, both of which stay in use.
pub async fn link_records(
    exchange: &Exchange,
    call: &Call,
    records: [LocalId; 2],
    told: Told,
) -> Result<Released<Followed>, ExchangeError> {
    follow(exchange, call, Interaction::Feed, told, |permit| {
        let [one, other] = records;
        Ok(LocalEvent::Link { records: [permit.record(one)?, permit.record(other)?] })
    })
    .await
}

/// Keeps two of the member's records apart; where they were linked, the second leaves.
pub async fn unlink_records(
    exchange: &Exchange,
    call: &Call,
    records: [LocalId; 2],
    told: Told,
) -> Result<Released<Followed>, ExchangeError> {
    follow(exchange, call, Interaction::Feed, told, |permit| {
        let [one, other] = records;
        Ok(LocalEvent::Unlink { records: [permit.record(one)?, permit.record(other)?] })
    })
    .await
}
