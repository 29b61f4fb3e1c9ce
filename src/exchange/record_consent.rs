//! Keeps what a patient allows and forbids (FHIR R4 `Consent`, IHE PCF).

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
};
use crate::{
    access::{
        Closing, ConsentBook, ConsentPatient, Interaction, Recorded, Released, Requester, Role,
        ToldConsent,
    },
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
    let anchor = anchor(exchange, requester, told.patient())?;
    let person = exchange.index.person_of(&anchor).map(|person| person.id);
    let now = exchange.clock.now();
    let recorded = exchange.consents.record(requester, id, told, anchor, now).await?;
    if let Some(person) = person {
        exchange.federation.forget_answers(person).await;
    }
    let closing = Closing::Wrote {
        resource: format!("Consent/{id}"),
        person,
        created: recorded.version == 1,
    };
    Ok((closing, recorded))
}

/// The source record that a Consent is anchored on: the one it names by identifier, or of a person
/// named by enterprise id the member's own, or else the first. It follows that record through merge
/// and separation.
///
/// The right to record comes before the question whether the patient is known: else the difference
/// between the two answers would tell who is somebody's patient.
fn anchor(
    exchange: &Exchange,
    requester: &Requester,
    patient: &ConsentPatient,
) -> Result<RecordKey, ExchangeError> {
    match patient {
        ConsentPatient::Identifier(local_id) => {
            let roster = exchange.directory.roster();
            let Some(member) = roster.owner_of(local_id.system()) else {
                requester.may(Role::Steward)?;
                return Err(ExchangeError::UnknownPatient);
            };
            ConsentBook::may_record(requester, member.code())?;
            let record = RecordKey { member: member.code().clone(), local_id: local_id.clone() };
            exchange.index.person_of(&record).ok_or(ExchangeError::UnknownPatient)?;
            Ok(record)
        }
        ConsentPatient::Reference(reference) => {
            let id = reference.rsplit('/').next().unwrap_or_default();
            let person = EnterpriseId::parse(id).ok().and_then(|id| exchange.index.person(id));
            let records = person.map(|person| person.records).unwrap_or_default();
            let own = records.iter().find(|record| requester.member() == Some(&record.member));
            if let Some(own) = own
                && ConsentBook::may_record(requester, &own.member).is_ok()
            {
                return Ok(own.clone());
            }
            requester.may(Role::Steward)?;
            records.into_iter().next().ok_or(ExchangeError::UnknownPatient)
        }
    }
}
