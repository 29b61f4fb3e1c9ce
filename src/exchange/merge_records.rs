//! A member merges one of its records into another (IHE PIXm ITI-104 resolve duplicate, HL7 v2 A40).

use super::{
    Call, Exchange, ExchangeError,
    local_word::{Told, follow},
};
use crate::{
    access::{Interaction, Released},
    domain::LocalId,
    index::{Followed, LocalEvent},
};

/// Merges the member's record `subsumed` into its record `survivor`, both of one assigning
/// authority: the subsumed identifier leads to the survivor from now on.
pub async fn merge_records(
    exchange: &Exchange,
    call: &Call,
    subsumed: LocalId,
    survivor: LocalId,
    told: Told,
) -> Result<Released<Followed>, ExchangeError> {
    follow(exchange, call, Interaction::Feed, told, |permit| {
        let (subsumed, survivor) = (permit.record(subsumed)?, permit.record(survivor)?);
        Ok(LocalEvent::Merge { subsumed, survivor })
    })
    .await
}
