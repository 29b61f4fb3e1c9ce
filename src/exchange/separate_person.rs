//! A steward takes records out of a person to whom they do not belong.

use super::{Call, Exchange, ExchangeError, call::About, stewarding::act};
use crate::{
    access::Released,
    domain::{EnterpriseId, LocalId},
    index::{Acted, StewardAct},
};

/// Lets the records of these identifiers leave for a person of their own, with an id of its own. They
/// stay apart, whatever is told later.
pub async fn separate_person(
    exchange: &Exchange,
    call: &Call,
    person: EnterpriseId,
    records: Vec<LocalId>,
    reason: String,
) -> Result<Released<Acted>, ExchangeError> {
    let separate = StewardAct::Separate { person, records };
    act(exchange, call, About::patient(person), separate, Some(reason)).await
}
