use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    DatabaseAddress, Reader, StorageError, Write,
    claim::Claim,
    writer::{Command, Durability, Job, Receipt, Writer},
};

/// Where the database lies and how far it may go.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// A SQLite file, made where it is absent, its folder must be there; or a database on a
    /// PostgreSQL server, which must be there too.
    pub address: DatabaseAddress,
    /// Connections for reading, from 1.
    pub readers_max: u32,
    /// Writes that may wait for the writer before senders wait too.
    pub queue_max: usize,
    /// Rows in one transaction, and in one write.
    pub group_rows_max: usize,
    /// The most bytes that a SQLite file may grow to; `None` leaves it to the disk.
    pub file_bytes_max: Option<u64>,
    /// SQLite files up to this size are checked page by page at open, about a second for a gigabyte.
    pub checked_at_open_bytes_max: u64,
    /// How long to wait for a lock that somebody else holds.
    pub busy_timeout: Duration,
    /// How long to go on trying where a PostgreSQL server restarts, fails over or asks for it.
    pub retry: Duration,
    /// On a PostgreSQL server, how long a writer may be silent before another takes over.
    pub lease: Duration,
}

impl StorageSettings {
    /// Settings that suit a gateway.
    pub fn at(address: impl Into<DatabaseAddress>) -> Self {
        Self {
            address: address.into(),
            readers_max: 4,
            queue_max: 1_024,
            group_rows_max: 20_000,
            file_bytes_max: None,
            checked_at_open_bytes_max: 1 << 30,
            busy_timeout: Duration::from_secs(5),
            retry: Duration::from_secs(30),
            lease: Duration::from_secs(10),
        }
    }
}

/// The system of record. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct Database {
    commands: mpsc::Sender<Command>,
    reader: Reader,
    group_rows_max: usize,
    stopped: Arc<OnceLock<StorageError>>,
}

impl Database {
    /// Opens or makes the database, brings its schema up to date and starts its writer on the
    /// runtime that calls.
    ///
    /// Fails where another process has it open, where it is damaged or read-only, or where the
    /// writer's connection would not be durable.
    pub async fn open(settings: &StorageSettings) -> Result<Self, StorageError> {
        let (claim, connection) = Claim::stake(settings).await?;
        let writer = Writer::new(claim, connection, settings.group_rows_max).await?;
        let reader = Reader::with_settings(settings).await?;
        let (commands, queue) = mpsc::channel(settings.queue_max.max(1));
        let stopped = writer.stopped();
        tokio::spawn(writer.run(queue));
        Ok(Self { commands, reader, group_rows_max: settings.group_rows_max, stopped })
    }

    /// Hands the writer rows that are to be durable together. Rows enqueued earlier are never
    /// written later. Waits where the queue is full.
    pub async fn enqueue(&self, writes: Vec<Write>) -> Receipt {
        match self.job(writes) {
            Ok((job, receipt)) => match self.commands.send(Command::Write(job)).await {
                Ok(()) => receipt,
                Err(_) => Receipt::failed(StorageError::Closed),
            },
            Err(error) => Receipt::failed(error),
        }
    }

    /// As [`Self::enqueue`], from a thread outside any runtime.
    pub fn enqueue_blocking(&self, writes: Vec<Write>) -> Receipt {
        match self.job(writes) {
            Ok((job, receipt)) => match self.commands.blocking_send(Command::Write(job)) {
                Ok(()) => receipt,
                Err(_) => Receipt::failed(StorageError::Closed),
            },
            Err(error) => Receipt::failed(error),
        }
    }

    /// Writes and waits until it is durable.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StorageError> {
        self.enqueue(writes).await.await
    }

    fn job(&self, writes: Vec<Write>) -> Result<(Job, Receipt), StorageError> {
        let (rows, rows_max) = (writes.len(), self.group_rows_max);
        if rows > rows_max {
            return Err(StorageError::TooLarge { rows, rows_max });
        }
        Ok(Job::new(writes))
    }

    /// The most rows that one write may have.
    pub fn write_rows_max(&self) -> usize {
        self.group_rows_max
    }

    /// Reads what is committed.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Why the writer has stopped for good, where it has: only a restart helps.
    pub fn stopped(&self) -> Option<&StorageError> {
        self.stopped.get()
    }

    /// How durable the live writer's connection is, asked of that very connection.
    pub async fn writer_durability(&self) -> Result<Durability, StorageError> {
        let (answer, durability) = oneshot::channel();
        self.commands.send(Command::Durability(answer)).await.map_err(|_| StorageError::Closed)?;
        durability.await.unwrap_or(Err(StorageError::Closed))
    }

    /// Writes what is queued, closes every connection and lets go of the file. Later writes
    /// fail as closed. Closing twice does no harm.
    pub async fn close(&self) {
        // The last to leave a SQLite file folds its log back, which readers may not.
        self.reader.close().await;
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            // An error means that the writer had ended already.
            let _ = closed.await;
        }
    }
}
