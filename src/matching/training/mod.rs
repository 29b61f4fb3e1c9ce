//! Training: strangers from random pairs, the other kinds of pairs by expectation–maximization over
//! the comparison patterns of blocked pairs. No labels are needed; where there are some, they count.

mod constraints;
mod decontaminate;
mod em;
mod random_pairs;

use std::sync::Arc;

pub(crate) use em::Patterns;

use super::{
    bulk::Blocks,
    model::{Class, ClassTable, Model, Trained, listed_names, vocabulary},
    population::Population,
};

/// Rounds of estimating the classes; between them the strangers are cleaned of matches.
const ROUNDS: usize = 3;

/// What training is told beside the population.
pub struct TrainingOptions<'a> {
    /// Seed of the random pairs.
    pub seed: u64,
    /// Version of the model made.
    pub version: String,
    /// Names of the files or populations trained on.
    pub on: Vec<String>,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// For each record the person it is known to be of, or 0: pairs of two known records are labelled.
    pub labels: Option<&'a [u32]>,
}

/// Trains a model on a population, starting from and leaning on what is usual everywhere; wrong links
/// cost what they cost in the population's present model. From now on the population is judged by it.
pub(crate) fn train(population: &mut Population, blocks: &Blocks, options: &TrainingOptions<'_>) {
    population.derive_alone();
    let (fuzzy, measured) = rayon::join(
        || random_pairs::similar_name_shares(population, options.seed),
        || random_pairs::measure(population, blocks, options.seed),
    );
    population.terms.set_fuzzy(fuzzy);
    let patterns = Patterns::collect(population, blocks, options.labels);
    let mut model = start(population, blocks, &measured, fuzzy);
    let prior = model.classes.clone();
    let mut iterations = 0;
    for round in 0..ROUNDS {
        iterations += em::maximize(&mut model, &prior, &patterns);
        if round + 1 < ROUNDS {
            decontaminate::clean_strangers(&mut model, &measured, &population.terms);
        }
    }
    model.version.clone_from(&options.version);
    model.trained = Trained {
        how: format!(
            "expectation-maximization {} labels, costs of {}",
            if options.labels.is_some() { "with" } else { "without" },
            population.model.version
        ),
        on: options.on.clone(),
        at: options.at.clone(),
        records: population.counts.records,
        pairs_compared: patterns.pairs() as u64,
        iterations,
    };
    population.adopt(model);
}

/// The model to start from: strangers as measured, all else as the prior has it.
fn start(
    population: &Population,
    blocks: &Blocks,
    measured: &random_pairs::Strangers,
    fuzzy: [f64; 2],
) -> Model {
    // Not from the model that judges now: one trained on another population was seen to lead astray where
    // households look different. It tells what wrong links cost.
    let prior = Model::untrained();
    let records = population.counts.records as f64;
    let scale = records / prior.records;
    let classes = Class::ALL.map(|class| {
        let table = &prior.classes[class as usize];
        let mut probabilities = table.probabilities.clone();
        for attribute in super::levels::Attribute::ALL {
            if class.is_tied(attribute) {
                probabilities[attribute as usize] = measured.levels[attribute as usize];
            }
        }
        let pairs = match class {
            Class::Stranger => blocks.possible_pairs(),
            _ => table.pairs * scale,
        };
        ClassTable { pairs, probabilities }
    });
    let columns = &population.columns;
    let terms = &population.terms;
    let counted = |of: &[u32], id: u32| of.get(id as usize).copied().unwrap_or(0);
    let (given, unlisted_given) = listed_names(
        columns,
        |id| terms.name_share(false, id),
        |id| counted(&population.counts.given.of, id),
    );
    let (family, unlisted_family) = listed_names(
        columns,
        |id| terms.name_share(true, id),
        |id| counted(&population.counts.family.of, id),
    );
    let unlisted = [unlisted_given, unlisted_family];
    Model {
        version: String::new(),
        trained: Trained::default(),
        records,
        classes,
        costs: population.model.costs,
        near_twin_cost: population.model.near_twin_cost,
        link_bits: population.model.link_bits,
        collisions: terms.collisions.clone(),
        fuzzy,
        vocabulary: vocabulary(&given, &family, unlisted),
        given,
        family,
        unlisted,
    }
}

impl Population {
    /// Derives frequencies from this population alone: what a model shipped does not count.
    fn derive_alone(&mut self) {
        self.derive_with(0.0);
    }

    /// Takes a model trained on this very population.
    fn adopt(&mut self, model: Model) {
        self.model = Arc::new(model);
        self.derive_with(0.0);
    }
}
