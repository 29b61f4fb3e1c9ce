//! A steward reads how a person came to be what it is.

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Interaction, Released, StewardPermit},
    domain::EnterpriseId,
    index::{StewardRefusal, Story},
};

/// The story of a person: every record that came, changed or went, every decision and its reason.
pub async fn person_history(
    exchange: &Exchange,
    call: &Call,
    person: EnterpriseId,
) -> Result<Released<Story>, ExchangeError> {
    let audit = call.open(exchange, Interaction::ReviewRead, About::patient(person)).await?;
    let outcome = tell(exchange, call, person).await;
    settle(audit, outcome).await
}

async fn tell(exchange: &Exchange, call: &Call, person: EnterpriseId) -> Outcome<Story> {
    let permit = StewardPermit::decide(call.requester()?)?;
    let story = exchange.index.story(&permit, person).await?;
    let story = story.ok_or(StewardRefusal::UnknownPerson)?;
    Ok((Closing::Looked(vec![story.person]), story))
}
