//! The one thread that decides: judge, journal, commit, and only then let it be seen.

use std::{borrow::Cow, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use crate::{
    domain::Clock,
    storage::{Database, JournalRow, Write},
};

use super::{
    End, IndexError, IndexLimits, Shared,
    decide::event_micros,
    draft::Drafted,
    join::join_rows_max,
    lifecycle::LocalJob,
    pending::Pending,
    registration::{Prepared, Registered},
    steward::StewardJob,
};

pub(super) enum Job {
    Register {
        batch: Vec<Prepared>,
        done: oneshot::Sender<Vec<Result<Registered, IndexError>>>,
    },
    /// What a member says of its records beyond their demographics.
    Local(Box<LocalJob>),
    /// What a steward wants done.
    Steward(Box<StewardJob>),
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
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> End {
        while let Some(job) = jobs.blocking_recv() {
            let mut batch = Batch::default();
            let mut other = batch.take(job);
            // Whatever came while the last commit went to the disk goes into this one.
            while other.is_none()
                && batch.work.len() < self.limits.batch_records_max
                && let Ok(job) = jobs.try_recv()
            {
                other = batch.take(job);
            }
            self.link_batch(batch);
            match other {
                Some(Job::Local(word)) => self.follow_local(*word),
                Some(Job::Steward(act)) => self.act_for_steward(*act),
                Some(Job::Close) => break,
                Some(Job::Register { .. }) | None => {}
            }
        }
        End { last_seq: self.next_seq - 1, last_task_no: self.next_task_no - 1 }
    }

    fn link_batch(&mut self, batch: Batch) {
        let mut answers = self.link(batch.work).into_iter();
        for asked in batch.asked {
            // Whoever asked may have gone; what was decided stands all the same.
            let _ = asked.done.send(answers.by_ref().take(asked.records).collect());
        }
    }

    /// Decides about every registration in order, in as few commits as the bounds allow.
    fn link(&mut self, work: Vec<Prepared>) -> Vec<Result<Registered, IndexError>> {
        let mut answers = Vec::new();
        answers.resize_with(work.len(), || Err(IndexError::Closed));
        let mut pending = Pending::default();
        // A registration writes its entry, record, person and history, its tasks, and perhaps a join.
        let registration_rows = 4 + 2 * self.limits.tasks_per_record_max;
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
        for (at, answer) in std::mem::take(&mut pending.answers) {
            answers[at] = answer.map(|registered| Registered {
                person: pending.living(registered.person),
                ..registered
            });
        }
    }

    /// Makes a deed durable, then visible. If that fails, nothing changed.
    pub(super) fn carry_out(&mut self, drafted: Drafted) -> Result<u64, IndexError> {
        let Drafted { seq, entry, deed, projections } = drafted;
        // Serializing plain strings, numbers and lists into memory has no way to fail.
        let decision = serde_json::to_string(&deed).expect("a deed is plain data");
        let mut writes = vec![Write::Journal(JournalRow {
            seq,
            recorded: entry.now,
            kind: Cow::Borrowed(entry.kind.as_str()),
            person: entry.person,
            record: entry.record,
            event_time: entry.told,
            model_version: self.model_version.clone(),
            decision,
            demographics: None,
        })];
        writes.extend(projections);
        self.db.enqueue_blocking(writes).wait()?;
        let mut state = self.shared.write();
        let removed =
            state.registry.act(seq, entry.now, event_micros(entry.told, entry.now), &deed);
        let removed =
            removed.unwrap_or_else(|_| unreachable!("it was decided on this very memory"));
        for entry in removed {
            state.population.remove(entry);
        }
        state.search.follow(&deed);
        drop(state);
        self.next_seq = seq + 1;
        self.next_task_no += deed.asked.len() as u64;
        Ok(seq)
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

/// Registrations that are decided about together.
#[derive(Default)]
struct Batch {
    work: Vec<Prepared>,
    asked: Vec<Asked>,
}

impl Batch {
    /// Takes a registration in; gives anything else back, whose turn comes after the batch.
    fn take(&mut self, job: Job) -> Option<Job> {
        match job {
            Job::Register { batch, done } => {
                self.asked.push(Asked { records: batch.len(), done });
                self.work.extend(batch);
                None
            }
            other => Some(other),
        }
    }
}
