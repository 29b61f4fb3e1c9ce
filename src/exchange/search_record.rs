//! Searches one person's record by type (FHIR R4 search, US Core 6.1.0, IHE QEDm PCC-44).

use std::{collections::BTreeSet, sync::Arc};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    Call, EverythingQuery, Exchange, ExchangeError, Selection, Snapshot,
    call::{About, Outcome, settle},
    cross_reference::permitted_record,
    gather::{ended, gather},
    read_patient::permit,
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Released, Role},
    domain::{EnterpriseId, LocalId},
    fhir::{
        Issue, IssueSeverity, IssueType, search_parameters::Parameter, subject::is_patient_data,
    },
    record::{Include, Selected, Selecting},
};

/// Whose record is searched.
#[derive(Clone)]
pub enum SoughtPatient {
    /// `patient=<enterprise id>`.
    Person(EnterpriseId),
    /// `patient.identifier=system|value`, a member's record number.
    Record(LocalId),
    /// An id that nobody can have.
    Nobody,
}

/// A search of one person's record.
pub struct RecordSearch {
    /// Whose.
    pub patient: SoughtPatient,
    /// For what.
    pub selecting: Selecting,
}

/// What a search found, and the token under which its pages are kept.
pub struct FoundResources {
    /// Names the snapshot in page links.
    pub token: Uuid,
    /// The record that was searched, and what was selected of it.
    pub snapshot: Arc<Snapshot>,
}

/// Asks every member for the type, merges what they answer, and selects. `None` where there is no
/// such patient, so that nothing is found.
///
/// The criteria are met here and not at the members: one that ignores a criterion does no harm, and a
/// copy that tells otherwise still comes, so that a contradiction is seen.
pub async fn search_record(
    exchange: &Exchange,
    call: &Call,
    search: RecordSearch,
) -> Result<Released<Option<FoundResources>>, ExchangeError> {
    let person = person(exchange, call, &search.patient);
    let about = person.map_or_else(About::default, About::patient);
    let mut audit = call.open(exchange, Interaction::ResourceSearch, about).await?;
    let outcome = find(exchange, call, &mut audit, person, search.selecting).await;
    settle(audit, outcome).await
}

/// Whom the search is about. An identifier whose record consent hides is as unknown as one that
/// nobody has: to answer for it would tell that the two belong together.
fn person(exchange: &Exchange, call: &Call, sought: &SoughtPatient) -> Option<EnterpriseId> {
    match sought {
        SoughtPatient::Person(id) => Some(*id),
        SoughtPatient::Nobody => None,
        SoughtPatient::Record(local_id) => {
            permitted_record(exchange, call, local_id).map(|(permit, _)| permit.person())
        }
    }
}

async fn find(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    person: Option<EnterpriseId>,
    selecting: Selecting,
) -> Outcome<Option<FoundResources>> {
    // Who may not ask at all hears that, and not whether there is such a patient.
    call.requester()?.may(Role::Query)?;
    call.purpose()?;
    let nobody = Ok((Closing::Disclosed(Vec::new()), None));
    let Some(person) = person else { return nobody };
    let query = EverythingQuery { types: types(&selecting), ..EverythingQuery::default() };
    let (permit, mut snapshot) = match gather(exchange, call, audit, person, query).await {
        Ok(gathered) => gathered,
        Err(ExchangeError::UnknownPatient) => return nobody,
        Err(error) => return Err(error),
    };
    let now = exchange.clock.now();
    let work = spawn_blocking(move || {
        let selected = snapshot.record.select(&selecting, now);
        snapshot.statement.extend(left_out(&selecting.resource_type, &selected));
        snapshot.selection = Some(Selection { selecting, places: selected.places });
        snapshot
    });
    let snapshot = work.await.or_else(ended)?;
    let (token, snapshot) = exchange.snapshots.keep(snapshot);
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, Some(FoundResources { token, snapshot })))
}

/// The types to ask for: the one searched, and those of the patient's that it is told with.
fn types(selecting: &Selecting) -> BTreeSet<String> {
    let mut types = BTreeSet::from([selecting.resource_type.clone()]);
    let chained = selecting.criteria.chained_types().filter(|kind| is_patient_data(kind));
    types.extend(chained.map(str::to_owned));
    for include in &selecting.includes {
        let Include::Forward { parameter, target, .. } = include else { continue };
        let targets = parameter.iter().flat_map(Parameter::targets).copied();
        let wanted = targets.filter(|kind| target.as_ref().is_none_or(|target| target == kind));
        types.extend(wanted.filter(|kind| is_patient_data(kind)).map(str::to_owned));
    }
    types
}

/// What a criterion leaves out because nothing is told to hold against it: that is said, since it may
/// be what is sought.
fn left_out(resource_type: &str, selected: &Selected) -> Vec<Issue> {
    let mut issues = Vec::new();
    let mut say = |count: usize, why: &str| {
        let text = format!("{count} {resource_type} resources {why}");
        let issue = || Issue::new(IssueSeverity::Warning, IssueType::Incomplete, text);
        issues.extend((count > 0).then(issue));
    };
    say(selected.undated, "tell no date and so do not meet the dates asked for");
    say(
        selected.unfollowed,
        "refer to what no member sent, and so do not meet what is asked of it",
    );
    issues
}

/// Another page of what a search found.
///
/// Consent is asked again, and the page is audited like the first. Gone once its time is over, and
/// for anybody but the client, purpose and permission that it was made for.
pub async fn next_page_of_search(
    exchange: &Exchange,
    call: &Call,
    resource_type: &str,
    token: Uuid,
) -> Result<Released<FoundResources>, ExchangeError> {
    let kept = exchange.snapshots.by_token(token);
    let about = kept.as_ref().map_or_else(About::default, |kept| About::patient(kept.person));
    let audit = call.open(exchange, Interaction::ResourceSearch, about).await?;
    let outcome = page(exchange, call, resource_type, token, kept);
    settle(audit, outcome).await
}

fn page(
    exchange: &Exchange,
    call: &Call,
    resource_type: &str,
    token: Uuid,
    kept: Option<Arc<Snapshot>>,
) -> Outcome<FoundResources> {
    call.requester()?.may(Role::Query)?;
    call.purpose()?;
    let kept = kept.filter(|kept| {
        let selection = kept.selection.as_ref();
        selection.is_some_and(|one| one.selecting.resource_type == resource_type)
    });
    let snapshot = kept.ok_or(ExchangeError::PageExpired)?;
    let permit = permit(exchange, call, snapshot.person)?;
    if !snapshot.is_for(&permit) {
        return Err(ExchangeError::PageExpired);
    }
    let closing = Closing::Disclosed(vec![Disclosure::of(&permit)]);
    Ok((closing, FoundResources { token, snapshot }))
}
