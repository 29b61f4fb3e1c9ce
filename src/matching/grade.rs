//! Grades: what a weight means for whoever asks.

use serde::Serialize;

use super::{model::Model, scoring::MatchWeight, veto::Vetoes};

/// How sure a match is: FHIR `match-grade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchGrade {
    /// Two people.
    CertainlyNot,
    /// Worth a look.
    Possible,
    /// More likely one person than not, but not beyond the harm of being wrong, or vetoed.
    Probable,
    /// One person: linked.
    Certain,
}

impl MatchGrade {
    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CertainlyNot => "certainly-not",
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Certain => "certain",
        }
    }

    /// Grades a weight; a veto never lets a pair be certain.
    pub(crate) fn of(model: &Model, bits: f32, vetoed: bool) -> Self {
        if bits >= model.link_bits() {
            return if vetoed { Self::Probable } else { Self::Certain };
        }
        let middle = f32::midpoint(model.link_bits(), model.review_bits());
        if bits < model.review_bits() {
            Self::CertainlyNot
        } else if bits < middle || vetoed {
            Self::Possible
        } else {
            Self::Probable
        }
    }
}

/// What two records have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairVerdict {
    /// The weight of all evidence.
    pub bits: MatchWeight,
    /// What it means.
    pub grade: MatchGrade,
    /// What forbids a link, whatever the weight.
    pub vetoes: Vetoes,
    /// The strongest other explanation is that they are kin or live together.
    pub kin: bool,
}

/// How much better one person explains how two records compare than two people do, in bits, whatever a
/// wrong link would cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odds {
    /// Than strangers, were they as many as matches.
    pub against_strangers: f32,
    /// Than kin, who are as many as in the model's population.
    pub against_kin: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unvetoed_pair_above_the_threshold_is_certain() {
        let model = Model::default_model();
        let (link, review) = (model.link_bits(), model.review_bits());
        let grade = |bits, vetoed| MatchGrade::of(&model, bits, vetoed);
        assert_eq!(grade(link, false), MatchGrade::Certain);
        assert_eq!(grade(link + 40.0, true), MatchGrade::Probable);
        assert_eq!(grade(link - 0.1, false), MatchGrade::Probable);
        assert_eq!(grade(link - 0.1, true), MatchGrade::Possible);
        assert_eq!(grade(review, false), MatchGrade::Possible);
        assert_eq!(grade(review - 0.1, false), MatchGrade::CertainlyNot);
    }
}
