//! What may be shown of a person, and only against a permit: where it has records, and the golden
//! view over them.

use std::collections::HashMap;

use serde::Deserialize;
use time::OffsetDateTime;

use crate::{
    access::Permit,
    domain::{Demographics, EnterpriseId, RecordKey},
    storage::StorageError,
};

use super::{Index, IndexError, survivorship::surviving};

/// A place where a person has a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// The member and its identifier for the person.
    pub record: RecordKey,
    /// When the record was first registered.
    pub since: OffsetDateTime,
    /// When the demographics were told.
    pub told: OffsetDateTime,
    /// What the member feeds of the person.
    pub demographics: Demographics,
    /// Whether it is in doubt that the record is this person's.
    pub in_doubt: bool,
    /// When its member gave it, where nobody fed it: found, and good for a time.
    pub discovered: Option<OffsetDateTime>,
}

/// What last told of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The kind of journal entry: `registered` or `updated`.
    pub kind: String,
    /// When it came.
    pub told: OffsetDateTime,
    /// When it happened at the member, where told.
    pub event_time: Option<OffsetDateTime>,
    /// The message that brought it: a control id or a request id.
    pub message: Option<String>,
}

/// One person as its permitted source records tell of it; computed, never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct GoldenView {
    /// The person.
    pub person: EnterpriseId,
    /// What survives of the records' demographics, by the rules of `docs/index.md`.
    pub demographics: Demographics,
    /// The records it was computed from, in key order.
    pub records: Vec<RecordKey>,
    /// When the latest of them was told.
    pub updated: OffsetDateTime,
    /// Those of the records whose link to the person is in doubt: they may be somebody else's.
    pub in_doubt: Vec<RecordKey>,
}

impl GoldenView {
    /// Over permitted records of one person; `None` where there are none.
    pub fn of(person: EnterpriseId, locations: &[Location]) -> Option<Self> {
        let updated = locations.iter().map(|location| location.told).max()?;
        Some(Self {
            person,
            demographics: surviving(locations),
            records: locations.iter().map(|location| location.record.clone()).collect(),
            updated,
            in_doubt: locations
                .iter()
                .filter(|location| location.in_doubt)
                .map(|location| location.record.clone())
                .collect(),
        })
    }
}

impl Index {
    /// The permitted records of the permit's person, in key order. A record that has left the
    /// person since the permit was given is not among them.
    pub async fn locate(&self, permit: &Permit) -> Result<Vec<Location>, IndexError> {
        let located = self.located(permit);
        let wanted: Vec<u64> = located.iter().map(|located| located.current_seq).collect();
        let mut told = self.db.reader().told_demographics(&wanted).await?;
        locations(located, &mut told)
    }

    /// The permitted records of each permit's person, as [`Self::locate`] gives them.
    pub async fn locate_each(&self, permits: &[Permit]) -> Result<Vec<Vec<Location>>, IndexError> {
        let located: Vec<Vec<Located>> =
            permits.iter().map(|permit| self.located(permit)).collect();
        let wanted: Vec<u64> = located.iter().flatten().map(|one| one.current_seq).collect();
        let mut told = self.db.reader().told_demographics(&wanted).await?;
        located.into_iter().map(|records| locations(records, &mut told)).collect()
    }

    /// The permitted records, each with what last told of it.
    pub async fn origins(&self, permit: &Permit) -> Result<Vec<(Location, Origin)>, IndexError> {
        let located = self.located(permit);
        let seqs: Vec<u64> = located.iter().map(|one| one.current_seq).collect();
        let mut told = self.db.reader().told_demographics(&seqs).await?;
        let mut origins = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let entry = self.db.reader().journal_entry(seq).await?;
            let entry = entry.ok_or(IndexError::DamagedJournal { seq })?;
            let decision: BroughtBy = serde_json::from_str(&entry.decision)
                .map_err(|_| StorageError::Unreadable { table: "journal" })?;
            origins.push(Origin {
                kind: entry.kind.into_owned(),
                told: entry.recorded,
                event_time: entry.event_time,
                message: decision.source_message,
            });
        }
        Ok(locations(located, &mut told)?.into_iter().zip(origins).collect())
    }

    /// The golden view over the permitted records; `None` where there are none.
    pub async fn golden(&self, permit: &Permit) -> Result<Option<GoldenView>, IndexError> {
        Ok(GoldenView::of(permit.person(), &self.locate(permit).await?))
    }

    /// Those of the permitted records whose link to the person is in doubt: they may be somebody
    /// else's.
    pub fn doubted(&self, permit: &Permit) -> Vec<RecordKey> {
        let located = self.located(permit).into_iter();
        located.filter(|one| one.in_doubt).map(|one| one.record).collect()
    }

    pub(super) fn located(&self, permit: &Permit) -> Vec<Located> {
        let state = self.shared.read();
        let registry = &state.registry;
        let doubted = registry.doubted_of(permit.person());
        let mut located: Vec<Located> = registry
            .records_of(permit.person())
            .iter()
            .filter(|&&record_no| registry.is_active(record_no))
            .map(|&record_no| {
                let record = registry.record(record_no);
                let (since, current_seq) = (record.since, record.current_seq);
                let in_doubt = doubted.contains(&record_no);
                let discovered = registry.discovered_at(record_no);
                let record = registry.key(record_no);
                Located { record, since, current_seq, in_doubt, discovered }
            })
            .filter(|located| permit.permits_record(&located.record))
            .collect();
        located.sort_unstable_by(|a, b| a.record.cmp(&b.record));
        located
    }
}

/// What of a decision tells where it came from.
#[derive(Deserialize)]
struct BroughtBy {
    source_message: Option<String>,
}

/// Puts records together with the demographics that their journal entries brought.
fn locations(
    located: Vec<Located>,
    told: &mut HashMap<u64, (OffsetDateTime, String)>,
) -> Result<Vec<Location>, IndexError> {
    let read = |Located { record, since, current_seq, in_doubt, discovered }: Located| {
        let (told, json) =
            told.remove(&current_seq).ok_or(IndexError::DamagedJournal { seq: current_seq })?;
        let demographics = serde_json::from_str(&json)
            .map_err(|_| StorageError::Unreadable { table: "journal" })?;
        Ok(Location { record, since, told, demographics, in_doubt, discovered })
    };
    located.into_iter().map(read).collect()
}

/// A permitted record, before its demographics are read.
pub(super) struct Located {
    pub(super) record: RecordKey,
    since: OffsetDateTime,
    current_seq: u64,
    pub(super) in_doubt: bool,
    discovered: Option<OffsetDateTime>,
}
