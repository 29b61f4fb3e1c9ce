//! Gathers a patient's record when they arrive at an emergency department, so that it is there when the
//! physician looks.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::counter;
use serde::Deserialize;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinSet,
};
use uuid::Uuid;

use super::{
    Call, EverythingQuery, Exchange, ExchangeError,
    call::{About, Outcome, settle},
    gather::Gathering,
};
use crate::{
    access::{
        AuditNote, Closing, Disclosure, Interaction, OpenAudit, RawRequest, Refusal, Released,
    },
    directory::Member,
    domain::{EnterpriseId, MemberCode, RequestId},
};

/// How many arrivals are minded, and how long what was gathered is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArrivalSettings {
    /// Arrivals that wait; more are passed over.
    pub queue_max: usize,
    /// Records gathered at once.
    pub at_once_max: usize,
    /// How long members' answers are kept then, in seconds.
    pub kept_s: u64,
}

impl Default for ArrivalSettings {
    fn default() -> Self {
        Self { queue_max: 256, at_once_max: 2, kept_s: 900 }
    }
}

/// Patients who arrived and whose record is to be warmed.
pub struct Arrivals {
    settings: ArrivalSettings,
    queue: Sender<Arrival>,
    waiting: Mutex<Option<Receiver<Arrival>>>,
}

struct Arrival {
    member: MemberCode,
    person: EnterpriseId,
}

impl Arrivals {
    /// Nobody has arrived yet.
    pub fn new(settings: ArrivalSettings) -> Self {
        let (queue, waiting) = mpsc::channel(settings.queue_max.max(1));
        Self { settings, queue, waiting: Mutex::new(Some(waiting)) }
    }

    /// Notes an arrival, where the member wants that. Never waits: a feed is not held up by it.
    pub(super) fn note(&self, member: &Member, person: EnterpriseId) {
        if member.arrivals_as().is_none() {
            return;
        }
        let arrival = Arrival { member: member.code().clone(), person };
        if self.queue.try_send(arrival).is_err() {
            counted("passed over");
        }
    }
}

/// Warms the records of those who arrive, a few at once. Runs until it is dropped.
pub async fn warm_arrivals(exchange: Arc<Exchange>) {
    let arrivals = &exchange.arrivals;
    let waiting = arrivals.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut waiting) = waiting else { return };
    let mut at_work = JoinSet::new();
    while let Some(arrival) = waiting.recv().await {
        while at_work.len() >= arrivals.settings.at_once_max.max(1) {
            at_work.join_next().await;
        }
        let exchange = Arc::clone(&exchange);
        at_work.spawn(async move { warm(&exchange, arrival).await });
    }
}

async fn warm(exchange: &Exchange, arrival: Arrival) {
    // Who waits for an answer comes first.
    if exchange.queries.available_permits() * 2 < exchange.settings.queries_max {
        return counted("passed over");
    }
    match warm_record(exchange, &arrival).await {
        Ok(_) => counted("warmed"),
        Err(ExchangeError::Refused(_)) => counted("refused"),
        Err(error) => {
            counted("failed");
            tracing::warn!(member.id = %arrival.member, %error, "an arrival was not prepared for");
        }
    }
}

/// Gathers as the system that the member named, by its own purpose, permit and audit: what it may not
/// see is not asked for.
async fn warm_record(
    exchange: &Exchange,
    arrival: &Arrival,
) -> Result<Released<()>, ExchangeError> {
    let roster = exchange.directory.roster();
    let client = roster.member(&arrival.member).and_then(Member::arrivals_as);
    let requester = client
        .and_then(|client| exchange.clients.on_this_machine(client))
        .ok_or(Refusal::UnknownClient)
        .and_then(|requester| match requester.member() {
            Some(member) if *member == arrival.member => Ok(requester),
            _ => Err(Refusal::AnotherMember),
        });
    let person = arrival.person;
    let call = Call {
        request_id: RequestId::new(Uuid::new_v4()),
        requester,
        client_address: None,
        told_purpose: None,
        kept_age_max: Duration::MAX,
        raw: RawRequest {
            method: "ARRIVAL".to_owned(),
            path: format!("/fhir/Patient/{person}/$everything"),
            ..RawRequest::default()
        },
    };
    let mut audit = call.open(exchange, Interaction::Everything, About::patient(person)).await?;
    let outcome = gathered(exchange, &call, &mut audit, person).await;
    settle(audit, outcome).await
}

async fn gathered(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    person: EnterpriseId,
) -> Outcome<()> {
    let kept_for = Duration::from_secs(exchange.arrivals.settings.kept_s);
    let query = EverythingQuery { kept_for, ..EverythingQuery::default() };
    let mut gathering = Gathering::begin(exchange, call, audit, person, query).await?;
    let disclosure = Disclosure::of(gathering.permit());
    // Whole answers are kept as they come; nobody is shown them yet.
    while gathering.hear().await.is_some() {}
    let note = AuditNote::new("arrival", "gathered at the patient's arrival, shown to nobody");
    Ok((Closing::Disclosed(vec![disclosure.with_notes(vec![note])]), ()))
}

fn counted(outcome: &'static str) {
    counter!("tessera_arrivals_total", "outcome" => outcome).increment(1);
}
