//! Strangers: how two records picked at random compare.

use rayon::prelude::*;

use crate::matching::{
    bulk::Blocks,
    columns::Field,
    comparison::compare,
    levels::{ATTRIBUTES, Attribute, LEVELS, MISSING},
    model::normalize_contexts,
    population::Population,
    similarity::{jaro_winkler, within_one_edit},
};

const PAIRS: usize = 1_000_000;
/// Small populations have few pairs to tell apart.
const PAIRS_OF_FEW: usize = 400_000;
const FEW_RECORDS: usize = 3_000;
/// Independent streams of random numbers: the result does not depend on the number of threads.
const STREAMS: u64 = 8;
/// Added to every level's count, so that none is impossible.
const SMOOTHING: f64 = 0.3;
/// Fewer similar pairs than this tell nothing about their frequency.
const SIMILAR_PAIRS_MIN: f64 = 20.0;

/// How strangers compare, as measured.
pub(super) struct Strangers {
    /// P(level | two records at random), with exact levels from the frequencies of values.
    pub(super) levels: [[f64; LEVELS]; ATTRIBUTES],
    /// How many pairs were drawn.
    pub(super) pairs: f64,
}

pub(super) fn measure(population: &Population, blocks: &Blocks, seed: u64) -> Strangers {
    let records = population.columns.len();
    let wanted = if records < FEW_RECORDS { PAIRS_OF_FEW } else { PAIRS };
    let per_stream = wanted / STREAMS as usize;
    let counts = (0..STREAMS)
        .into_par_iter()
        .map(|stream| count_levels(population, blocks, Random::new(seed, stream), per_stream))
        .reduce(|| [[0.0; LEVELS]; ATTRIBUTES], add);
    let mut levels = counts;
    for attribute in Attribute::ALL {
        let row = &mut levels[attribute as usize];
        for p in &mut row[..attribute.levels().len()] {
            *p += SMOOTHING;
        }
    }
    normalize_contexts(&mut levels);
    for (attribute, level, chance) in population.terms.collisions.levels() {
        levels[attribute as usize][usize::from(level)] = chance;
    }
    Strangers { levels, pairs: wanted as f64 }
}

type Counts = [[f64; LEVELS]; ATTRIBUTES];

fn count_levels(
    population: &Population,
    blocks: &Blocks,
    mut random: Random,
    pairs: usize,
) -> Counts {
    let columns = &population.columns;
    let mut counts = [[0.0; LEVELS]; ATTRIBUTES];
    for _ in 0..pairs {
        let (a, b) = (random.below(columns.len()), random.below(columns.len()));
        if a == b || !blocks.may_link(a, b) {
            continue;
        }
        let sides = (columns.side(a), columns.side(b));
        let comparison = compare(columns.view(), &population.terms, sides.0, sides.1);
        for (attribute, row) in counts.iter_mut().enumerate() {
            row[usize::from(comparison.pattern.at(attribute))] += 1.0;
        }
    }
    for row in &mut counts {
        row[usize::from(MISSING)] = 0.0;
    }
    counts
}

#[expect(clippy::large_types_passed_by_value, reason = "as `reduce` hands them over")]
fn add(mut a: Counts, b: Counts) -> Counts {
    for (row, other) in a.iter_mut().zip(b) {
        for (sum, more) in row.iter_mut().zip(other) {
            *sum += more;
        }
    }
    a
}

/// ln of the rarest that two similar names are taken to be, negated.
const RAREST: f64 = 9.2;

/// How common the rarer of two similar, different names usually is, as a negated logarithm: given
/// names and surnames.
pub(super) fn similar_name_shares(population: &Population, seed: u64) -> [f64; 2] {
    let columns = &population.columns;
    let names = columns.lexicon(Field::Name);
    let mut random = Random::new(seed, STREAMS);
    let mut found = [(0.0, 0.0); 2];
    for _ in 0..PAIRS_OF_FEW {
        let a = columns.side(random.below(columns.len())).row.name;
        let b = columns.side(random.below(columns.len())).row.name;
        for (is_family, (x, y)) in [(false, (a.given, b.given)), (true, (a.family, b.family))] {
            if x != y && x != 0 && y != 0 && are_similar(names.text(x), names.text(y)) {
                let share = population.terms.smaller_share(is_family, x, y);
                let (count, sum) = &mut found[usize::from(is_family)];
                *count += 1.0;
                *sum += f64::from(share).exp();
            }
        }
    }
    found.map(|(count, sum): (f64, f64)| {
        if count >= SIMILAR_PAIRS_MIN {
            -(sum / count).ln()
        } else {
            (columns.len() as f64 / 3.0).max(1.0).ln().min(RAREST)
        }
    })
}

fn are_similar(x: &[u8], y: &[u8]) -> bool {
    if x.len().min(y.len()) < 3 {
        return false;
    }
    within_one_edit(x, y)
        || match (std::str::from_utf8(x), std::str::from_utf8(y)) {
            (Ok(x), Ok(y)) => jaro_winkler(x, y) >= 0.92,
            _ => false,
        }
}

/// Xorshift64*: enough for sampling, and the same on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64, stream: u64) -> Self {
        let mixed =
            (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(stream.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        let mut random = Self(mixed | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> u32 {
        ((u128::from(self.next()) * bound as u128) >> 64) as u32
    }
}
