//! What the linker has decided and not yet made durable. Readers never see it.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::RecordNo,
    storage::Write,
};

use super::{
    State,
    decision::RaisedTask,
    registration::Registered,
    registry::{Change, Effect},
    review::Question,
};

/// The decisions of one commit, on top of the committed state.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) changes: Vec<Change>,
    pub(super) writes: Vec<Write>,
    /// The answers, by position in the linker's work list.
    pub(super) answers: Vec<(usize, Registered)>,
    keys: HashSet<RecordKey, RandomState>,
    /// Entries of new records: their number and person.
    entries: HashMap<RecordNo, (u32, EnterpriseId), RandomState>,
    /// New records' entries, person by person.
    joined: HashMap<EnterpriseId, Vec<RecordNo>, RandomState>,
    /// The first journal entry of this commit for each person.
    minted: HashMap<EnterpriseId, u64, RandomState>,
    /// Entries of updates: the record that they belong to.
    renewed: HashMap<RecordNo, u32, RandomState>,
    /// Records with an update under way, and its entry.
    renewals: HashMap<u32, Option<RecordNo>, RandomState>,
    questions: HashSet<Question>,
    new_records: u32,
}

impl Pending {
    /// Whether the record was decided about already: then this commit must end first.
    pub(super) fn holds(&self, key: &RecordKey) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn new_records(&self) -> u32 {
        self.new_records
    }

    /// The journal entry that minted a person of this commit; for one who only got another record,
    /// the entry that linked it.
    pub(super) fn minted_seq(&self, person: EnterpriseId) -> Option<u64> {
        self.minted.get(&person).copied()
    }

    /// Remembers one decision about the record numbered `record_no`.
    pub(super) fn push(&mut self, change: Change, record_no: u32, person: EnterpriseId) {
        match &change.effect {
            Effect::Registered { entry, .. } => {
                self.new_records += 1;
                self.minted.entry(person).or_insert(change.seq);
                if let Some(entry) = entry {
                    self.entries.insert(*entry, (record_no, person));
                    self.joined.entry(person).or_default().push(*entry);
                }
            }
            Effect::Updated { entry, .. } => {
                self.renewals.insert(record_no, *entry);
                if let Some(entry) = entry {
                    self.renewed.insert(*entry, record_no);
                }
            }
            Effect::Confirmed { .. } | Effect::Stale { .. } => {}
        }
        self.ask(&change.tasks, record_no);
        self.keys.insert(change.key.clone());
        self.changes.push(change);
    }

    fn ask(&mut self, tasks: &[RaisedTask], record_no: u32) {
        self.questions.extend(tasks.iter().map(|task| Question::of(task, record_no)));
    }

    /// Entries that stand in the population for nothing if the commit fails.
    pub(super) fn uncommitted_entries(&self) -> impl Iterator<Item = RecordNo> {
        self.entries.keys().chain(self.renewed.keys()).copied()
    }
}

/// The committed state with the pending decisions over it: what the next decision builds on.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pending: Option<&'a Pending>,
}

impl<'a> View<'a> {
    /// What everybody may see.
    pub(super) fn committed(state: &'a State) -> Self {
        Self { state, pending: None }
    }

    /// What the linker builds on.
    pub(super) fn with_pending(state: &'a State, pending: &'a Pending) -> Self {
        Self { state, pending: Some(pending) }
    }

    /// The record behind an entry; `None` where it is superseded or not to be seen.
    pub(super) fn record_of_entry(&self, entry: RecordNo) -> Option<u32> {
        let Some(pending) = self.pending else {
            return self.state.registry.record_of_entry(entry);
        };
        if let Some((record_no, _)) = pending.entries.get(&entry) {
            return Some(*record_no);
        }
        if let Some(record_no) = pending.renewed.get(&entry) {
            return Some(*record_no);
        }
        let record_no = self.state.registry.record_of_entry(entry)?;
        (!pending.renewals.contains_key(&record_no)).then_some(record_no)
    }

    /// The person behind an entry, as [`Self::record_of_entry`].
    pub(super) fn person_of_entry(&self, entry: RecordNo) -> Option<EnterpriseId> {
        if let Some((_, person)) = self.pending.and_then(|pending| pending.entries.get(&entry)) {
            return Some(*person);
        }
        self.record_of_entry(entry).map(|record_no| self.state.registry.person_of(record_no))
    }

    /// The entries of a person's latest records, without those of record `except`.
    pub(super) fn entries_of(
        &self,
        person: EnterpriseId,
        except: Option<u32>,
        entries_max: usize,
    ) -> Vec<RecordNo> {
        let joined = self.pending.and_then(|pending| pending.joined.get(&person));
        let registry = &self.state.registry;
        let committed = registry.records_of(person).iter().rev();
        let committed = committed.filter(|&&record_no| Some(record_no) != except);
        let committed = committed.filter_map(|record_no| {
            match self.pending.and_then(|pending| pending.renewals.get(record_no)) {
                Some(renewed) => *renewed,
                None => registry.record(*record_no).entry,
            }
        });
        joined.into_iter().flatten().rev().copied().chain(committed).take(entries_max).collect()
    }

    pub(super) fn is_asked(&self, question: &Question) -> bool {
        self.state.registry.is_asked(question)
            || self.pending.is_some_and(|pending| pending.questions.contains(question))
    }
}
