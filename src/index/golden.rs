//! What may be shown of a person, and only against a permit: where it has records, and the golden
//! view over them.

use std::collections::HashMap;

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
}

impl Index {
    /// The permitted records of the permit's person, in key order. A record that has left the
    /// person since the permit was given is not among them.
    pub async fn locate(&self, permit: &Permit) -> Result<Vec<Location>, IndexError> {
        let located = self.located(permit);
        let wanted: Vec<u64> = located.iter().map(|located| located.current_seq).collect();
        let mut told: HashMap<u64, (OffsetDateTime, String)> =
            self.db.reader().told_demographics(&wanted).await?;
        let mut locations = Vec::with_capacity(located.len());
        for Located { record, since, current_seq } in located {
            let (told, json) =
                told.remove(&current_seq).ok_or(IndexError::DamagedJournal { seq: current_seq })?;
            let demographics = serde_json::from_str(&json)
                .map_err(|_| StorageError::Unreadable { table: "journal" })?;
            locations.push(Location { record, since, told, demographics });
        }
        Ok(locations)
    }

    /// The golden view over the permitted records; `None` where there are none.
    pub async fn golden(&self, permit: &Permit) -> Result<Option<GoldenView>, IndexError> {
        let locations = self.locate(permit).await?;
        let Some(updated) = locations.iter().map(|location| location.told).max() else {
            return Ok(None);
        };
        Ok(Some(GoldenView {
            person: permit.person(),
            demographics: surviving(&locations),
            records: locations.into_iter().map(|location| location.record).collect(),
            updated,
        }))
    }

    fn located(&self, permit: &Permit) -> Vec<Located> {
        let state = self.shared.read();
        let registry = &state.registry;
        let mut located: Vec<Located> = registry
            .records_of(permit.person())
            .iter()
            .filter(|&&record_no| registry.is_active(record_no))
            .map(|&record_no| {
                let record = registry.record(record_no);
                let (since, current_seq) = (record.since, record.current_seq);
                Located { record: registry.key(record_no), since, current_seq }
            })
            .filter(|located| permit.permits_record(&located.record))
            .collect();
        located.sort_unstable_by(|a, b| a.record.cmp(&b.record));
        located
    }
}

/// A permitted record, before its demographics are read.
struct Located {
    record: RecordKey,
    since: OffsetDateTime,
    current_seq: u64,
}
