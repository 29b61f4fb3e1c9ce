//! A steward takes back what a steward did.

use super::{Call, Exchange, ExchangeError, call::About, stewarding::act};
use crate::{
    access::Released,
    index::{Acted, StewardAct},
};

/// Undoes a decision by its number: records, ids and questions are as they were before it. Refused
/// where what it changed has changed again since.
pub async fn undo_decision(
    exchange: &Exchange,
    call: &Call,
    decision: u64,
    reason: String,
) -> Result<Released<Acted>, ExchangeError> {
    act(exchange, call, About::default(), StewardAct::Undo { decision }, Some(reason)).await
}
