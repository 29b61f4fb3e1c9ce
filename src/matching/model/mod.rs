//! The model: what kinds of pairs there are, how often, and how each kind compares.

mod classes;
mod file;
mod start;

use std::sync::Arc;

use thiserror::Error;

pub use classes::Class;
pub(crate) use classes::{CLASSES, ClassTable, normalize_contexts};
pub(crate) use file::Trained;

use super::{
    columns::{Columns, Field},
    term_frequency::{Collisions, NameShares, Shipped},
};

/// How many records of a population outweigh the frequencies that the model ships.
const SHIPPED_FREQUENCY_RECORDS: f64 = 1_000.0;
/// How many bits below the link threshold a pair is still worth a reviewer's time.
const REVIEW_BAND_BITS: f32 = 5.0;
/// Showing a stranger's record to whoever asks by demographics costs this many bits more than a link
/// that a steward can undo.
const RELEASE_BITS: f32 = 2.0;
/// Missing a match costs this many bits more than linking two strangers: what is missed is not looked for again.
const MISS_BITS: f32 = 1.0;

/// A trained model; made by training or read from a model file.
#[derive(Clone)]
pub struct Model {
    pub(crate) version: String,
    pub(crate) trained: Trained,
    /// Records of the population that the class sizes hold for.
    pub(crate) records: f64,
    pub(crate) classes: [ClassTable; CLASSES],
    /// What a wrong link of such a pair costs, beside a missed one at 1.
    pub(crate) costs: [f64; CLASSES],
    /// How many times more it costs to link twins of nearly one name.
    pub(crate) near_twin_cost: f64,
    /// Links from here on instead of where the costs balance, in bits.
    pub(crate) link_bits: Option<f32>,
    pub(crate) collisions: Collisions,
    /// Average ln share of the rarer of two similar names, negated: given, family.
    pub(crate) fuzzy: [f64; 2],
    pub(crate) given: Vec<(String, f64)>,
    pub(crate) family: Vec<(String, f64)>,
    pub(crate) unlisted: [f64; 2],
    pub(crate) vocabulary: Arc<Vocabulary>,
}

/// The names that model and nickname table know, already interned: every population starts from it.
pub(crate) struct Vocabulary {
    pub(crate) columns: Columns,
    pub(crate) given: NameShares,
    pub(crate) family: NameShares,
}

/// Why a model file cannot be used.
#[derive(Debug, Error)]
pub enum InvalidModel {
    /// Not the JSON of a model.
    #[error("not a model file: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A class is missing or there twice.
    #[error("model has no single class {0}")]
    Class(&'static str),
    /// An attribute or level is missing, or unknown.
    #[error("class {class}: {attribute} must list exactly the levels of this version")]
    Levels {
        /// The class.
        class: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// A number is not a probability, or a size or cost is not positive.
    #[error("model number out of range: {0}")]
    OutOfRange(&'static str),
}

impl Model {
    /// Reads a model file.
    pub fn from_json(text: &str) -> Result<Self, InvalidModel> {
        file::read(text)
    }

    /// The model as a file, readable and stable.
    pub fn to_json(&self) -> String {
        file::write(self)
    }

    /// The model that ships with this program.
    pub fn default_model() -> Self {
        Self::from_json(include_str!("../../../config/model.json"))
            .expect("config/model.json is read by a test")
    }

    /// Where training starts if nothing better is known: what is usual everywhere, trained on nothing.
    pub fn untrained() -> Self {
        start::model()
    }

    /// The version that decisions are recorded with.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// From here on a pair without veto is certain and linked, in bits. Scores weigh the harm of each
    /// kind of wrong link; where it balances that of a missed one, linking begins.
    pub const fn link_bits(&self) -> f32 {
        match self.link_bits {
            Some(bits) => bits,
            None => -MISS_BITS,
        }
    }

    /// The same model, linking from another weight on: to see what that would change.
    #[must_use]
    pub fn linking_from(mut self, bits: f32) -> Self {
        self.link_bits = Some(bits);
        self
    }

    /// From here on a person who is certain may be shown to whoever asks by demographics alone, in bits.
    pub const fn release_bits(&self) -> f32 {
        self.link_bits() + RELEASE_BITS
    }

    /// From here on a pair is worth a review task, in bits.
    pub const fn review_bits(&self) -> f32 {
        self.link_bits() - REVIEW_BAND_BITS
    }

    /// Sets what a wrong link of a kind of kin costs, beside a missed one at 1; `false` for a name that
    /// is none of `household`, `twin`, `junior_senior`, and `near_twin`, which multiplies `twin`.
    pub fn set_cost(&mut self, kind: &str, times: f64) -> bool {
        if kind == "near_twin" {
            self.near_twin_cost = times;
            return true;
        }
        let kin = Class::ALL.into_iter().filter(|class| class.is_family());
        let found = kin.into_iter().find(|class| class.name() == kind);
        if let Some(class) = found {
            self.costs[class as usize] = times;
        }
        found.is_some()
    }

    pub(crate) fn shipped(&self, weight: f64) -> Shipped<'_> {
        Shipped {
            given: &self.vocabulary.given,
            family: &self.vocabulary.family,
            collisions: &self.collisions,
            fuzzy: self.fuzzy,
            weight,
            records: self.records,
        }
    }

    pub(crate) const fn shipped_weight() -> f64 {
        SHIPPED_FREQUENCY_RECORDS
    }
}

/// Interns the names that are known beforehand.
pub(crate) fn vocabulary(
    given: &[(String, f64)],
    family: &[(String, f64)],
    unlisted: [f64; 2],
) -> Arc<Vocabulary> {
    let mut columns = Columns::default();
    let mut shares = |listed: &[(String, f64)], unlisted| {
        let mut by_number = Vec::new();
        for (name, share) in listed {
            let id = columns.intern_name(name) as usize;
            if id >= by_number.len() {
                by_number.resize(id + 1, 0.0);
            }
            by_number[id] = *share as f32;
        }
        NameShares { listed: by_number, unlisted }
    };
    let given = shares(given, unlisted[0]);
    let family = shares(family, unlisted[1]);
    Arc::new(Vocabulary { columns, given, family })
}

/// The most common names of a population, for the model file.
pub(crate) fn listed_names(
    columns: &Columns,
    share: impl Fn(u32) -> f64,
    count: impl Fn(u32) -> u32,
) -> (Vec<(String, f64)>, f64) {
    const LISTED_MAX: usize = 1_000;
    /// Names rarer than this could point at a person.
    const COUNT_MIN: u32 = 20;
    let lexicon = columns.lexicon(Field::Name);
    let mut names: Vec<(u32, f64)> =
        (1..lexicon.len() as u32).filter(|&id| count(id) > 0).map(|id| (id, share(id))).collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let listed = names.iter().take(LISTED_MAX).filter(|(id, _)| count(*id) >= COUNT_MIN).count();
    let (rest_mass, rest_squares) = names[listed..]
        .iter()
        .fold((1e-9, 1e-14), |(mass, squares), (_, p)| (mass + p, squares + p * p));
    let texts = names[..listed]
        .iter()
        .map(|(id, p)| (String::from_utf8_lossy(lexicon.text(*id)).into_owned(), *p))
        .collect();
    (texts, rest_squares / rest_mass)
}
