//! A member sends an HL7 v2 message about one of its patients (IHE ITI-8, ITI-30).

use super::{
    Call, Exchange, ExchangeError, RecordLocks,
    call::{About, Outcome, settle},
    message_reader::MessageReader,
    messages_seen::Fingerprint,
    register_patient::wrote,
};
use crate::{
    access::{Closing, FeedPermit, Interaction, Released},
    domain::RecordKey,
    hl7v2::{Condition, Fault, IdentityEffect, Location, Message},
    index::{Following, Index, LocalEvent, LocalWord, Outcome as Registry, Registration},
};

/// What became of a message, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What its event does.
    pub effect: IdentityEffect,
    /// What was done.
    pub done: Done,
}

/// What was done about what a member told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// A new record, or one that had ended.
    Registered,
    /// The record's demographics were replaced.
    Updated,
    /// It was so already.
    NothingNew,
    /// Something later is known.
    Late,
    /// The record ended.
    Deleted,
    /// One record goes, another stays.
    Merged,
    /// The record has another identifier.
    IdentifierChanged,
    /// Two records are one person.
    Linked,
    /// Two records are two persons.
    Unlinked,
    /// It is kept, and a steward is asked, since what is known speaks against it.
    StewardAsked,
    /// It is about nobody's identity.
    NoIdentityEffect,
    /// The same message came before.
    TakenBefore,
}

impl Done {
    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Updated => "updated",
            Self::NothingNew => "nothing new",
            Self::Late => "late: something later is known",
            Self::Deleted => "deleted",
            Self::Merged => "merged",
            Self::IdentifierChanged => "identifier changed",
            Self::Linked => "linked",
            Self::Unlinked => "unlinked",
            Self::StewardAsked => "kept: a steward is asked",
            Self::NoIdentityEffect => "no identity effect",
            Self::TakenBefore => "taken before",
        }
    }

    pub(super) const fn of_registration(outcome: Registry) -> Self {
        match outcome {
            Registry::Created => Self::Registered,
            Registry::Updated => Self::Updated,
            Registry::Unchanged => Self::NothingNew,
            Registry::Stale => Self::Late,
        }
    }

    /// What became of a member's word, whose following is this.
    pub(super) const fn of_word(outcome: Following, followed: Self) -> Self {
        match outcome {
            Following::Done => followed,
            Following::Asked => Self::StewardAsked,
            Following::Unchanged => Self::NothingNew,
            Following::Stale => Self::Late,
        }
    }
}

/// Carries out what the message says. Its bytes are the call's body.
///
/// Done once this returns, durably. The same message again is known again and does nothing; its
/// number with another message is carried out and reported, since senders do use numbers twice.
pub async fn take_message(
    exchange: &Exchange,
    call: &Call,
    message: &Message,
) -> Result<Released<Taken>, ExchangeError> {
    let interaction = match MessageReader::effect_of(message) {
        Ok(IdentityEffect::Delete) => Interaction::FeedRemoval,
        _ => Interaction::FeedMessage,
    };
    let audit = call.open(exchange, interaction, About::default()).await?;
    let outcome = take(exchange, call, message).await;
    settle(audit, outcome).await
}

async fn take(exchange: &Exchange, call: &Call, message: &Message) -> Outcome<Taken> {
    let roster = exchange.directory.roster();
    let permit = FeedPermit::decide(call.requester()?, &roster)?;
    let member = roster.member(permit.member()).ok_or(crate::access::Refusal::MemberMayNotFeed)?;
    let reader = MessageReader { member, permit: &permit, now: exchange.clock.now() };
    let effect = MessageReader::effect_of(message)?;
    let fingerprint = Fingerprint::of(permit.fed_by(), message.header(), &call.raw.body);
    if exchange.messages.known_again(permit.fed_by(), &fingerprint) {
        return Ok((nothing(&permit), Taken { effect, done: Done::TakenBefore }));
    }
    let desk = MessageDesk { index: &exchange.index, record_locks: &exchange.record_locks, reader };
    let (closing, taken) = desk.carry_out(message).await?;
    if let Closing::Wrote { person: Some(person), .. } = &closing {
        exchange.federation.forget_answers(*person).await;
        if effect == IdentityEffect::Demographics && MessageReader::is_emergency_arrival(message) {
            exchange.arrivals.note(member, *person);
        }
    }
    exchange.messages.remember(&fingerprint);
    Ok((closing, taken))
}

/// What carrying out messages leans on.
pub struct MessageDesk<'a> {
    /// The master patient index.
    pub index: &'a Index,
    /// One turn for each record.
    pub record_locks: &'a RecordLocks,
    /// Reads the messages of one member.
    pub reader: MessageReader<'a>,
}

impl MessageDesk<'_> {
    /// Carries out one message, also one that came before. Done once this returns, durably.
    pub async fn carry_out(&self, message: &Message) -> Result<(Closing, Taken), ExchangeError> {
        let effect = MessageReader::effect_of(message)?;
        let feed = Feed { desk: self, reader: self.reader, message };
        let (closing, done) = match effect {
            IdentityEffect::None => (nothing(self.reader.permit), Done::NoIdentityEffect),
            IdentityEffect::Demographics => feed.register().await?,
            other => feed.follow(other).await?,
        };
        Ok((closing, Taken { effect, done }))
    }
}

/// How the audit of a message closes that changes nobody.
pub(super) fn nothing(permit: &FeedPermit) -> Closing {
    let resource = format!("Organization/{}", permit.member());
    Closing::Wrote { resource, person: None, created: false }
}

struct Feed<'a> {
    desk: &'a MessageDesk<'a>,
    reader: MessageReader<'a>,
    message: &'a Message,
}

impl Feed<'_> {
    async fn register(&self) -> Result<(Closing, Done), ExchangeError> {
        let pid = self.reader.only(self.message, "PID")?;
        let place = Location::field("PID", 3);
        let record = self.one_record(self.reader.records(pid.field(3), place)?, place)?;
        let snapshot = self.reader.snapshot(pid)?;
        let index = self.desk.index;
        let _turn = self.desk.record_locks.lock(&record).await;
        let known = index.last_told(self.reader.permit, &record).await?.unwrap_or_default();
        let demographics = snapshot.over(known);
        if demographics.names.is_empty() && !demographics.identity_unknown {
            let fault = Fault::error(Condition::RequiredField, "the patient has no name");
            return Err(fault.at(Location::field("PID", 5)).into());
        }
        let registration = Registration {
            record,
            demographics,
            event_time: self.reader.event_time(self.message),
            source_message: Some(self.message.header().control_id.clone()),
            fed_by: self.reader.permit.fed_by().to_owned(),
        };
        let registered = index.register(registration).await?;
        Ok((wrote(&registered), Done::of_registration(registered.outcome)))
    }

    /// Follows what the message says of known records.
    async fn follow(&self, effect: IdentityEffect) -> Result<(Closing, Done), ExchangeError> {
        let word = LocalWord {
            event: self.event(effect)?,
            event_time: self.reader.event_time(self.message),
            source_message: Some(self.message.header().control_id.clone()),
            fed_by: self.reader.permit.fed_by().to_owned(),
        };
        let followed = self.desk.index.follow(word).await?;
        let done = Done::of_word(followed.outcome, followed_in(effect));
        let person = followed.person;
        let resource = format!("Patient/{person}");
        Ok((Closing::Wrote { resource, person: Some(person), created: false }, done))
    }

    fn event(&self, effect: IdentityEffect) -> Result<LocalEvent, ExchangeError> {
        let (reader, message) = (self.reader, self.message);
        let place = Location::field("PID", 3);
        Ok(match effect {
            IdentityEffect::Link | IdentityEffect::Unlink => {
                let records = self.two(reader.two(message)?)?;
                if effect == IdentityEffect::Link {
                    LocalEvent::Link { records }
                } else {
                    LocalEvent::Unlink { records }
                }
            }
            IdentityEffect::Merge => {
                let (subsumed, survivor) = reader.prior_and_present(message)?;
                LocalEvent::Merge { subsumed, survivor }
            }
            IdentityEffect::ChangeIdentifier => {
                let (old, new) = reader.prior_and_present(message)?;
                LocalEvent::ChangeIdentifier { old, new }
            }
            IdentityEffect::Delete | IdentityEffect::Demographics | IdentityEffect::None => {
                let pid = reader.only(message, "PID")?;
                let record = self.one_record(reader.records(pid.field(3), place)?, place)?;
                LocalEvent::Retire { record }
            }
        })
    }

    fn two(&self, [one, other]: [Vec<RecordKey>; 2]) -> Result<[RecordKey; 2], ExchangeError> {
        let place = |occurrence| Location { segment: "PID", occurrence, field: 3 };
        Ok([self.one_record(one, place(1))?, self.one_record(other, place(2))?])
    }

    /// The record that identifiers mean: the first that is known, or else the first. Several known
    /// ones must be one person's.
    fn one_record(
        &self,
        told: Vec<RecordKey>,
        place: Location,
    ) -> Result<RecordKey, ExchangeError> {
        let person_of = |record| self.desk.index.person_of(record).map(|person| person.id);
        let mut known = told.iter().filter_map(|record| Some((record, person_of(record)?)));
        let Some((first, person)) = known.next() else {
            return told.into_iter().next().ok_or(ExchangeError::UnknownPatient);
        };
        if known.any(|(_, other)| other != person) {
            let text = "the identifiers name several patients";
            return Err(Fault::error(Condition::DuplicateKey, text).at(place).into());
        }
        Ok(first.clone())
    }
}

/// What a message's event does to records that are known.
const fn followed_in(effect: IdentityEffect) -> Done {
    match effect {
        IdentityEffect::Delete => Done::Deleted,
        IdentityEffect::Merge => Done::Merged,
        IdentityEffect::ChangeIdentifier => Done::IdentifierChanged,
        IdentityEffect::Link => Done::Linked,
        IdentityEffect::Unlink => Done::Unlinked,
        IdentityEffect::Demographics | IdentityEffect::None => Done::NoIdentityEffect,
    }
}
