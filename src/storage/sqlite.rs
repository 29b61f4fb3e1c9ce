//! What only SQLite needs: its options, its check at open and its error codes.

use std::path::Path;

use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    error::DatabaseError,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{StorageError, StorageSettings, writer::Durability};

/// SQLite's page size where nobody sets another.
const PAGE_BYTES: u64 = 4_096;

/// The schema, step by step.
pub(super) fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("src/storage/migrations/sqlite");
    // Our own lock guards the database.
    migrations.set_locking(false);
    migrations
}

pub(super) fn writer_options(path: &Path, settings: &StorageSettings) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.busy_timeout)
        .thread_name(|_| "storage-writer".to_owned())
        // Fewer, longer checkpoints: 16 MiB of log instead of 4.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-65536");
    match settings.file_bytes_max {
        Some(bytes) => options.pragma("max_page_count", (bytes / PAGE_BYTES).max(1).to_string()),
        None => options,
    }
}

/// Opens a connection and refuses it where it would not be durable.
pub(super) async fn connect(
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, StorageError> {
    let mut connection = options.connect().await?;
    durability(&mut connection).await?.check()?;
    Ok(connection)
}

pub(super) async fn durability(
    connection: &mut SqliteConnection,
) -> Result<Durability, StorageError> {
    let journal_mode =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
    let synchronous = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
    Ok(Durability::Sqlite { journal_mode, synchronous })
}

pub(super) async fn readers(
    path: &Path,
    settings: &StorageSettings,
) -> Result<SqlitePool, StorageError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(settings.busy_timeout)
        .row_buffer_size(512)
        .thread_name(|no| format!("storage-reader-{no}"));
    let pool = SqlitePoolOptions::new()
        .max_connections(settings.readers_max.max(1))
        .acquire_timeout(settings.busy_timeout)
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// Looks through the file page by page, where it is small enough for that.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    path: &Path,
    bytes_max: u64,
) -> Result<(), StorageError> {
    let bytes = std::fs::metadata(path).map_or(0, |about| about.len());
    if bytes > bytes_max {
        tracing::info!(bytes, "the database is too large for a page check at open");
        return Ok(());
    }
    let found: String =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    if found == "ok" { Ok(()) } else { Err(StorageError::Corrupt(found)) }
}

// Primary result codes, https://www.sqlite.org/rescode.html
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const CONSTRAINT: u32 = 19;
const NOTADB: u32 = 26;

/// What SQLite says, in our words. Its messages name tables and columns, never values.
pub(super) fn told(error: &dyn DatabaseError) -> StorageError {
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
    let message = error.message().to_owned();
    match code & 0xff {
        BUSY | LOCKED => StorageError::Busy,
        READONLY => StorageError::ReadOnly,
        IOERR | CANTOPEN => StorageError::Io(message),
        CORRUPT | NOTADB => StorageError::Corrupt(message),
        FULL => StorageError::DiskFull,
        CONSTRAINT => StorageError::Conflict,
        _ => StorageError::Sql(message),
    }
}
