//! The kinds of pairs, and one table of probabilities for each.

use serde::{Deserialize, Serialize};

use crate::matching::levels::{ATTRIBUTES, Attribute, LEVELS, MISSING};

/// What a pair of records can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Two people with nothing to do with each other.
    Stranger,
    /// One person twice.
    Match,
    /// Two people of one household or family.
    Household,
    /// Two people born together.
    Twin,
    /// Parent and child of one name.
    JuniorSenior,
    /// Two strangers of one name: names cluster by origin, region and generation.
    Namesake,
}

pub(crate) const CLASSES: usize = 6;

impl Class {
    pub(crate) const ALL: [Self; CLASSES] = [
        Self::Stranger,
        Self::Match,
        Self::Household,
        Self::Twin,
        Self::JuniorSenior,
        Self::Namesake,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Match => "match",
            Self::Household => "household",
            Self::Twin => "twin",
            Self::JuniorSenior => "junior_senior",
            Self::Namesake => "namesake",
        }
    }

    /// Whether value frequencies move its likelihood: agreeing strangers agree by chance.
    pub(crate) const fn uses_frequency(self) -> bool {
        matches!(self, Self::Stranger | Self::Namesake)
    }

    /// Whether the two are kin or live together.
    pub(crate) const fn is_family(self) -> bool {
        matches!(self, Self::Household | Self::Twin | Self::JuniorSenior)
    }

    /// Attributes on which the class compares as strangers do; they are not estimated for it.
    pub(crate) const fn is_tied(self, attribute: Attribute) -> bool {
        match self {
            Self::Stranger => true,
            Self::Match => false,
            Self::Household => matches!(attribute, Attribute::MiddleName | Attribute::RecordNumber),
            Self::Twin | Self::JuniorSenior => matches!(attribute, Attribute::RecordNumber),
            Self::Namesake => {
                !matches!(attribute, Attribute::GivenName | Attribute::Sex | Attribute::FamilyName)
            }
        }
    }
}

/// How large a class is and how its pairs compare.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClassTable {
    /// Expected pairs of the class in a population of the model's size.
    pub(crate) pairs: f64,
    /// P(level | class), by attribute; within a context they sum to 1, and *missing* is always 1.
    pub(crate) probabilities: Box<[[f64; LEVELS]; ATTRIBUTES]>,
}

impl ClassTable {
    pub(crate) fn at(&self, attribute: Attribute) -> &[f64; LEVELS] {
        &self.probabilities[attribute as usize]
    }
}

/// The smallest probability of a level: nothing is impossible in real data.
const PROBABILITY_MIN: f64 = 1e-12;

/// Scales every context to sum to 1, and *missing* to 1.
pub(crate) fn normalize_contexts(probabilities: &mut [[f64; LEVELS]; ATTRIBUTES]) {
    for attribute in Attribute::ALL {
        let row = &mut probabilities[attribute as usize];
        for context in attribute.contexts() {
            let total: f64 = row[context.clone()].iter().sum();
            for p in &mut row[context] {
                *p = if total > 0.0 { (*p / total).max(PROBABILITY_MIN) } else { PROBABILITY_MIN };
            }
        }
        row[usize::from(MISSING)] = 1.0;
    }
}
