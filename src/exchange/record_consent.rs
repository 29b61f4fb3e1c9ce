//! Keeps what a patient allows and forbids (FHIR R4 `Consent`, IHE PCF).

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, ConsentPatient, Interaction, Recorded, Released, ToldConsent},
    domain::{EnterpriseId, RecordKey},
};

/// Records a Consent under its id, or its next version; in force once this returns.
pub async fn record_consent(
    exchange: &Exchange,
    call: &Call,
    id: &str,
    body: &[u8],
) -> Result<Released<Recorded>, ExchangeError> {
    let about = About::resource(format!("Consent/{id}"));
    let audit = call.open(exchange, Interaction::ConsentWrite, about).await?;
    let outcome = record(exchange, call, id, body).await;
    settle(audit, outcome).await
}

async fn record(exchange: &Exchange, call: &Call, id: &str, body: &[u8]) -> Outcome<Recorded> {
    let requester = call.requester()?;
    let told = ToldConsent::parse(body)?;
    let anchor = anchor(exchange, told.patient())?;
    let person = exchange.index.person_of(&anchor).map(|person| person.id);
    let now = exchange.clock.now();
    let recorded = exchange.consents.record(requester, id, told, anchor, now).await?;
    let closing = Closing::Wrote {
        resource: format!("Consent/{id}"),
        person,
        created: recorded.version == 1,
    };
    Ok((closing, recorded))
}

/// The source record that a Consent is anchored on: the member's own where it names one, else the
/// first of the person's records. It then follows that record through merge and separation.
fn anchor(exchange: &Exchange, patient: &ConsentPatient) -> Result<RecordKey, ExchangeError> {
    match patient {
        ConsentPatient::Identifier(local_id) => {
            let roster = exchange.directory.roster();
            let member =
                roster.owner_of(local_id.system()).ok_or(ExchangeError::UnknownPatient)?.code();
            let record = RecordKey { member: member.clone(), local_id: local_id.clone() };
            exchange.index.person_of(&record).ok_or(ExchangeError::UnknownPatient)?;
            Ok(record)
        }
        ConsentPatient::Reference(reference) => {
            let id = reference.rsplit('/').next().unwrap_or_default();
            let id = EnterpriseId::parse(id).map_err(|_| ExchangeError::UnknownPatient)?;
            let person = exchange.index.person(id).ok_or(ExchangeError::UnknownPatient)?;
            person.records.into_iter().next().ok_or(ExchangeError::UnknownPatient)
        }
    }
}
