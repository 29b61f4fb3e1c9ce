//! A member sends an HL7 v2 message about one of its patients (IHE ITI-8, ITI-30).

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
    message_reader::MessageReader,
    messages_seen::Fingerprint,
    register_patient::wrote,
};
use crate::{
    access::{Closing, FeedPermit, Interaction, Released},
    domain::RecordKey,
    hl7v2::{Condition, Fault, IdentityEffect, Location, Message},
    index::{Following, LocalEvent, LocalWord, Outcome as Registry, Registration},
};

/// What became of a message, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What its event does.
    pub effect: IdentityEffect,
    /// What was done, in one or two words.
    pub done: &'static str,
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
        return Ok((nothing(&permit), Taken { effect, done: TAKEN_BEFORE }));
    }
    let feed = Feed { exchange, reader, message };
    let (closing, done) = match effect {
        IdentityEffect::None => (nothing(&permit), effect.name()),
        IdentityEffect::Demographics => feed.register().await?,
        other => feed.follow(other).await?,
    };
    exchange.messages.remember(&fingerprint);
    Ok((closing, Taken { effect, done }))
}

/// How the audit of a message closes that changes nobody.
pub(super) fn nothing(permit: &FeedPermit) -> Closing {
    let resource = format!("Organization/{}", permit.member());
    Closing::Wrote { resource, person: None, created: false }
}

struct Feed<'a> {
    exchange: &'a Exchange,
    reader: MessageReader<'a>,
    message: &'a Message,
}

impl Feed<'_> {
    async fn register(&self) -> Result<(Closing, &'static str), ExchangeError> {
        let pid = self.reader.only(self.message, "PID")?;
        let place = Location::field("PID", 3);
        let record = self.one_record(self.reader.records(pid.field(3), place)?, place)?;
        let snapshot = self.reader.snapshot(pid)?;
        let index = &self.exchange.index;
        let _turn = self.exchange.record_locks.lock(&record).await;
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
        self.exchange.federation.forget_answers(registered.person).await;
        if MessageReader::is_emergency_arrival(self.message) {
            self.exchange.arrivals.note(self.reader.member, registered.person);
        }
        Ok((wrote(&registered), done(registered.outcome)))
    }

    /// Follows what the message says of known records.
    async fn follow(
        &self,
        effect: IdentityEffect,
    ) -> Result<(Closing, &'static str), ExchangeError> {
        let word = LocalWord {
            event: self.event(effect)?,
            event_time: self.reader.event_time(self.message),
            source_message: Some(self.message.header().control_id.clone()),
            fed_by: self.reader.permit.fed_by().to_owned(),
        };
        let followed = self.exchange.index.follow(word).await?;
        self.exchange.federation.forget_answers(followed.person).await;
        let done = followed_as(followed.outcome, past_tense(effect));
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
        let person_of = |record| self.exchange.index.person_of(record).map(|person| person.id);
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

/// What is said of a message that came before.
pub(super) const TAKEN_BEFORE: &str = "taken before";
/// What is said of what something later is known of.
const LATE: &str = "late: something later is known";

const fn past_tense(effect: IdentityEffect) -> &'static str {
    match effect {
        IdentityEffect::Delete => "deleted",
        IdentityEffect::Merge => "merged",
        IdentityEffect::ChangeIdentifier => "identifier changed",
        IdentityEffect::Link => "linked",
        IdentityEffect::Unlink => "unlinked",
        IdentityEffect::Demographics | IdentityEffect::None => "done",
    }
}

/// What is said of a member's word.
pub(super) const fn followed_as(outcome: Following, done: &'static str) -> &'static str {
    match outcome {
        Following::Done => done,
        Following::Asked => "kept: a steward is asked",
        Following::Unchanged => "nothing new",
        Following::Stale => LATE,
    }
}

/// What is said of a registration.
pub(super) const fn done(outcome: Registry) -> &'static str {
    match outcome {
        Registry::Created => "registered",
        Registry::Updated => "updated",
        Registry::Unchanged => "nothing new",
        Registry::Stale => LATE,
    }
}
