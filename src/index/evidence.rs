//! What a steward looks at: both sides of a question, and what speaks for and against.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::{
    access::StewardPermit,
    domain::{Demographics, EnterpriseId, RecordKey},
    matching::Explanation,
    storage::StorageError,
};

use super::{Index, IndexError, ReviewTask, registry::Registry, review::TaskKind};

/// Records shown of one side; more are counted.
const RECORDS_MAX: usize = 16;

/// Both sides of a question. Holds demographics of all records: PHI.
#[derive(Clone)]
pub struct ReviewEvidence {
    /// The question.
    pub task: ReviewTask,
    /// The record that it is about.
    pub record: ReviewedRecord,
    /// The other records of its person.
    pub own: ReviewedSide,
    /// The records of the person that it is compared with, where there is one.
    pub other: Option<ReviewedSide>,
}

/// A person as a question shows it.
#[derive(Clone)]
pub struct ReviewedSide {
    /// The person.
    pub person: EnterpriseId,
    /// Its latest records.
    pub records: Vec<ReviewedRecord>,
    /// Records that are not shown, since there are too many.
    pub more: usize,
}

/// A record as a question shows it.
#[derive(Clone)]
pub struct ReviewedRecord {
    /// Member and local identifier.
    pub record: RecordKey,
    /// Whether its member still tells of it; not where it was merged away.
    pub active: bool,
    /// When its demographics were told.
    pub told: OffsetDateTime,
    /// Who the member says it is.
    pub demographics: Demographics,
    /// How it compares with the record that the question is about, attribute by attribute; absent for
    /// that record itself, and where a source does not know who it is.
    pub explanation: Option<Explanation>,
}

/// A record before it is read.
struct Wanted {
    key: RecordKey,
    active: bool,
    current_seq: u64,
    record_no: u32,
}

impl Wanted {
    fn of(registry: &Registry, record_no: u32) -> Self {
        let current_seq = registry.record(record_no).current_seq;
        let (key, active) = (registry.key(record_no), registry.is_active(record_no));
        Self { key, active, current_seq, record_no }
    }
}

/// The records of a side, the latest registered first, without those that ended.
fn wanted(registry: &Registry, person: EnterpriseId, except: u32) -> (Vec<Wanted>, usize) {
    let shown = registry.records_of(person).iter().rev().copied();
    let shown = shown.filter(|&no| no != except && registry.led_to(no).is_some());
    let shown: Vec<u32> = shown.collect();
    let more = shown.len().saturating_sub(RECORDS_MAX);
    (shown.into_iter().take(RECORDS_MAX).map(|no| Wanted::of(registry, no)).collect(), more)
}

type Told = HashMap<u64, (OffsetDateTime, String)>;

impl Index {
    /// Both sides of a question as they stand today, compared anew by the model that decides now;
    /// `None` where there is no such question.
    pub async fn evidence(
        &self,
        _permit: &StewardPermit,
        no: u64,
    ) -> Result<Option<ReviewEvidence>, IndexError> {
        let Some(task) = self.review(no) else { return Ok(None) };
        let (record, own, other) = {
            let state = self.shared.read();
            let registry = &state.registry;
            let Some(kept) = registry.tasks().get(no) else { return Ok(None) };
            let record = Wanted::of(registry, kept.record_no);
            let own = wanted(registry, task.person, kept.record_no);
            let compares = task.kind != TaskKind::LinkInDoubt;
            let other = task.other.filter(|other| compares && *other != task.person);
            (record, own, other.map(|other| (other, wanted(registry, other, kept.record_no))))
        };
        let sides = own.0.iter().chain(other.iter().flat_map(|(_, side)| &side.0));
        let seqs: Vec<u64> = sides.chain([&record]).map(|one| one.current_seq).collect();
        let mut told = self.db.reader().told_demographics(&seqs).await?;
        let about = self.reviewed(record, &mut told, None)?;
        let side = |person, (records, more): (Vec<Wanted>, usize), told: &mut Told| {
            let records = records.into_iter();
            let records = records
                .map(|one| self.reviewed(one, told, Some(&about.demographics)))
                .collect::<Result<_, _>>()?;
            Ok::<_, IndexError>(ReviewedSide { person, records, more })
        };
        let own = side(task.person, own, &mut told)?;
        let other = other.map(|(person, other)| side(person, other, &mut told)).transpose()?;
        Ok(Some(ReviewEvidence { task, record: about, own, other }))
    }

    fn reviewed(
        &self,
        wanted: Wanted,
        told: &mut Told,
        against: Option<&Demographics>,
    ) -> Result<ReviewedRecord, IndexError> {
        let seq = wanted.current_seq;
        let (at, json) = told.remove(&seq).ok_or(IndexError::DamagedJournal { seq })?;
        let demographics = serde_json::from_str(&json)
            .map_err(|_| StorageError::Unreadable { table: "journal" })?;
        let explanation = against.and_then(|against| {
            let state = self.shared.read();
            // It may have been told anew since it was read; then it is shown without a comparison.
            let record = state.registry.record(wanted.record_no);
            let entry = record.entry.filter(|_| record.current_seq == seq)?;
            Some(state.population.explain(&state.population.probe(against), entry))
        });
        let (record, active) = (wanted.key, wanted.active);
        Ok(ReviewedRecord { record, active, told: at, demographics, explanation })
    }
}
