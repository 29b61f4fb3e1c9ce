//! One member asked for one person: resolve, plan, fetch, verify.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt as _, future::join_all, stream};
use metrics::counter;
use moka::future::Cache;
use tokio::time::{Instant, timeout_at};

use super::{
    capability::Capabilities,
    identity::IdentityJudge,
    member_base::{MemberBase, is_addressable},
    member_client::{Ask, AskError, MemberClient, Transport},
    outcome::{
        Cut, DropReason, Dropped, Emptiness, Fault, Gap, Identity, RecordAnswer, Status,
        Withholding,
    },
    plan::{PlanOf, TypeSearch},
    query::{RecordQuery, SoughtRecord},
    room::Room,
    settings::FederationSettings,
    sieve::{Key, Sieve, Sifted},
    walk::{Gathering, WalkEnd, Walked},
    whose::Whose,
};
use crate::{
    directory::{Member, Quirk},
    domain::{Demographics, LocalId},
    fhir::{Bundle, Resource, patient::read_patient},
};

/// Bytes of a CapabilityStatement: real ones stay below 2 MiB.
pub(super) const STATEMENT_BYTES_MAX: usize = 8 << 20;
/// References of what was referred to: a Medication's manufacturer, a role's practitioner.
const REFERENCE_ROUNDS_MAX: usize = 2;
/// Types whose lack would hide something of the patient's, and so is told.
const TOLD_WHEN_MISSING: [&str; 5] = ["Medication", "Specimen", "Media", "Device", "RelatedPerson"];

/// What members say they can do, by base.
pub(super) type CapabilityCache = Cache<String, Arc<Capabilities>>;

/// One member asked for one person.
pub(super) struct Visit<'a, T> {
    pub(super) client: &'a MemberClient<T>,
    pub(super) base: &'a MemberBase,
    pub(super) member: &'a Member,
    pub(super) quirks: &'a [Quirk],
    pub(super) capabilities: &'a CapabilityCache,
    pub(super) judge: &'a IdentityJudge,
    pub(super) settings: &'a FederationSettings,
    pub(super) room: &'a Room,
    pub(super) query: &'a RecordQuery,
    /// The person's records elsewhere.
    pub(super) person: &'a [Demographics],
    pub(super) deadline: Instant,
}

/// A Patient at the member, found by identifier.
struct Resolved<'a> {
    patient_id: String,
    sought: Vec<&'a SoughtRecord>,
    patient: Resource,
    /// Other Patients that came with it, though the identifier was asked for.
    others: usize,
}

impl<T: Transport> Visit<'_, T> {
    /// Asks for all the person's records at the member; one answer for each Patient there.
    pub(super) async fn run(&self, sought: &[SoughtRecord]) -> Vec<RecordAnswer> {
        let resolving = join_all(sought.iter().map(|record| self.resolve(record)));
        let ((capabilities, assumed), resolved) = tokio::join!(self.capabilities(), resolving);
        let mut answers = Vec::new();
        let mut patients: Vec<Resolved<'_>> = Vec::new();
        for resolution in resolved {
            match resolution {
                Err(answer) => answers.push(*answer),
                Ok(found) => match patients.iter_mut().find(|p| p.patient_id == found.patient_id) {
                    Some(same) => same.sought.extend(found.sought),
                    None => patients.push(found),
                },
            }
        }
        let fetching = patients.into_iter().map(|one| self.fetch(one, &capabilities, assumed));
        answers.extend(join_all(fetching).await);
        answers
    }

    /// What the member can do, and whether that is only assumed.
    async fn capabilities(&self) -> (Arc<Capabilities>, bool) {
        let ask = Ask::get(self.base.metadata());
        let read = async {
            let body = self.client.ask(&ask, STATEMENT_BYTES_MAX, self.deadline).await?;
            let told = Capabilities::parse(&body);
            told.map(Arc::new).map_err(|_| AskError::fault(Fault::NotFhir))
        };
        let key = self.base.as_str().to_owned();
        // A member whose statement hangs must not lose its answer over it; and somebody else's
        // request, with a later deadline, may be the one under way.
        let now = Instant::now();
        let patience = now + self.deadline.saturating_duration_since(now) / 4;
        let told = timeout_at(patience, self.capabilities.try_get_with(key, read)).await;
        match told {
            Ok(Ok(capabilities)) => (capabilities, false),
            Ok(Err(_)) | Err(_) => (Arc::new(Capabilities::assumed()), true),
        }
    }

    /// Finds the Patient that carries the identifier: exactly one, or an outcome.
    async fn resolve<'s>(
        &self,
        sought: &'s SoughtRecord,
    ) -> Result<Resolved<'s>, Box<RecordAnswer>> {
        let local_id = &sought.local_id;
        let ended = |status: Status| {
            Box::new(RecordAnswer::without_patient(vec![local_id.clone()], status))
        };
        let ask = Ask::search(self.base.patients_with(local_id), self.posts());
        let bytes_max = self.member.limits().page_bytes_max as usize;
        let body = match self.client.ask(&ask, bytes_max, self.deadline).await {
            Ok(body) => body,
            Err(error) => {
                let mut answer = ended(error.status());
                if matches!(error.http_status, Some(404 | 410)) {
                    answer.status = Status::Empty(Emptiness::PatientUnknown);
                }
                answer.http_status = error.http_status;
                return Err(answer);
            }
        };
        let not_fhir = Status::Unreachable(Fault::NotFhir);
        let bundle = Bundle::parse(&body).map_err(|_| ended(not_fhir))?;
        let patients: Vec<Resource> = bundle
            .entries
            .into_iter()
            .map(|entry| entry.resource)
            .filter(|resource| resource.resource_type() == "Patient")
            .collect();
        let told = patients.len();
        let mut carrying: Vec<(String, Resource)> = patients
            .into_iter()
            .filter(|patient| carries(patient, local_id))
            .filter_map(|patient| Some((patient.id()?.to_owned(), patient)))
            .collect();
        carrying.sort_by(|one, other| one.0.cmp(&other.0));
        carrying.dedup_by(|one, other| one.0 == other.0);
        let withheld = |reason: Withholding| {
            let mut answer = ended(Status::Withheld(reason));
            answer.dropped.count(DropReason::OtherPatient, told);
            answer.pages = 1;
            answer
        };
        match carrying.pop() {
            None if told == 0 => {
                let mut answer = ended(Status::Empty(Emptiness::PatientUnknown));
                answer.pages = 1;
                Err(answer)
            }
            None => Err(withheld(Withholding::IdentifierNotEchoed)),
            Some(_) if !carrying.is_empty() => Err(withheld(Withholding::SeveralPatients)),
            Some((patient_id, _)) if !is_addressable(&patient_id) => Err(ended(not_fhir)),
            Some((patient_id, patient)) => {
                Ok(Resolved { patient_id, sought: vec![sought], patient, others: told - 1 })
            }
        }
    }

    /// Fetches and verifies one Patient's resources.
    async fn fetch(
        &self,
        found: Resolved<'_>,
        capabilities: &Capabilities,
        assumed: bool,
    ) -> RecordAnswer {
        let local_ids: Vec<LocalId> =
            found.sought.iter().map(|record| record.local_id.clone()).collect();
        let mut answer = RecordAnswer::without_patient(local_ids.clone(), Status::Answered);
        answer.patient_id = Some(found.patient_id.clone());
        answer.pages = found.sought.len();
        answer.identity = self.identity(&found, &local_ids, std::slice::from_ref(&found.patient));
        if let Some(withholding) = withholding(answer.identity, &found.sought) {
            answer.dropped.count(DropReason::OtherPatient, found.others);
            answer.status = Status::Withheld(withholding);
            return answer;
        }
        let whose = Whose {
            base: self.base.as_str(),
            patient_id: &found.patient_id,
            local_ids: &local_ids,
            full_urls: BTreeSet::new(),
        };
        let limits = self.member.limits();
        let sieve = Sieve::new(whose, self.query, limits.resources_max as usize);
        let gathering = Gathering::new(sieve, self.room.taking(), limits);
        let _ = gathering.sieve().add(found.patient.clone());
        let failed = self.gather(&gathering, &found.patient_id, capabilities, assumed).await;
        self.read_references(&gathering, capabilities).await;

        let (pages, sieve, gaps, held) = gathering.into_parts();
        answer.held = held;
        let sifted = sieve.finish();
        answer.pages += pages;
        answer.identity = self.identity(&found, &local_ids, &sifted.patient_copies);
        let withheld = withholding(answer.identity, &found.sought);
        self.settle(answer, sifted, gaps, failed, (found.others, withheld))
    }

    /// Runs the plan. `Some` where nothing of it worked.
    async fn gather(
        &self,
        gathering: &Gathering<'_>,
        patient_id: &str,
        capabilities: &Capabilities,
        assumed: bool,
    ) -> Option<WalkEnd> {
        let plan = PlanOf {
            base: self.base,
            capabilities,
            quirks: self.quirks,
            query: self.query,
            page_matches: self
                .member
                .page_matches()
                .map_or(self.settings.page_matches, usize::from),
            unserved_types: self.member.unserved_types(),
        }
        .patient(patient_id);
        if let Some(url) = plan.everything {
            let walked = self.walk(gathering, None, Ask::get(url)).await;
            match walked.ended {
                None => return None,
                // Declared and not there, or broken from the start: the searches may still work.
                Some(end) if walked.pages == 0 && self.is_worth_searching(end) => {
                    counter!("tessera_member_everything_failed_total",
                        "member" => self.client.label())
                    .increment(1);
                }
                Some(end) => {
                    gathering.note_gap(None, end);
                    return (walked.pages == 0).then_some(end);
                }
            }
        }
        let searches: Vec<_> =
            plan.searches.iter().map(|search| self.search(gathering, search, assumed)).collect();
        let ends: Vec<Option<WalkEnd>> = stream::iter(searches)
            .buffer_unordered(self.settings.searches_at_once_max.max(1))
            .collect()
            .await;
        if ends.iter().any(Option::is_none) { None } else { ends.into_iter().flatten().next() }
    }

    /// Searches one type, whole or in parts. `Some` where nothing of it worked.
    async fn search(
        &self,
        gathering: &Gathering<'_>,
        search: &TypeSearch,
        assumed: bool,
    ) -> Option<WalkEnd> {
        let kind = search.resource_type.as_str();
        let narrowed = self.quirks.contains(&Quirk::CategoryRequired) && !search.parts.is_empty();
        let mut walks = Vec::new();
        let mut unsatisfied = narrowed;
        if !narrowed {
            let url = search.whole.clone();
            let whole = self.walk(gathering, Some(kind), self.searching(url)).await;
            let doubted = search.doubt_empty && whole.ended.is_none() && whole.matches == 0;
            unsatisfied = !search.parts.is_empty() && (doubted || whole.is_not_served());
            walks.push(whole);
        }
        if unsatisfied {
            let parts = search
                .parts
                .iter()
                .map(|part| self.walk(gathering, Some(kind), self.searching(part.clone())));
            walks.extend(join_all(parts).await);
        }
        let served = walks.iter().any(|walk| walk.pages > 0);
        for walk in &walks {
            // A value of a category that a member does not know is no gap where others were
            // served; nor is a type that it was only assumed to serve.
            let expected = walk.is_not_served() && (served || assumed);
            if let Some(end) = walk.ended.filter(|_| !expected) {
                gathering.note_gap(Some(kind), end);
            }
        }
        if served { None } else { walks.iter().find_map(|walk| walk.ended) }
    }

    /// Reads what the patient's resources refer to and the member did not send along.
    async fn read_references(&self, gathering: &Gathering<'_>, capabilities: &Capabilities) {
        let mut left = self.settings.references_max;
        let mut tried: BTreeSet<Key> = BTreeSet::new();
        for _ in 0..REFERENCE_ROUNDS_MAX {
            let mut missing = gathering.sieve().missing(capabilities);
            missing.retain(|key| !tried.contains(key));
            let beyond = missing.split_off(left.min(missing.len()));
            for (kind, _) in beyond {
                if TOLD_WHEN_MISSING.contains(&kind.as_str()) {
                    gathering.note_gap(Some(&kind), Cut::Resources.into());
                }
            }
            if missing.is_empty() {
                return;
            }
            left -= missing.len();
            tried.extend(missing.iter().cloned());
            let reads: Vec<_> =
                missing.iter().map(|key| self.read_reference(gathering, key)).collect();
            stream::iter(reads)
                .buffer_unordered(self.settings.searches_at_once_max.max(1))
                .collect::<()>()
                .await;
        }
    }

    async fn read_reference(&self, gathering: &Gathering<'_>, (kind, id): &Key) {
        if !is_addressable(id) {
            return;
        }
        let ask = Ask::get(self.base.below(&[kind, id]));
        let end = match gathering.fetch(self.client, &ask, self.deadline).await {
            Ok(body) => match Resource::parse(&body) {
                Ok(resource)
                    if resource.resource_type() == kind && resource.id() == Some(id.as_str()) =>
                {
                    gathering.sieve().add(resource).err().map(WalkEnd::from)
                }
                Ok(_) | Err(_) => Some(AskError::fault(Fault::NotFhir).into()),
            },
            // A reference that dangles at the member is no gap of ours.
            Err(WalkEnd { error: Some(error), .. })
                if matches!(error.http_status, Some(404 | 410)) =>
            {
                None
            }
            Err(end) => Some(end),
        };
        if let Some(end) = end
            && TOLD_WHEN_MISSING.contains(&kind.as_str())
        {
            gathering.note_gap(Some(kind), end);
        }
    }

    /// Whether a failure of `$everything` leaves hope for the searches: it is the heaviest of all
    /// requests, and often the first to fail.
    fn is_worth_searching(&self, end: WalkEnd) -> bool {
        match end.cut {
            Cut::Failed(fault) => match fault {
                Fault::ServerError | Fault::NotFhir | Fault::Unavailable | Fault::Broken => true,
                Fault::Connect | Fault::Tls | Fault::CircuitOpen | Fault::Internal => false,
            },
            Cut::Refused(_) => end.error.is_some_and(AskError::is_not_served),
            Cut::Bytes => true,
            // The request's own time was up, and the query's is not.
            Cut::Deadline => Instant::now() < self.deadline,
            Cut::Pages
            | Cut::Resources
            | Cut::NextElsewhere
            | Cut::NextRepeats
            | Cut::NextUnsafe
            | Cut::NoRoom
            | Cut::SaidIncomplete => false,
        }
    }

    async fn walk(&self, to: &Gathering<'_>, kind: Option<&str>, first: Ask) -> Walked {
        let follows = !self.quirks.contains(&Quirk::LosesCriteria);
        to.walk(self.client, self.base, kind, first, self.deadline, follows).await
    }

    fn searching(&self, url: url::Url) -> Ask {
        Ask::search(url, self.posts())
    }

    fn posts(&self) -> bool {
        self.quirks.contains(&Quirk::PostSearch)
    }

    /// The verdict on every copy of the Patient; the worst counts.
    fn identity(
        &self,
        found: &Resolved<'_>,
        local_ids: &[LocalId],
        copies: &[Resource],
    ) -> Identity {
        let fed: Vec<&Demographics> = found.sought.iter().map(|record| &record.fed).collect();
        let verdicts = copies.iter().map(|copy| {
            let Ok(reading) = read_patient(copy) else { return Identity::NotConfirmed };
            self.judge.judge(local_ids, &reading.demographics, &fed, self.person)
        });
        verdicts.fold(Identity::NotSeen, |worst, verdict| match (worst, verdict) {
            (Identity::Contradicts, _) | (_, Identity::Contradicts) => Identity::Contradicts,
            (Identity::NotConfirmed, _) | (_, Identity::NotConfirmed) => Identity::NotConfirmed,
            _ => verdict,
        })
    }

    /// Puts the answer together, and decides what came of it.
    fn settle(
        &self,
        mut answer: RecordAnswer,
        sifted: Sifted,
        mut gaps: Vec<Gap>,
        failed: Option<WalkEnd>,
        (others, withheld): (usize, Option<Withholding>),
    ) -> RecordAnswer {
        let mut dropped: Dropped = sifted.dropped;
        dropped.count(DropReason::OtherPatient, others);
        if sifted.said_incomplete {
            gaps.push(Gap { resource_type: None, cut: Cut::SaidIncomplete, http_status: None });
        }
        answer.dropped = dropped;
        answer.outside_query = sifted.outside_query;
        answer.http_status = gaps.iter().find_map(|gap| gap.http_status);
        if let Some(withholding) = withheld {
            answer.status = Status::Withheld(withholding);
            return answer;
        }
        let nothing_but_patient =
            sifted.resources.iter().all(|resource| resource.resource_type() == "Patient");
        if nothing_but_patient && answer.dropped.foreign() > others {
            answer.status = Status::Withheld(Withholding::OthersDataAlone);
            answer.gaps = gaps;
            return answer;
        }
        answer.status = match (&failed, gaps.iter().find(|gap| gap.cut == Cut::Deadline)) {
            (Some(end), _) if nothing_but_patient => status_of(*end),
            (_, Some(_)) => Status::TimedOut,
            (_, None) if !gaps.is_empty() => Status::Truncated(gaps[0].cut),
            _ if nothing_but_patient && !self.query.types.contains("Patient") => {
                Status::Empty(Emptiness::Nothing)
            }
            _ => Status::Answered,
        };
        answer.gaps = gaps;
        answer.resources = sifted.resources;
        answer
    }
}

/// Why nothing of a Patient may be shown, if so. What a member fed is believed to be under its
/// identifier until something speaks against it; what was only discovered has to be confirmed.
fn withholding(identity: Identity, sought: &[&SoughtRecord]) -> Option<Withholding> {
    match identity {
        Identity::Contradicts => Some(Withholding::IdentityContradicted),
        Identity::NotConfirmed | Identity::NotSeen
            if sought.iter().all(|record| record.discovered) =>
        {
            Some(Withholding::NotConfirmed)
        }
        Identity::NotConfirmed | Identity::NotSeen | Identity::Agrees => None,
    }
}

pub(super) fn carries(patient: &Resource, local_id: &LocalId) -> bool {
    read_patient(patient).is_ok_and(|reading| reading.local_ids.contains(local_id))
}

fn status_of(end: WalkEnd) -> Status {
    end.error.map_or(Status::Truncated(end.cut), AskError::status)
}

#[cfg(test)]
mod tests;
