//! A question on its way to members: to those that hold records of the person, and to those at which
//! the person is looked for, all at once.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::{
    Call, Exchange, ExchangeError,
    discover_record::{Looked, Place, discover, places},
};
use crate::{
    access::Permit,
    domain::{Demographics, RecordKey},
    federation::{FanOut, MemberOutcome, RecordQuery, SoughtRecord, Target},
    index::{GoldenView, Location},
};

/// Outcomes, as members answer. Dropping it stops the work.
pub(super) struct Asking<'a> {
    exchange: &'a Exchange,
    permit: Permit,
    query: RecordQuery,
    started: Instant,
    asked: FanOut,
    looking: FuturesUnordered<BoxFuture<'a, Looked>>,
    /// The records that were asked for.
    known: Vec<RecordKey>,
    /// Whether records were found that nobody had told of.
    found: bool,
}

impl<'a> Asking<'a> {
    /// Asks. The question is on record already; `named` are organizations that the question names.
    pub(super) async fn start(
        exchange: &'a Exchange,
        call: &Call,
        permit: Permit,
        query: RecordQuery,
        named: &[String],
    ) -> Result<Self, ExchangeError> {
        let locations = located(exchange, &permit).await?;
        let asked = exchange.federation.start(&permit, targets(&locations), query.clone());
        let looking = FuturesUnordered::new();
        if let Some(golden) = GoldenView::of(permit.person(), &locations) {
            for place in places(exchange, &permit, &golden, named) {
                let told = golden.demographics.clone();
                looking.push(look(
                    exchange,
                    call.clone(),
                    permit.clone(),
                    place,
                    told,
                    query.deadline,
                ));
            }
        }
        let known = locations.into_iter().map(|one| one.record).collect();
        let started = Instant::now();
        Ok(Self { exchange, permit, query, started, asked, looking, known, found: false })
    }

    /// The next outcome; `None` once every member has one.
    pub(super) async fn next(&mut self) -> Result<Option<MemberOutcome>, ExchangeError> {
        loop {
            let looked = tokio::select! {
                Some(outcome) = self.asked.next() => return Ok(Some(outcome)),
                Some(looked) = self.looking.next() => looked,
                else => return Ok(None),
            };
            match looked {
                Looked::Nobody(outcome) => return Ok(Some(outcome)),
                Looked::Linked(permit) => self.ask_found(permit).await?,
                Looked::Failed(error) => return Err(error),
            }
        }
    }

    /// Asks for a record that was found just now.
    async fn ask_found(&mut self, permit: Permit) -> Result<(), ExchangeError> {
        self.permit = permit;
        let mut found = located(self.exchange, &self.permit).await?;
        let known = targets(&found);
        found.retain(|one| !self.known.contains(&one.record) && one.discovered.is_some());
        self.known.extend(found.iter().map(|one| one.record.clone()));
        let new = known.into_iter().filter_map(|target| {
            let mut records = target.records;
            records.retain(|record| {
                let is_it = |one: &Location| {
                    one.record.member == target.member && one.record.local_id == record.local_id
                };
                found.iter().any(is_it)
            });
            (!records.is_empty()).then_some(Target { records, ..target })
        });
        let left = self.query.deadline.saturating_sub(self.started.elapsed());
        let query = RecordQuery { deadline: left, ..self.query.clone() };
        self.found = true;
        let new = new.collect();
        self.exchange.federation.ask_also(&mut self.asked, &self.permit, new, query);
        Ok(())
    }

    /// The permission as it stands now, with the records that were found.
    pub(super) fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The permission at the end, and whether records were found.
    pub(super) fn end(self) -> (Permit, bool) {
        (self.permit, self.found)
    }
}

fn look(
    exchange: &Exchange,
    call: Call,
    permit: Permit,
    place: Place,
    told: Demographics,
    deadline: Duration,
) -> BoxFuture<'_, Looked> {
    Box::pin(async move { discover(exchange, &call, &permit, place, &told, deadline).await })
}

/// The permitted records that may be asked for: without those whose time is over.
pub(super) async fn located(
    exchange: &Exchange,
    permit: &Permit,
) -> Result<Vec<Location>, ExchangeError> {
    let mut locations = exchange.index.locate(permit).await?;
    let until = exchange.discovered_until();
    locations.retain(|location| location.discovered.is_none_or(|found| found >= until));
    Ok(locations)
}

/// One target a member, each with the others' demographics as a second opinion.
pub(super) fn targets(locations: &[Location]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for location in locations {
        let sought = SoughtRecord {
            local_id: location.record.local_id.clone(),
            fed: location.demographics.clone(),
            discovered: location.discovered.is_some(),
        };
        match targets.iter_mut().find(|target| target.member == location.record.member) {
            Some(target) => target.records.push(sought),
            None => targets.push(Target {
                member: location.record.member.clone(),
                records: vec![sought],
                person: locations
                    .iter()
                    .filter(|other| other.record.member != location.record.member)
                    .map(|other| other.demographics.clone())
                    .collect(),
            }),
        }
    }
    targets
}
