//! Tells which members hold records of a patient, since when, and how that is known
//! (`Patient/$locate-records`).

use time::OffsetDateTime;

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
    cross_reference::permitted_record,
    read_patient::permit,
};
use crate::{
    access::{Closing, Disclosure, Interaction, Permit, Released, Role},
    domain::{EnterpriseId, LocalId, MemberCode},
    index::Origin,
};

/// Whose records are looked for.
#[derive(Clone)]
pub enum Whom {
    /// A person of this exchange.
    Person(EnterpriseId),
    /// The patient whom a member calls so.
    Identified(LocalId),
}

impl Whom {
    pub(super) fn about(&self) -> About {
        match self {
            Self::Person(id) => About::patient(*id),
            Self::Identified(_) => About::default(),
        }
    }
}

/// Where a person has records that a permit lets be seen.
pub struct LocatedRecords {
    /// The person.
    pub person: EnterpriseId,
    /// Its records, in the order of members and identifiers.
    pub records: Vec<FoundRecord>,
}

/// One record, and who keeps it.
pub struct FoundRecord {
    /// The member's code.
    pub member: MemberCode,
    /// Its name.
    pub member_name: String,
    /// Its organization's identifier, a URI; absent where it has left the directory.
    pub organization: Option<String>,
    /// Its identifier for the patient.
    pub local_id: LocalId,
    /// When the record was first registered.
    pub since: OffsetDateTime,
    /// What last told of it.
    pub origin: Origin,
    /// Whether it is in doubt that the record is this person's.
    pub in_doubt: bool,
}

/// Locates the records of one person, as far as consent allows; records that it hides are not counted.
pub async fn locate_records(
    exchange: &Exchange,
    call: &Call,
    whom: Whom,
) -> Result<Released<LocatedRecords>, ExchangeError> {
    let audit = call.open(exchange, Interaction::LocateRecords, whom.about()).await?;
    let outcome = locate(exchange, call, &whom).await;
    settle(audit, outcome).await
}

/// What may be seen of whom is meant. An identifier whose record consent hides is as unknown as one
/// that nobody has.
pub(super) fn permit_for(
    exchange: &Exchange,
    call: &Call,
    whom: &Whom,
) -> Result<Permit, ExchangeError> {
    match whom {
        Whom::Person(id) => permit(exchange, call, *id),
        Whom::Identified(id) => {
            call.requester()?.may(Role::Query)?;
            call.purpose()?;
            Ok(permitted_record(exchange, call, id).ok_or(ExchangeError::UnknownPatient)?.0)
        }
    }
}

async fn locate(exchange: &Exchange, call: &Call, whom: &Whom) -> Outcome<LocatedRecords> {
    let permit = permit_for(exchange, call, whom)?;
    let roster = exchange.directory.roster();
    let mut records = Vec::new();
    for (location, origin) in exchange.index.origins(&permit).await? {
        let code = location.record.member;
        let member = roster.member(&code);
        records.push(FoundRecord {
            member_name: member.map_or(code.as_str(), |one| one.name()).to_owned(),
            organization: member.map(|one| one.organization().to_owned()),
            member: code,
            local_id: location.record.local_id,
            since: location.since,
            origin,
            in_doubt: location.in_doubt,
        });
    }
    if records.is_empty() {
        return Err(ExchangeError::UnknownPatient);
    }
    let located = LocatedRecords { person: permit.person(), records };
    Ok((Closing::Disclosed(vec![Disclosure::of(&permit)]), located))
}
