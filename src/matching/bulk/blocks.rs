//! Candidate pairs of a whole population: blocks by sorting, one rule at a time.
//!
//! A pair belongs to the smallest key it shares, so that it is visited once without remembering
//! pairs. Blocks beyond what a rule may cost are split by a second key; what is still too large is
//! left to the other rules.

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use crate::matching::{
    blocking::{CORE_RULES, Key, Keys, RULES, keys_of, refinement},
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
/// Tasks that one rule's blocks are dealt out to.
const TASKS: usize = 64;

type FixedSet<T> = HashSet<T, foldhash::fast::FixedState>;

/// The blocks of a population.
pub(crate) struct Blocks {
    /// Each record's keys, ascending, one record after the other.
    keys: Vec<u32>,
    /// Where each record's keys begin, and the end of the last.
    starts: Vec<u32>,
    rules: u8,
    /// Keys of blocks that are split by a second key.
    split: FixedSet<u32>,
    /// Parts of split blocks that are too large even so.
    dropped: FixedSet<(u32, u32)>,
    /// The second keys of records in split blocks, by rule and record.
    refinements: HashMap<(u8, u32), u32, foldhash::fast::FixedState>,
    /// For linking files without duplicates: each record's source.
    sources: Option<Vec<u16>>,
    pairs_bound: f64,
    all_pairs: bool,
}

impl Blocks {
    /// Makes the keys of every record and measures the blocks.
    pub(crate) fn new(population: &Population, sources: Option<Vec<u16>>) -> Self {
        let records = population.columns.len();
        let many = records > MANY_RECORDS;
        let rules = if many { CORE_RULES } else { RULES };
        let (keys, starts) = all_keys(population, rules);
        let possible = records as f64 * (records as f64 - 1.0) / 2.0;
        let all_pairs = possible <= PAIRS_BESIDES + PAIRS_PER_RECORD * records as f64;
        let mut blocks = Self {
            keys,
            starts,
            rules,
            split: FixedSet::default(),
            dropped: FixedSet::default(),
            refinements: HashMap::default(),
            sources,
            pairs_bound: 0.0,
            all_pairs,
        };
        if all_pairs {
            blocks.pairs_bound = possible;
            return blocks;
        }
        let per_record = if many { PAIRS_PER_RECORD_OF_MANY } else { PAIRS_PER_RECORD };
        for rule in 0..rules {
            let weak = rule >= STRONG_RULES;
            let most = PAIRS_BESIDES + if weak { 0.0 } else { per_record * records as f64 };
            blocks.limit_rule(population, rule, most);
        }
        blocks
    }

    /// A bound on the pairs that are visited.
    pub(crate) fn pairs_bound(&self) -> f64 {
        self.pairs_bound.max(1.0)
    }

    /// How many pairs there are to be judged at all, blocked or not.
    pub(crate) fn possible_pairs(&self) -> f64 {
        let all = (self.starts.len() - 1) as f64;
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

    /// Finds which blocks of a rule are too large, and how they are split.
    fn limit_rule(&mut self, population: &Population, rule: u8, pairs_max: f64) {
        let sorted = self.sorted(rule);
        let mut sizes: HashMap<usize, f64> = HashMap::new();
        for block in sorted.chunk_by(same_key) {
            *sizes.entry(block.len()).or_default() += pairs_of(block.len());
        }
        let mut sizes: Vec<(usize, f64)> = sizes.into_iter().collect();
        sizes.sort_unstable_by_key(|(size, _)| *size);
        let (mut largest, mut total) = (1, 0.0);
        for (size, pairs) in sizes {
            if total + pairs > pairs_max {
                break;
            }
            total += pairs;
            largest = size;
        }
        self.pairs_bound += total;
        let view = population.columns.view();
        for block in sorted.chunk_by(same_key).filter(|block| block.len() > largest) {
            let key = (block[0] >> 32) as u32;
            self.split.insert(key);
            let mut parts: HashMap<u32, usize> = HashMap::new();
            for entry in block {
                let record = *entry as u32;
                let row = &population.columns.rows()[record as usize];
                let second = refinement(view, row, rule);
                self.refinements.insert((rule, record), second);
                *parts.entry(second).or_default() += 1;
            }
            for (second, size) in parts {
                if second == 0 || size > largest {
                    self.dropped.insert((key, second));
                } else {
                    self.pairs_bound += pairs_of(size);
                }
            }
        }
    }

    /// The entries of one rule, key above record, in order.
    fn sorted(&self, rule: u8) -> Vec<u64> {
        let mut entries: Vec<u64> = Vec::with_capacity(self.starts.len());
        for (record, ends) in self.starts.windows(2).enumerate() {
            let keys = &self.keys[ends[0] as usize..ends[1] as usize];
            let from = keys.partition_point(|key| Key(*key).rule() < rule);
            let own = keys[from..].iter().take_while(|key| Key(**key).rule() == rule);
            entries.extend(own.map(|key| u64::from(*key) << 32 | record as u64));
        }
        entries.par_sort_unstable();
        entries
    }

    fn keys_of(&self, record: u32) -> &[u32] {
        let record = record as usize;
        &self.keys[self.starts[record] as usize..self.starts[record + 1] as usize]
    }

    fn second_key(&self, rule: u8, record: u32) -> u32 {
        self.refinements.get(&(rule, record)).copied().unwrap_or(0)
    }

    /// Whether two records that share a key meet in its block.
    fn meet_in(&self, key: u32, a: u32, b: u32) -> bool {
        if !self.split.contains(&key) {
            return true;
        }
        let rule = Key(key).rule();
        let second = self.second_key(rule, a);
        second == self.second_key(rule, b) && !self.dropped.contains(&(key, second))
    }

    /// The keys in whose blocks two records meet, ascending.
    fn meeting_keys(&self, a: u32, b: u32) -> impl Iterator<Item = u32> {
        let (mut left, mut right) = (self.keys_of(a), self.keys_of(b));
        let shared = std::iter::from_fn(move || {
            while let ([x, rest_x @ ..], [y, rest_y @ ..]) = (left, right) {
                if x == y {
                    (left, right) = (rest_x, rest_y);
                    return Some(*x);
                }
                if x < y { left = rest_x } else { right = rest_y }
            }
            None
        });
        shared.filter(move |key| self.meet_in(*key, a, b))
    }

    /// By how many rules the two were found.
    pub(crate) fn rules_meeting(&self, a: u32, b: u32) -> u32 {
        let mut last = None;
        let mut rules = 0;
        for key in self.meeting_keys(a, b) {
            let rule = Key(key).rule();
            rules += u32::from(last != Some(rule));
            last = Some(rule);
        }
        rules
    }

    /// Whether the two are compared at all.
    pub(crate) fn are_candidates(&self, a: u32, b: u32) -> bool {
        self.may_link(a, b) && (self.all_pairs || self.meeting_keys(a, b).next().is_some())
    }

    /// Visits every candidate pair once, or a fixed `share` of them, in parallel. Gives what each
    /// task gathered, always in the same order.
    pub(crate) fn visit<T: Send>(
        &self,
        share: f64,
        start: impl Fn() -> T + Sync,
        visit: impl Fn(&mut T, u32, u32) + Sync,
    ) -> Vec<T> {
        let sample = Sample::new(share);
        if self.all_pairs {
            return self.visit_all(&sample, &start, &visit);
        }
        let mut gathered = Vec::new();
        for rule in 0..self.rules {
            let sorted = self.sorted(rule);
            let blocks: Vec<&[u64]> =
                sorted.chunk_by(same_key).filter(|block| block.len() > 1).collect();
            let tasks = blocks.par_chunks(blocks.len().div_ceil(TASKS).max(1));
            gathered.par_extend(tasks.map(|task| {
                let mut gathered = start();
                for block in task {
                    self.visit_block(block, &sample, &mut gathered, &visit);
                }
                gathered
            }));
        }
        gathered
    }

    fn visit_all<T: Send>(
        &self,
        sample: &Sample,
        start: &(impl Fn() -> T + Sync),
        visit: &(impl Fn(&mut T, u32, u32) + Sync),
    ) -> Vec<T> {
        let records = self.starts.len() as u32 - 1;
        (0..records)
            .into_par_iter()
            .with_min_len(16)
            .fold_chunks(64, start, |mut gathered, a| {
                for b in a + 1..records {
                    if sample.takes(a, b) && self.may_link(a, b) {
                        visit(&mut gathered, a, b);
                    }
                }
                gathered
            })
            .collect()
    }

    fn visit_block<T>(
        &self,
        block: &[u64],
        sample: &Sample,
        gathered: &mut T,
        visit: &impl Fn(&mut T, u32, u32),
    ) {
        let key = (block[0] >> 32) as u32;
        if self.split.contains(&key) {
            return self.visit_split(key, block, sample, gathered, visit);
        }
        for (i, a) in block.iter().enumerate() {
            for b in &block[i + 1..] {
                self.visit_pair(key, *a as u32, *b as u32, sample, gathered, visit);
            }
        }
    }

    fn visit_split<T>(
        &self,
        key: u32,
        block: &[u64],
        sample: &Sample,
        gathered: &mut T,
        visit: &impl Fn(&mut T, u32, u32),
    ) {
        let rule = Key(key).rule();
        let mut seconds: Vec<(u32, u32)> = block
            .iter()
            .map(|entry| (self.second_key(rule, *entry as u32), *entry as u32))
            .collect();
        seconds.sort_unstable();
        for part in seconds.chunk_by(|a, b| a.0 == b.0) {
            if self.dropped.contains(&(key, part[0].0)) {
                continue;
            }
            for (i, (_, a)) in part.iter().enumerate() {
                for (_, b) in &part[i + 1..] {
                    self.visit_pair(key, *a, *b, sample, gathered, visit);
                }
            }
        }
    }

    #[inline]
    fn visit_pair<T>(
        &self,
        key: u32,
        a: u32,
        b: u32,
        sample: &Sample,
        gathered: &mut T,
        visit: &impl Fn(&mut T, u32, u32),
    ) {
        let due = sample.takes(a, b)
            && self.may_link(a, b)
            && self.meeting_keys(a, b).next() == Some(key);
        if due {
            visit(gathered, a, b);
        }
    }
}

fn same_key(a: &u64, b: &u64) -> bool {
    a >> 32 == b >> 32
}

fn pairs_of(records: usize) -> f64 {
    records as f64 * (records as f64 - 1.0) / 2.0
}

fn all_keys(population: &Population, rules: u8) -> (Vec<u32>, Vec<u32>) {
    /// Records a task makes keys of.
    const CHUNK: u32 = 1 << 14;
    let columns = &population.columns;
    let records = columns.len() as u32;
    let chunks: Vec<(Vec<u32>, Vec<u32>)> = (0..records.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut made = (Vec::new(), Vec::new());
            let mut keys = Keys::default();
            for record in chunk * CHUNK..((chunk + 1) * CHUNK).min(records) {
                keys_of(columns.view(), columns.side(record), rules, &mut keys);
                made.0.extend(keys.as_slice().iter().map(|key| key.0));
                made.1.push(keys.as_slice().len() as u32);
            }
            made
        })
        .collect();
    let mut keys = Vec::with_capacity(chunks.iter().map(|chunk| chunk.0.len()).sum());
    let mut starts = Vec::with_capacity(records as usize + 1);
    starts.push(0);
    let mut end = 0;
    for (chunk, counts) in chunks {
        keys.extend_from_slice(&chunk);
        for count in counts {
            end += count;
            starts.push(end);
        }
    }
    (keys, starts)
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
