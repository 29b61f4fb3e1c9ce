use std::{collections::BTreeSet, hash::BuildHasher as _};

use foldhash::fast::RandomState;
use tokio::sync::{Mutex, MutexGuard};

use crate::domain::RecordKey;

/// More than messages are ever under way at once, so that two of different records seldom meet.
const LOCKS: usize = 4_096;

/// One message at a time for each record: what is told builds on what was told before.
pub struct RecordLocks {
    locks: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Default for RecordLocks {
    fn default() -> Self {
        let locks = std::iter::repeat_with(Mutex::default).take(LOCKS).collect();
        Self { locks, hasher: RandomState::default() }
    }
}

impl RecordLocks {
    /// Waits until no other message changes the record.
    pub(super) async fn lock(&self, record: &RecordKey) -> MutexGuard<'_, ()> {
        self.locks[self.at(record)].lock().await
    }

    /// Waits until no other message changes any of the records. Always in one order, so that no two
    /// wait for each other.
    pub(super) async fn lock_all(&self, records: &[&RecordKey]) -> Vec<MutexGuard<'_, ()>> {
        let places: BTreeSet<usize> = records.iter().map(|record| self.at(record)).collect();
        let mut turns = Vec::with_capacity(places.len());
        for place in places {
            turns.push(self.locks[place].lock().await);
        }
        turns
    }

    fn at(&self, record: &RecordKey) -> usize {
        self.hasher.hash_one(record) as usize % LOCKS
    }
}
