//! Who is who: comparing demographics and judging whether they tell of one person.
//!
//! Pure: no clock, network, file or randomness; seeds are arguments. `docs/matching.md` tells the model.

mod blocking;
pub mod bulk;
mod chunked;
mod columns;
mod comparison;
mod counts;
#[cfg(test)]
mod dump;
#[cfg(test)]
mod every_level;
#[cfg(test)]
mod every_veto;
mod explain;
mod grade;
pub(crate) mod kept;
mod levels;
mod lexicon;
pub(crate) mod lists;
mod model;
pub mod nicknames;
mod normalize;
mod person;
pub mod policy;
mod population;
pub(crate) mod room;
mod scoring;
pub mod similarity;
mod sketch;
pub(crate) mod table;
mod term_frequency;
#[cfg(test)]
mod tests;
mod training;
mod veto;

pub(crate) use chunked::Chunked;
pub use explain::{Explanation, Kind, Step};
pub use grade::{MatchGrade, Odds, PairVerdict};
pub use levels::Attribute;
pub(crate) use lexicon::Lexicon;
pub use model::{Class, InvalidModel, Model};
pub use normalize::{FlatRecord, NormalizedRecord};
pub use person::PersonVerdict;
pub use population::{PairJudge, Population, Probe, RecordNo, compare_demographics};
pub use scoring::MatchWeight;
pub use training::TrainingOptions;
pub use veto::{Veto, Vetoes};
