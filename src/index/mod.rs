//! The master patient index: which source records are one person, and how we came to think so.
//!
//! A fold over the journal of recorded decisions. [`Index::register`] decides about one record,
//! makes the decision durable and only then lets anybody see it; [`Index::open`] folds what was
//! decided and never scores again, from the beginning or from a [`Snapshot`] on. One thread links,
//! any number read.

mod decide;
mod decision;
mod deed;
mod discovered;
mod draft;
mod evidence;
mod fold;
mod golden;
mod join;
mod judge;
mod kept_memory;
mod lifecycle;
mod limits;
mod linker;
mod pending;
mod policy;
mod query;
mod registration;
mod registry;
mod review;
mod rules;
mod search;
mod snapshot;
mod steward;
mod story;
mod survivorship;
mod tasks;
#[cfg(test)]
mod tests;
mod told;
mod what_if;

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{
    domain::Clock,
    matching::{Model, Population},
    storage::{Database, StorageError},
};

pub use deed::DeedKind;
pub use discovered::Discovery;
pub use evidence::{ReviewEvidence, ReviewedRecord, ReviewedSide};
pub use golden::{GoldenView, Location, Origin};
pub use lifecycle::{Followed, Following, LocalEvent, LocalRefusal, LocalWord};
pub use limits::IndexLimits;
pub use policy::PersonPolicy;
pub use query::{KnownRecord, PersonMatch, RecordStanding};
pub use registration::{Outcome, Registered, Registration};
pub use review::{ReviewPage, ReviewQuery, ReviewTask, TaskKind, TaskState};
pub use search::{Criterion, IdentifierToken, Part, TextMatch, TextPart, TooBroad};
pub use snapshot::Snapshot;
pub use steward::{Acted, ReviewVerdict, StewardAct, StewardRefusal};
pub use story::{MixedSpan, Story, StoryEvent};
pub use what_if::{LinkChange, WhatIf, what_if};

use kept_memory::KeptMemory;
use linker::{Job, Linker};
use registry::Registry;
use search::SearchIndex;

/// Why the index cannot answer. Never holds patient data.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IndexError {
    /// The decision could not be made durable, so nothing was decided.
    #[error("the index could not read or store its decisions")]
    Storage(#[from] StorageError),
    /// The identifier was merged into another, and nothing is told under it any more.
    #[error("the identifier was merged into another; tell of the patient under that one")]
    SubsumedIdentifier,
    /// A discovered record is not certainly the person's for whom it was looked, and only that one's.
    #[error("the record is not certainly that person's, and nobody else's")]
    NotTheirs,
    /// The journal cannot be folded; restore a backup.
    #[error(
        "the journal is damaged at entry {seq}; bring back the last backup with `tessera restore`"
    )]
    DamagedJournal {
        /// The first entry that does not follow from those before it.
        seq: u64,
    },
    /// The index was closed.
    #[error("the index is closed")]
    Closed,
}

/// The index, open. Cheap to share in an `Arc`.
pub struct Index {
    db: Database,
    shared: Arc<Shared>,
    limits: IndexLimits,
    jobs: mpsc::Sender<Job>,
    /// Answers once the linker's thread has ended.
    ended: Mutex<Option<oneshot::Receiver<End>>>,
    kept: Option<KeptMemory>,
}

/// How far the linker came.
struct End {
    last_seq: u64,
    last_task_no: u64,
}

/// What readers see and the linker changes.
struct Shared(RwLock<State>);

struct State {
    /// Normalized records, also those that no commit has made visible yet.
    population: Population,
    /// Committed records and persons. What it does not know, nobody may see.
    registry: Registry,
    /// Where values lead; of what no commit has made visible too.
    search: SearchIndex,
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().expect(TORN)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().expect(TORN)
    }
}

/// A memory that may be half changed must not answer who is who.
const TORN: &str = "the linker never panics while it changes the memory";

impl Index {
    /// Folds the journal and starts the linker.
    pub async fn open(
        db: Database,
        model: Arc<Model>,
        limits: IndexLimits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IndexError> {
        Self::open_from(None, db, model, limits, clock).await
    }

    /// As [`Self::open`], but from a snapshot where there is one, folding only what came since. At
    /// the end the memory is kept there.
    pub async fn open_from(
        snapshot: Option<Snapshot>,
        db: Database,
        model: Arc<Model>,
        limits: IndexLimits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IndexError> {
        let model_version = model.version().to_owned();
        let (folded, kept_seq) = fold::fold(db.reader(), &model, snapshot.as_ref()).await?;
        if let Some(activated) = folded.state.registry.activated_model()
            && activated != model_version
        {
            tracing::warn!(
                model.activated = activated,
                model.opened = %model_version,
                "another model than the one that was activated decides from here on"
            );
        }
        let shared = Arc::new(Shared(RwLock::new(folded.state)));
        let end = End { last_seq: folded.last_seq, last_task_no: folded.last_task_no };
        let kept = match snapshot {
            Some(snapshot) => Some(KeptMemory::new(snapshot, kept_seq, &db, &shared, &end).await),
            None => None,
        };
        let (jobs, queue) = mpsc::channel(limits.queue_max.max(1));
        let (ending, ended) = oneshot::channel();
        let linker = Linker {
            db: db.clone(),
            shared: Arc::clone(&shared),
            limits: limits.clone(),
            clock,
            model_version,
            next_seq: end.last_seq + 1,
            next_task_no: end.last_task_no + 1,
        };
        std::thread::Builder::new()
            .name("index-linker".to_owned())
            // Whoever waits for the end may have gone.
            .spawn(move || drop(ending.send(linker.run(queue))))
            .map_err(|error| StorageError::Io(error.kind().to_string()))?;
        Ok(Self { db, shared, limits, jobs, ended: Mutex::new(Some(ended)), kept })
    }

    /// Why the journal is not to be built upon, where that was found after the index was opened from
    /// a snapshot: nothing is decided any more.
    pub fn damage(&self) -> Option<&IndexError> {
        self.kept.as_ref().and_then(KeptMemory::damage)
    }

    /// Hands the linker something to do.
    async fn hand(&self, job: Job) -> Result<(), IndexError> {
        match self.damage() {
            Some(damage) => Err(damage.clone()),
            None => self.jobs.send(job).await.map_err(|_| IndexError::Closed),
        }
    }

    /// Takes no more registrations, finishes those under way, ends the linker and keeps the memory
    /// in the snapshot, if it has one. The database stays open.
    pub async fn close(&self) {
        // The linker may have ended already; then there is nothing to wait for.
        let _ = self.jobs.send(Job::Close).await;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        if let (Ok(end), Some(kept)) = (ended.await, &self.kept) {
            kept.close(&self.db, &self.shared, &end).await;
        }
    }
}
