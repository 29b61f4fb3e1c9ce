//! Answers of members kept for a short while: verified and whole ones only, as the member gave them.
//!
//! A kept answer is used for whoever asks the same of the same records with the same authorization;
//! what each may see of it is decided by their own permit, at every use. Everything that an answer's
//! verification leaned on is part of its key (the records, what was fed of them, the person's other
//! records, the member's entry in the directory), so a merge, a separation or a correction never
//! meets an answer that was verified before it.

use std::{pin::pin, time::Duration};

use aws_lc_rs::digest;
use metrics::counter;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    connection::Connection,
    kept_answer::KeptAnswer,
    outcome::{Cut, Emptiness, Identity, MemberOutcome, RecordAnswer, Status},
    query::{RecordQuery, SoughtRecord, Target},
};
use crate::{
    cache::{Boarding, CacheKeys, CacheSettings, Flights, RedisAccess, Store},
    directory::Member,
    domain::{Clock, Demographics, EnterpriseId, LocalId},
};

/// The answers of late, and those on their way.
pub(super) struct AnswerCache {
    store: Store<KeptAnswer>,
    flights: Flights<MemberOutcome>,
    ttl: Duration,
    clock: std::sync::Arc<dyn Clock>,
}

/// What a member is asked for, and by when.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) person: EnterpriseId,
    pub(super) connection: &'a Connection,
    pub(super) target: &'a Target,
    pub(super) query: &'a RecordQuery,
    pub(super) model_version: &'a str,
    pub(super) deadline: Instant,
}

impl AnswerCache {
    pub(super) fn new(
        settings: &CacheSettings,
        redis: Option<RedisAccess>,
        clock: std::sync::Arc<dyn Clock>,
        handle: &tokio::runtime::Handle,
    ) -> Self {
        let store = Store::new(settings, redis, handle);
        Self { store, flights: Flights::default(), ttl: settings.ttl(), clock }
    }

    /// A kept answer, or that of the member, which is kept where it may be.
    pub(super) async fn answer(
        &self,
        question: Question<'_>,
        ask: impl Future<Output = MemberOutcome>,
    ) -> MemberOutcome {
        let member = &question.connection.member;
        let usual = member.answers_kept().unwrap_or(self.ttl);
        if usual.is_zero() {
            return ask.await;
        }
        let life = question.query.kept_for.max(usual);
        let began = Instant::now();
        let place = self.store.place(&subject(question.person), &question.bytes());
        let age_max = question.query.kept_age_max;
        let is_fresh = age_max.is_zero();
        let ticket = if is_fresh {
            self.store.pass_over(&place).await
        } else {
            match self.store.find(&place, self.clock.now(), age_max).await {
                (Some(found), _) => {
                    let age = (self.clock.now() - found.since).try_into().unwrap_or_default();
                    return found.value.outcome(age, began.elapsed());
                }
                (None, ticket) => ticket,
            }
        };
        let asked_at = self.clock.now();
        let mut ask = pin!(ask);
        // Who asks for the latest may not be given what somebody else's earlier question brings.
        if is_fresh {
            let mut outcome = ask.await;
            self.keep(place, ticket, &mut outcome, (asked_at, life));
            return outcome;
        }
        match self.flights.board(place.entry(), question.deadline, ask.as_mut()).await {
            Boarding::Own(mut outcome) => {
                self.keep(place, ticket, &mut outcome, (asked_at, life));
                outcome
            }
            Boarding::Joined(outcome) => {
                counter!("tessera_answer_cache_total", "from" => "flight").increment(1);
                // Another's time was up; there may be some of one's own left.
                if was_cut_by_time(&outcome) { ask.await } else { outcome }
            }
            Boarding::TooLate => too_late(member, question.target, began.elapsed()),
        }
    }

    fn keep(
        &self,
        place: crate::cache::Place,
        ticket: Option<crate::cache::Ticket>,
        outcome: &mut MemberOutcome,
        times: (time::OffsetDateTime, Duration),
    ) {
        let Some(ticket) = ticket else { return };
        match KeptAnswer::of(outcome) {
            Some(answer) => {
                outcome.mark = answer.mark();
                self.store.keep(place, ticket, std::sync::Arc::new(answer), times);
            }
            None => counter!("tessera_answer_cache_unfit_total").increment(1),
        }
    }

    /// Forgets all answers about a person, at every gateway.
    pub(super) async fn forget(&self, person: EnterpriseId) {
        self.store.forget(&subject(person)).await;
    }

    pub(super) fn replace_keys(&self, keys: CacheKeys) {
        self.store.replace_keys(keys);
    }

    pub(super) fn is_usable(&self) -> bool {
        self.store.is_usable()
    }
}

fn subject(person: EnterpriseId) -> [u8; 16] {
    person.as_u128().to_be_bytes()
}

/// All that an answer depends on but the member's own data: as bytes, to be hashed.
#[derive(Serialize)]
struct Told<'a> {
    member: &'a Member,
    certificate: &'a [u8],
    model_version: &'a str,
    records: Vec<(&'a LocalId, &'a Demographics, bool)>,
    person: &'a [Demographics],
    types: &'a std::collections::BTreeSet<String>,
    since: Option<i128>,
    start: Option<String>,
    end: Option<String>,
}

impl Question<'_> {
    fn bytes(&self) -> Vec<u8> {
        let Target { member: _, records, person } = self.target;
        let RecordQuery { types, since, start, end, deadline: _, kept_age_max: _, kept_for: _ } =
            self.query;
        let chain = self.connection.identity.credentials.chain();
        let certificate = chain.first().map(|leaf| digest::digest(&digest::SHA256, leaf));
        let told = Told {
            // With its base, its quirks and how the gateway is let in.
            member: &self.connection.member,
            certificate: certificate.as_ref().map(AsRef::as_ref).unwrap_or_default(),
            model_version: self.model_version,
            records: records
                .iter()
                .map(|SoughtRecord { local_id, fed, discovered }| (local_id, fed, *discovered))
                .collect(),
            person,
            types,
            since: since.map(time::OffsetDateTime::unix_timestamp_nanos),
            start: start.map(|date| date.to_string()),
            end: end.map(|date| date.to_string()),
        };
        serde_json::to_vec(&told).expect("plain data")
    }
}

/// Whether an answer is whole, verified, and so may be given to others: nothing of it missing, cut,
/// withheld or of doubtful identity. That somebody is unknown is asked again, since it may change
/// with the next feed there.
pub(super) fn may_be_kept(answer: &RecordAnswer) -> bool {
    matches!(answer.status, Status::Answered | Status::Empty(Emptiness::Nothing))
        && answer.identity == Identity::Agrees
        && answer.gaps.is_empty()
        && answer.dropped.withheld() == 0
}

fn was_cut_by_time(outcome: &MemberOutcome) -> bool {
    let is_cut = |answer: &RecordAnswer| {
        answer.status == Status::TimedOut || answer.gaps.iter().any(|gap| gap.cut == Cut::Deadline)
    };
    outcome.answers.iter().any(is_cut)
}

fn too_late(member: &Member, target: &Target, elapsed: Duration) -> MemberOutcome {
    let local_ids = target.records.iter().map(|record| record.local_id.clone()).collect();
    let (code, name) = (member.code().clone(), member.name().to_owned());
    let outcome = MemberOutcome::without_answer(code, name, local_ids, Status::TimedOut);
    MemberOutcome { organization: member.organization().to_owned(), elapsed, ..outcome }
}
