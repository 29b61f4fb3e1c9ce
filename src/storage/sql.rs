//! One way to say SQL to both databases: statements with typed values, connections, rows.
//!
//! What differs between SQLite and PostgreSQL beyond this stands in `sqlite.rs` and `postgres.rs`.

use std::borrow::Cow;

use crate::domain::EnterpriseId;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres, SqlSafeStr as _, SqlStr,
    Sqlite, SqliteConnection, SqlitePool, Transaction, postgres::PgRow, sqlite::SqliteRow,
};

use super::{StorageError, columns::person_bytes};

/// The most values that one statement may bind: 32,766 in SQLite, 65,535 in PostgreSQL.
pub(super) const BINDS_MAX: usize = 32_766;

/// A value of one of the four kinds that the schema knows; each may be absent.
#[derive(Clone)]
pub(super) enum Value<'q> {
    Number(Option<i64>),
    Real(Option<f64>),
    Text(Option<Cow<'q, str>>),
    Bytes(Option<Cow<'q, [u8]>>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Number(Some(value))
    }
}

impl<'q> From<&'q str> for Value<'q> {
    fn from(value: &'q str) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}

impl From<EnterpriseId> for Value<'_> {
    fn from(person: EnterpriseId) -> Self {
        Self::Bytes(Some(Cow::Owned(person_bytes(person))))
    }
}

/// SQL that both databases understand, with `$1`, `$2` … and the values for them.
pub(super) struct Statement<'q> {
    sql: SqlStr,
    values: Vec<Value<'q>>,
}

impl<'q> Statement<'q> {
    pub(super) fn new(sql: &'static str) -> Self {
        Self { sql: sql.into_sql_str(), values: Vec::new() }
    }

    /// SQL put together from constants; every value of the outside is bound.
    pub(super) fn built(sql: String, values: Vec<Value<'q>>) -> Self {
        Self { sql: AssertSqlSafe(sql).into_sql_str(), values }
    }

    pub(super) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }
}

/// `$from, $from+1, …`, so many of them.
pub(super) fn placeholders(sql: &mut String, from: usize, count: usize) {
    use std::fmt::Write as _;
    for at in from..from + count {
        let comma = if at == from { "" } else { ", " };
        write!(sql, "{comma}${at}").expect("writing to a String cannot fail");
    }
}

macro_rules! query {
    ($database:ty, $statement:expr) => {{
        let statement = $statement;
        let mut query = sqlx::query::<$database>(statement.sql);
        for value in statement.values {
            query = match value {
                Value::Number(value) => query.bind(value),
                Value::Real(value) => query.bind(value),
                Value::Text(value) => query.bind(value.map(Cow::into_owned)),
                Value::Bytes(value) => query.bind(value.map(Cow::into_owned)),
            };
        }
        query
    }};
}

/// One connection.
pub(super) enum SqlConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl SqlConnection {
    /// Runs a statement; how many rows it touched.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StorageError> {
        Ok(match self {
            Self::Sqlite(sqlite) => {
                query!(Sqlite, statement).execute(sqlite).await?.rows_affected()
            }
            Self::Postgres(postgres) => {
                query!(Postgres, statement).execute(postgres).await?.rows_affected()
            }
        })
    }

    /// `BEGIN`, `COMMIT` and the like, which are not prepared.
    pub(super) async fn command(&mut self, sql: &'static str) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(sqlite) => {
                sqlx::raw_sql(sql).execute(sqlite).await?;
            }
            Self::Postgres(postgres) => {
                sqlx::raw_sql(sql).execute(postgres).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn fetch_optional(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Option<SqlRow>, StorageError> {
        self.fetch(statement).try_next().await
    }

    pub(super) fn fetch<'c>(
        &'c mut self,
        statement: Statement<'_>,
    ) -> BoxStream<'c, Result<SqlRow, StorageError>> {
        match self {
            Self::Sqlite(sqlite) => sqlite_rows(query!(Sqlite, statement).fetch(sqlite)),
            Self::Postgres(postgres) => postgres_rows(query!(Postgres, statement).fetch(postgres)),
        }
    }

    /// Says goodbye to the database, so that it need not find out.
    pub(super) async fn close(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await?,
            Self::Postgres(postgres) => postgres.close().await?,
        }
        Ok(())
    }
}

fn sqlite_rows(
    rows: BoxStream<'_, Result<SqliteRow, sqlx::Error>>,
) -> BoxStream<'_, Result<SqlRow, StorageError>> {
    rows.map(|row| Ok(SqlRow::Sqlite(row?))).boxed()
}

fn postgres_rows(
    rows: BoxStream<'_, Result<PgRow, sqlx::Error>>,
) -> BoxStream<'_, Result<SqlRow, StorageError>> {
    rows.map(|row| Ok(SqlRow::Postgres(row?))).boxed()
}

/// Connections for reading. Cheap to clone.
#[derive(Clone)]
pub(super) enum SqlPool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl SqlPool {
    pub(super) fn fetch<'c>(
        &'c self,
        statement: Statement<'_>,
    ) -> BoxStream<'c, Result<SqlRow, StorageError>> {
        match self {
            Self::Sqlite(pool) => sqlite_rows(query!(Sqlite, statement).fetch(pool)),
            Self::Postgres(pool) => postgres_rows(query!(Postgres, statement).fetch(pool)),
        }
    }

    pub(super) async fn fetch_optional(
        &self,
        statement: Statement<'_>,
    ) -> Result<Option<SqlRow>, StorageError> {
        self.fetch(statement).try_next().await
    }

    /// Everything as it stands at one moment, however long the reading takes.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(match self {
            Self::Sqlite(pool) => Snapshot::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Snapshot::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            ),
        })
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A reading transaction: one state of the database throughout.
pub(super) enum Snapshot {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Snapshot {
    pub(super) fn fetch<'c>(
        &'c mut self,
        statement: Statement<'_>,
    ) -> BoxStream<'c, Result<SqlRow, StorageError>> {
        match self {
            Self::Sqlite(sqlite) => sqlite_rows(query!(Sqlite, statement).fetch(&mut **sqlite)),
            Self::Postgres(postgres) => {
                postgres_rows(query!(Postgres, statement).fetch(&mut **postgres))
            }
        }
    }

    pub(super) async fn fetch_optional(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Option<SqlRow>, StorageError> {
        self.fetch(statement).try_next().await
    }
}

/// One row of either database.
pub(super) enum SqlRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}
