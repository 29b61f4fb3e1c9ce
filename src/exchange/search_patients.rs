//! Finds persons by what is told of them (FHIR R4 search on Patient, IHE PDQm ITI-78).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use moka::sync::Cache;
use uuid::Uuid;

use super::{
    Call, Exchange, ExchangeError, PatientView, SnapshotSettings,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Disclosure, Interaction, Permit, Released, Requester, Role},
    domain::{EnterpriseId, PersonRecords, PurposeOfUse},
    index::{Criterion, GoldenView, Location},
};

/// What is asked for.
#[derive(Clone, Default)]
pub struct PatientSearch {
    /// All of them are to be met.
    pub criteria: Vec<Criterion>,
    /// Only identifiers of these namespaces are shown; all where there is none.
    pub systems: Vec<String>,
}

/// How much of what was found is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PatientPage {
    /// Patients to pass over.
    pub offset: usize,
    /// Patients to show; 0: only how many there are.
    pub count: usize,
}

/// Patients who meet a search, as far as a permit lets each be seen.
pub struct FoundPatients {
    /// How many meet it.
    pub total: usize,
    /// This page of them.
    pub patients: Vec<PatientView>,
    /// Ids that were asked for and lead to another person by now, and who that is.
    pub replaced: Vec<(EnterpriseId, EnterpriseId)>,
    /// Names the search in the links of its pages, where there is more than this one.
    pub token: Option<Uuid>,
}

/// Finds the persons who meet a search: those who meet it by records that the requester may see.
///
/// Whom consent hides is left out, and nothing tells that there is anybody. An error where the
/// criteria fit more persons than may be looked at, or name a namespace that nobody has.
pub async fn search_patients(
    exchange: &Exchange,
    call: &Call,
    search: PatientSearch,
    page: PatientPage,
) -> Result<Released<FoundPatients>, ExchangeError> {
    let audit = call.open(exchange, Interaction::PatientSearch, About::default()).await?;
    let outcome = first(exchange, call, search, page).await;
    settle(audit, outcome).await
}

/// A further page of a search: the same persons in the same order, each shown as it is now, and only
/// if consent still allows it and it still meets the search.
pub async fn next_patients(
    exchange: &Exchange,
    call: &Call,
    token: Uuid,
    page: PatientPage,
) -> Result<Released<FoundPatients>, ExchangeError> {
    let audit = call.open(exchange, Interaction::PatientSearch, About::default()).await?;
    let outcome = further(exchange, call, token, page).await;
    settle(audit, outcome).await
}

async fn first(
    exchange: &Exchange,
    call: &Call,
    search: PatientSearch,
    page: PatientPage,
) -> Outcome<FoundPatients> {
    let (requester, purpose) = asking(call)?;
    if !search.systems.iter().all(|system| knows_system(exchange, system)) {
        return Err(ExchangeError::UnknownDomain);
    }
    let (search, replaced) = resolve(exchange, search);
    let candidates =
        exchange.index.may_meet(&search.criteria, exchange.settings.search_persons_max)?;
    let seen = meeting(exchange, requester, purpose, &candidates, &search).await?;
    let ids: Vec<EnterpriseId> = seen.iter().map(|one| one.permit.person()).collect();
    let total = ids.len();
    let replaced = replaced.into_iter().filter(|(_, into)| ids.contains(into)).collect();
    // A number of patients tells of each of them.
    let told = if page.count == 0 { &seen[..] } else { window(&seen, page) };
    let disclosures = told.iter().map(|one| Disclosure::of(&one.permit)).collect();
    let patients = window(&seen, page).iter().map(|one| one.view(exchange, &search)).collect();
    let more = page.count > 0 && page.offset.saturating_add(page.count) < total;
    let token = more.then(|| {
        let client_id = requester.client_id().to_owned();
        exchange.searches.keep(FoundBefore { client_id, purpose, search, ids })
    });
    Ok((Closing::Disclosed(disclosures), FoundPatients { total, patients, replaced, token }))
}

async fn further(
    exchange: &Exchange,
    call: &Call,
    token: Uuid,
    page: PatientPage,
) -> Outcome<FoundPatients> {
    let (requester, purpose) = asking(call)?;
    let before = exchange.searches.by_token.get(&token);
    let before = before.filter(|one| one.client_id == requester.client_id());
    let before = before.filter(|one| one.purpose == purpose).ok_or(ExchangeError::PageExpired)?;
    let wanted = window(&before.ids, page);
    let candidates: Vec<PersonRecords> =
        wanted.iter().filter_map(|id| exchange.index.person(*id)).collect();
    let seen = meeting(exchange, requester, purpose, &candidates, &before.search).await?;
    let disclosures = seen.iter().map(|one| Disclosure::of(&one.permit)).collect();
    let found = FoundPatients {
        total: before.ids.len(),
        patients: seen.iter().map(|one| one.view(exchange, &before.search)).collect(),
        replaced: Vec::new(),
        token: Some(token),
    };
    Ok((Closing::Disclosed(disclosures), found))
}

fn asking(call: &Call) -> Result<(&Arc<Requester>, PurposeOfUse), ExchangeError> {
    let requester = call.requester()?;
    requester.may(Role::Query)?;
    Ok((requester, call.purpose()?))
}

/// Whether a namespace is some member's, or one that patients have identifiers in.
fn knows_system(exchange: &Exchange, system: &str) -> bool {
    exchange.directory.roster().owner_of(system).is_some() || exchange.index.knows_system(system)
}

/// Puts the persons of today in the place of ids that were joined into another.
fn resolve(
    exchange: &Exchange,
    mut search: PatientSearch,
) -> (PatientSearch, BTreeSet<(EnterpriseId, EnterpriseId)>) {
    let mut replaced = BTreeSet::new();
    for criterion in &mut search.criteria {
        let Criterion::Person(ids) = criterion else { continue };
        for id in ids {
            let Some(person) = exchange.index.person(*id) else { continue };
            if person.id != *id {
                replaced.insert((*id, person.id));
                *id = person.id;
            }
        }
    }
    (search, replaced)
}

/// A person who meets a search, and what of its records may be seen.
struct Seen {
    permit: Permit,
    locations: Vec<Location>,
}

impl Seen {
    fn view(&self, exchange: &Exchange, search: &PatientSearch) -> PatientView {
        let golden = GoldenView::of(self.permit.person(), &self.locations)
            .expect("a person meets a search by a record");
        let view = PatientView::of_golden(exchange, golden);
        if search.systems.is_empty() { view } else { view.within(&search.systems) }
    }
}

/// Those who may be seen and meet the search by what may be seen: a hidden record finds nobody.
async fn meeting(
    exchange: &Exchange,
    requester: &Arc<Requester>,
    purpose: PurposeOfUse,
    candidates: &[PersonRecords],
    search: &PatientSearch,
) -> Result<Vec<Seen>, ExchangeError> {
    let now = exchange.clock.now();
    let decide = |person| exchange.consents.decide(requester, person, purpose, now).ok();
    let permits: Vec<Permit> = candidates.iter().filter_map(decide).collect();
    let located = exchange.index.locate_each(&permits).await?;
    let seen = permits.into_iter().zip(located);
    let seen = seen.map(|(permit, locations)| Seen { permit, locations });
    let meets = |one: &Seen| {
        let person = one.permit.person();
        let mut criteria = search.criteria.iter();
        !one.locations.is_empty()
            && criteria.all(|one_of| one_of.is_met(person, &one.locations, now))
    };
    Ok(seen.filter(meets).collect())
}

fn window<T>(all: &[T], page: PatientPage) -> &[T] {
    let start = page.offset.min(all.len());
    let end = page.offset.saturating_add(page.count).min(all.len());
    &all[start..end]
}

/// A search and whom it found, for its next pages.
struct FoundBefore {
    client_id: String,
    purpose: PurposeOfUse,
    search: PatientSearch,
    ids: Vec<EnterpriseId>,
}

/// The searches with further pages. In memory only, and gone after their time.
pub struct Searches {
    by_token: Cache<Uuid, Arc<FoundBefore>>,
}

/// Ids kept for further pages, of all searches: 16 bytes each.
const KEPT_IDS_MAX: u64 = 4 << 20;

impl Searches {
    /// None yet.
    pub fn new(settings: &SnapshotSettings) -> Self {
        let by_token = Cache::builder()
            .weigher(|_, found: &Arc<FoundBefore>| found.ids.len() as u32 + 64)
            .max_capacity(KEPT_IDS_MAX)
            .time_to_live(Duration::from_secs(settings.ttl_s))
            .build();
        Self { by_token }
    }

    /// Keeps a search under a token of its own: random, so that it names and tells nothing.
    fn keep(&self, found: FoundBefore) -> Uuid {
        let token = Uuid::new_v4();
        self.by_token.insert(token, Arc::new(found));
        token
    }
}
