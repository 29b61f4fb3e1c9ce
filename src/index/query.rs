//! Questions that need no permit, since they name nobody: internal ids only.

use crate::{
    domain::{Demographics, EnterpriseId, PersonRecords, RecordKey},
    matching::{MatchGrade, PersonVerdict},
};

use super::{Index, judge::judge, pending::View};

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

    /// How many source records there are.
    pub fn records_total(&self) -> usize {
        self.shared.read().registry.records_total()
    }

    /// How many persons there are.
    pub fn persons_total(&self) -> usize {
        self.shared.read().registry.persons_total()
    }
}
