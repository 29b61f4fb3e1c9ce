//! A member gives one of its records another identifier (HL7 v2 A47).

use super::{
    Call, Exchange, ExchangeError,
    local_word::{Told, follow},
};
use crate::{
    access::{Interaction, Released},
    domain::LocalId,
    index::{Followed, LocalEvent},
};

/// Renames the member's record `old` to `new`. The old identifier leads to it until somebody else is
/// registered under that.
pub async fn change_identifier(
    exchange: &Exchange,
    call: &Call,
    old: LocalId,
    new: LocalId,
    told: Told,
) -> Result<Released<Followed>, ExchangeError> {
    follow(exchange, call, Interaction::Feed, told, |permit| {
        let (old, new) = (permit.record(old)?, permit.record(new)?);
        Ok(LocalEvent::ChangeIdentifier { old, new })
    })
    .await
}
