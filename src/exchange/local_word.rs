use time::OffsetDateTime;

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, FeedPermit, Interaction, Released},
    index::{Followed, LocalEvent, LocalWord},
};

/// When and by which message a member said something of its own records.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// When it held at the member, where told. A time to come counts as now.
    pub event_time: Option<OffsetDateTime>,
    /// The message's control id; the request's own id where there is none. Never patient data.
    pub source_message: Option<String>,
}

/// Follows what a member says of its own records: `event` reads it against the member's permit.
pub(super) async fn follow(
    exchange: &Exchange,
    call: &Call,
    interaction: Interaction,
    told: Told,
    event: impl FnOnce(&FeedPermit) -> Result<LocalEvent, ExchangeError>,
) -> Result<Released<Followed>, ExchangeError> {
    let audit = call.open(exchange, interaction, About::default()).await?;
    let outcome = permitted(exchange, call, told, event).await;
    settle(audit, outcome).await
}

async fn permitted(
    exchange: &Exchange,
    call: &Call,
    told: Told,
    event: impl FnOnce(&FeedPermit) -> Result<LocalEvent, ExchangeError>,
) -> Outcome<Followed> {
    let permit = FeedPermit::decide(call.requester()?, &exchange.directory.roster())?;
    let event = event(&permit)?;
    word(exchange, call, &permit, event, told).await
}

/// Hands one word of a member to the index.
pub(super) async fn word(
    exchange: &Exchange,
    call: &Call,
    permit: &FeedPermit,
    event: LocalEvent,
    told: Told,
) -> Outcome<Followed> {
    let word = LocalWord {
        event,
        event_time: told.event_time,
        source_message: Some(call.source_message(&told)),
        fed_by: permit.fed_by().to_owned(),
    };
    let followed = exchange.index.follow(word).await?;
    exchange.federation.forget_answers(followed.person).await;
    let closing = Closing::Wrote {
        resource: format!("Patient/{}", followed.person),
        person: Some(followed.person),
        created: false,
    };
    Ok((closing, followed))
}
