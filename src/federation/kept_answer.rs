//! A member's answer as it is kept, and as it is written into Redis.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::room::Held;
use super::{
    answer_cache::may_be_kept,
    outcome::{DropReason, Dropped, Emptiness, Identity, MemberOutcome, RecordAnswer, Status},
};
use crate::{
    cache::Keepable,
    domain::{LocalId, MemberCode},
    fhir::Resource,
};

/// The form below; another one is not read.
const FORM: u32 = 1;
/// What a resource takes beside its text, about.
const RESOURCE_BYTES: usize = 512;

/// A mark that no answer had before in this process.
fn next_mark() -> u64 {
    static MARKS: AtomicU64 = AtomicU64::new(0);
    MARKS.fetch_add(1, Ordering::Relaxed)
}

/// A whole and verified answer.
pub(super) struct KeptAnswer(MemberOutcome);

impl KeptAnswer {
    /// `None` for what may not be kept.
    pub(super) fn of(outcome: &MemberOutcome) -> Option<Self> {
        let fits = !outcome.answers.is_empty() && outcome.answers.iter().all(may_be_kept);
        fits.then(|| {
            let mut kept = MemberOutcome { mark: Some(next_mark()), ..outcome.clone() };
            // The cache has a bound of its own.
            kept.answers.iter_mut().for_each(|answer| answer.held = Held::default());
            Self(kept)
        })
    }

    /// The mark that names it.
    pub(super) fn mark(&self) -> Option<u64> {
        self.0.mark
    }

    /// As the outcome of a query that waited so long for it.
    pub(super) fn outcome(&self, age: Duration, elapsed: Duration) -> MemberOutcome {
        MemberOutcome { kept_for: Some(age), elapsed, ..self.0.clone() }
    }
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    form: u32,
    member: MemberCode,
    name: String,
    organization: String,
    base_url: String,
    #[serde(borrow)]
    answers: Vec<WrittenAnswer<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenAnswer<'a> {
    local_ids: Vec<LocalId>,
    patient_id: Option<String>,
    empty: bool,
    pages: usize,
    outside_query: usize,
    unreferenced: usize,
    #[serde(borrow)]
    resources: Vec<&'a RawValue>,
}

impl Keepable for KeptAnswer {
    fn to_bytes(&self) -> Vec<u8> {
        let MemberOutcome {
            member,
            name,
            organization,
            base_url,
            elapsed: _,
            kept_for: _,
            mark: _,
            answers,
        } = &self.0;
        let answers = answers.iter().map(|answer| WrittenAnswer {
            local_ids: answer.local_ids.clone(),
            patient_id: answer.patient_id.clone(),
            empty: matches!(answer.status, Status::Empty(_)),
            pages: answer.pages,
            outside_query: answer.outside_query,
            unreferenced: answer.dropped.of(DropReason::Unreferenced),
            resources: answer.resources.iter().map(Resource::raw).collect(),
        });
        let written = Written {
            form: FORM,
            member: member.clone(),
            name: name.clone(),
            organization: organization.clone(),
            base_url: base_url.clone(),
            answers: answers.collect(),
        };
        serde_json::to_vec(&written).expect("plain data")
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let written: Written<'_> = serde_json::from_slice(bytes).ok()?;
        if written.form != FORM {
            return None;
        }
        let read = |answer: WrittenAnswer<'_>| {
            let mut dropped = Dropped::default();
            dropped.count(DropReason::Unreferenced, answer.unreferenced);
            let resources = answer.resources.into_iter();
            let resources =
                resources.map(|raw| Resource::from_raw(raw.to_owned()).ok()).collect::<Option<_>>();
            let status =
                if answer.empty { Status::Empty(Emptiness::Nothing) } else { Status::Answered };
            Some(RecordAnswer {
                patient_id: answer.patient_id,
                identity: Identity::Agrees,
                pages: answer.pages,
                outside_query: answer.outside_query,
                dropped,
                resources: resources?,
                ..RecordAnswer::without_patient(answer.local_ids, status)
            })
        };
        Some(Self(MemberOutcome {
            member: written.member,
            name: written.name,
            organization: written.organization,
            base_url: written.base_url,
            elapsed: Duration::ZERO,
            kept_for: None,
            mark: Some(next_mark()),
            answers: written.answers.into_iter().map(read).collect::<Option<_>>()?,
        }))
    }

    fn bytes(&self) -> usize {
        let resources = self.0.answers.iter().flat_map(|answer| &answer.resources);
        resources.map(|resource| resource.json().len() + RESOURCE_BYTES).sum()
    }
}
