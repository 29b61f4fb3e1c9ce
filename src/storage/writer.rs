//! The one task that writes: whatever has queued up while the last commit went to the disk
//! goes into the next one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot};

use super::{
    StorageError, Write, audit_chain::ChainHead, dialect::SqlConnection, insert::Group,
    lock::DatabaseLock,
};

/// Answers once a write is durable, or says why none of it is there.
#[must_use = "a write is durable only once its receipt says so"]
pub struct Receipt(oneshot::Receiver<Result<(), StorageError>>);

impl Receipt {
    /// Waits on a thread of its own, outside any runtime.
    pub fn wait(self) -> Result<(), StorageError> {
        self.0.blocking_recv().unwrap_or(Err(StorageError::Closed))
    }

    pub(super) fn failed(error: StorageError) -> Self {
        let (done, receipt) = oneshot::channel();
        // The receiver is in our hand, so it cannot be gone.
        let _ = done.send(Err(error));
        Self(receipt)
    }
}

impl Future for Receipt {
    type Output = Result<(), StorageError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or(Err(StorageError::Closed)))
    }
}

/// How durable the live writer's connection is, read from that very connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// `PRAGMA journal_mode`; must be `wal`.
    pub journal_mode: String,
    /// `PRAGMA synchronous`; must be 2, FULL: each commit is flushed to the disk.
    pub synchronous: i64,
}

impl Durability {
    async fn read(connection: &mut SqlConnection) -> Result<Self, StorageError> {
        let journal_mode =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
        let synchronous =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
        Ok(Self { journal_mode, synchronous })
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.journal_mode == "wal" && self.synchronous == 2 {
            return Ok(());
        }
        Err(StorageError::NotDurable(format!(
            "journal_mode={}, synchronous={}",
            self.journal_mode, self.synchronous
        )))
    }
}

pub(super) enum Command {
    Write(Job),
    Durability(oneshot::Sender<Result<Durability, StorageError>>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Job {
    writes: Vec<Write>,
    done: oneshot::Sender<Result<(), StorageError>>,
}

impl Job {
    pub(super) fn new(writes: Vec<Write>) -> (Self, Receipt) {
        let (done, receipt) = oneshot::channel();
        (Self { writes, done }, Receipt(receipt))
    }
}

/// Opens a connection and refuses it where it would not be durable.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqlConnection, StorageError> {
    let mut connection = options.connect().await?;
    Durability::read(&mut connection).await?.check()?;
    Ok(connection)
}

pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failure, until the next group opens a fresh one.
    connection: Option<SqlConnection>,
    head: ChainHead,
    group_rows_max: usize,
    /// Set once the disk can no longer be trusted; only a restart helps.
    broken: Option<StorageError>,
    /// Let go only after the connection is closed.
    _lock: DatabaseLock,
}

impl Writer {
    pub(super) async fn new(
        options: SqliteConnectOptions,
        mut connection: SqlConnection,
        lock: DatabaseLock,
        group_rows_max: usize,
    ) -> Result<Self, StorageError> {
        let head = ChainHead::load(&mut connection).await?;
        let connection = Some(connection);
        Ok(Self { options, connection, head, group_rows_max, broken: None, _lock: lock })
    }

    /// Works until told to close, or until nobody can hand it anything any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut jobs = Vec::new();
        let mut waiting = commands.recv().await;
        while let Some(command) = waiting.take() {
            match command {
                Command::Write(job) => {
                    waiting = self.gather(job, &mut jobs, &mut commands);
                    self.commit_and_answer(&mut jobs).await;
                }
                Command::Durability(answer) => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.durability().await);
                }
                Command::Close(done) => {
                    commands.close();
                    self.close().await;
                    // The lock goes before the answer: whoever hears it may open again at once.
                    drop(self);
                    let _ = done.send(());
                    return;
                }
            }
            if waiting.is_none() {
                waiting = commands.recv().await;
            }
        }
        self.close().await;
    }

    /// Takes what has queued up, in order, as long as the group stays within its bound.
    /// Returns the first command that is not part of the group.
    fn gather(
        &self,
        first: Job,
        jobs: &mut Vec<Job>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        let mut rows = first.writes.len();
        jobs.push(first);
        loop {
            match commands.try_recv() {
                Ok(Command::Write(job)) if rows + job.writes.len() <= self.group_rows_max => {
                    rows += job.writes.len();
                    jobs.push(job);
                }
                Ok(other) => return Some(other),
                Err(_) => return None,
            }
        }
    }

    async fn commit_and_answer(&mut self, jobs: &mut Vec<Job>) {
        let outcome = self.commit(jobs).await;
        if outcome == Err(StorageError::Conflict) && jobs.len() > 1 {
            // One bad row must not fail its neighbours, who know nothing of it.
            for job in jobs.drain(..) {
                let outcome = self.commit(std::slice::from_ref(&job)).await;
                let _ = job.done.send(outcome);
            }
            return;
        }
        for job in jobs.drain(..) {
            // Whoever waited may have gone; the write stands all the same.
            let _ = job.done.send(outcome.clone());
        }
    }

    async fn commit(&mut self, jobs: &[Job]) -> Result<(), StorageError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        let mut head = self.head.clone();
        match transact(&mut connection, jobs, &mut head).await {
            Ok(()) => {
                self.head = head;
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, jobs = jobs.len(), "a group of writes failed");
                // The driver cannot tell whether the database rolled back by itself, so the
                // connection goes, and with it whatever was left undone.
                let _ = connection.close().await;
                if error.is_fatal() {
                    self.broken = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    async fn durability(&mut self) -> Result<Durability, StorageError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.options).await?),
        };
        Durability::read(connection).await
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            let error = StorageError::from(error);
            tracing::warn!(%error, "the database did not close cleanly; it recovers at the next open");
        }
    }
}

async fn transact(
    connection: &mut SqlConnection,
    jobs: &[Job],
    head: &mut ChainHead,
) -> Result<(), StorageError> {
    let mut transaction = connection.begin().await?;
    let group = Group::of(jobs.iter().flat_map(|job| &job.writes));
    group.insert(&mut transaction, head).await?;
    transaction.commit().await?;
    Ok(())
}
