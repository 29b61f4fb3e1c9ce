//! A steward looks at the questions that wait, and at one of them with all that speaks for and against.

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Interaction, Released, StewardPermit},
    index::{ReviewEvidence, ReviewPage, ReviewQuery, ReviewTask, StewardRefusal},
};

/// Lists review tasks, the most hazardous kind first and of that the oldest. Names persons by
/// enterprise id and members, and nobody's demographics.
pub async fn list_reviews(
    exchange: &Exchange,
    call: &Call,
    query: &ReviewQuery,
) -> Result<Released<ReviewPage>, ExchangeError> {
    let audit = call.open(exchange, Interaction::ReviewRead, About::default()).await?;
    let outcome = list(exchange, call, query);
    settle(audit, outcome).await
}

fn list(exchange: &Exchange, call: &Call, query: &ReviewQuery) -> Outcome<ReviewPage> {
    StewardPermit::decide(call.requester()?)?;
    Ok((Closing::Looked(Vec::new()), exchange.index.reviews(query)))
}

/// One review task.
pub async fn read_review(
    exchange: &Exchange,
    call: &Call,
    no: u64,
) -> Result<Released<ReviewTask>, ExchangeError> {
    let audit = call.open(exchange, Interaction::ReviewRead, About::task(no)).await?;
    let outcome = read(exchange, call, no);
    settle(audit, outcome).await
}

fn read(exchange: &Exchange, call: &Call, no: u64) -> Outcome<ReviewTask> {
    StewardPermit::decide(call.requester()?)?;
    let task = exchange.index.review(no).ok_or(StewardRefusal::UnknownTask)?;
    Ok((Closing::Looked(Vec::new()), task))
}

/// Both sides of a review task with their demographics, compared attribute by attribute.
pub async fn review_evidence(
    exchange: &Exchange,
    call: &Call,
    no: u64,
) -> Result<Released<ReviewEvidence>, ExchangeError> {
    let audit = call.open(exchange, Interaction::ReviewRead, About::task(no)).await?;
    let outcome = evidence(exchange, call, no).await;
    settle(audit, outcome).await
}

async fn evidence(exchange: &Exchange, call: &Call, no: u64) -> Outcome<ReviewEvidence> {
    let permit = StewardPermit::decide(call.requester()?)?;
    let evidence = exchange.index.evidence(&permit, no).await?;
    let evidence = evidence.ok_or(StewardRefusal::UnknownTask)?;
    let others = evidence.other.iter().map(|other| other.person);
    let persons = std::iter::once(evidence.own.person).chain(others).collect();
    Ok((Closing::Looked(persons), evidence))
}
