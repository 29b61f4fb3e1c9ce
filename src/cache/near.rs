use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry, sync::Cache};
use time::OffsetDateTime;

use super::{CacheSettings, keys::Name};

/// Subjects share this many turns: where one is forgotten, so are those few that share its turn.
const TURNS: usize = 1 << 14;

/// The entries in memory.
pub(super) struct Near<V> {
    entries: Cache<Name, Arc<Entry<V>>>,
    /// Moves on when everything is to be forgotten.
    epoch: AtomicU64,
    /// Moves on when a subject is to be forgotten.
    turns: Box<[AtomicU64]>,
    least_weight: u32,
    entry_bytes_max: usize,
}

/// What stands still as long as nothing was forgotten: taken before the work, compared after it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    epoch: u64,
    turn: u64,
}

pub(super) struct Entry<V> {
    pub(super) value: Arc<V>,
    pub(super) since: OffsetDateTime,
    pub(super) expires: OffsetDateTime,
    moment: Moment,
    subject: Name,
    weight: u32,
}

/// Each entry goes at its own time.
struct AtItsTime;

impl<V: Send + Sync + 'static> Expiry<Name, Arc<Entry<V>>> for AtItsTime {
    fn expire_after_create(&self, _: &Name, entry: &Arc<Entry<V>>, _: Instant) -> Option<Duration> {
        Some((entry.expires - entry.since).try_into().unwrap_or_default())
    }
}

impl<V: Send + Sync + 'static> Near<V> {
    pub(super) fn new(settings: &CacheSettings) -> Self {
        // With a least weight for each, the bound on bytes keeps the bound on entries too.
        let least = settings.bytes_max / settings.entries_max.max(1);
        Self {
            entries: Cache::builder()
                .weigher(|_, entry: &Arc<Entry<V>>| entry.weight)
                .max_capacity(settings.bytes_max)
                .expire_after(AtItsTime)
                .build(),
            epoch: AtomicU64::default(),
            turns: (0..TURNS).map(|_| AtomicU64::default()).collect(),
            least_weight: u32::try_from(least.max(1)).unwrap_or(u32::MAX),
            entry_bytes_max: settings.entry_bytes_max,
        }
    }

    fn turn(&self, subject: &Name) -> &AtomicU64 {
        &self.turns[usize::from(u16::from_be_bytes([subject[0], subject[1]])) % TURNS]
    }

    pub(super) fn moment(&self, subject: &Name) -> Moment {
        Moment {
            epoch: self.epoch.load(Ordering::SeqCst),
            turn: self.turn(subject).load(Ordering::SeqCst),
        }
    }

    pub(super) fn entry(&self, place: &Name) -> Option<Arc<Entry<V>>> {
        let entry = self.entries.get(place)?;
        if entry.moment == self.moment(&entry.subject) {
            return Some(entry);
        }
        self.entries.invalidate(place);
        None
    }

    /// Keeps a value, unless its subject was forgotten since `moment`. Whether it is kept.
    pub(super) fn keep(
        &self,
        place: Name,
        subject: Name,
        (value, bytes): (Arc<V>, usize),
        (since, expires): (OffsetDateTime, OffsetDateTime),
        moment: Moment,
    ) -> bool {
        if bytes > self.entry_bytes_max {
            return false;
        }
        let weight = u32::try_from(bytes).unwrap_or(u32::MAX).max(self.least_weight);
        self.entries
            .insert(place, Arc::new(Entry { value, since, expires, moment, subject, weight }));
        // Whatever was forgotten meanwhile: the entry holds the moment before and is never used.
        moment == self.moment(&subject)
    }

    pub(super) fn forget(&self, subject: &Name) {
        self.turn(subject).fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }

    #[cfg(test)]
    pub(super) fn settled_entries(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// How many entries there are and what they weigh, about.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}
