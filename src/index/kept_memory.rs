//! When the memory is kept in a snapshot, and the look at what a snapshot let the start pass over.

use std::{
    io,
    pin::pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use futures_util::TryStreamExt as _;
use tokio::task::JoinHandle;

use crate::storage::{Database, Reader, StorageError};

use super::{End, IndexError, Shared, Snapshot};

/// Where more entries than these were folded at the start, the memory is kept at once: a crash should
/// not cost the same time again.
const FOLDED_MAX: u64 = 100_000;

/// The snapshot of an open index.
pub(super) struct KeptMemory {
    snapshot: Snapshot,
    /// The journal's last entry that it holds.
    kept_seq: u64,
    damage: Arc<OnceLock<IndexError>>,
    look_behind: Mutex<Option<JoinHandle<()>>>,
}

impl KeptMemory {
    /// `kept_seq` is the last entry that came from the snapshot, `end` that of the memory. Begins to
    /// read what was passed over.
    pub(super) async fn new(
        snapshot: Snapshot,
        kept_seq: u64,
        db: &Database,
        shared: &Arc<Shared>,
        end: &End,
    ) -> Self {
        let damage = Arc::new(OnceLock::new());
        let look = (kept_seq > 0).then(|| {
            let look = look_behind(db.reader().clone(), kept_seq, snapshot.clone());
            let found = Arc::clone(&damage);
            tokio::spawn(async move {
                if let Err(error) = look.await {
                    let _ = found.set(error);
                }
            })
        });
        let mut kept = Self { snapshot, kept_seq, damage, look_behind: Mutex::new(look) };
        if end.last_seq - kept_seq > FOLDED_MAX && kept.keep(db, shared, end).await {
            kept.kept_seq = end.last_seq;
        }
        kept
    }

    pub(super) fn damage(&self) -> Option<&IndexError> {
        self.damage.get()
    }

    /// The journal's last entry that came from the snapshot, and the end of the look at what was
    /// passed over.
    #[cfg(test)]
    pub(super) async fn looked_behind(&self) -> u64 {
        let look = self.look_behind.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(look) = look {
            look.await.expect("nobody stops it");
        }
        self.kept_seq
    }

    /// Keeps the memory as it is at the end, if it holds more than the snapshot does.
    pub(super) async fn close(&self, db: &Database, shared: &Arc<Shared>, end: &End) {
        let look = self.look_behind.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(look) = look {
            look.abort();
            // Aborted or done, it reads no more.
            let _ = look.await;
        }
        if self.damage().is_none() && end.last_seq != self.kept_seq {
            self.keep(db, shared, end).await;
        }
    }

    async fn keep(&self, db: &Database, shared: &Arc<Shared>, end: &End) -> bool {
        let kept = async {
            let last = db.reader().journal_entry(end.last_seq).await.map_err(io::Error::other)?;
            let last = last.ok_or(io::ErrorKind::NotFound)?;
            self.snapshot.write(shared, last, end.last_task_no).await
        };
        let kept = kept.await;
        if let Err(error) = &kept {
            tracing::warn!(%error, "no snapshot was kept; the next start folds more of the journal");
        }
        kept.is_ok()
    }
}

/// Reads the entries that the snapshot stands for, each with its checksum, as a start without one
/// does. Where one is damaged the snapshot goes, so that the next start stops there.
async fn look_behind(reader: Reader, last_seq: u64, snapshot: Snapshot) -> Result<(), IndexError> {
    let mut rows = pin!(reader.journal(0));
    for seq in 1..=last_seq {
        let damage = match rows.try_next().await {
            Ok(Some(row)) if row.seq == seq => continue,
            Ok(_) => IndexError::DamagedJournal { seq },
            Err(error @ (StorageError::Corrupt(_) | StorageError::Unreadable { .. })) => {
                error.into()
            }
            // Nothing is wrong with the journal; whoever reads it next hears of this too.
            Err(error) => {
                tracing::warn!(%error, seq, "the older part of the journal was not read again");
                return Ok(());
            }
        };
        tracing::error!(%damage, seq, "the older part of the journal is damaged; nothing is decided any more");
        snapshot.discard();
        return Err(damage);
    }
    Ok(())
}
