use thiserror::Error;

use super::{postgres, sqlite};

/// Why storage did not do what was asked. Never holds a stored value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StorageError {
    /// The disk, or the bound on the database's size, is full; nothing of the group was written.
    #[error("the disk or the database's size bound is full, nothing was written")]
    DiskFull,
    /// The file, its folder or the server may not be written.
    #[error("the database is read-only")]
    ReadOnly,
    /// The database is damaged or is none; restore a backup.
    #[error(
        "the database is damaged ({0}); move it away and bring back the last backup with \
         `tessera restore --input BACKUP --database DATABASE`"
    )]
    Corrupt(String),
    /// Another process has the database open for writing.
    #[error("another process has the database open: {0}")]
    InUse(String),
    /// Another gateway took the database over while this one was silent.
    #[error("another gateway has taken over the database; this one writes no more, restart it")]
    Fenced,
    /// Somebody else held the database's lock for longer than we wait.
    #[error("the database stayed busy for longer than the wait allows")]
    Busy,
    /// The database's server does not answer; whether the last group arrived is not known.
    #[error("the database cannot be reached ({0})")]
    Unreachable(String),
    /// The database's server does not let us in, or not do what we must.
    #[error("the database refuses us ({0})")]
    Refused(String),
    /// A row with that key and version is there already; its neighbours in the group are not concerned.
    #[error("a row with that key is there already")]
    Conflict,
    /// A value that the database cannot hold; its neighbours in the group are not concerned.
    #[error("a value cannot be stored ({0})")]
    Unstorable(String),
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
        matches!(self, Self::Io(_) | Self::Corrupt(_) | Self::Fenced)
    }

    /// Whether the same may well succeed in a moment.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable(_))
    }

    /// Whether one row is to blame, and the others of its group are not.
    pub(super) fn blames_a_row(&self) -> bool {
        matches!(self, Self::Conflict | Self::Unstorable(_))
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(told) => {
                match told.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                    Some(told) => postgres::told(told),
                    None => sqlite::told(&*told),
                }
            }
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::PoolTimedOut => Self::Busy,
            // Only a server is talked to over something that can break.
            sqlx::Error::Io(io) => of_connection(&io),
            sqlx::Error::Tls(reason) => Self::Refused(format!("TLS: {reason}")),
            sqlx::Error::Protocol(_) => Self::Unreachable("it broke the protocol".to_owned()),
            other => Self::Sql(variant_name(&other)),
        }
    }
}

fn of_connection(error: &std::io::Error) -> StorageError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        // A server that is not who it should be will not become it by trying again.
        Some(reason) => StorageError::Refused(format!("TLS: {reason}")),
        None => StorageError::Unreachable(error.kind().to_string()),
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
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(version) => Self::Migration(format!(
                "it has step {version}, which this program does not know: a newer Tessera wrote it"
            )),
            other => Self::Migration(other.to_string()),
        }
    }
}
