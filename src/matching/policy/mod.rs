//! The second verdict: named combinations of attributes that suffice for a release.
//!
//! CMS Patient Matching & Response Proposal 3.3.0, table 2. Independent of the probabilistic model:
//! it answers which agreed combination identifies a person, not how likely two records are one
//! person's. A combination is evaluated within one pair of source records and then lifted to
//! persons, of whom exactly one must satisfy it.

mod outcome;
mod record;
mod table;

pub use outcome::{
    Agreement, Determination, FiredRule, PolicyRefusal, PolicyVerdict, PolicyVersions,
};
pub use record::PolicyRecord;
pub use table::{PolicyAttribute, RuleId};

use super::{
    nicknames,
    normalize::{PLACEHOLDERS_VERSION, SUFFIXES_VERSION},
};
use table::{RULES, Rule, Stance, TABLE_VERSION};

/// Which rules are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Rules in force, by number as bit.
    in_force: u64,
}

impl Default for Policy {
    /// All rules but those that people of one household satisfy.
    fn default() -> Self {
        let on = RULES.iter().filter(|rule| rule.stance != Stance::Off);
        Self { in_force: on.map(|rule| bit(rule.id)).sum() }
    }
}

impl Policy {
    /// The version of the table of combinations.
    pub const TABLE_VERSION: &'static str = TABLE_VERSION;

    /// This policy without one rule: a rule under suspicion can be suspended at once.
    #[must_use]
    pub const fn without(self, id: RuleId) -> Self {
        Self { in_force: self.in_force & !bit(id) }
    }

    /// This policy with one rule more.
    #[must_use]
    pub const fn with(self, id: RuleId) -> Self {
        Self { in_force: self.in_force | bit(id) }
    }

    /// Judges two source records.
    pub fn judge(&self, a: &PolicyRecord, b: &PolicyRecord) -> PolicyVerdict {
        let agreements = PolicyAttribute::ALL.map(|attribute| a.agreement(b, attribute));
        let mut verdict = PolicyVerdict {
            table: TABLE_VERSION,
            fired: Vec::new(),
            guarded: Vec::new(),
            attributes: PolicyAttribute::ALL.into_iter().zip(agreements).collect(),
            refusal: a.suffix_conflict(b).then_some(PolicyRefusal::SuffixConflict),
            versions: PolicyVersions {
                software: env!("CARGO_PKG_VERSION"),
                nicknames: nicknames::version(),
                suffixes: SUFFIXES_VERSION,
                placeholders: PLACEHOLDERS_VERSION,
            },
        };
        for rule in RULES.iter().filter(|rule| self.in_force & bit(rule.id) != 0) {
            let Some(fuzzy) = satisfied(rule, &agreements) else { continue };
            if rule.stance == Stance::FirstNameGuard && a.may_be_twins(b) {
                verdict.guarded.push(rule.id);
            } else {
                verdict.fired.push(FiredRule { id: rule.id, fuzzy });
            }
        }
        verdict
    }

    /// Whether a person satisfies the policy: some record of theirs does, and no record contradicts it
    /// by its suffix.
    pub fn accepts_person<'a>(
        &self,
        query: &PolicyRecord,
        records: impl IntoIterator<Item = &'a PolicyRecord>,
    ) -> bool {
        let mut satisfied = false;
        for record in records {
            let verdict = self.judge(query, record);
            if verdict.refusal.is_some() {
                return false;
            }
            satisfied |= verdict.is_satisfied();
        }
        satisfied
    }
}

const fn bit(id: RuleId) -> u64 {
    1 << id.0
}

/// The attributes that agree only nearly, where the rule is satisfied.
fn satisfied(rule: &Rule, agreements: &[Agreement]) -> Option<Vec<PolicyAttribute>> {
    let mut fuzzy = Vec::new();
    for field in rule.fields {
        match agreements[field.attribute as usize] {
            Agreement::Exact | Agreement::Nickname => {}
            Agreement::Fuzzy if field.starred => fuzzy.push(field.attribute),
            _ => return None,
        }
    }
    let words = fuzzy.iter().filter(|attribute| **attribute != PolicyAttribute::BirthDate).count();
    (words <= rule.fuzzy_max).then_some(fuzzy)
}

#[cfg(test)]
mod tests;
