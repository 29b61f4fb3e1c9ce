//! Expectation–maximization over distinct comparison patterns.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::constraints;
use crate::matching::{
    bulk::Blocks,
    comparison::compare,
    levels::{ATTRIBUTES, Attribute, LEVELS, Pattern},
    model::{CLASSES, Class, ClassTable, Model, normalize_contexts},
    population::Population,
    scoring::Scorer,
};

const ITERATIONS_MAX: u32 = 120;
/// The largest change of a probability, or of the logarithm of a class's size, that counts as none.
const CONVERGED: f64 = 1e-3;
/// The prior weighs as much as this many pairs of each class.
const PRIOR_PAIRS: f64 = 20.0;
/// Above about this many pairs a sample is as good.
const PAIRS_MAX: f64 = 4e6;

/// What is known of a pair beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Label {
    Unknown,
    Match,
    Other,
}

type Sums = HashMap<(Pattern, Label), (f32, f32), foldhash::fast::FixedState>;

/// How often each pattern occurs among blocked pairs.
pub(crate) struct Patterns {
    /// Pattern, label, pairs, average frequency adjustment in nats.
    list: Vec<(Pattern, Label, f32, f32)>,
    /// Share of the blocked pairs that was looked at.
    share: f64,
}

impl Patterns {
    /// Compares blocked pairs, or a sample of them, and counts their patterns.
    pub(crate) fn collect(
        population: &Population,
        blocks: &Blocks,
        labels: Option<&[u32]>,
    ) -> Self {
        let share = (PAIRS_MAX / blocks.pairs_bound()).min(1.0);
        let columns = &population.columns;
        let parts = blocks.visit(share, Sums::default, |sums: &mut Sums, a, candidates| {
            for &b in candidates {
                let sides = (columns.side(a), columns.side(b));
                let comparison = compare(columns.view(), &population.terms, sides.0, sides.1);
                let label = label(labels, a, b);
                let sum = sums.entry((comparison.pattern, label)).or_default();
                sum.0 += 1.0;
                sum.1 += comparison.frequency();
            }
        });
        let mut all = Sums::default();
        for part in parts {
            for (key, (count, frequency)) in part {
                let sum = all.entry(key).or_default();
                sum.0 += count;
                sum.1 += frequency;
            }
        }
        let mut list: Vec<_> = all.into_iter().map(|((p, l), (n, f))| (p, l, n, f / n)).collect();
        // Sums of floating point numbers depend on their order.
        list.sort_unstable_by_key(|entry| (entry.0.bits(), entry.1 as u8));
        Self { list, share }
    }

    /// How many pairs were compared.
    pub(super) fn pairs(&self) -> f64 {
        self.list.iter().map(|(_, _, pairs, _)| f64::from(*pairs)).sum()
    }
}

fn label(labels: Option<&[u32]>, a: u32, b: u32) -> Label {
    let Some(labels) = labels else { return Label::Unknown };
    match (labels[a as usize], labels[b as usize]) {
        (0, _) | (_, 0) => Label::Unknown,
        (x, y) if x == y => Label::Match,
        _ => Label::Other,
    }
}

/// Expected counts of levels, and expected pairs, of each class.
struct Expected {
    levels: Vec<[[f64; LEVELS]; ATTRIBUTES]>,
    pairs: [f64; CLASSES],
}

impl Expected {
    fn none() -> Self {
        Self { levels: vec![[[0.0; LEVELS]; ATTRIBUTES]; CLASSES], pairs: [0.0; CLASSES] }
    }

    fn add(mut self, other: &Self) -> Self {
        for (table, more) in self.levels.iter_mut().zip(&other.levels) {
            for (row, more) in table.iter_mut().zip(more) {
                for (sum, more) in row.iter_mut().zip(more) {
                    *sum += more;
                }
            }
        }
        for (sum, more) in self.pairs.iter_mut().zip(other.pairs) {
            *sum += more;
        }
        self
    }
}

/// Estimates all classes but the strangers; gives the number of iterations.
pub(super) fn maximize(
    model: &mut Model,
    prior: &[ClassTable; CLASSES],
    patterns: &Patterns,
) -> u32 {
    scale_pairs(model, patterns.share);
    let mut iterations = 0;
    while iterations < ITERATIONS_MAX {
        iterations += 1;
        let expected = expect(&Scorer::of_classes(model), patterns);
        if update(model, prior, &expected) < CONVERGED {
            break;
        }
    }
    scale_pairs(model, 1.0 / patterns.share);
    iterations
}

fn scale_pairs(model: &mut Model, by: f64) {
    for table in &mut model.classes {
        table.pairs *= by;
    }
}

fn expect(scorer: &Scorer, patterns: &Patterns) -> Expected {
    /// Patterns a task works through; fixed, so that sums do not depend on the threads.
    const CHUNK: usize = 8_192;
    let parts: Vec<Expected> = patterns
        .list
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut expected = Expected::none();
            for &(pattern, label, pairs, frequency) in chunk {
                let shares = class_shares(scorer, pattern, label, frequency);
                for (class, share) in shares.into_iter().enumerate() {
                    let weight = f64::from(share * pairs);
                    if weight < 1e-6 {
                        continue;
                    }
                    expected.pairs[class] += weight;
                    for (attribute, row) in expected.levels[class].iter_mut().enumerate() {
                        row[usize::from(pattern.at(attribute))] += weight;
                    }
                }
            }
            expected
        })
        .collect();
    parts.iter().fold(Expected::none(), Expected::add)
}

/// P(class | pattern), with what the label leaves possible.
fn class_shares(scorer: &Scorer, pattern: Pattern, label: Label, frequency: f32) -> [f32; CLASSES] {
    let mut ln = scorer.ln_expected(pattern, frequency);
    match label {
        Label::Unknown => {}
        Label::Match => {
            ln = [f32::NEG_INFINITY; CLASSES];
            ln[Class::Match as usize] = 0.0;
        }
        Label::Other => ln[Class::Match as usize] = f32::NEG_INFINITY,
    }
    let largest = ln.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // What is smaller by e^-40 does not show in an f32.
    let weights = ln.map(|x| if x - largest < -40.0 { 0.0 } else { (x - largest).exp() });
    let total: f32 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

/// Takes the expected counts for the truth; gives the largest change.
fn update(model: &mut Model, prior: &[ClassTable; CLASSES], expected: &Expected) -> f64 {
    let mut change: f64 = 0.0;
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Stranger) {
        let k = class as usize;
        let pairs = expected.pairs[k] + 1.0;
        let table = &mut model.classes[k];
        change = change.max((pairs.ln() - table.pairs.ln()).abs());
        table.pairs = pairs;
        let mut levels = expected.levels[k];
        for attribute in Attribute::ALL {
            let counts = attribute.levels().len();
            let row = levels[attribute as usize][..counts].iter_mut();
            for (count, p) in row.zip(prior[k].at(attribute)) {
                *count += PRIOR_PAIRS * p;
            }
        }
        normalize_contexts(&mut levels);
        constraints::apply(class, &mut levels);
        for attribute in Attribute::ALL.into_iter().filter(|a| !class.is_tied(*a)) {
            let row = &mut table.probabilities[attribute as usize];
            for (old, new) in row.iter_mut().zip(levels[attribute as usize]) {
                change = change.max((*old - new).abs());
                *old = new;
            }
        }
    }
    constraints::apply_sizes(&mut model.classes);
    change
}
