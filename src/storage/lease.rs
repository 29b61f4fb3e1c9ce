//! One writer at a time on a server that many can reach: a row with an epoch.
//!
//! Whoever takes the lease moves the epoch on, and every commit first moves the row's count of
//! commits on, for its own epoch only. A writer that was replaced while it stalled finds another
//! epoch there and stops; and one whose connection broke during a commit finds out by the count
//! whether the commit arrived. No clock of one machine is compared with that of another: a holder
//! is given up once its row has not changed for as long as the lease lasts.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    StorageError,
    columns::Columns,
    sql::{SqlConnection, Statement},
};

const TABLE: &str = "writer_lease";

/// The lease, held.
pub(super) struct Lease {
    epoch: i64,
    /// Commits of all epochs that are known to have arrived.
    commits: i64,
    lasts: Duration,
}

/// The lease as it lies there for whoever takes it.
pub(super) struct FreeLease {
    seen: Row,
    lasts: Duration,
}

/// What a commit finds in the lease's row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Ours, and the count now includes the commit that is under way.
    Next,
    /// Ours, and the count is one ahead: the last commit, whose answer we never saw, had arrived.
    Arrived,
}

#[derive(PartialEq, Eq)]
struct Row {
    epoch: i64,
    holder: Option<String>,
    beats: i64,
    commits: i64,
}

impl Lease {
    /// Makes the row where there is none yet.
    pub(super) async fn prepare(connection: &mut SqlConnection) -> Result<(), StorageError> {
        // Two programs that start at once may both find no table; the second then only looks.
        for _ in 0..2 {
            let made = connection
                .command(
                    "CREATE TABLE IF NOT EXISTS writer_lease (name TEXT NOT NULL PRIMARY KEY, \
                     epoch BIGINT NOT NULL, holder TEXT, beats BIGINT NOT NULL, \
                     commits BIGINT NOT NULL)",
                )
                .await;
            match made {
                Err(StorageError::Conflict) => {}
                other => other?,
            }
        }
        let row = "INSERT INTO writer_lease (name, epoch, holder, beats, commits) \
                   VALUES ('writer', 0, NULL, 0, 0) ON CONFLICT (name) DO NOTHING";
        connection.execute(Statement::new(row)).await?;
        Ok(())
    }

    /// Looks for a lease that is free. Waits for a holder that may be dead, and refuses at the
    /// first sign of its life.
    pub(super) async fn find_free(
        connection: &mut SqlConnection,
        lasts: Duration,
    ) -> Result<FreeLease, StorageError> {
        let seen = read(connection).await?;
        if seen.holder.is_some() {
            let silent_since = Instant::now();
            while silent_since.elapsed() < lasts {
                sleep(lasts / 8).await;
                if read(connection).await? != seen {
                    return Err(seen.in_use());
                }
            }
            tracing::warn!(epoch = seen.epoch, "takes the database over from a silent writer");
        }
        Ok(FreeLease { seen, lasts })
    }

    /// How often a sign of life is due.
    pub(super) fn beat_every(&self) -> Duration {
        self.lasts / 4
    }

    /// Gives a sign of life.
    pub(super) async fn beat(&self, connection: &mut SqlConnection) -> Result<(), StorageError> {
        let beat = "UPDATE writer_lease SET beats = beats + 1 WHERE name = 'writer' AND epoch = $1";
        match connection.execute(Statement::new(beat).bind(self.epoch)).await? {
            1 => Ok(()),
            _ => Err(StorageError::Fenced),
        }
    }

    /// Counts a commit in the transaction that is under way, which holds the row until it ends: a
    /// commit of ours that some dying connection still carries is waited for.
    ///
    /// Whether the one before arrived is answered only where `in_doubt`; else nobody is told that a
    /// write failed which is there.
    pub(super) async fn count_commit(
        &self,
        connection: &mut SqlConnection,
        in_doubt: bool,
    ) -> Result<Standing, StorageError> {
        let count = "UPDATE writer_lease SET commits = commits + 1 WHERE name = 'writer' \
                     AND epoch = $1 AND commits = $2";
        let count = Statement::new(count).bind(self.epoch).bind(self.commits);
        if connection.execute(count).await? == 1 {
            return Ok(Standing::Next);
        }
        let found = read(connection).await?;
        match (found.epoch == self.epoch, found.commits == self.commits + 1) {
            (true, true) if in_doubt => Ok(Standing::Arrived),
            (true, true) => Err(StorageError::Io(
                "a group of writes that was given up had arrived after all".to_owned(),
            )),
            _ => Err(StorageError::Fenced),
        }
    }

    /// A commit is known to have arrived.
    pub(super) fn committed(&mut self) {
        self.commits += 1;
    }

    /// Lets go, so that the next one need not wait.
    pub(super) async fn release(&self, connection: &mut SqlConnection) -> Result<(), StorageError> {
        let release = "UPDATE writer_lease SET holder = NULL WHERE name = 'writer' AND epoch = $1";
        connection.execute(Statement::new(release).bind(self.epoch)).await?;
        Ok(())
    }
}

impl FreeLease {
    /// Takes it within the transaction that is under way on `connection`; nobody else gets it
    /// before that ends.
    pub(super) async fn take(self, connection: &mut SqlConnection) -> Result<Lease, StorageError> {
        let Self { seen, lasts } = self;
        let take = "UPDATE writer_lease SET epoch = epoch + 1, holder = $1 WHERE name = 'writer' \
                    AND epoch = $2 AND beats = $3 AND commits = $4";
        let holder = myself();
        let take = Statement::new(take)
            .bind(&*holder)
            .bind(seen.epoch)
            .bind(seen.beats)
            .bind(seen.commits);
        if connection.execute(take).await? != 1 {
            return Err(seen.in_use());
        }
        Ok(Lease { epoch: seen.epoch + 1, commits: seen.commits, lasts })
    }
}

impl Row {
    fn in_use(self) -> StorageError {
        StorageError::InUse(self.holder.unwrap_or_else(|| "it was taken just now".to_owned()))
    }
}

async fn read(connection: &mut SqlConnection) -> Result<Row, StorageError> {
    let ask = "SELECT epoch, holder, beats, commits FROM writer_lease WHERE name = 'writer'";
    let row = connection.fetch_optional(Statement::new(ask)).await?;
    let row = row.ok_or(StorageError::Unreadable { table: TABLE })?;
    let mut columns = Columns::of(&row, TABLE);
    Ok(Row {
        epoch: columns.value()?,
        holder: columns.value()?,
        beats: columns.value()?,
        commits: columns.value()?,
    })
}

/// Process and machine, for whoever has to find the other gateway.
fn myself() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
