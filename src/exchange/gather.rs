//! Asks every member that holds records of a person, and puts together what they answer: what all
//! questions about a record have in common.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::{
    sync::SemaphorePermit,
    task::{JoinError, JoinHandle, spawn_blocking},
};

use super::{
    Call, Exchange, ExchangeError, PatientView, Snapshot,
    asking::{Asking, located, targets},
    read_patient::permit,
    snapshots::{Makings, Part},
};
use crate::{
    access::{OpenAudit, Permit, Restrictions},
    directory::Roster,
    domain::{EnterpriseId, MemberCode, PartialDate},
    federation::{Held, MemberOutcome, RecordQuery, Status},
    fhir::{Issue, IssueSeverity, IssueType},
    record::{
        Count, MemberAnswer, MergeContext, MergedRecord, RecordIssueKind, TakenIn, merge_taken_in,
        releases,
    },
};

/// What of a record is wanted: the parameters of `$everything`.
#[derive(Clone, Debug, Default)]
pub struct EverythingQuery {
    /// `_type`; every type where empty.
    pub types: BTreeSet<String>,
    /// `_since`.
    pub since: Option<OffsetDateTime>,
    /// `start`.
    pub start: Option<PartialDate>,
    /// `end`.
    pub end: Option<PartialDate>,
    /// How long members' answers may be kept, where that is longer than usual.
    pub kept_for: Duration,
    /// Organizations where the patient is to be looked for too, by member code or identifier.
    pub organizations: Vec<String>,
}

/// Asks the members under a permit for the person of this id, verifies and merges.
///
/// A member that fails is told in the statement. An error only where nobody could be asked, or where
/// all who were asked failed.
pub(super) async fn gather(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    id: EnterpriseId,
    query: EverythingQuery,
) -> Result<(Permit, Snapshot), ExchangeError> {
    let mut gathering = Gathering::begin(exchange, call, audit, id, query).await?;
    while gathering.hear().await.is_some() {}
    gathering.put_together().await
}

/// A record on its way: members are asked, and are heard as they answer. Dropping it stops the work.
pub(super) struct Gathering<'a> {
    exchange: &'a Exchange,
    view: PatientView,
    asking: Asking<'a>,
    heard: Vec<Heard>,
    /// Why no more can be heard, where that is ours.
    failed: Option<ExchangeError>,
    _slot: SemaphorePermit<'a>,
}

impl<'a> Gathering<'a> {
    /// Asks the members under a permit for the person of this id.
    pub(super) async fn begin(
        exchange: &'a Exchange,
        call: &Call,
        audit: &mut OpenAudit,
        id: EnterpriseId,
        query: EverythingQuery,
    ) -> Result<Self, ExchangeError> {
        let permit = permit(exchange, call, id)?;
        let slot = exchange.queries.try_acquire().map_err(|_| ExchangeError::Busy)?;
        if !exchange.federation.has_room() {
            return Err(ExchangeError::Busy);
        }
        let view =
            PatientView::of(exchange, &permit).await?.ok_or(ExchangeError::UnknownPatient)?;
        // Whoever is asked learns that the patient is asked for, so the question is on record first.
        audit.begun().await?;
        let named = query.organizations.clone();
        let sought = sought(exchange, call, &permit, query);
        let asking = Asking::start(exchange, call, permit, sought, &named).await?;
        Ok(Self { exchange, view, asking, heard: Vec::new(), failed: None, _slot: slot })
    }

    /// The permission under which it is gathered.
    pub(super) fn permit(&self) -> &Permit {
        self.asking.permit()
    }

    /// Waits for the next member; `None` once all have been heard.
    pub(super) async fn hear(&mut self) -> Option<&mut Heard> {
        let outcome = match self.asking.next().await {
            Ok(outcome) => outcome?,
            Err(error) => {
                self.failed = Some(error);
                return None;
            }
        };
        let roster = self.exchange.directory.roster();
        self.heard.push(Heard::of(self.asking.permit(), &roster, outcome));
        self.heard.last_mut()
    }

    /// Merges what was heard.
    pub(super) async fn put_together(self) -> Result<(Permit, Snapshot), ExchangeError> {
        let Self { exchange, mut view, asking, mut heard, failed, .. } = self;
        if let Some(error) = failed {
            return Err(error);
        }
        let (permit, found) = asking.end();
        if found {
            view =
                PatientView::of(exchange, &permit).await?.ok_or(ExchangeError::UnknownPatient)?;
        }
        heard.sort_by(|one, other| one.member.cmp(&other.member));
        if all_failed(&heard) {
            return Err(ExchangeError::NoMemberAnswered(
                heard.into_iter().flat_map(|one| one.issues).collect(),
            ));
        }
        let snapshot = put_together(exchange, &permit, view, heard).await?;
        Ok((permit, snapshot))
    }
}

/// Asks one member alone, and rewrites what it answers: a record without the others' word.
pub(super) async fn gather_at(
    exchange: &Exchange,
    call: &Call,
    permit: &Permit,
    member: &MemberCode,
    query: EverythingQuery,
) -> Result<MergedRecord, ExchangeError> {
    let mut targets = targets(&located(exchange, permit).await?);
    targets.retain(|target| target.member == *member);
    let roster = exchange.directory.roster();
    let mut asked =
        exchange.federation.start(permit, targets, sought(exchange, call, permit, query));
    let mut taken = Vec::new();
    while let Some(outcome) = asked.next().await {
        let mut heard = Heard::of(permit, &roster, outcome);
        heard.take_in(permit.person());
        taken.extend(heard.into_taken().await);
    }
    let context = context(exchange, permit);
    spawn_blocking(move || merge_taken_in(&context, taken)).await.or_else(ended)
}

fn sought(
    exchange: &Exchange,
    call: &Call,
    permit: &Permit,
    query: EverythingQuery,
) -> RecordQuery {
    RecordQuery {
        types: query.types,
        since: query.since,
        start: query.start,
        end: query.end,
        deadline: exchange.federation.settings().deadline(permit.purpose().is_emergency()),
        kept_age_max: call.kept_age_max,
        kept_for: query.kept_for,
    }
}

fn context(exchange: &Exchange, permit: &Permit) -> MergeContext {
    MergeContext {
        person: permit.person(),
        recorded: permit.decided_at(),
        exchange_name: exchange.settings.name.clone(),
        exchange_id: exchange.settings.organization.clone(),
    }
}

/// What came of asking a member; its answer is being taken in while others are waited for.
pub(super) struct Heard {
    member: MemberCode,
    status: Status,
    /// Whether it gave anything.
    gave: bool,
    issues: Vec<Issue>,
    taken: Taken,
    part: Option<Part>,
    /// The room in memory that it takes.
    held: Vec<Held>,
}

enum Taken {
    /// It was kept, and so may have been taken in before.
    Waiting(Box<(MemberAnswer, Option<Restrictions>)>),
    UnderWay(JoinHandle<TakenIn>),
    Done(Box<TakenIn>),
    /// It could not be taken in.
    Failed,
}

impl Heard {
    fn of(permit: &Permit, roster: &Roster, mut outcome: MemberOutcome) -> Self {
        let known = roster.member(&outcome.member);
        let issues = outcome.issues();
        let restrictions = permit.restrictions(&outcome.member).cloned();
        let answer = MemberAnswer {
            member: outcome.member.clone(),
            base_url: outcome.base_url.clone(),
            name: known.map(|member| member.name().to_owned()),
            organization_id: known.map(|member| member.organization().to_owned()),
            patient_ids: outcome.patient_ids().map(str::to_owned).collect(),
            resources: outcome.take_resources(),
        };
        let gave = !answer.resources.is_empty();
        let part = outcome.mark.map(|mark| Part { mark, restrictions: restrictions.clone() });
        let is_kept = outcome.kept_for.is_some() && part.is_some();
        let mut heard = Self {
            status: outcome.status(),
            held: outcome.answers.iter().map(|answer| answer.held.clone()).collect(),
            member: outcome.member,
            gave,
            issues,
            taken: Taken::Waiting(Box::new((answer, restrictions))),
            part,
        };
        if !is_kept {
            heard.take_in(permit.person());
        }
        heard
    }

    /// Begins to take in what it gave.
    fn take_in(&mut self, person: EnterpriseId) {
        self.taken = match std::mem::replace(&mut self.taken, Taken::Failed) {
            Taken::Waiting(waiting) => Taken::UnderWay(spawn_blocking(move || {
                let (answer, restrictions) = *waiting;
                TakenIn::new(person, redacted(answer, restrictions))
            })),
            begun => begun,
        };
    }

    /// Whether the requester may know of it at all.
    pub(super) fn is_told(&self) -> bool {
        !self.issues.is_empty()
    }

    /// What the member gave, redacted and under gateway ids.
    pub(super) async fn resources(&mut self, person: EnterpriseId) -> Vec<String> {
        self.take_in(person);
        if let Taken::UnderWay(taking) = &mut self.taken {
            self.taken = match taking.await {
                Ok(taken) => Taken::Done(Box::new(taken)),
                Err(_) => Taken::Failed,
            };
        }
        match &self.taken {
            Taken::Done(taken) => taken.resources().map(str::to_owned).collect(),
            Taken::Waiting(_) | Taken::UnderWay(_) | Taken::Failed => Vec::new(),
        }
    }

    async fn into_taken(self) -> Option<TakenIn> {
        match self.taken {
            Taken::UnderWay(taking) => taking.await.ok(),
            Taken::Done(taken) => Some(*taken),
            Taken::Waiting(_) | Taken::Failed => None,
        }
    }
}

/// A member's verified answer without what the permit withholds.
fn redacted(mut answer: MemberAnswer, restrictions: Option<Restrictions>) -> MemberAnswer {
    match restrictions {
        Some(bounds) => answer.resources.retain(|resource| releases(&bounds, resource)),
        None => answer.resources.clear(),
    }
    answer
}

/// Whether members were asked and none of them gave anything, not even an empty answer.
fn all_failed(heard: &[Heard]) -> bool {
    let mut asked =
        heard.iter().filter(|one| !matches!(one.status, Status::NotAsked(_))).peekable();
    asked.peek().is_some()
        && asked.all(|one| {
            !one.status.is_complete() && !one.gave && !matches!(one.status, Status::Withheld(_))
        })
}

async fn put_together(
    exchange: &Exchange,
    permit: &Permit,
    view: PatientView,
    mut heard: Vec<Heard>,
) -> Result<Snapshot, ExchangeError> {
    let mut complete = heard.iter().all(|one| one.status.is_complete());
    let _held: Vec<Vec<Held>> = heard.iter().map(|one| one.held.clone()).collect();
    let makings = makings(permit, &heard);
    // The same answers under the same restrictions are the same record.
    let made = makings.as_ref().and_then(|makings| exchange.snapshots.made_of(makings));
    // What may be another person's comes before what is missing.
    let mut statement = view.warnings();
    let record = if let Some(record) = made {
        statement.extend(heard.into_iter().flat_map(|one| one.issues));
        record
    } else {
        for one in &mut heard {
            one.take_in(permit.person());
        }
        let mut taken = Vec::new();
        for mut one in heard {
            statement.append(&mut one.issues);
            let member = one.member.clone();
            if let Some(answer) = one.into_taken().await {
                taken.push(answer);
            } else {
                // It came and cannot be shown: a gap like any other.
                complete = false;
                tracing::error!(member.id = %member, "an answer could not be taken in");
                let text = format!("{member}: its answer could not be read");
                statement.push(Issue::new(IssueSeverity::Warning, IssueType::Exception, text));
            }
        }
        let context = context(exchange, permit);
        // Thousands of resources take milliseconds, in which a worker serves many other requests.
        let merging = spawn_blocking(move || merge_taken_in(&context, taken));
        Arc::new(merging.await.or_else(ended)?)
    };
    statement.extend(accounts(&record));
    statement.push(reservation());
    let makings = makings.filter(|_| complete);
    Ok(Snapshot::new(permit, view, record, statement, complete).made_of(makings))
}

/// What a record is made of, where every answer in it is one that was kept.
fn makings(permit: &Permit, heard: &[Heard]) -> Option<Makings> {
    let part = |one: &Heard| {
        let given = one.gave.then(|| one.part.clone());
        match given {
            Some(None) => None,
            Some(part) => Some((one.member.clone(), part)),
            None => Some((one.member.clone(), None)),
        }
    };
    let parts = heard.iter().map(part).collect::<Option<Vec<_>>>()?;
    Some(Makings { person: permit.person(), parts })
}

/// A merge that did not end: a fault of ours goes on as what it is; a stop, as a busy exchange.
pub(super) fn ended<T>(error: JoinError) -> Result<T, ExchangeError> {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(ExchangeError::Busy),
    }
}

/// What may lie beyond any answer. It stands in every one, so that it betrays nothing.
pub fn reservation() -> Issue {
    Issue::new(
        IssueSeverity::Information,
        IssueType::Informational,
        "Records may exist that are not shown: held outside this exchange, not yet linked, or \
         withheld by law or by the patient's choice",
    )
}

/// The sum of the record, so that nothing can be lost in silence, and what was odd about it.
fn accounts(record: &MergedRecord) -> Vec<Issue> {
    let sum = |part: fn(&Count) -> u64| record.counts().iter().map(part).sum();
    let (received, single, grouped, repeated): (u64, u64, u64, u64) =
        (sum(|c| c.received), sum(|c| c.single), sum(|c| c.grouped), sum(|c| c.repeated));
    let text = format!(
        "{received} resources received: {single} tell a fact alone, {grouped} stand in {} groups, \
         {repeated} were sent twice",
        record.groups().count()
    );
    let mut issues = vec![Issue::new(IssueSeverity::Information, IssueType::Informational, text)];
    for odd in record.issues() {
        let what = match odd.kind {
            RecordIssueKind::NoId => "had no id and cannot be read again at its source",
            RecordIssueKind::IdUsedTwice => "shared its id with another; both are shown",
            RecordIssueKind::TooManyToCompare => {
                "were too many of one code and moment to be compared; they are shown apart"
            }
        };
        let text = format!("{}: {} {what}", odd.member, odd.resource_type);
        issues.push(Issue::new(IssueSeverity::Warning, IssueType::Incomplete, text));
    }
    issues
}
