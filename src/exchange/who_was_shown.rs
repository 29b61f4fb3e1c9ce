//! Who was shown the record of a person that was two: those who must be told that it was wrong.

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Interaction, Released, Shown, StewardPermit},
    index::{MixedSpan, StewardRefusal},
};

/// Answers listed for one decision; beyond that there is an audit trail to search.
const SHOWN_MAX: usize = 10_000;

/// The answers that were given about a person while it was two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WronglyShown {
    /// When, and under which ids.
    pub span: MixedSpan,
    /// The answers, the oldest first.
    pub shown: Vec<Shown>,
    /// Whether there were more.
    pub more: bool,
}

/// Who got an answer about the person that this decision took apart, from when its records were
/// shown as one until they were separated; from the audit trail.
pub async fn who_was_shown(
    exchange: &Exchange,
    call: &Call,
    decision: u64,
) -> Result<Released<WronglyShown>, ExchangeError> {
    let audit = call.open(exchange, Interaction::ReviewRead, About::default()).await?;
    let outcome = list(exchange, call, decision).await;
    settle(audit, outcome).await
}

async fn list(exchange: &Exchange, call: &Call, decision: u64) -> Outcome<WronglyShown> {
    let permit = StewardPermit::decide(call.requester()?)?;
    let span = exchange.index.mixed_span(&permit, decision).await?;
    let span = span.ok_or(StewardRefusal::NoDecision)?;
    let within = span.since..=span.until;
    let (shown, more) = exchange.audit.shown(&span.persons, within, SHOWN_MAX).await?;
    Ok((Closing::Looked(span.persons.clone()), WronglyShown { span, shown, more }))
}
