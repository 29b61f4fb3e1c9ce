//! Retrieves one person's record from every member that holds parts of it
//! (FHIR R4 `Patient/{id}/$everything`).

use std::{collections::BTreeSet, sync::Arc};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Call, Exchange, ExchangeError, PatientView, Snapshot,
    call::{About, Outcome, settle},
    read_patient::permit,
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Permit, Released},
    directory::Roster,
    domain::{EnterpriseId, PartialDate},
    federation::{MemberOutcome, RecordQuery, SoughtRecord, Status, Target},
    fhir::{Issue, IssueSeverity, IssueType},
    index::Location,
    record::{MemberAnswer, MergeContext, RecordIssueKind, merge, releases},
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
}

/// A record that was put together just now, and the token under which its pages are kept.
pub struct RetrievedRecord {
    /// Names the snapshot in page links.
    pub token: Uuid,
    /// The record.
    pub snapshot: Arc<Snapshot>,
}

/// Asks every member that holds records of the person, verifies and merges what they answer.
///
/// A member that fails is told in the statement. An error only where nobody could be asked, or where
/// all who were asked failed.
pub async fn retrieve_record(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
    query: EverythingQuery,
) -> Result<Released<RetrievedRecord>, ExchangeError> {
    let mut audit = call.open(exchange, Interaction::Everything, About::patient(id)).await?;
    let outcome = gather(exchange, call, &mut audit, id, query).await;
    settle(audit, outcome).await
}

async fn gather(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    id: EnterpriseId,
    query: EverythingQuery,
) -> Outcome<RetrievedRecord> {
    let permit = permit(exchange, call, id)?;
    let _slot = exchange.queries.try_acquire().map_err(|_| ExchangeError::Busy)?;
    let view = PatientView::of(exchange, &permit).await?.ok_or(ExchangeError::UnknownPatient)?;
    let targets = targets(&exchange.index.locate(&permit).await?);
    // Whoever is asked learns that the patient is asked for, so the question is on record first.
    audit.begun().await?;
    let bounds = exchange.federation.settings();
    let sought = RecordQuery {
        types: query.types,
        since: query.since,
        start: query.start,
        end: query.end,
        deadline: bounds.deadline(permit.purpose().is_emergency()),
    };
    let outcomes = exchange.federation.fan_out(&permit, targets, sought).await;
    if all_failed(&outcomes) {
        return Err(ExchangeError::NoMemberAnswered(
            outcomes.iter().flat_map(MemberOutcome::issues).collect(),
        ));
    }
    let snapshot = put_together(exchange, &permit, view, outcomes);
    let (token, snapshot) = exchange.snapshots.keep(snapshot);
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, RetrievedRecord { token, snapshot }))
}

/// One target a member, each with the others' demographics as a second opinion.
fn targets(locations: &[Location]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for location in locations {
        let sought = SoughtRecord {
            local_id: location.record.local_id.clone(),
            fed: location.demographics.clone(),
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

/// Whether members were asked and none of them gave anything, not even an empty answer.
fn all_failed(outcomes: &[MemberOutcome]) -> bool {
    let mut asked = outcomes
        .iter()
        .filter(|outcome| !matches!(outcome.status(), Status::NotAsked(_)))
        .peekable();
    asked.peek().is_some()
        && asked.all(|outcome| {
            !outcome.status().is_complete()
                && outcome.resources().next().is_none()
                && !matches!(outcome.status(), Status::Withheld(_))
        })
}

fn put_together(
    exchange: &Exchange,
    permit: &Permit,
    view: PatientView,
    outcomes: Vec<MemberOutcome>,
) -> Snapshot {
    let roster = exchange.directory.roster();
    let complete = outcomes.iter().all(|outcome| outcome.status().is_complete());
    let mut statement: Vec<Issue> = outcomes.iter().flat_map(MemberOutcome::issues).collect();
    let answers = outcomes.into_iter().map(|outcome| redacted(permit, &roster, outcome)).collect();
    let context = MergeContext {
        person: permit.person(),
        recorded: permit.decided_at(),
        exchange_name: exchange.settings.name.clone(),
        exchange_id: exchange.settings.organization.clone(),
    };
    let record = merge(&context, answers);
    statement.extend(accounts(&record));
    Snapshot::new(permit, view, record, statement, complete)
}

/// A member's verified answer without what the permit withholds.
fn redacted(permit: &Permit, roster: &Roster, outcome: MemberOutcome) -> MemberAnswer {
    let known = roster.member(&outcome.member);
    let restrictions = permit.restrictions(&outcome.member);
    let patient_ids = outcome.patient_ids().map(str::to_owned).collect();
    let (member, base_url) = (outcome.member.clone(), outcome.base_url.clone());
    let resources = outcome
        .into_resources()
        .filter(|resource| restrictions.is_some_and(|bounds| releases(bounds, resource)))
        .collect();
    MemberAnswer {
        member,
        base_url,
        name: known.map(|member| member.name().to_owned()),
        organization_id: known.map(|member| member.organization().to_owned()),
        patient_ids,
        resources,
    }
}

/// The sum of the record, so that nothing can be lost in silence, and what was odd about it.
fn accounts(record: &crate::record::MergedRecord) -> Vec<Issue> {
    let sum = |part: fn(&crate::record::Count) -> u64| record.counts().iter().map(part).sum();
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

/// Another page of a record that was put together before.
///
/// Consent is asked again, and the page is audited like the first. Gone once its time is over, and
/// for anybody but the client, purpose and permission that it was made for.
pub async fn next_page(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
    token: Uuid,
) -> Result<Released<RetrievedRecord>, ExchangeError> {
    let audit = call.open(exchange, Interaction::Everything, About::patient(id)).await?;
    let outcome = page(exchange, call, id, token);
    settle(audit, outcome).await
}

fn page(
    exchange: &Exchange,
    call: &Call,
    id: EnterpriseId,
    token: Uuid,
) -> Outcome<RetrievedRecord> {
    let permit = permit(exchange, call, id)?;
    let snapshot = exchange
        .snapshots
        .by_token(token)
        .filter(|snapshot| snapshot.is_for(&permit))
        .ok_or(ExchangeError::PageExpired)?;
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, RetrievedRecord { token, snapshot }))
}
