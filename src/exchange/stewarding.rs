use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Interaction, Released, StewardPermit},
    index::{Acted, StewardAct},
};

/// Does what a steward wants, with its audit: one event for each person concerned.
pub(super) async fn act(
    exchange: &Exchange,
    call: &Call,
    about: About,
    act: StewardAct,
    reason: Option<String>,
) -> Result<Released<Acted>, ExchangeError> {
    let audit = call.open(exchange, Interaction::ReviewWrite, about).await?;
    let outcome = permitted(exchange, call, act, reason).await;
    settle(audit, outcome).await
}

async fn permitted(
    exchange: &Exchange,
    call: &Call,
    act: StewardAct,
    reason: Option<String>,
) -> Outcome<Acted> {
    let permit = StewardPermit::decide(call.requester()?)?;
    let acted = exchange.index.steward(&permit, act, reason, call.request_id.to_string()).await?;
    for person in &acted.persons {
        exchange.federation.forget_answers(*person).await;
    }
    let resource = match (acted.task, acted.persons.first()) {
        (Some(task), _) => format!("Task/{task}"),
        (None, Some(person)) => format!("Patient/{person}"),
        (None, None) => "Task".to_owned(),
    };
    Ok((Closing::Decided { resource, persons: acted.persons.clone() }, acted))
}
