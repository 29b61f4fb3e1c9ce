//! Linking a whole population at once.

mod blocks;
mod cluster;
mod keys;

pub(crate) use blocks::Blocks;

use std::sync::Arc;

use rayon::prelude::*;

use super::{
    counts::Counts,
    model::Model,
    normalize::NormalizedRecord,
    population::Population,
    scoring::Scorer,
    term_frequency::TermWeights,
    training::{self, TrainingOptions},
};

/// Matches that the recall of blocking is estimated on.
const ESTIMATED_ON_MAX: usize = 100_000;

/// A population to be linked at once.
pub struct Batch {
    population: Population,
    blocks: Option<Blocks>,
    sources: Option<Vec<u16>>,
}

/// Two records that look like one person, or may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The record that came first.
    pub left: u32,
    /// The one that came later.
    pub right: u32,
    /// The weight.
    pub bits: f32,
    /// Forbidden to link.
    pub vetoed: bool,
}

/// What comparing gave.
pub struct Edges {
    /// Pairs from the review threshold up, best first.
    pub edges: Vec<Edge>,
    /// How many pairs were compared.
    pub pairs_compared: u64,
    /// How many of the matches blocking is estimated to have found, from 0 to 1.
    pub blocking_recall_estimate: f64,
}

impl Batch {
    /// An empty batch, judged by `model` until it is trained.
    pub fn new(model: Arc<Model>) -> Self {
        Self { population: Population::new(model), blocks: None, sources: None }
    }

    /// Adds records, in order.
    pub fn extend(&mut self, records: &[NormalizedRecord]) {
        for record in records {
            self.population.columns.push(record);
        }
    }

    /// How many records were added.
    pub fn len(&self) -> usize {
        self.population.columns.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Links across sources only, each source being free of duplicates: one source for each record.
    pub fn link_only(&mut self, sources: Vec<u16>) {
        self.sources = Some(sources);
    }

    /// Counts values and makes blocks, once all records are there.
    pub fn block(&mut self) {
        self.population.counts = Counts::of_population(&self.population.columns);
        self.population.derive();
        self.blocks = Some(Blocks::new(&self.population, self.sources.take()));
    }

    /// Trains on the batch itself; the present model tells what wrong links cost.
    pub fn train(&mut self, options: &TrainingOptions<'_>) {
        if let Some(blocks) = &self.blocks {
            training::train(&mut self.population, blocks, options);
        }
    }

    /// The model that judges.
    pub fn model(&self) -> &Model {
        &self.population.model
    }

    /// The model that judges, to be shared with another population.
    pub fn shared_model(&self) -> Arc<Model> {
        Arc::clone(&self.population.model)
    }

    /// Compares all candidate pairs.
    pub fn compare(&self) -> Edges {
        let Some(blocks) = &self.blocks else {
            return Edges { edges: Vec::new(), pairs_compared: 0, blocking_recall_estimate: 1.0 };
        };
        let review_bits = self.population.model.review_bits();
        let parts = blocks.visit(
            1.0,
            || (Vec::new(), 0_u64),
            |(edges, compared): &mut (Vec<Edge>, u64), left, candidates| {
                *compared += candidates.len() as u64;
                for (right, comparison, score) in
                    self.population.judge_candidates(left, candidates, review_bits)
                {
                    let vetoed = !comparison.vetoes.is_empty();
                    edges.push(Edge { left, right, bits: score.bits, vetoed });
                }
            },
        );
        let mut edges = Vec::with_capacity(parts.iter().map(|(part, _)| part.len()).sum());
        let mut pairs_compared = 0;
        for (part, compared) in parts {
            edges.extend(part);
            pairs_compared += compared;
        }
        edges.par_sort_unstable_by(|a, b| {
            b.bits.total_cmp(&a.bits).then((a.left, a.right).cmp(&(b.left, b.right)))
        });
        let blocking_recall_estimate = self.estimate_recall(blocks, &edges);
        Edges { edges, pairs_compared, blocking_recall_estimate }
    }

    /// How many matches blocking found, from how many rules found each: Chao's (1984) lower bound on
    /// what no rule found, from those found once and twice. Of many matches some hundred thousand are
    /// looked at, the strong and the weak alike.
    fn estimate_recall(&self, blocks: &Blocks, edges: &[Edge]) -> f64 {
        let link_bits = self.population.model.link_bits();
        let linking = edges.partition_point(|edge| edge.bits >= link_bits);
        let found_by = |edge: &Edge| {
            if edge.vetoed {
                return [0.0; 3];
            }
            match blocks.rules_meeting(edge.left, edge.right) {
                1 => [1.0, 1.0, 0.0],
                2 => [1.0, 0.0, 1.0],
                _ => [1.0, 0.0, 0.0],
            }
        };
        // Whole numbers: their sum is the same in any order.
        let [found, once, twice] = edges[..linking]
            .par_iter()
            .step_by(linking.div_ceil(ESTIMATED_ON_MAX).max(1))
            .with_min_len(1_024)
            .map(found_by)
            .reduce(|| [0.0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
        if found == 0.0 {
            return 1.0;
        }
        found / (found + once * f64::max(once - 1.0, 0.0) / (2.0 * (twice + 1.0)))
    }

    /// Groups records into persons: for each record the number of its person's first record.
    pub fn cluster(&self, edges: &[Edge], link_bits: f32) -> Vec<u32> {
        cluster::cluster(&self.population, self.blocks.as_ref(), edges, link_bits)
    }

    /// Whether blocking lets the two be compared.
    pub fn are_candidates(&self, a: u32, b: u32) -> bool {
        self.blocks.as_ref().is_some_and(|blocks| blocks.are_candidates(a, b))
    }

    /// The batch as a population that can be asked and grows on.
    pub fn into_population(self) -> Population {
        self.population.indexed()
    }

    /// What kind of mistake it would be to take two different people for one.
    pub fn mistake(&self, a: u32, b: u32) -> Mistake {
        let (comparison, _) = self.population.judge_pair(a, b);
        Mistake::of(comparison.pattern)
    }
}

/// Kinds of false merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Born on one day, of one family or at one address.
    Twin,
    /// Of one given name and surname, but not of one birth date, with something in common besides.
    JuniorSenior,
    /// At one address or with one phone, or of one surname in one place.
    Household,
    /// Anything else.
    Other,
}

impl Mistake {
    fn of(pattern: super::levels::Pattern) -> Self {
        use super::levels::{Attribute, MISSING, birth_date, family, given, location, phone};
        let level = |attribute| pattern.level(attribute);
        let told = |attribute| level(attribute) != MISSING;
        let same_date =
            matches!(level(Attribute::BirthDate), birth_date::SAME | birth_date::SAME_FREQUENT);
        let same_family = told(Attribute::FamilyName)
            && level(Attribute::FamilyName) % family::BOTH_FEMALE >= family::PART;
        let same_given = told(Attribute::GivenName)
            && (given::SAME..given::SIMILAR).contains(&level(Attribute::GivenName));
        let same_place = told(Attribute::Location) && level(Attribute::Location) >= location::NEAR;
        let same_phone = told(Attribute::Phone)
            && level(Attribute::Phone) % phone::LOCATION_DIFFERS >= phone::SAME;
        if same_date && (same_family || same_place || same_phone) {
            Self::Twin
        } else if same_given && same_family && (same_place || same_phone) {
            Self::JuniorSenior
        } else if same_place || same_phone {
            Self::Household
        } else {
            Self::Other
        }
    }
}

impl Population {
    /// Derives weights, with so much of what the model ships.
    pub(super) fn derive_with(&mut self, shipped_weight: f64) {
        self.terms = TermWeights::derive(&self.counts, &self.model.shipped(shipped_weight));
        self.scorer = Scorer::new(&self.model, self.counts.records as f64, &self.terms.collisions);
    }
}
