//! Questions that need no permit, since they name nobody: internal ids only.

use crate::{
    domain::{Demographics, EnterpriseId, PersonRecords, RecordKey},
    matching::{MatchGrade, PersonVerdict},
};

use super::{Index, deed::Standing, judge::judge, pending::View};

/// A person who may be the one asked for. Show nothing of it without a permit.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonMatch {
    /// The person and its source records.
    pub person: PersonRecords,
    /// The record that agrees best.
    pub best_record: Option<RecordKey>,
    /// How sure it is, and why.
    pub verdict: PersonVerdict,
}

/// A source record as its member finds it here.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownRecord {
    /// The record, by its identifier today.
    pub record: RecordKey,
    /// Its version: 1 when created, one more with each change.
    pub version: u32,
    /// What became of it.
    pub standing: RecordStanding,
    /// What leads to it beside its identifier.
    pub other_names: Vec<RecordKey>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordStanding {
    /// It is told of.
    Active,
    /// Its member ended it.
    Ended,
    /// Its member merged it into another.
    MergedAway,
}

impl Index {
    /// Up to `persons_max` persons whom the demographics may mean, the most likely first;
    /// nobody who is certainly another. Takes well under a millisecond and never scans.
    pub fn find(&self, demographics: &Demographics, persons_max: usize) -> Vec<PersonMatch> {
        let state = self.shared.read();
        let view = View::committed(&state);
        let probe = state.population.probe(demographics);
        let judgement = judge(view, &probe, None, &self.limits);
        judgement
            .persons
            .into_iter()
            .filter(|evidence| evidence.verdict.grade != MatchGrade::CertainlyNot)
            .take(persons_max)
            .filter_map(|evidence| {
                let best = evidence.verdict.best.and_then(|entry| view.record_of_entry(entry));
                Some(PersonMatch {
                    person: state.registry.person(evidence.person)?,
                    best_record: best.map(|record_no| state.registry.key(record_no)),
                    verdict: evidence.verdict,
                })
            })
            .collect()
    }

    /// A person and its source records.
    pub fn person(&self, id: EnterpriseId) -> Option<PersonRecords> {
        self.shared.read().registry.person(id)
    }

    /// The person that a source record is linked to; where the record was merged into another, or has
    /// another identifier now, that one's.
    pub fn person_of(&self, record: &RecordKey) -> Option<PersonRecords> {
        let state = self.shared.read();
        let record_no = state.registry.resolve(record)?;
        state.registry.person(state.registry.person_of(record_no))
    }

    /// The record that a member's identifier leads to today, after merges and changes of identifiers,
    /// and its person.
    pub fn record_of(&self, identifier: &RecordKey) -> Option<(RecordKey, PersonRecords)> {
        let state = self.shared.read();
        let record_no = state.registry.resolve(identifier)?;
        let person = state.registry.person(state.registry.person_of(record_no))?;
        Some((state.registry.key(record_no), person))
    }

    /// The record that a member calls so, called so before, or names by another id, whatever became
    /// of it; a merge is not followed.
    pub fn known_record(&self, name: &RecordKey) -> Option<KnownRecord> {
        let state = self.shared.read();
        let registry = &state.registry;
        let record_no = registry.told_late_of(name)?;
        Some(KnownRecord {
            record: registry.key(record_no),
            version: registry.record(record_no).version,
            standing: match registry.standing(record_no) {
                Standing::Active => RecordStanding::Active,
                Standing::Retired => RecordStanding::Ended,
                Standing::Subsumed { .. } => RecordStanding::MergedAway,
            },
            other_names: registry.other_names(record_no).cloned().collect(),
        })
    }

    /// How many source records there are.
    pub fn records_total(&self) -> usize {
        self.shared.read().registry.records_total()
    }

    /// How many persons there are.
    pub fn persons_total(&self) -> usize {
        self.shared.read().registry.persons_total()
    }
}
