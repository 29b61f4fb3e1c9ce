use super::{
    DatabaseAddress, StorageError, StorageSettings,
    columns::Columns,
    postgres,
    sql::{SqlPool, Statement},
    sqlite,
};

/// Reads committed rows. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    pool: SqlPool,
}

impl Reader {
    /// Opens an existing database for reading only, also while a gateway has it open.
    pub async fn open(address: impl Into<DatabaseAddress>) -> Result<Self, StorageError> {
        Self::with_settings(&StorageSettings::at(address)).await
    }

    pub(super) async fn with_settings(settings: &StorageSettings) -> Result<Self, StorageError> {
        let pool = match &settings.address {
            DatabaseAddress::File(path) => SqlPool::Sqlite(sqlite::readers(path, settings).await?),
            DatabaseAddress::Server(server) => {
                SqlPool::Postgres(postgres::readers(server, settings).await?)
            }
        };
        Ok(Self { pool })
    }

    /// One named value.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, StorageError> {
        let statement = Statement::new("SELECT value FROM meta WHERE name = $1").bind(name);
        let row = self.pool.fetch_optional(statement).await?;
        row.map(|row| Columns::of(&row, "meta").value()).transpose()
    }

    /// Closes all connections; those in use are waited for.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(super) fn pool(&self) -> &SqlPool {
        &self.pool
    }
}
