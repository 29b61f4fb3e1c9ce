use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::{Change, InvalidRoster, Member, Roster, changes};
use crate::domain::MemberCode;
use crate::storage::{Database, FindingRow, MemberRow, Reader, StorageError, Write};

/// The members of the exchange as they stand, over the store that keeps every version of them.
///
/// A reader takes one [`Directory::roster`] for one request, so that it sees one state throughout.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    roster: ArcSwap<Roster>,
    versions: ArcSwap<Versions>,
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
        let versions = stored_versions(store.reader()).await?;
        let directory = Self::new(roster, Some(store));
        directory.0.versions.store(Arc::new(versions));
        Ok(directory)
    }

    /// A directory without a store behind it.
    pub fn in_memory(roster: Roster) -> Self {
        Self::new(roster, None)
    }

    fn new(roster: Roster, store: Option<Database>) -> Self {
        Self(Arc::new(Inner {
            roster: ArcSwap::from_pointee(roster),
            versions: ArcSwap::default(),
            store,
            changing: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// The members as they stand now.
    pub fn roster(&self) -> Arc<Roster> {
        self.0.roster.load_full()
    }

    /// Which version of a member's entry holds, and since when; nothing where none is stored.
    pub fn version(&self, code: &MemberCode) -> Option<EntryVersion> {
        self.0.versions.load().get(code).copied()
    }

    /// Every version of a member's entry, oldest first.
    pub async fn history(
        &self,
        code: &MemberCode,
    ) -> Result<Vec<(u32, OffsetDateTime, Member)>, DirectoryError> {
        let Some(store) = &self.0.store else { return Ok(Vec::new()) };
        let rows = store.reader().member_history(code).await?;
        let versions = rows.into_iter().map(|row| {
            let member = serde_json::from_str::<Member>(&row.body)
                .map_err(|_| DirectoryError::Unreadable(row.code.clone()))?;
            Ok((row.version, row.recorded, member))
        });
        versions.collect()
    }

    /// Writes down what was found at a member.
    pub async fn note(
        &self,
        code: &MemberCode,
        kind: &'static str,
        body: String,
        now: OffsetDateTime,
    ) -> Result<(), DirectoryError> {
        let Some(store) = &self.0.store else { return Ok(()) };
        let _changing = self.0.changing.lock().await;
        let last = store.reader().last_finding(code, kind).await?;
        let version = last.map_or(1, |row| row.version + 1);
        let row =
            FindingRow { code: code.clone(), kind: kind.into(), version, recorded: now, body };
        Ok(store.write(vec![Write::Finding(row)]).await?)
    }

    /// What was found last, and when.
    pub async fn finding(
        &self,
        code: &MemberCode,
        kind: &'static str,
    ) -> Result<Option<(OffsetDateTime, String)>, DirectoryError> {
        let Some(store) = &self.0.store else { return Ok(None) };
        let last = store.reader().last_finding(code, kind).await?;
        Ok(last.map(|row| (row.recorded, row.body)))
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
        let told = &told.keeping_statuses_of(&known);
        let changes = changes(&known, told);
        let kept = known.members().filter(|member| told.member(member.code()).is_none());
        let merged = Roster::new(kept.chain(told.members()).cloned())?;
        if let Some(store) = &self.store {
            let rows = self.rows(store.reader(), &changes, &merged, now).await?;
            if !rows.is_empty() {
                store.write(rows).await?;
            }
            let versions = stored_versions(store.reader()).await?;
            self.versions.store(Arc::new(versions));
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

type Versions = HashMap<MemberCode, EntryVersion>;

/// Which version of a member's entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryVersion {
    /// From 1.
    pub version: u32,
    /// When it was recorded.
    pub recorded: OffsetDateTime,
    /// When the member's first version was recorded.
    pub since: OffsetDateTime,
}

async fn stored_versions(reader: &Reader) -> Result<Versions, DirectoryError> {
    let since: HashMap<_, _> = reader.members_since().await?.into_iter().collect();
    let rows = reader.members().await?.into_iter();
    Ok(rows
        .map(|row| {
            let since = since.get(&row.code).copied().unwrap_or(row.recorded);
            let version = EntryVersion { version: row.version, recorded: row.recorded, since };
            (row.code, version)
        })
        .collect())
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
