use std::path::PathBuf;

use thiserror::Error;

/// Why storage did not do what was asked. Never holds a stored value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StorageError {
    /// The disk, or the bound on the database's size, is full; nothing of the group was written.
    #[error("the disk or the database's size bound is full, nothing was written")]
    DiskFull,
    /// The file or its folder may not be written.
    #[error("the database is read-only")]
    ReadOnly,
    /// The file is damaged or is no database; restore a backup.
    #[error("the database is damaged, restore it from a backup ({0})")]
    Corrupt(String),
    /// Another process has the database open for writing.
    #[error("another process has the database open: {}", .0.display())]
    InUse(PathBuf),
    /// Somebody else held the database's lock for longer than we wait.
    #[error("the database stayed busy for longer than the wait allows")]
    Busy,
    /// A row with that key and version is there already; its neighbours in the group are not concerned.
    #[error("a row with that key is there already")]
    Conflict,
    /// More rows in one piece than a group may have.
    #[error("{rows} rows in one write, at most {rows_max} are allowed")]
    TooLarge {
        /// Rows asked for.
        rows: usize,
        /// Rows allowed.
        rows_max: usize,
    },
    /// The schema could not be brought up to date.
    #[error("the schema cannot be migrated ({0})")]
    Migration(String),
    /// The connection would not be durable, so it is not used.
    #[error("the writer's connection is not durable ({0})")]
    NotDurable(String),
    /// A stored row does not read back as what it must be.
    #[error("a row of {table} cannot be read")]
    Unreadable {
        /// The table.
        table: &'static str,
    },
    /// Writing to the disk failed midway; only a restart can tell what arrived.
    #[error("writing to the disk failed, restart to find out what arrived ({0})")]
    Io(String),
    /// Storage was closed.
    #[error("storage is closed")]
    Closed,
    /// Anything else that the database says.
    #[error("the database refused a statement ({0})")]
    Sql(String),
}

impl StorageError {
    /// Whether the writer must stop, since what is on the disk is no longer certain.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Corrupt(_))
    }
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

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(told) = &error else {
            return match error {
                sqlx::Error::PoolClosed => Self::Closed,
                sqlx::Error::PoolTimedOut => Self::Busy,
                sqlx::Error::Io(io) => Self::Io(io.kind().to_string()),
                other => Self::Sql(variant_name(&other)),
            };
        };
        let code = told.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
        // SQLite's messages name tables and columns, never values.
        let message = told.message().to_owned();
        match code & 0xff {
            BUSY | LOCKED => Self::Busy,
            READONLY => Self::ReadOnly,
            IOERR | CANTOPEN => Self::Io(message),
            CORRUPT | NOTADB => Self::Corrupt(message),
            FULL => Self::DiskFull,
            CONSTRAINT => Self::Conflict,
            _ => Self::Sql(message),
        }
    }
}

// Decode errors may quote a column's value, so only their kind is told.
fn variant_name(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::RowNotFound => "row not found",
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => "a column does not decode",
        sqlx::Error::WorkerCrashed => "the connection's thread ended",
        sqlx::Error::Configuration(_) => "configuration",
        _ => "unexpected",
    }
    .to_owned()
}

impl From<sqlx::migrate::MigrateError> for StorageError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => Self::Migration(other.to_string()),
        }
    }
}
