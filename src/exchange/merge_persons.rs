//! A steward makes two persons one.

use super::{Call, Exchange, ExchangeError, call::About, stewarding::act};
use crate::{
    access::Released,
    domain::EnterpriseId,
    index::{Acted, StewardAct},
};

/// Merges `source` into `target`, whose id stays; the other leads to it. Holds against whatever is
/// told later.
pub async fn merge_persons(
    exchange: &Exchange,
    call: &Call,
    source: EnterpriseId,
    target: EnterpriseId,
    reason: String,
) -> Result<Released<Acted>, ExchangeError> {
    let merge = StewardAct::Merge { source, target };
    act(exchange, call, About::patient(target), merge, Some(reason)).await
}
