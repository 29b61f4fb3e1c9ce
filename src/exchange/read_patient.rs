//! Shows one person: the golden view and the source records behind it.

use super::{
    Call, Exchange, ExchangeError, PatientView,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Disclosure, Interaction, Permit, Released, Role},
    domain::EnterpriseId,
};

/// Reads a person by enterprise id, as far as consent allows.
pub async fn read_patient(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
) -> Result<Released<PatientView>, ExchangeError> {
    let audit = call.open(exchange, Interaction::PatientRead, About::patient(id)).await?;
    let outcome = read(exchange, call, id).await;
    settle(audit, outcome).await
}

async fn read(exchange: &Exchange, call: &Call, id: EnterpriseId) -> Outcome<PatientView> {
    let permit = permit(exchange, call, id)?;
    let view = PatientView::of(exchange, &permit).await?.ok_or(ExchangeError::UnknownPatient)?;
    Ok((Closing::Disclosed(vec![Disclosure::of(&permit)]), view))
}

/// Resolves a person and decides consent: the only way from an id to a permit.
pub(super) fn permit(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
) -> Result<Permit, ExchangeError> {
    let requester = call.requester()?;
    requester.may(Role::Query)?;
    let purpose = call.purpose()?;
    let person = exchange.index.person(id).ok_or(ExchangeError::UnknownPatient)?;
    Ok(exchange.consents.decide(requester, &person, purpose, exchange.clock.now())?)
}
