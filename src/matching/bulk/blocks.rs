//! Candidate pairs of a whole population: blocks by sorting, one rule at a time.
//!
//! Blocks beyond what a rule may cost are split by a second key; what is still too large is left to
//! the other rules. What remains is kept as lists of records, one block after the other, and for each
//! record its places in them: whoever stands behind it in one of its blocks is its candidate. A pair
//! is gathered from the record that comes first, and so visited once.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::keys::{KeyTable, Keyed};
use crate::matching::{
    blocking::{CORE_RULES, RULES, refinement},
    population::Population,
};

/// Above this many records the core rules suffice, and blocks must be smaller.
const MANY_RECORDS: usize = 200_000;
/// Pairs that one rule may cost: so many a record, and so many besides.
const PAIRS_PER_RECORD: f64 = 3.0;
const PAIRS_PER_RECORD_OF_MANY: f64 = 1.0;
const PAIRS_BESIDES: f64 = 1e6;
/// Rules that only help where records are few get the second part alone.
const STRONG_RULES: u8 = 25;
/// Tasks that the records are dealt out to: fixed, so that sums do not depend on the threads.
const TASKS: usize = 256;
/// Marks the last record of a block.
const LAST: u32 = 1 << 31;

/// The blocks of a population.
pub(crate) struct Blocks {
    /// The records of each block, ascending, the last marked; one block after the other.
    members: Vec<u32>,
    /// Where the blocks of each rule begin, and where the last one's end.
    rule_starts: Vec<u32>,
    /// Each record's places in `members` with somebody behind it, ascending; one record after the other.
    places: Vec<u32>,
    /// Where each record's places begin, and where the last one's end.
    place_starts: Vec<u32>,
    /// For linking files without duplicates: each record's source.
    sources: Option<Vec<u16>>,
    pairs_bound: f64,
    all_pairs: bool,
}

impl Blocks {
    /// Makes the keys of every record, and of these the blocks.
    pub(crate) fn new(population: &Population, sources: Option<Vec<u16>>) -> Self {
        let records = population.columns.len();
        let many = records > MANY_RECORDS;
        let rules = if many { CORE_RULES } else { RULES };
        let possible = records as f64 * (records as f64 - 1.0) / 2.0;
        let all_pairs = possible <= PAIRS_BESIDES + PAIRS_PER_RECORD * records as f64;
        let per_record = if many { PAIRS_PER_RECORD_OF_MANY } else { PAIRS_PER_RECORD };
        let mut keys = KeyTable::of(population, rules);
        // Room for all of them at once: growing would hold old and new side by side.
        let members = Vec::with_capacity(keys.len());
        let mut making = Making { population, members, pairs: 0.0 };
        let mut rule_starts = vec![0];
        let mut sorted = keys.sorted(0);
        for rule in 0..rules {
            let weak = rule >= STRONG_RULES;
            let most = PAIRS_BESIDES + if weak { 0.0 } else { per_record * records as f64 };
            let most = if all_pairs { f64::INFINITY } else { most };
            let add = || making.add_rule(rule, &sorted, most);
            ((), sorted) = rayon::join(add, || keys.sorted(rule + 1));
            rule_starts.push(making.members.len() as u32);
        }
        drop(keys);
        let Making { members, pairs, .. } = making;
        let (places, place_starts) = places(&members, records);
        let pairs_bound = if all_pairs { possible } else { pairs };
        Self { members, rule_starts, places, place_starts, sources, pairs_bound, all_pairs }
    }

    /// A bound on the pairs that are visited.
    pub(crate) fn pairs_bound(&self) -> f64 {
        self.pairs_bound.max(1.0)
    }

    fn records(&self) -> u32 {
        self.place_starts.len() as u32 - 1
    }

    /// How many pairs there are to be judged at all, blocked or not.
    pub(crate) fn possible_pairs(&self) -> f64 {
        let all = f64::from(self.records());
        let pairs = |n: f64| n * (n - 1.0) / 2.0;
        let Some(sources) = &self.sources else { return pairs(all).max(1.0) };
        let mut counts: HashMap<u16, f64> = HashMap::new();
        for source in sources {
            *counts.entry(*source).or_default() += 1.0;
        }
        (pairs(all) - counts.values().map(|n| pairs(*n)).sum::<f64>()).max(1.0)
    }

    /// Whether the two may be one person at all: not where each source is free of duplicates.
    pub(crate) fn may_link(&self, a: u32, b: u32) -> bool {
        self.sources.as_ref().is_none_or(|source| source[a as usize] != source[b as usize])
    }

    fn places_of(&self, record: u32) -> &[u32] {
        let record = record as usize;
        &self.places[self.place_starts[record] as usize..self.place_starts[record + 1] as usize]
    }

    /// The records behind a place, in its block.
    fn behind(&self, place: u32) -> impl Iterator<Item = u32> {
        let behind = &self.members[place as usize + 1..];
        let end = behind.iter().position(|member| member & LAST != 0).unwrap_or_default();
        behind[..=end].iter().map(|member| member & !LAST)
    }

    /// The rules that bring the two together, ascending, a rule perhaps twice.
    fn meeting_rules(&self, a: u32, b: u32) -> impl Iterator<Item = usize> {
        let (first, second) = (a.min(b), a.max(b));
        let meets = move |place: &&u32| self.behind(**place).any(|record| record == second);
        let met = self.places_of(first).iter().filter(meets);
        met.map(|place| self.rule_starts.partition_point(|start| start <= place))
    }

    /// By how many rules the two were found.
    pub(crate) fn rules_meeting(&self, a: u32, b: u32) -> u32 {
        let mut rules: Vec<usize> = self.meeting_rules(a, b).collect();
        rules.dedup();
        rules.len() as u32
    }

    /// Whether the two are compared at all.
    pub(crate) fn are_candidates(&self, a: u32, b: u32) -> bool {
        self.may_link(a, b) && (self.all_pairs || self.meeting_rules(a, b).next().is_some())
    }

    /// Visits every candidate pair once, or a fixed `share` of them, in parallel: each record with
    /// those of its candidates that come after it. Gives what each task gathered, always in the same
    /// order.
    pub(crate) fn visit<T: Send>(
        &self,
        share: f64,
        start: impl Fn() -> T + Sync,
        visit: impl Fn(&mut T, u32, &[u32]) + Sync,
    ) -> Vec<T> {
        let sample = Sample::new(share);
        let records = self.records();
        // Of all pairs, those of the first records are the most: small tasks even that out.
        let task = (records as usize).div_ceil(TASKS).max(16) as u32;
        let tasks: Vec<u32> = (0..records).step_by(task as usize).collect();
        let visit_task = |first: &u32| {
            let mut gathered = start();
            let mut candidates = Vec::new();
            for a in *first..(first + task).min(records) {
                self.candidates_behind(a, &mut candidates);
                candidates.retain(|&b| sample.takes(a, b) && self.may_link(a, b));
                visit(&mut gathered, a, &candidates);
            }
            gathered
        };
        tasks.par_iter().with_max_len(1).map(visit_task).collect()
    }

    /// The candidates of a record that come after it, each once, ascending.
    fn candidates_behind(&self, record: u32, candidates: &mut Vec<u32>) {
        candidates.clear();
        if self.all_pairs {
            candidates.extend(record + 1..self.records());
            return;
        }
        for &place in self.places_of(record) {
            for member in &self.members[place as usize + 1..] {
                candidates.push(member & !LAST);
                if member & LAST != 0 {
                    break;
                }
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
    }
}

/// Blocks in the making.
struct Making<'a> {
    population: &'a Population,
    members: Vec<u32>,
    pairs: f64,
}

impl Making<'_> {
    /// Adds the blocks of a rule, split where they are too large.
    fn add_rule(&mut self, rule: u8, sorted: &[Keyed], pairs_max: f64) {
        let (largest, pairs) = largest_block(sorted, pairs_max);
        self.pairs += pairs;
        let mut parts: Vec<(u32, u32)> = Vec::new();
        for block in sorted.chunk_by(Keyed::same_key).filter(|block| block.len() > 1) {
            if block.len() <= largest {
                self.add_block(block.iter().map(|keyed| keyed.record()));
                continue;
            }
            let view = self.population.columns.view();
            let rows = self.population.columns.rows();
            parts.clear();
            parts.extend(block.iter().map(|keyed| {
                (refinement(view, &rows[keyed.record() as usize], rule), keyed.record())
            }));
            parts.sort_unstable();
            for part in parts.chunk_by(|a, b| a.0 == b.0) {
                if part[0].0 != 0 && part.len() <= largest {
                    self.pairs += pairs_of(part.len());
                    self.add_block(part.iter().map(|(_, record)| *record));
                }
            }
        }
    }

    /// Adds one block; a record alone makes none.
    fn add_block(&mut self, records: impl ExactSizeIterator<Item = u32>) {
        if records.len() > 1 {
            self.members.extend(records);
            if let Some(last) = self.members.last_mut() {
                *last |= LAST;
            }
        }
    }
}

/// The size of the largest blocks that a rule can afford, and the pairs of all blocks so far.
fn largest_block(sorted: &[Keyed], pairs_max: f64) -> (usize, f64) {
    let mut blocks_of: HashMap<usize, u32> = HashMap::new();
    for block in sorted.chunk_by(Keyed::same_key) {
        *blocks_of.entry(block.len()).or_default() += 1;
    }
    let mut sizes: Vec<(usize, u32)> = blocks_of.into_iter().collect();
    sizes.sort_unstable();
    let (mut largest, mut total) = (1, 0.0);
    for (size, blocks) in sizes {
        let pairs = pairs_of(size) * f64::from(blocks);
        if total + pairs > pairs_max {
            break;
        }
        total += pairs;
        largest = size;
    }
    (largest, total)
}

/// Each record's places with somebody behind it, and where they begin.
fn places(members: &[u32], records: usize) -> (Vec<u32>, Vec<u32>) {
    let with_followers =
        || (0_u32..).zip(members).filter(|(_, member)| **member & LAST == 0).map(|(p, m)| (p, *m));
    let mut ends = vec![0_u32; records + 1];
    for (_, record) in with_followers() {
        ends[record as usize + 1] += 1;
    }
    for record in 0..records {
        ends[record + 1] += ends[record];
    }
    let mut places = vec![0_u32; ends[records] as usize];
    let mut next = ends.clone();
    for (place, record) in with_followers() {
        let slot = &mut next[record as usize];
        places[*slot as usize] = place;
        *slot += 1;
    }
    (places, ends)
}

fn pairs_of(records: usize) -> f64 {
    records as f64 * (records as f64 - 1.0) / 2.0
}

/// A fixed share of all pairs, by hash: the same pairs whatever finds them.
struct Sample {
    below: u64,
}

impl Sample {
    fn new(share: f64) -> Self {
        Self { below: if share >= 1.0 { u64::MAX } else { (share * u64::MAX as f64) as u64 } }
    }

    #[inline]
    fn takes(&self, a: u32, b: u32) -> bool {
        if self.below == u64::MAX {
            return true;
        }
        let (low, high) = (a.min(b), a.max(b));
        let mixed = u64::from(low).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ u64::from(high).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        (mixed ^ mixed >> 31).wrapping_mul(0xff51_afd7_ed55_8ccd) < self.below
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::matching::{
        Model,
        blocking::{Key, Keys, keys_of},
        bulk::Batch,
        normalize::{FlatRecord, NormalizedRecord},
    };

    /// More records than are compared one and all, of few names and dates, so that blocks overlap.
    fn population(records: usize) -> Population {
        let (given, family) = (["Ann", "Anne", "Bo", "Cy"], ["Lee", "Poe", "Lee-Poe"]);
        let mut batch = Batch::new(Arc::new(Model::untrained()));
        let normalized: Vec<NormalizedRecord> = (0..records)
            .map(|n| {
                let birth_date = format!("19{:02}-0{}-{:02}", n % 61, 1 + n % 7, 1 + n % 23);
                let (phone, mrn) = (format!("317555{:04}", n % 997), format!("A{}", n % 1_499));
                NormalizedRecord::from_flat(&FlatRecord {
                    given: given[n % 4],
                    family: family[n % 3],
                    birth_date: &birth_date,
                    phone: &phone,
                    record_number: &mrn,
                    ..FlatRecord::default()
                })
            })
            .collect();
        batch.extend(&normalized);
        batch.into_population()
    }

    fn visited(blocks: &Blocks, share: f64) -> Vec<(u32, u32)> {
        let parts = blocks.visit(share, Vec::new, |pairs: &mut Vec<(u32, u32)>, a, candidates| {
            pairs.extend(candidates.iter().map(|b| (a, *b)));
        });
        parts.concat()
    }

    #[test]
    fn every_pair_of_a_block_is_visited_once() {
        let population = population(3_000);
        let columns = &population.columns;
        let blocks = Blocks::new(&population, None);
        assert!(!blocks.all_pairs);
        let pairs = visited(&blocks, 1.0);
        let distinct: BTreeSet<(u32, u32)> = pairs.iter().copied().collect();
        assert_eq!(distinct.len(), pairs.len());
        assert!(pairs.iter().all(|(a, b)| a < b));
        // No block of these rules is too large, so records that share one of their keys meet.
        let whole = [0, 1, 4, 13, 20];
        let keys = |record| {
            let mut keys = Keys::default();
            keys_of(columns.view(), columns.side(record), RULES, &mut keys);
            let whole = keys.as_slice().iter().filter(|key| whole.contains(&key.rule()));
            whole.copied().collect::<Vec<Key>>()
        };
        let keys: Vec<Vec<Key>> = (0..3_000).map(keys).collect();
        for a in 0..300 {
            for b in a + 1..3_000 {
                let shares = keys[a as usize].iter().any(|key| keys[b as usize].contains(key));
                assert!(!shares || distinct.contains(&(a, b)), "{a} {b}");
                assert_eq!(blocks.are_candidates(b, a), distinct.contains(&(a, b)), "{a} {b}");
                assert_eq!(blocks.rules_meeting(a, b) > 0, distinct.contains(&(a, b)), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_share_of_the_pairs_is_some_of_them_and_the_same_each_time() {
        let population = population(3_000);
        let blocks = Blocks::new(&population, None);
        let all: BTreeSet<(u32, u32)> = visited(&blocks, 1.0).into_iter().collect();
        let some = visited(&blocks, 0.25);
        assert!(some.iter().all(|pair| all.contains(pair)));
        assert!((some.len() as f64 / all.len() as f64 - 0.25).abs() < 0.02);
        assert_eq!(some, visited(&blocks, 0.25));
    }

    #[test]
    fn blocks_that_cost_too_much_are_split_or_left_out() {
        let population = population(3_000);
        let blocks = Blocks::new(&population, None);
        // Everybody is one of four given names: that block is left to the other rules.
        assert!(visited(&blocks, 1.0).len() < 3_000 * 2_999 / 2);
        assert!(blocks.pairs_bound() >= visited(&blocks, 1.0).len() as f64);
    }

    #[test]
    fn few_records_are_all_compared_and_sources_keep_apart() {
        let population = population(40);
        assert_eq!(visited(&Blocks::new(&population, None), 1.0).len(), 40 * 39 / 2);
        let sources = (0..40).map(|n| u16::from(n < 10)).collect();
        assert_eq!(visited(&Blocks::new(&population, Some(sources)), 1.0).len(), 10 * 30);
    }
}
