//! The one thread that decides: judge, journal, commit, and only then let it be seen.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{domain::Clock, storage::Database};

use super::{
    IndexError, IndexLimits, Shared,
    join::join_rows_max,
    pending::Pending,
    registration::{Prepared, Registered},
};

pub(super) enum Job {
    Register { batch: Vec<Prepared>, done: oneshot::Sender<Vec<Result<Registered, IndexError>>> },
    Close,
}

pub(super) struct Linker {
    pub(super) db: Database,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: IndexLimits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) model_version: String,
    pub(super) next_seq: u64,
    pub(super) next_task_no: u64,
}

/// A batch and who waits for it.
struct Asked {
    records: usize,
    done: oneshot::Sender<Vec<Result<Registered, IndexError>>>,
}

impl Linker {
    /// Works until told to close, or until nobody can hand it anything any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut open = true;
        while open && let Some(job) = jobs.blocking_recv() {
            let mut work = Vec::new();
            let mut asked = Vec::new();
            open = take(job, &mut work, &mut asked);
            // Whatever came while the last commit went to the disk goes into this one.
            while open
                && work.len() < self.limits.batch_records_max
                && let Ok(job) = jobs.try_recv()
            {
                open = take(job, &mut work, &mut asked);
            }
            let mut answers = self.link(work).into_iter();
            for asked in asked {
                // Whoever asked may have gone; what was decided stands all the same.
                let _ = asked.done.send(answers.by_ref().take(asked.records).collect());
            }
        }
    }

    /// Decides about every registration in order, in as few commits as the bounds allow.
    fn link(&mut self, work: Vec<Prepared>) -> Vec<Result<Registered, IndexError>> {
        let mut answers = Vec::new();
        answers.resize_with(work.len(), || Err(IndexError::Closed));
        let mut pending = Pending::default();
        // A registration writes its entry, record and person, its tasks, and perhaps a join.
        let registration_rows = 3 + 2 * self.limits.tasks_per_record_max;
        let rows_max = self
            .db
            .write_rows_max()
            .saturating_sub(registration_rows + join_rows_max(&self.limits));
        for (at, prepared) in work.into_iter().enumerate() {
            if pending.holds(&prepared.registration.record) || pending.writes.len() > rows_max {
                self.commit(std::mem::take(&mut pending), &mut answers);
            }
            self.decide(at, prepared, &mut pending);
        }
        self.commit(pending, &mut answers);
        answers
    }

    /// Makes the pending decisions durable, then visible. If that fails, nothing changed.
    fn commit(&mut self, mut pending: Pending, answers: &mut [Result<Registered, IndexError>]) {
        if !pending.writes.is_empty() {
            let receipt = self.db.enqueue_blocking(std::mem::take(&mut pending.writes));
            if let Err(error) = receipt.wait() {
                self.forget(&pending);
                for (at, _) in pending.answers {
                    answers[at] = Err(error.clone().into());
                }
                return;
            }
            self.publish(&pending);
        }
        for (at, registered) in std::mem::take(&mut pending.answers) {
            let person = pending.living(registered.person);
            answers[at] = Ok(Registered { person, ..registered });
        }
    }

    fn publish(&mut self, pending: &Pending) {
        // In small portions, so that no reader waits long.
        for portion in pending.changes.chunks(64) {
            let mut state = self.shared.write();
            for change in portion {
                let superseded = state.registry.apply(change);
                let superseded = superseded
                    .unwrap_or_else(|_| unreachable!("it was decided on this very memory"));
                if let Some(entry) = superseded {
                    state.population.remove(entry);
                }
            }
        }
    }

    fn forget(&mut self, pending: &Pending) {
        let mut state = self.shared.write();
        for entry in pending.uncommitted_entries() {
            state.population.remove(entry);
        }
        drop(state);
        if let Some(first) = pending.changes.first() {
            self.next_seq = first.seq;
        }
        let first_task = pending.changes.iter().flat_map(|change| &change.tasks).next();
        if let Some(task) = first_task {
            self.next_task_no = task.no;
        }
    }
}

/// Moves a job into the work list. Says whether to go on.
fn take(job: Job, work: &mut Vec<Prepared>, asked: &mut Vec<Asked>) -> bool {
    match job {
        Job::Register { batch, done } => {
            asked.push(Asked { records: batch.len(), done });
            work.extend(batch);
            true
        }
        Job::Close => false,
    }
}
