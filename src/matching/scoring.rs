//! From a comparison to a weight in bits.
//!
//! A model of six kinds of pairs: the weight is log2 of what speaks for a match over what speaks
//! for everything else, kin counted at what a wrong link of theirs costs.

use super::{
    comparison::Comparison,
    grade::Odds,
    levels::{ATTRIBUTES, Attribute, LEVELS, MISSING, Pattern, given, number, ssn},
    model::{CLASSES, Class, Model},
    term_frequency::Collisions,
};

/// Evidence in bits: above zero speaks for a match, below against; bits add.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, serde::Serialize)]
pub struct MatchWeight(pub f32);

/// A pair's weight, and what stands against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Score {
    pub(crate) bits: f32,
    /// The strongest alternative is kin, not strangers: real counter-evidence, not mere silence.
    pub(crate) kin: bool,
}

/// Room for one number of each class, so that they are added all at once.
const LANES: usize = CLASSES.next_power_of_two();

/// The model's logarithms, laid out for scoring; for one size of population.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "all are logarithms")]
pub(crate) struct Scorer {
    /// ln P(level | class), by attribute, level and class.
    ln_probability: Box<[[[f32; LANES]; LEVELS]; ATTRIBUTES]>,
    /// ln of the expected pairs of each class.
    ln_pairs: [f32; CLASSES],
    ln_cost: [f32; CLASSES],
    /// Added for twins by the level of their given names: of nearly one name, nothing would ever show that
    /// their link is wrong.
    ln_near_twin_cost: [f32; LEVELS],
}

impl Scorer {
    /// For a population of `records`, with the chances of agreeing exactly as they are there. A
    /// population smaller than the model's is scored as the model's, so that what came first is
    /// not linked more easily than what comes later.
    pub(crate) fn new(model: &Model, records: f64, local: &Collisions) -> Self {
        let scale = (records / model.records).max(1.0);
        let mut scorer = Self::of_classes(model);
        for class in Class::ALL {
            // Strangers meet in all pairs, everybody else in proportion to the records.
            let growth = if class == Class::Stranger { scale * scale } else { scale };
            scorer.ln_pairs[class as usize] += growth.ln() as f32;
        }
        let trained = model.collisions.levels();
        for ((attribute, level, now), (_, _, then)) in local.levels().into_iter().zip(trained) {
            let change = (now / then).ln() as f32;
            for class in Class::ALL {
                if class.uses_frequency() && class.is_tied(attribute) {
                    scorer.ln_probability[attribute as usize][usize::from(level)]
                        [class as usize] += change;
                }
            }
        }
        scorer
    }

    /// Exactly the model's classes, as training needs them.
    pub(crate) fn of_classes(model: &Model) -> Self {
        let mut ln_probability = Box::new([[[0.0; LANES]; LEVELS]; ATTRIBUTES]);
        let mut ln_pairs = [0.0; CLASSES];
        let mut ln_cost = [0.0; CLASSES];
        for class in Class::ALL {
            let k = class as usize;
            let table = &model.classes[k];
            for attribute in Attribute::ALL {
                for level in 0..LEVELS {
                    let p = if level == usize::from(MISSING) {
                        1.0
                    } else {
                        table.at(attribute)[level].max(1e-12)
                    };
                    ln_probability[attribute as usize][level][k] = p.ln() as f32;
                }
            }
            ln_pairs[k] = table.pairs.max(1e-9).ln() as f32;
            ln_cost[k] = if class.is_family() { model.costs[k].ln() as f32 } else { 0.0 };
        }
        Self { ln_probability, ln_pairs, ln_cost, ln_near_twin_cost: ln_near_twin_cost(model) }
    }

    /// ln of the expected number of pairs of each class that compare so.
    #[inline]
    pub(crate) fn ln_expected(&self, pattern: Pattern, frequency: f32) -> [f32; CLASSES] {
        let mut lanes = [0.0; LANES];
        lanes[..CLASSES].copy_from_slice(&self.ln_pairs);
        for (attribute, levels) in self.ln_probability.iter().enumerate() {
            let row = &levels[usize::from(pattern.at(attribute))];
            for (sum, ln) in lanes.iter_mut().zip(row) {
                *sum += ln;
            }
        }
        let mut sums: [f32; CLASSES] = std::array::from_fn(|class| lanes[class]);
        sums[Class::Stranger as usize] += frequency;
        sums[Class::Namesake as usize] += frequency;
        sums
    }

    /// How one person compares with two people as an explanation.
    pub(crate) fn odds(&self, comparison: &Comparison) -> Odds {
        let expected = self.ln_expected(comparison.pattern, comparison.frequency());
        let [stranger, matching, household, twin, junior, namesake] = expected;
        let of_all = self.ln_pairs[Class::Stranger as usize] - self.ln_pairs[Class::Match as usize];
        Odds {
            against_strangers: bits_of(matching + of_all - ln_add(stranger, namesake)),
            against_kin: bits_of(matching - ln_add(ln_add(household, twin), junior)),
        }
    }

    /// ln P(level | class) of one attribute.
    pub(crate) fn ln_level(&self, attribute: Attribute, level: u8) -> [f32; CLASSES] {
        let lanes = &self.ln_probability[attribute as usize][usize::from(level)];
        std::array::from_fn(|class| lanes[class])
    }

    #[inline]
    pub(crate) fn score(&self, comparison: &Comparison) -> Score {
        self.score_pattern(comparison.pattern, comparison.frequency())
    }

    /// The score if it is `least` bits or more; most pairs fall short and cost no logarithm.
    #[inline]
    pub(crate) fn score_from(&self, comparison: &Comparison, least: f32) -> Option<Score> {
        let expected = self.ln_harm(comparison.pattern, comparison.frequency());
        let [stranger, matching, household, twin, junior, namesake] = expected;
        // What stands against it is more than the strongest of it.
        let against = stranger.max(household).max(twin).max(junior).max(namesake);
        if bits_of(matching - against) < least {
            return None;
        }
        Some(Score::of(expected)).filter(|score| score.bits >= least)
    }

    #[inline]
    pub(crate) fn score_pattern(&self, pattern: Pattern, frequency: f32) -> Score {
        Score::of(self.ln_harm(pattern, frequency))
    }

    /// ln of the expected pairs of each class, kin counted at what their link costs.
    #[inline]
    fn ln_harm(&self, pattern: Pattern, frequency: f32) -> [f32; CLASSES] {
        let mut expected = self.ln_expected(pattern, frequency);
        for (sum, cost) in expected.iter_mut().zip(self.ln_cost) {
            *sum += cost;
        }
        let near = self.ln_near_twin_cost[usize::from(pattern.level(Attribute::GivenName))];
        if near > 0.0 && !shares_own_number(pattern) {
            expected[Class::Twin as usize] += near;
        }
        expected
    }
}

impl Score {
    fn of(ln_harm: [f32; CLASSES]) -> Self {
        let [stranger, matching, household, twin, junior, namesake] = ln_harm;
        let others = ln_add(stranger, namesake);
        let kin = ln_add(ln_add(household, twin), junior);
        Self { bits: bits_of(matching - ln_add(others, kin)), kin: kin > others }
    }
}

fn bits_of(nats: f32) -> f32 {
    nats * std::f32::consts::LOG2_E
}

/// Whether a number agrees that each of two twins has for itself: then their link would show.
fn shares_own_number(pattern: Pattern) -> bool {
    matches!(pattern.level(Attribute::SocialSecurity), ssn::SAME | ssn::LAST_FOUR_SAME)
        || pattern.level(Attribute::Identifier) == number::SAME
        || pattern.level(Attribute::RecordNumber) == number::SAME
}

/// By level of the given names. However high the cost, a name nearly agreed on shall not speak more for
/// twins than quite another one does.
fn ln_near_twin_cost(model: &Model) -> [f32; LEVELS] {
    let speaks_for_twins = |level: u8| {
        let ln = |class: Class| {
            model.classes[class as usize].at(Attribute::GivenName)[usize::from(level)]
                .max(1e-12)
                .ln()
        };
        ln(Class::Twin) - ln(Class::Match)
    };
    let room = |level| (speaks_for_twins(given::DIFFERENT) - speaks_for_twins(level)).max(0.0);
    let cost = |level| model.near_twin_cost.ln().min(room(level)) as f32;
    let by_level = |level| if is_near_name(level as u8) { cost(level as u8) } else { 0.0 };
    std::array::from_fn(by_level)
}

/// Given names that one person's are often mistyped as, and that twins often have.
const fn is_near_name(level: u8) -> bool {
    matches!(level, given::ONE_EDIT | given::SIMILAR)
}

/// ln(e^a + e^b)
#[inline]
fn ln_add(a: f32, b: f32) -> f32 {
    /// Below e^-15 the smaller does not show in an f32.
    const NEGLIGIBLE: f32 = 15.0;
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    if large - small > NEGLIGIBLE { large } else { large + (small - large).exp().ln_1p() }
}
