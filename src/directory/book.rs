use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::{Change, InvalidRoster, Member, Roster, changes};
use crate::domain::MemberCode;
use crate::storage::{Database, MemberRow, Reader, StorageError, Write};

/// The members of the exchange as they stand, over the store that keeps every version of them.
///
/// A reader takes one [`Directory::roster`] for one request, so that it sees one state throughout.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    roster: ArcSwap<Roster>,
    store: Option<Database>,
    /// Held while a change is written, so that versions follow one another.
    changing: Mutex<()>,
    /// Owns the changes under way: one that its caller gave up still reaches memory.
    tasks: TaskTracker,
}

impl Directory {
    /// Reads the members from the store.
    pub async fn open(store: Database) -> Result<Self, DirectoryError> {
        let roster = stored_roster(store.reader()).await?;
        Ok(Self::new(roster, Some(store)))
    }

    /// A directory without a store behind it.
    pub fn in_memory(roster: Roster) -> Self {
        Self::new(roster, None)
    }

    fn new(roster: Roster, store: Option<Database>) -> Self {
        Self(Arc::new(Inner {
            roster: ArcSwap::from_pointee(roster),
            store,
            changing: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// The members as they stand now.
    pub fn roster(&self) -> Arc<Roster> {
        self.0.roster.load_full()
    }

    /// Adds and changes what a file tells; all of it or nothing. Applying it again changes nothing.
    ///
    /// A member that the file does not name is left alone, and reported as
    /// [`Change::NotInFile`]: members go by status, never by omission.
    pub async fn apply(
        &self,
        told: Roster,
        now: OffsetDateTime,
    ) -> Result<Vec<Change>, DirectoryError> {
        let inner = Arc::clone(&self.0);
        let task = self.0.tasks.spawn(async move { inner.apply(&told, now).await });
        task.await.map_err(|_| DirectoryError::Interrupted)?
    }

    /// Waits for changes under way.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Inner {
    async fn apply(
        &self,
        told: &Roster,
        now: OffsetDateTime,
    ) -> Result<Vec<Change>, DirectoryError> {
        let _changing = self.changing.lock().await;
        let known = self.roster.load_full();
        let changes = changes(&known, told);
        let kept = known.members().filter(|member| told.member(member.code()).is_none());
        let merged = Roster::new(kept.chain(told.members()).cloned())?;
        if let Some(store) = &self.store {
            let rows = self.rows(store.reader(), &changes, &merged, now).await?;
            if !rows.is_empty() {
                store.write(rows).await?;
            }
        }
        self.roster.store(Arc::new(merged));
        Ok(changes)
    }

    async fn rows(
        &self,
        reader: &Reader,
        changes: &[Change],
        merged: &Roster,
        now: OffsetDateTime,
    ) -> Result<Vec<Write>, DirectoryError> {
        let stored = reader.members().await?;
        let versions: HashMap<MemberCode, u32> =
            stored.into_iter().map(|row| (row.code, row.version)).collect();
        let told = changes
            .iter()
            .filter(|change| matches!(change, Change::Added(_) | Change::Changed { .. }))
            .filter_map(|change| merged.member(change.code()));
        told.map(|member| {
            Ok(Write::Member(MemberRow {
                code: member.code().clone(),
                version: versions.get(member.code()).map_or(1, |version| version + 1),
                recorded: now,
                body: serde_json::to_string(member).map_err(|_| DirectoryError::Unwritable)?,
            }))
        })
        .collect()
    }
}

/// The members that the store holds, also while another process has it open.
pub async fn stored_roster(reader: &Reader) -> Result<Roster, DirectoryError> {
    let members = reader.members().await?.into_iter().map(|row| {
        serde_json::from_str::<Member>(&row.body)
            .map_err(|_| DirectoryError::Unreadable(row.code.clone()))
    });
    Ok(Roster::new(members.collect::<Result<Vec<_>, _>>()?)?)
}

/// Why the directory could not be read or changed.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The members do not agree with one another.
    #[error(transparent)]
    Roster(#[from] InvalidRoster),
    /// The store failed; nothing changed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A stored member does not read back.
    #[error("the stored entry of member {0} cannot be read")]
    Unreadable(MemberCode),
    /// A member cannot be written as JSON.
    #[error("a member cannot be written")]
    Unwritable,
    /// The process is stopping.
    #[error("the change was interrupted by the end of the process")]
    Interrupted,
}
