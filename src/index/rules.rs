//! What members and stewards said of records: one person, or two. It outlasts updates, merges and
//! separations, since it is said of records and not of persons.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::matching::kept::{Kept, Sink, Source};

/// What holds between two groups of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bond {
    /// Each of one side is one person with each of the other.
    MustLink,
    /// None of one side is one person with any of the other.
    CannotLink,
}

/// Who said so. A steward's word outweighs a member's, whatever came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Voice {
    Member,
    Steward,
}

/// One such statement.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) bond: Bond,
    pub(super) voice: Voice,
    /// Record numbers, ascending.
    pub(super) sides: [Vec<u32>; 2],
    /// When it was said, in microseconds since 1970; before all time where not told.
    pub(super) event_micros: i64,
}

impl Rule {
    pub(super) fn new(bond: Bond, voice: Voice, sides: [Vec<u32>; 2], event_micros: i64) -> Self {
        let sides = sides.map(|mut side| {
            side.sort_unstable();
            side.dedup();
            side
        });
        Self { bond, voice, sides, event_micros }
    }

    /// Whether a steward said this.
    pub(super) fn is_stewards(&self, bond: Bond) -> bool {
        self.voice == Voice::Steward && self.bond == bond
    }

    /// Whether it was said of these two records and of no other.
    pub(super) fn is_of_two(&self, one: u32, other: u32) -> bool {
        self.sides == [[one], [other]] || self.sides == [[other], [one]]
    }

    fn is_between(&self, left: &[u32], right: &[u32]) -> bool {
        let holds =
            |side: &[u32], some: &[u32]| some.iter().any(|no| side.binary_search(no).is_ok());
        let [a, b] = &self.sides;
        holds(a, left) && holds(b, right) || holds(b, left) && holds(a, right)
    }
}

/// All statements that hold, by the number of the deed that made them.
#[derive(Default)]
pub(super) struct Rules {
    by_seq: BTreeMap<u64, Rule>,
    by_record: HashMap<u32, Vec<u64>, RandomState>,
}

impl Rules {
    pub(super) fn add(&mut self, seq: u64, rule: Rule) {
        for record_no in rule.sides.iter().flatten() {
            self.by_record.entry(*record_no).or_default().push(seq);
        }
        self.by_seq.insert(seq, rule);
    }

    /// Takes a statement back. Says whether it was there.
    pub(super) fn lift(&mut self, seq: u64) -> bool {
        let Some(rule) = self.by_seq.remove(&seq) else { return false };
        for record_no in rule.sides.iter().flatten() {
            if let Some(seqs) = self.by_record.get_mut(record_no) {
                seqs.retain(|other| *other != seq);
            }
        }
        true
    }

    /// What counts between two groups of records: of all that was said of a record here and one
    /// there the weightiest voice, and of that the last.
    pub(super) fn between(&self, left: &[u32], right: &[u32]) -> Option<(u64, &Rule)> {
        if self.by_seq.is_empty() {
            return None;
        }
        let (few, many) = if left.len() <= right.len() { (left, right) } else { (right, left) };
        few.iter()
            .filter_map(|record_no| self.by_record.get(record_no))
            .flatten()
            .map(|seq| (*seq, &self.by_seq[seq]))
            .filter(|(_, rule)| rule.is_between(few, many))
            .max_by_key(|(seq, rule)| (rule.voice, *seq))
    }

    /// What was said of two records by themselves, the first first.
    pub(super) fn said_between(&self, one: u32, other: u32) -> impl Iterator<Item = &Rule> {
        let seqs = self.by_record.get(&one).into_iter().flatten();
        seqs.map(|seq| &self.by_seq[seq]).filter(move |rule| rule.is_of_two(one, other))
    }

    /// Whether this was the member's last word on two of its records, followed or not.
    pub(super) fn is_last_said(&self, one: u32, other: u32, bond: Bond) -> bool {
        let said = self.said_between(one, other).filter(|rule| rule.voice == Voice::Member);
        said.last().is_some_and(|rule| rule.bond == bond)
    }

    pub(super) fn forbid(&self, left: &[u32], right: &[u32]) -> bool {
        self.between(left, right).is_some_and(|(_, rule)| rule.bond == Bond::CannotLink)
    }

    pub(super) fn demand(&self, left: &[u32], right: &[u32]) -> bool {
        self.between(left, right).is_some_and(|(_, rule)| rule.bond == Bond::MustLink)
    }

    pub(super) fn is_known(&self, seq: u64) -> bool {
        self.by_seq.contains_key(&seq)
    }

    /// All of them, in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Rule)> {
        self.by_seq.iter().map(|(seq, rule)| (*seq, rule))
    }
}

impl Kept for Rules {
    fn keep(&self, out: &mut Sink<'_>) {
        let rules: Vec<(&u64, &Rule)> = self.by_seq.iter().collect();
        // Serializing plain strings, numbers and lists into memory has no way to fail.
        serde_json::to_string(&rules).expect("rules are plain data").keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let kept: Vec<(u64, Rule)> = serde_json::from_str(&String::read(from)?).ok()?;
        let mut rules = Self::default();
        for (seq, rule) in kept {
            rules.add(seq, rule);
        }
        Some(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(bond: Bond, voice: Voice, left: &[u32], right: &[u32]) -> Rule {
        Rule::new(bond, voice, [left.to_vec(), right.to_vec()], i64::MIN)
    }

    #[test]
    fn the_weightiest_voice_counts_and_of_that_the_last() {
        let mut rules = Rules::default();
        let check = |rules: &Rules, left: &[u32], right: &[u32], expected| {
            assert_eq!(rules.between(left, right).map(|(seq, _)| seq), expected);
            assert_eq!(rules.between(right, left).map(|(seq, _)| seq), expected);
        };
        check(&rules, &[1], &[2], None);
        rules.add(5, rule(Bond::CannotLink, Voice::Member, &[2], &[1]));
        rules.add(7, rule(Bond::MustLink, Voice::Member, &[1], &[2]));
        check(&rules, &[1, 9], &[8, 2], Some(7));
        rules.add(6, rule(Bond::CannotLink, Voice::Steward, &[1, 3], &[4, 2]));
        check(&rules, &[1], &[2], Some(6));
        check(&rules, &[3], &[2], Some(6));
        check(&rules, &[1], &[3], None);
        assert!(rules.forbid(&[2], &[1]));
        assert!(rules.lift(6) && !rules.lift(6));
        check(&rules, &[1], &[2], Some(7));
        check(&rules, &[3], &[2], None);
    }
}
