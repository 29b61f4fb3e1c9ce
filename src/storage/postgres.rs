//! What only PostgreSQL needs: its options, its settings that matter and its error codes.
//!
//! Nothing here that a distributed engine with PostgreSQL's protocol lacks: no LISTEN, no advisory
//! lock, no serial key, no savepoint.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgDatabaseError, PgPoolOptions},
};

use super::{ServerAddress, StorageError, StorageSettings, writer::Durability};

/// Statements that stay prepared on a connection; the writer knows some hundred.
const PREPARED_MAX: usize = 512;

/// A connection that falls silent in the middle of a transaction lets go of it after this.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(15);

/// The schema, step by step; the same steps as SQLite's.
pub(super) fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("src/storage/migrations/postgres");
    // Our lease guards the database; not every engine knows the migrator's advisory lock.
    migrations.set_locking(false);
    migrations
}

pub(super) fn writer_options(
    address: &ServerAddress,
    settings: &StorageSettings,
) -> PgConnectOptions {
    address
        .options()
        .clone()
        .application_name("tessera writer")
        .statement_cache_capacity(PREPARED_MAX)
        .options([
            ("lock_timeout", settings.busy_timeout.as_millis()),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.as_millis()),
        ])
}

/// Opens a connection and refuses it where it would not be durable.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StorageError> {
    let mut connection = options.connect().await?;
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await?;
    if encoding != "UTF8" {
        return Err(StorageError::Refused(format!("its encoding is {encoding}, it must be UTF8")));
    }
    let found = durability(&mut connection).await?;
    if found.check().is_err() {
        sqlx::raw_sql("SET synchronous_commit TO on").execute(&mut connection).await?;
    }
    durability(&mut connection).await?.check()?;
    Ok(connection)
}

pub(super) async fn durability(connection: &mut PgConnection) -> Result<Durability, StorageError> {
    // `missing_ok`: an engine without such a setting cannot have it wrong.
    let setting = "SELECT coalesce(current_setting($1, true), 'on')";
    let mut told = Vec::new();
    for name in ["synchronous_commit", "fsync", "full_page_writes"] {
        told.push(sqlx::query_scalar(setting).bind(name).fetch_one(&mut *connection).await?);
    }
    let [synchronous_commit, fsync, full_page_writes] =
        <[String; 3]>::try_from(told).expect("three were asked for");
    Ok(Durability::Postgres { synchronous_commit, fsync, full_page_writes })
}

pub(super) async fn readers(
    address: &ServerAddress,
    settings: &StorageSettings,
) -> Result<PgPool, StorageError> {
    let options = address
        .options()
        .clone()
        .application_name("tessera reader")
        .options([("default_transaction_read_only", "on")]);
    let pool = PgPoolOptions::new()
        .max_connections(settings.readers_max.max(1))
        .acquire_timeout(settings.busy_timeout)
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// What PostgreSQL says, in our words, by SQLSTATE. A message is passed on only where its class
/// never quotes a value.
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(super) fn told(error: &PgDatabaseError) -> StorageError {
    let (code, message) = (error.code(), error.message().to_owned());
    match code {
        // Serialization failure, deadlock, lock not available, statement canceled.
        "40001" | "40P01" | "55P03" | "57014" => StorageError::Busy,
        // A table, or the type of its rows, that somebody else made at the same moment.
        "42P07" | "42710" => StorageError::Conflict,
        "25006" => StorageError::ReadOnly,
        "53100" => StorageError::DiskFull,
        "XX001" | "XX002" => StorageError::Corrupt(message),
        "58030" => StorageError::Io(message),
        // No privilege, no such login, no such database.
        "42501" => StorageError::Refused(message),
        // Too many connections, shutting down, crashed, starting up, idle in transaction.
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => {
            StorageError::Unreachable(message)
        }
        _ => match code.get(..2).unwrap_or_default() {
            "22" => StorageError::Unstorable(format!("SQLSTATE {code}")),
            "23" => StorageError::Conflict,
            "08" => StorageError::Unreachable(message),
            "28" | "3D" => StorageError::Refused(message),
            "42" | "53" => StorageError::Sql(message),
            _ => StorageError::Sql(format!("SQLSTATE {code}")),
        },
    }
}
