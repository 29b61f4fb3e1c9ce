use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{StorageError, StorageSettings, dialect::SqlPool};

/// Reads committed rows. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    pool: SqlPool,
}

impl Reader {
    /// Opens an existing database for reading only, also while a gateway has it open.
    pub async fn open(path: &Path) -> Result<Self, StorageError> {
        Self::with_settings(&StorageSettings::at(path)).await
    }

    pub(super) async fn with_settings(settings: &StorageSettings) -> Result<Self, StorageError> {
        let options = SqliteConnectOptions::new()
            .filename(&settings.path)
            .read_only(true)
            .busy_timeout(settings.busy_timeout)
            .row_buffer_size(512)
            .thread_name(|no| format!("storage-reader-{no}"));
        let pool = SqlitePoolOptions::new()
            .max_connections(settings.readers_max.max(1))
            .acquire_timeout(settings.busy_timeout)
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// One named value.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, StorageError> {
        let value = sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        Ok(value)
    }

    /// Closes all connections; those in use are waited for.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(super) fn pool(&self) -> &SqlPool {
        &self.pool
    }
}
