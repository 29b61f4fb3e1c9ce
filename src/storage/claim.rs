//! The proof that nobody else writes, and how the one who holds it reaches the database.

use std::time::Duration;

use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use tokio::time::timeout;

use super::{
    DatabaseAddress, ServerAddress, StorageError, StorageSettings,
    lease::{Lease, Standing},
    lock::DatabaseLock,
    patience::Patience,
    postgres,
    sql::SqlConnection,
    sqlite,
    writer::Durability,
};

/// A server that does not answer a group within this time counts as lost.
const GROUP_MAX: Duration = Duration::from_mins(1);

pub(super) enum Claim {
    /// On a file of this machine: the system's lock, which goes when we die.
    File { options: SqliteConnectOptions, _lock: DatabaseLock },
    /// On a server: a lease, and how long to go on trying where the server is away.
    Server { options: PgConnectOptions, lease: Lease, retry: Duration },
}

impl Claim {
    /// Claims the database, checks it and brings its schema up to date. The connection is the
    /// writer's.
    pub(super) async fn stake(
        settings: &StorageSettings,
    ) -> Result<(Self, SqlConnection), StorageError> {
        match &settings.address {
            DatabaseAddress::File(path) => {
                let lock = DatabaseLock::take(path)?;
                let options = sqlite::writer_options(path, settings);
                let mut connection = sqlite::connect(&options).await?;
                let bytes_max = settings.checked_at_open_bytes_max;
                sqlite::check(&mut connection, path, bytes_max).await?;
                sqlite::migrations().run_direct(None, &mut connection, false).await?;
                Ok((Self::File { options, _lock: lock }, SqlConnection::Sqlite(connection)))
            }
            DatabaseAddress::Server(server) => {
                let mut patience = Patience::of(settings.retry);
                loop {
                    match Self::stake_on_server(server, settings).await {
                        Err(error) if error.is_passing() && patience.wait().await => {}
                        outcome => return outcome,
                    }
                }
            }
        }
    }

    async fn stake_on_server(
        server: &ServerAddress,
        settings: &StorageSettings,
    ) -> Result<(Self, SqlConnection), StorageError> {
        let options = postgres::writer_options(server, settings);
        let mut connection = SqlConnection::Postgres(postgres::connect(&options).await?);
        Lease::prepare(&mut connection).await?;
        let free = Lease::find_free(&mut connection, settings.lease).await?;
        connection.command("BEGIN").await?;
        // Silent while the schema changes, which may take long.
        connection.command("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        let lease = free.take(&mut connection).await?;
        let mut migrating = postgres::connect(&options).await?;
        postgres::migrations().run_direct(None, &mut migrating, false).await?;
        SqlConnection::Postgres(migrating).close().await?;
        connection.command("COMMIT").await?;
        Ok((Self::Server { options, lease, retry: settings.retry }, connection))
    }

    /// A connection for writing, durable.
    pub(super) async fn connect(&self) -> Result<SqlConnection, StorageError> {
        match self {
            Self::File { options, .. } => sqlite::connect(options).await.map(SqlConnection::Sqlite),
            Self::Server { options, .. } => {
                let connection = within(GROUP_MAX, postgres::connect(options)).await?;
                Ok(SqlConnection::Postgres(connection))
            }
        }
    }

    /// Begins a transaction that counts as ours, and says where it stands.
    pub(super) async fn begin(
        &self,
        connection: &mut SqlConnection,
        in_doubt: bool,
    ) -> Result<Standing, StorageError> {
        connection.command("BEGIN").await?;
        match self {
            Self::File { .. } => Ok(Standing::Next),
            Self::Server { lease, .. } => lease.count_commit(connection, in_doubt).await,
        }
    }

    /// The transaction is known to have arrived.
    pub(super) fn committed(&mut self) {
        if let Self::Server { lease, .. } = self {
            lease.committed();
        }
    }

    /// How often the writer must give a sign of life, where it must.
    pub(super) fn beat_every(&self) -> Option<Duration> {
        match self {
            Self::File { .. } => None,
            Self::Server { lease, .. } => Some(lease.beat_every()),
        }
    }

    /// Gives a sign of life.
    pub(super) async fn beat(&self, connection: &mut SqlConnection) -> Result<(), StorageError> {
        match self {
            Self::File { .. } => Ok(()),
            Self::Server { lease, .. } => within(GROUP_MAX, lease.beat(connection)).await,
        }
    }

    /// How patient the writer is with a database that is away for the moment. A file never is:
    /// waiting for its lock is the connection's own business.
    pub(super) fn patience(&self) -> Patience {
        match self {
            Self::File { .. } => Patience::of(Duration::ZERO),
            Self::Server { retry, .. } => Patience::of(*retry),
        }
    }

    /// What `work` gives, unless the database is a server that falls silent over it.
    pub(super) async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        match self {
            // The disk answers or fails; a commit given up midway would only be in doubt.
            Self::File { .. } => work.await,
            Self::Server { .. } => within(GROUP_MAX, work).await,
        }
    }

    /// Lets go of the database.
    pub(super) async fn release(&self, connection: &mut SqlConnection) -> Result<(), StorageError> {
        match self {
            Self::File { .. } => Ok(()),
            Self::Server { lease, .. } => within(GROUP_MAX, lease.release(connection)).await,
        }
    }
}

async fn within<T>(
    most: Duration,
    work: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let silent = || StorageError::Unreachable("it fell silent".to_owned());
    timeout(most, work).await.unwrap_or_else(|_| Err(silent()))
}

impl Durability {
    pub(super) async fn read(connection: &mut SqlConnection) -> Result<Self, StorageError> {
        match connection {
            SqlConnection::Sqlite(sqlite) => sqlite::durability(sqlite).await,
            SqlConnection::Postgres(postgres) => postgres::durability(postgres).await,
        }
    }
}
