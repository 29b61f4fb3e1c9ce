//! The one task that writes: whatever has queued up while the last commit went to the disk
//! goes into the next one.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    StorageError, Write, audit_chain::ChainHead, claim::Claim, insert::Group, lease::Standing,
    sql::SqlConnection,
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
pub enum Durability {
    /// A SQLite file.
    Sqlite {
        /// `PRAGMA journal_mode`; must be `wal`.
        journal_mode: String,
        /// `PRAGMA synchronous`; must be 2, FULL: each commit is flushed to the disk.
        synchronous: i64,
    },
    /// A PostgreSQL server.
    Postgres {
        /// Must be `on` or more: a commit is answered once it is flushed to the disk.
        synchronous_commit: String,
        /// Must be `on`: the server flushes at all.
        fsync: String,
        /// Must be `on`: a page torn by a power cut can be mended.
        full_page_writes: String,
    },
}

impl Durability {
    /// Refuses what would not be durable.
    pub fn check(&self) -> Result<(), StorageError> {
        let (durable, told) = match self {
            Self::Sqlite { journal_mode, synchronous } => (
                journal_mode == "wal" && *synchronous == 2,
                format!("journal_mode={journal_mode}, synchronous={synchronous}"),
            ),
            Self::Postgres { synchronous_commit, fsync, full_page_writes } => (
                ["on", "remote_apply"].contains(&&**synchronous_commit)
                    && fsync == "on"
                    && full_page_writes == "on",
                format!(
                    "synchronous_commit={synchronous_commit}, fsync={fsync}, \
                     full_page_writes={full_page_writes}"
                ),
            ),
        };
        if durable { Ok(()) } else { Err(StorageError::NotDurable(told)) }
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

pub(super) struct Writer {
    /// `None` after a failure, until the next group opens a fresh one.
    connection: Option<SqlConnection>,
    head: ChainHead,
    group_rows_max: usize,
    /// Set once what is on the disk is no longer certain; only a restart helps.
    stopped: Arc<OnceLock<StorageError>>,
    /// Let go only after the connection is closed.
    claim: Claim,
}

impl Writer {
    pub(super) async fn new(
        claim: Claim,
        mut connection: SqlConnection,
        group_rows_max: usize,
    ) -> Result<Self, StorageError> {
        let head = connection.fetch_optional(ChainHead::asked()).await?;
        let head = ChainHead::told(head.as_ref())?;
        let connection = Some(connection);
        Ok(Self { connection, head, group_rows_max, stopped: Arc::default(), claim })
    }

    /// Tells why the writer has stopped for good, once it has.
    pub(super) fn stopped(&self) -> Arc<OnceLock<StorageError>> {
        Arc::clone(&self.stopped)
    }

    /// Works until told to close, or until nobody can hand it anything any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut jobs = Vec::new();
        let mut waiting = self.next(&mut commands).await;
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
                    // The claim goes before the answer: whoever hears it may open again at once.
                    drop(self);
                    let _ = done.send(());
                    return;
                }
            }
            if waiting.is_none() {
                waiting = self.next(&mut commands).await;
            }
        }
        self.close().await;
    }

    /// Waits for a command, and meanwhile gives signs of life where they are due.
    async fn next(&mut self, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
        let Some(every) = self.claim.beat_every() else { return commands.recv().await };
        loop {
            if let Ok(command) = timeout(every, commands.recv()).await {
                return command;
            }
            if self.stopped.get().is_none()
                && let Err(error) = self.beat().await
            {
                tracing::error!(%error, "the writer could not give a sign of life");
                self.failed(&error).await;
            }
        }
    }

    async fn beat(&mut self) -> Result<(), StorageError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.claim.connect().await?,
        };
        let beaten = self.claim.beat(&mut connection).await;
        self.connection = Some(connection);
        beaten
    }

    /// The driver cannot tell whether the database rolled back by itself, so the connection goes,
    /// and with it whatever was left undone.
    async fn failed(&mut self, error: &StorageError) {
        if let Some(connection) = self.connection.take() {
            // What has failed may well fail to say goodbye.
            let _ = self.claim.bounded(connection.close()).await;
        }
        if error.is_fatal() {
            // It stays what it was at first.
            let _ = self.stopped.set(error.clone());
        }
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
        if jobs.len() > 1
            && let Err(error) = &outcome
            && error.blames_a_row()
        {
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

    /// Commits, and tries again where the database is away for the moment.
    async fn commit(&mut self, jobs: &[Job]) -> Result<(), StorageError> {
        if let Some(error) = self.stopped.get() {
            return Err(error.clone());
        }
        let mut patience = self.claim.patience();
        let mut in_doubt = false;
        loop {
            let Err(error) = self.attempt(jobs, &mut in_doubt).await else { return Ok(()) };
            self.failed(&error).await;
            if error.is_passing() && patience.wait().await {
                tracing::warn!(%error, jobs = jobs.len(), "tries a group of writes again");
                continue;
            }
            tracing::error!(%error, jobs = jobs.len(), "a group of writes failed");
            return Err(error);
        }
    }

    /// Commits once. `in_doubt` says whether an earlier attempt may have arrived, and becomes true
    /// where this one may.
    async fn attempt(&mut self, jobs: &[Job], in_doubt: &mut bool) -> Result<(), StorageError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.claim.connect().await?),
        };
        let mut head = self.head.clone();
        let transact = transact(&self.claim, connection, jobs, &mut head, in_doubt);
        self.claim.bounded(transact).await?;
        self.head = head;
        self.claim.committed();
        Ok(())
    }

    async fn durability(&mut self) -> Result<Durability, StorageError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.claim.connect().await?),
        };
        Durability::read(connection).await
    }

    async fn close(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if let Err(error) = self.claim.release(&mut connection).await {
            tracing::warn!(%error, "the database was not let go of; the next one waits a while");
        }
        if let Err(error) = self.claim.bounded(connection.close()).await {
            tracing::warn!(%error, "the database did not close cleanly; it recovers at the next open");
        }
    }
}

async fn transact(
    claim: &Claim,
    connection: &mut SqlConnection,
    jobs: &[Job],
    head: &mut ChainHead,
    in_doubt: &mut bool,
) -> Result<(), StorageError> {
    let standing = claim.begin(connection, *in_doubt).await?;
    let group = Group::of(jobs.iter().flat_map(|job| &job.writes));
    match standing {
        Standing::Next => {
            *in_doubt = false;
            group.insert(connection, head).await?;
            *in_doubt = true;
            connection.command("COMMIT").await
        }
        Standing::Arrived => {
            group.advance(head);
            connection.command("ROLLBACK").await
        }
    }
}
