//! A steward takes a question in hand and answers it.

use super::{Call, Exchange, ExchangeError, call::About, stewarding::act};
use crate::{
    access::Released,
    index::{Acted, ReviewVerdict, StewardAct},
};

/// Takes a review task in hand, or over from another client.
pub async fn claim_review(
    exchange: &Exchange,
    call: &Call,
    task: u64,
) -> Result<Released<Acted>, ExchangeError> {
    act(exchange, call, About::task(task), StewardAct::Claim { task }, None).await
}

/// Puts a review task back.
pub async fn release_review(
    exchange: &Exchange,
    call: &Call,
    task: u64,
) -> Result<Released<Acted>, ExchangeError> {
    act(exchange, call, About::task(task), StewardAct::Release { task }, None).await
}

/// Answers a review task. *Same* merges or keeps, *different* keeps apart or separates, and both
/// hold against whatever is told later; *cannot tell* closes the question and leaves all as it is.
pub async fn decide_review(
    exchange: &Exchange,
    call: &Call,
    task: u64,
    verdict: ReviewVerdict,
    reason: String,
) -> Result<Released<Acted>, ExchangeError> {
    let decide = StewardAct::Decide { task, verdict };
    act(exchange, call, About::task(task), decide, Some(reason)).await
}
