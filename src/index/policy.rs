//! The second verdict on persons who were found: do named combinations of attributes identify them?

use std::collections::BTreeMap;

use crate::{
    domain::{Demographics, PartialDate},
    matching::policy::{
        Agreement, FiredRule, Policy, PolicyAttribute, PolicyRecord, PolicyRefusal, PolicyVersions,
    },
    storage::StorageError,
};

use super::{Index, IndexError, PersonMatch};

/// What the policy says of one person. Names nobody and holds no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonPolicy {
    /// Every rule that one of its records satisfies, with the attributes that agree only nearly.
    pub fired: Vec<FiredRule>,
    /// Why they do not count.
    pub refusal: Option<PolicyRefusal>,
    /// The best agreement that any record has on each attribute.
    pub attributes: BTreeMap<PolicyAttribute, Agreement>,
    /// Versions of what it rests on.
    pub versions: Option<PolicyVersions>,
}

impl PersonPolicy {
    /// Whether the person is the one described, by policy.
    pub fn is_satisfied(&self) -> bool {
        self.refusal.is_none() && !self.fired.is_empty()
    }
}

impl Index {
    /// Judges each person by the named combinations (`docs/policy.md`), all its records, seen or unseen:
    /// a rule is satisfied within one record. `as_of` bounds the birth dates that can be true.
    pub async fn policy_on(
        &self,
        policy: &Policy,
        told: &Demographics,
        found: &[PersonMatch],
        as_of: PartialDate,
    ) -> Result<Vec<PersonPolicy>, IndexError> {
        let entries: Vec<Vec<u64>> = {
            let state = self.shared.read();
            let registry = &state.registry;
            let seqs = |one: &PersonMatch| {
                let records = registry.records_of(one.person.id).iter();
                let active = records.filter(|&&no| registry.is_active(no));
                active.map(|&no| registry.record(no).current_seq).collect()
            };
            found.iter().map(seqs).collect()
        };
        let wanted: Vec<u64> = entries.iter().flatten().copied().collect();
        let held = self.db.reader().told_demographics(&wanted).await?;
        let query = PolicyRecord::new(told, as_of);
        let mut judged = Vec::with_capacity(found.len());
        for seqs in entries {
            let mut person = PersonPolicy::default();
            for seq in seqs {
                let (_, json) = held.get(&seq).ok_or(IndexError::DamagedJournal { seq })?;
                let record: Demographics = serde_json::from_str(json)
                    .map_err(|_| StorageError::Unreadable { table: "journal" })?;
                person.add(policy, &query, &PolicyRecord::new(&record, as_of));
            }
            judged.push(person);
        }
        Ok(judged)
    }
}

impl PersonPolicy {
    fn add(&mut self, policy: &Policy, query: &PolicyRecord, record: &PolicyRecord) {
        let verdict = policy.judge(query, record);
        // One record that contradicts by its suffix speaks for the whole person.
        self.refusal = self.refusal.or(verdict.refusal);
        for rule in verdict.fired {
            if !self.fired.iter().any(|known| known.id == rule.id) {
                self.fired.push(rule);
            }
        }
        for (attribute, agreement) in verdict.attributes {
            let best = self.attributes.entry(attribute).or_insert(agreement);
            *best = agreement.min(*best);
        }
        self.versions = Some(verdict.versions);
    }
}
