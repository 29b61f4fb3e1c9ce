use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::AuditSettings;
use super::action::{AuditStart, Closing, Disclosure};
use super::event::{self, Event, Outcome};
use crate::access::Refusal;
use crate::domain::{Clock, RequestId};
use crate::storage::{AuditEntry, AuditState, Database, Reader, Receipt, StorageError, Write};

/// The audit trail: who saw whom, why, and what became of it. What is not in it is not released.
#[derive(Clone)]
pub struct AuditLog(Arc<Inner>);

struct Inner {
    store: Database,
    settings: AuditSettings,
    clock: Arc<dyn Clock>,
    /// Runs what must be written though the handler is gone.
    runtime: Handle,
    tasks: TaskTracker,
    /// Closing rows that the store did not take; written before anything else is opened, so there
    /// are never more of them than actions that were under way when it failed.
    owed: Mutex<Vec<AuditEntry>>,
}

impl AuditLog {
    /// Takes up the trail, and closes as *interrupted* what an earlier run of the process left open.
    /// Needs a tokio runtime that lives as long as the process.
    pub async fn start(
        store: Database,
        settings: AuditSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        let log = Self(Arc::new(Inner {
            store,
            settings,
            clock,
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            owed: Mutex::default(),
        }));
        log.0.close_left_open().await?;
        Ok(log)
    }

    /// Opens an action before anything is done. Waits until the row is durable where the settings
    /// ask for it; else [`OpenAudit::begun`] can be awaited before members are asked.
    pub async fn open(&self, start: AuditStart) -> Result<OpenAudit, AuditError> {
        self.0.pay_owed().await?;
        let action = Action { id: Uuid::new_v4(), start };
        let row = self.0.entry(&action, AuditState::Open, |settings, start, now| {
            event::opening(settings, start, now)
        });
        // From here on the action closes itself, also where this future is dropped while it waits.
        let mut open = OpenAudit { log: Arc::clone(&self.0), action: Some(action), begun: None };
        open.begun = Some(self.0.store.enqueue(vec![Write::Audit(row)]).await);
        if self.0.settings.await_open {
            open.begun().await?;
        }
        Ok(open)
    }

    /// Records something that is over when it is noticed, such as a refused handshake.
    pub async fn note(&self, start: AuditStart, closing: Closing) -> Result<(), AuditError> {
        let action = Action { id: Uuid::new_v4(), start };
        let rows = self.0.closing_rows(&action, &closing);
        let inner = Arc::clone(&self.0);
        let task = self.0.spawn(async move { inner.write(&rows).await });
        task.await.map_err(|_| AuditError::Interrupted)?
    }

    /// Records a refusal of a request that was never opened.
    pub async fn refused(&self, start: AuditStart, refusal: Refusal) -> Result<(), AuditError> {
        self.note(start, Closing::Refused(refusal)).await
    }

    pub(super) fn reader(&self) -> &Reader {
        self.0.store.reader()
    }

    /// Waits until everything under way is written. Call it before the store is closed.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// An action under way. Closed by [`OpenAudit::close`], or by itself when it is dropped.
#[must_use = "an action that is not closed is recorded as given up"]
pub struct OpenAudit {
    log: Arc<Inner>,
    action: Option<Action>,
    begun: Option<Receipt>,
}

struct Action {
    id: Uuid,
    start: AuditStart,
}

/// An answer whose disclosure is on durable record. Only the audit log makes one, so a handler that
/// must return it cannot forget to close.
#[derive(Debug)]
#[must_use]
pub struct Released<T>(T);

impl<T> Released<T> {
    /// The answer, to be sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl OpenAudit {
    /// Waits until the opening row is durable.
    pub async fn begun(&mut self) -> Result<(), AuditError> {
        let Some(receipt) = &mut self.begun else { return Ok(()) };
        let durable = receipt.await;
        self.begun = None;
        if durable.is_err() {
            // Nothing was opened, so there is nothing to close.
            self.action = None;
        }
        Ok(durable?)
    }

    /// The request that it is part of.
    pub fn request_id(&self) -> Option<RequestId> {
        self.action.as_ref().map(|action| action.start.request_id)
    }

    /// Releases a part of a longer answer: durable on record first, the action stays open.
    pub async fn stretch<T>(
        &mut self,
        disclosures: &[Disclosure],
        part: T,
    ) -> Result<Released<T>, AuditError> {
        self.begun().await?;
        let Some(action) = &self.action else { return Err(AuditError::Interrupted) };
        let rows: Vec<AuditEntry> = {
            let now = self.log.clock.now();
            event::disclosed(&self.log.settings, &action.start, disclosures, now)
                .into_iter()
                .map(|event| action.row(AuditState::Stretch, event, now))
                .collect()
        };
        self.log.write(&rows).await?;
        Ok(Released(part))
    }

    /// Ends the action; gives the answer back once its record is durable.
    ///
    /// Where the record cannot be made durable, nothing may be released: the answer is dropped, and
    /// the action is recorded as failed as soon as the store takes rows again.
    pub async fn close<T>(
        mut self,
        closing: Closing,
        answer: T,
    ) -> Result<Released<T>, AuditError> {
        let Some(action) = self.action.take() else { return Err(AuditError::Interrupted) };
        let (begun, log) = (self.begun.take(), Arc::clone(&self.log));
        let task = self.log.spawn(async move {
            if let Some(receipt) = begun {
                receipt.await?;
            }
            let rows = log.closing_rows(&action, &closing);
            let written = log.write(&rows).await;
            if written.is_err() {
                let reason = "nothing was released: the audit trail could not be written";
                log.owe(log.given_up(&action, Outcome::Serious, reason));
            }
            written
        });
        task.await.map_err(|_| AuditError::Interrupted)??;
        Ok(Released(answer))
    }
}

impl Drop for OpenAudit {
    // The handler's future was dropped: the client hung up, or the handler failed before it closed.
    fn drop(&mut self) {
        let Some(action) = self.action.take() else { return };
        let log = Arc::clone(&self.log);
        self.log.spawn(async move {
            let reason = "given up before it was finished; nothing more was released";
            let row = log.given_up(&action, Outcome::Minor, reason);
            if let Err(error) = log.write(std::slice::from_ref(&row)).await {
                tracing::error!(request.id = %row.request_id, %error, "an audit row is owed");
                log.owe(row);
            }
        });
    }
}

impl Action {
    fn row(&self, state: AuditState, event: Event, recorded: time::OffsetDateTime) -> AuditEntry {
        AuditEntry {
            audit_id: self.id,
            request_id: self.start.request_id,
            state,
            recorded,
            person: event.person,
            body: event.body,
        }
    }
}

impl Inner {
    fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn_on(work, &self.runtime)
    }

    fn entry(
        &self,
        action: &Action,
        state: AuditState,
        tell: impl FnOnce(&AuditSettings, &AuditStart, time::OffsetDateTime) -> Event,
    ) -> AuditEntry {
        let now = self.clock.now();
        action.row(state, tell(&self.settings, &action.start, now), now)
    }

    fn closing_rows(&self, action: &Action, closing: &Closing) -> Vec<AuditEntry> {
        let now = self.clock.now();
        event::closing(&self.settings, &action.start, closing, now)
            .into_iter()
            .map(|event| action.row(AuditState::Closed, event, now))
            .collect()
    }

    fn given_up(&self, action: &Action, outcome: Outcome, reason: &str) -> AuditEntry {
        self.entry(action, AuditState::Closed, |settings, start, now| {
            event::given_up(settings, start, outcome, reason, now)
        })
    }

    /// Writes rows that belong together. A trail that fails is an operator's emergency.
    async fn write(&self, rows: &[AuditEntry]) -> Result<(), AuditError> {
        Ok(self.store.write(rows.iter().cloned().map(Write::Audit).collect()).await?)
    }

    fn owe(&self, row: AuditEntry) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    async fn pay_owed(self: &Arc<Self>) -> Result<(), AuditError> {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        if owed.is_empty() {
            return Ok(());
        }
        let inner = Arc::clone(self);
        let task = self.spawn(async move {
            let written = inner.write(&owed).await;
            if written.is_err() {
                for row in owed {
                    inner.owe(row);
                }
            }
            written
        });
        task.await.map_err(|_| AuditError::Interrupted)?
    }

    async fn close_left_open(&self) -> Result<(), AuditError> {
        let left_open = self.store.reader().audit_rows_left_open().await?;
        let now = self.clock.now();
        let rows: Vec<AuditEntry> = left_open
            .into_iter()
            .map(|row| AuditEntry {
                state: AuditState::Closed,
                recorded: now,
                body: event::interrupted(&row.entry.body, now),
                ..row.entry
            })
            .collect();
        for rows in rows.chunks(self.store.write_rows_max()) {
            self.write(rows).await?;
        }
        if !rows.is_empty() {
            tracing::warn!(count = rows.len(), "closed audit events that the last run left open");
        }
        Ok(())
    }
}

/// Why the trail could not be written. Whatever it was about may not be released.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AuditError {
    /// The store failed.
    #[error("the audit trail cannot be written ({0})")]
    Storage(#[from] StorageError),
    /// The process is stopping.
    #[error("the audit was interrupted by the end of the process")]
    Interrupted,
}
