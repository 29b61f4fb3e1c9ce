//! Backups: everything an exchange knows, as it stood at one moment, in one SQLite file.
//!
//! The same file for both databases, so that what was taken from one can be brought back into the
//! other. It holds every table, and for each its number of rows and a SHA-256 over them; a backup
//! is read back and checked before it gets its name, and again when it is restored.

mod copy;
mod restore;
mod table;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use sqlx::{
    ConnectOptions as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tempfile::TempPath;
use thiserror::Error;

use super::{
    BadAuditRow, ChainReport, DatabaseAddress, Reader, StorageError,
    columns::Columns,
    sql::{Snapshot, SqlConnection, Statement},
    sqlite,
};

pub use restore::{restore, verify_backup};

use copy::copy;
use table::tables;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Every table, by name.
    pub tables: Vec<CopiedTable>,
    /// The audit trail, walked to its end.
    pub audit: ChainReport,
}

/// A table of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over its rows in the order of their key, hexadecimal.
    pub sha256: String,
}

/// Why there is no backup, or why none was brought back.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BackupError {
    /// A file of that name is there.
    #[error("{} is there already and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// The database that a backup should be brought back into has rows.
    #[error("the database has rows in {0} already; a backup is brought back into an empty one")]
    NotEmpty(String),
    /// The file is no backup.
    #[error("the file is no backup of Tessera")]
    NoBackup,
    /// What is in the backup is not what was put there.
    #[error("the backup is damaged: {0} is not as it was written; take an older one")]
    Damaged(String),
    /// The journal has a gap.
    #[error("the journal has a gap: {entries} entries, the last has number {last}")]
    JournalGap {
        /// How many entries there are.
        entries: u64,
        /// The highest number.
        last: u64,
    },
    /// The audit trail is broken.
    #[error("the audit trail is broken at row {}: {}", .0.seq, .0.fault)]
    AuditTrail(BadAuditRow),
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Copies a database into a new file, also while a gateway works with it, and checks the file.
pub async fn backup(from: &DatabaseAddress, output: &Path) -> Result<BackupReport, BackupError> {
    if output.exists() {
        return Err(BackupError::Exists(output.to_owned()));
    }
    let source = Reader::open(from.clone()).await?;
    let part = part_beside(output)?;
    let written = write(&source, &part).await;
    source.close().await;
    written?;
    let report = verify_backup(&part).await?;
    keep(part, output)?;
    Ok(report)
}

async fn write(source: &Reader, part: &Path) -> Result<(), BackupError> {
    let mut snapshot = source.pool().snapshot().await?;
    let step = schema_step(&mut snapshot).await?;
    let mut file = scratch(part).await?;
    // The schema of the source, which an older program may have made.
    sqlite::migrations()
        .run_direct(Some(step), &mut file, false)
        .await
        .map_err(StorageError::from)?;
    let mut connection = SqlConnection::Sqlite(file);
    let tables = tables(&mut connection).await?;
    connection.command("BEGIN").await?;
    let sums = copy(&mut snapshot, &tables, Some(&mut connection)).await?;
    write_contents(&mut connection, &sums).await?;
    connection.command("COMMIT").await?;
    connection.close().await?;
    Ok(())
}

/// The last step that the source's schema has taken.
async fn schema_step(snapshot: &mut Snapshot) -> Result<i64, BackupError> {
    let asked = Statement::new("SELECT max(version) FROM _sqlx_migrations WHERE success");
    let row = snapshot.fetch_optional(asked).await?;
    let row = row.ok_or(StorageError::Unreadable { table: "_sqlx_migrations" })?;
    let step: i64 = Columns::of(&row, "_sqlx_migrations").value()?;
    let known = sqlite::migrations();
    if known.iter().all(|migration| migration.version != step) {
        let newer = format!("it has step {step}: a newer Tessera wrote it, which must back it up");
        return Err(StorageError::Migration(newer).into());
    }
    Ok(step)
}

const CONTENTS: &str = "CREATE TABLE tessera_backup (name TEXT NOT NULL PRIMARY KEY, \
                        row_count INTEGER NOT NULL, sha256 TEXT NOT NULL)";

async fn write_contents(
    connection: &mut SqlConnection,
    sums: &[CopiedTable],
) -> Result<(), StorageError> {
    connection.command(CONTENTS).await?;
    for sum in sums {
        let row = "INSERT INTO tessera_backup (name, row_count, sha256) VALUES ($1, $2, $3)";
        let row = Statement::new(row).bind(&*sum.name).bind(sum.rows as i64).bind(&*sum.sha256);
        connection.execute(row).await?;
    }
    Ok(())
}

/// A file of ours alone, written without care until it is whole: before that it is nothing.
async fn scratch(path: &Path) -> Result<SqliteConnection, StorageError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off);
    Ok(options.connect().await?)
}

/// An unfinished file in the folder of the one that it becomes.
fn part_beside(path: &Path) -> Result<TempPath, BackupError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let part = tempfile::Builder::new()
        .prefix(".tessera-")
        .suffix(".part")
        .tempfile_in(folder.unwrap_or_else(|| Path::new(".")));
    Ok(part.map_err(|error| file_error(path, &error))?.into_temp_path())
}

/// Flushes a finished file and gives it its name, unless that is taken.
fn keep(part: TempPath, path: &Path) -> Result<(), BackupError> {
    File::open(&part).and_then(|file| file.sync_all()).map_err(|error| file_error(path, &error))?;
    part.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => file_error(path, &error.error),
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(|error| file_error(path, &error))
}

fn file_error(path: &Path, error: &std::io::Error) -> BackupError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => StorageError::DiskFull.into(),
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
            StorageError::ReadOnly.into()
        }
        kind => BackupError::File { path: path.to_owned(), reason: kind.to_string() },
    }
}
