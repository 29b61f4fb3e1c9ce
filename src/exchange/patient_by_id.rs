//! A member tells of a patient under the id that its own Patient has there:
//! `PUT Patient/{member}.{id}`, and IHE PMIR, whose key `Patient.id` is.
//!
//! The record is the one of the member's own identifier in the Patient, as in every other feed, since
//! by that the member is asked for it; the id leads to that record from then on.

use super::{
    Call, Exchange, ExchangeError, Told, acceptable,
    call::{About, Outcome, settle},
    last_updated,
    local_word::word,
    register_patient::{check_version, wrote},
};
use crate::{
    access::{FeedPermit, Interaction, Refusal, Released},
    domain::{Demographics, LogicalId, MemberCode, RecordKey},
    fhir::{Resource, patient::read_patient},
    index::{
        Followed, Following, IndexError, KnownRecord, LocalEvent, LocalRefusal,
        Outcome as Registry, RecordStanding, Registered, Registration,
    },
};

/// A Patient under the id that it has at its member.
pub struct FedById<'a> {
    /// Whose patient the id says it is; refused unless it is the feeding member.
    pub member: MemberCode,
    /// Its id there.
    pub id: LogicalId,
    /// Who it is, or into whom it was merged.
    pub patient: &'a Resource,
    /// How a reference to another Patient of the member is read.
    pub reference: &'a (dyn Fn(&str) -> Option<LogicalId> + Sync),
    /// When and by what it was told, beyond what the Patient says.
    pub told: Told,
    /// The version that the record must have; any where not told.
    pub if_version: Option<u32>,
}

/// What came of it, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutById {
    /// The record was registered or updated.
    Registered(Registered),
    /// It was merged into another.
    Merged(Followed),
}

/// Registers, updates or merges the member's Patient of this id.
pub async fn put_by_id(
    exchange: &Exchange,
    call: &Call,
    fed: FedById<'_>,
) -> Result<Released<PutById>, ExchangeError> {
    let audit = call.open(exchange, Interaction::Feed, About::default()).await?;
    let outcome = async {
        let permit = FeedPermit::decide(call.requester()?, &exchange.directory.roster())?;
        let read = ReadById::of(&permit, fed)?;
        read.carry_out(exchange, &permit, call).await
    };
    settle(audit, outcome.await).await
}

/// Ends the record that the member's Patient of this id is.
pub async fn retire_by_id(
    exchange: &Exchange,
    call: &Call,
    member: &MemberCode,
    id: &LogicalId,
    told: Told,
) -> Result<Released<Followed>, ExchangeError> {
    let audit = call.open(exchange, Interaction::FeedRemoval, About::default()).await?;
    let outcome = async {
        let permit = FeedPermit::decide(call.requester()?, &exchange.directory.roster())?;
        let record = record_named(exchange, &permit, member, id)?;
        word(exchange, call, &permit, LocalEvent::Retire { record }, told).await
    };
    settle(audit, outcome.await).await
}

/// The record that the id of a member's Patient leads to, also one that is no more.
pub(super) fn record_named(
    exchange: &Exchange,
    permit: &FeedPermit,
    member: &MemberCode,
    id: &LogicalId,
) -> Result<RecordKey, ExchangeError> {
    let name = own_name(permit, member, id)?;
    let known = exchange.index.known_record(&name);
    Ok(known.ok_or(LocalRefusal::UnknownRecord)?.record)
}

fn own_name(
    permit: &FeedPermit,
    member: &MemberCode,
    id: &LogicalId,
) -> Result<RecordKey, ExchangeError> {
    if member != permit.member() {
        return Err(Refusal::ForeignPatientId.into());
    }
    Ok(RecordKey::of_patient_id(member, id))
}

/// A Patient that was found well formed, with nothing done about it yet.
pub(super) struct ReadById {
    /// What its id is kept as.
    name: RecordKey,
    /// The member's own identifiers in the Patient, in its order.
    own: Vec<RecordKey>,
    says: Says,
    told: Told,
    if_version: Option<u32>,
}

enum Says {
    /// Who it is.
    Who(Demographics),
    /// That another Patient took its place, which is known by this name.
    Merged(RecordKey),
}

impl ReadById {
    /// Reads it against the member's permit.
    pub(super) fn of(permit: &FeedPermit, fed: FedById<'_>) -> Result<Self, ExchangeError> {
        let name = own_name(permit, &fed.member, &fed.id)?;
        let reading = read_patient(fed.patient)?;
        let mut own: Vec<RecordKey> = Vec::new();
        for key in reading.local_ids.into_iter().filter_map(|id| permit.record(id).ok()) {
            if !own.contains(&key) {
                own.push(key);
            }
        }
        let says = if reading.active {
            Says::Who(acceptable(fed.patient)?.demographics)
        } else if let Some(survivor) = reading.replaced_by {
            Says::Merged(permit.record(survivor)?)
        } else if let Some(reference) = reading.replaced_by_reference {
            let id = (fed.reference)(&reference).ok_or(ExchangeError::ForeignReference)?;
            Says::Merged(own_name(permit, &fed.member, &id)?)
        } else {
            // Says why an inactive Patient is not taken.
            Says::Who(acceptable(fed.patient)?.demographics)
        };
        if own.is_empty() && matches!(says, Says::Who(_)) {
            return Err(ExchangeError::NoOwnIdentifier);
        }
        let mut told = fed.told;
        told.event_time = last_updated(fed.patient).or(told.event_time);
        Ok(Self { name, own, says, told, if_version: fed.if_version })
    }

    /// Carries it out.
    pub(super) async fn carry_out(
        self,
        exchange: &Exchange,
        permit: &FeedPermit,
        call: &Call,
    ) -> Outcome<PutById> {
        let locked: Vec<&RecordKey> = [&self.name].into_iter().chain(&self.own).collect();
        let _turns = exchange.record_locks.lock_all(&locked).await;
        match self.says {
            Says::Merged(ref survivor) => {
                let known = exchange.index.known_record(&self.name);
                check_version(self.if_version, known.as_ref())?;
                let event = self.merge(exchange, survivor)?;
                let (closing, followed) = word(exchange, call, permit, event, self.told).await?;
                Ok((closing, PutById::Merged(followed)))
            }
            Says::Who(ref demographics) => {
                let demographics = demographics.clone();
                self.register(exchange, permit, call, demographics).await
            }
        }
    }

    fn merge(&self, exchange: &Exchange, survivor: &RecordKey) -> Result<LocalEvent, LocalRefusal> {
        let index = &exchange.index;
        let known = index.known_record(&self.name).map(|known| known.record);
        let subsumed = known.or_else(|| self.own.first().cloned());
        let survivor = index.known_record(survivor).map(|known| known.record);
        Ok(LocalEvent::Merge {
            subsumed: subsumed.ok_or(LocalRefusal::UnknownSubsumed)?,
            survivor: survivor.ok_or(LocalRefusal::UnknownSurvivor)?,
        })
    }

    async fn register(
        self,
        exchange: &Exchange,
        permit: &FeedPermit,
        call: &Call,
        demographics: Demographics,
    ) -> Outcome<PutById> {
        let index = &exchange.index;
        let known = index.known_record(&self.name);
        let place = self.place(exchange, known.as_ref())?;
        let at_place = index.known_record(&place);
        check_version(self.if_version, known.as_ref().or(at_place.as_ref()))?;
        if let Some(known) = known.filter(|known| known.standing == RecordStanding::Active)
            && known.record != place
        {
            let event = LocalEvent::ChangeIdentifier { old: known.record, new: place.clone() };
            let told = self.told.clone();
            let (closing, followed) = word(exchange, call, permit, event, told).await?;
            if followed.outcome == Following::Stale {
                return Ok((closing, late(&followed, known.version)));
            }
        }
        let registration = Registration {
            record: place.clone(),
            demographics,
            event_time: self.told.event_time,
            source_message: Some(call.source_message(&self.told)),
            fed_by: permit.fed_by().to_owned(),
        };
        let registered = index.register(registration).await?;
        exchange.federation.forget_answers(registered.person).await;
        let event = LocalEvent::Name { record: place, id: self.name.local_id };
        word(exchange, call, permit, event, self.told).await?;
        Ok((wrote(&registered), PutById::Registered(registered)))
    }

    /// The identifier that the record has once this is done: the one that the id leads to already,
    /// else the one that is known, else the first.
    fn place(
        &self,
        exchange: &Exchange,
        known: Option<&KnownRecord>,
    ) -> Result<RecordKey, ExchangeError> {
        if let Some(known) = known {
            if known.standing == RecordStanding::MergedAway {
                return Err(IndexError::SubsumedIdentifier.into());
            }
            if self.own.contains(&known.record) {
                return Ok(known.record.clone());
            }
        }
        let index = &exchange.index;
        let mut others: Vec<KnownRecord> =
            self.own.iter().filter_map(|own| index.known_record(own)).collect();
        // One that another record gave up is free.
        others.retain(|other| self.own.contains(&other.record));
        others.dedup_by(|one, other| one.record == other.record);
        let is_active = known.is_some_and(|known| known.standing == RecordStanding::Active);
        match &others[..] {
            [] => Ok(self.own[0].clone()),
            [_] if is_active => Err(LocalRefusal::IdentifierInUse.into()),
            [one] if one.other_names.iter().any(|name| self.is_rival(name)) => {
                Err(LocalRefusal::NamedOtherwise.into())
            }
            [one] => Ok(one.record.clone()),
            _ => Err(ExchangeError::SeveralPatients),
        }
    }

    /// Whether a name is another Patient id of the member.
    fn is_rival(&self, name: &RecordKey) -> bool {
        name.local_id.system() == self.name.local_id.system() && *name != self.name
    }
}

/// What is told of a Patient whose other identifier came after something later.
fn late(followed: &Followed, record_version: u32) -> PutById {
    PutById::Registered(Registered {
        person: followed.person,
        outcome: Registry::Stale,
        record_version,
        decision: followed.decision.unwrap_or_default(),
        tasks_raised: followed.tasks_raised,
    })
}
