use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::Path,
};

use crate::{exchange::Done, index::Outcome};

/// What became of a file, by records and messages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    pub(super) rejected: u64,
    /// Rows that were not asked for.
    pub(super) passed_over: u64,
    /// What else was done, in the words of an acknowledgement.
    others: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts a registration.
    pub(super) fn registered(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Updated => self.updated += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Stale => self.other(Done::Late),
        }
    }

    /// Counts a message.
    pub(super) fn taken(&mut self, done: Done) {
        match done {
            Done::Registered => self.created += 1,
            Done::Updated => self.updated += 1,
            Done::NothingNew | Done::TakenBefore => self.unchanged += 1,
            other => self.other(other),
        }
    }

    fn other(&mut self, done: Done) {
        *self.others.entry(done.words()).or_default() += 1;
    }

    /// Says it.
    pub(super) fn print(&self, rejects: Option<&Path>) -> io::Result<()> {
        let Self { created, updated, unchanged, rejected, passed_over, others } = self;
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{created} created, {updated} updated, {unchanged} unchanged, {rejected} rejected"
        )?;
        for (words, count) in others {
            writeln!(out, "{count} {words}")?;
        }
        if *passed_over > 0 {
            writeln!(out, "{passed_over} of other sources passed over")?;
        }
        if let Some(path) = rejects {
            writeln!(out, "Rejected lines and reasons: {}", path.display())?;
        }
        Ok(())
    }
}
