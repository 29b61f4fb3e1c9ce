//! What keeps the classes apart. Without these bounds the twin class swallows matches with a typing
//! error in the given name, and the household class swallows everything else.

use crate::matching::{
    levels::{ATTRIBUTES, Attribute, LEVELS, birth_date, given, ssn},
    model::{CLASSES, Class, ClassTable},
};

type Levels = [[f64; LEVELS]; ATTRIBUTES];

/// Twins, and parents and children of one name, are at most this share of all household pairs.
const RARE_KIN_MAX: f64 = 0.2;

const SAME_SSN: &[u8] = &[ssn::SAME, ssn::NEAR, ssn::TWO_EDITS, ssn::ONLY_LAST_FOUR];
const SAME_DATE: &[u8] =
    &[birth_date::SAME, birth_date::SAME_FREQUENT, birth_date::SWAPPED, birth_date::ONE_DIGIT];
const SAME_GIVEN: &[u8] =
    &[given::SAME, given::SAME + 1, given::SAME + 2, given::NICKNAME, given::SWAPPED];
const NEAR_GIVEN: &[u8] = &[given::ONE_EDIT, given::SIMILAR];
const ALIKE_GIVEN: &[u8] = &[
    given::SAME,
    given::SAME + 1,
    given::SAME + 2,
    given::NICKNAME,
    given::SWAPPED,
    given::ONE_EDIT,
    given::SIMILAR,
    given::IS_MIDDLE,
];

/// Bounds one class after an estimate.
pub(super) fn apply(class: Class, levels: &mut Levels) {
    match class {
        Class::Household => {
            two_numbers(levels, 0.02);
            bound(levels, Attribute::BirthDate, SAME_DATE, 0.02);
            bound(levels, Attribute::GivenName, ALIKE_GIVEN, 0.1);
        }
        Class::Twin => {
            bound(levels, Attribute::SocialSecurity, &[ssn::SAME], 0.03);
            bound(levels, Attribute::SocialSecurity, &[ssn::LAST_FOUR_SAME], 0.03);
            // What one bound takes the other levels get: both hold after a few turns.
            for _ in 0..4 {
                bound(levels, Attribute::GivenName, NEAR_GIVEN, 0.3);
                bound(levels, Attribute::GivenName, SAME_GIVEN, 0.02);
            }
        }
        Class::JuniorSenior => {
            two_numbers(levels, 0.02);
            bound(levels, Attribute::BirthDate, SAME_DATE, 0.01);
        }
        Class::Stranger | Class::Match | Class::Namesake => {}
    }
    if class.is_family() {
        bound(levels, Attribute::Identifier, &[crate::matching::levels::number::SAME], 0.05);
    }
}

/// Two people have two social security numbers.
fn two_numbers(levels: &mut Levels, most: f64) {
    bound(levels, Attribute::SocialSecurity, SAME_SSN, most);
    bound(levels, Attribute::SocialSecurity, &[ssn::LAST_FOUR_SAME], most);
}

/// Keeps the sum of some levels at `most`; the rest of their context takes what is left.
fn bound(levels: &mut Levels, attribute: Attribute, some: &[u8], most: f64) {
    let row = &mut levels[attribute as usize];
    let context = context_of(attribute, some[0]);
    let is_some = |level: usize| some.contains(&(level as u8));
    let total: f64 = context.iter().filter(|&&l| is_some(l)).map(|&l| row[l]).sum();
    if total <= most {
        return;
    }
    let rest: f64 = context.iter().filter(|&&l| !is_some(l)).map(|&l| row[l]).sum();
    for level in context {
        row[level] *= if is_some(level) { most / total } else { (1.0 - most) / rest.max(1e-12) };
    }
}

/// The levels that sum to 1 with `level`; of social security numbers, whole ones apart from last fours.
fn context_of(attribute: Attribute, level: u8) -> Vec<usize> {
    const LAST_FOURS: [usize; 2] =
        [ssn::LAST_FOUR_SAME as usize, ssn::LAST_FOUR_DIFFERENT as usize];
    let context = attribute
        .contexts()
        .find(|context| context.contains(&usize::from(level)))
        .unwrap_or(0..attribute.levels().len());
    if attribute != Attribute::SocialSecurity {
        return context.collect();
    }
    let last_four = LAST_FOURS.contains(&usize::from(level));
    context.filter(|level| LAST_FOURS.contains(level) == last_four).collect()
}

/// Bounds the sizes of the rare kinds of kin.
pub(super) fn apply_sizes(classes: &mut [ClassTable; CLASSES]) {
    let most = (RARE_KIN_MAX * classes[Class::Household as usize].pairs).max(0.5);
    for class in [Class::Twin, Class::JuniorSenior] {
        let pairs = &mut classes[class as usize].pairs;
        *pairs = pairs.min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::model::{Model, normalize_contexts};

    fn sum(levels: &Levels, attribute: Attribute, some: &[u8]) -> f64 {
        some.iter().map(|l| levels[attribute as usize][usize::from(*l)]).sum()
    }

    #[test]
    fn kin_never_learn_to_look_like_one_person() {
        let matching = Model::default_model().classes[Class::Match as usize].clone();
        for (class, attribute, some, most) in [
            (Class::Household, Attribute::BirthDate, SAME_DATE, 0.02),
            (Class::Household, Attribute::GivenName, ALIKE_GIVEN, 0.1),
            (Class::Household, Attribute::SocialSecurity, SAME_SSN, 0.02),
            (Class::Twin, Attribute::GivenName, SAME_GIVEN, 0.02),
            (Class::Twin, Attribute::GivenName, NEAR_GIVEN, 0.3),
            (Class::Twin, Attribute::SocialSecurity, &[ssn::SAME], 0.03),
            (Class::JuniorSenior, Attribute::BirthDate, SAME_DATE, 0.01),
        ] {
            let mut levels = matching.probabilities.clone();
            apply(class, &mut levels);
            let total = sum(&levels, attribute, some);
            assert!(total <= most * 1.01, "{class:?} {attribute:?} {total}");
        }
    }

    #[test]
    fn a_bound_keeps_the_context_whole() {
        let mut levels = *Model::default_model().classes[Class::Match as usize].probabilities;
        normalize_contexts(&mut levels);
        bound(&mut levels, Attribute::GivenName, SAME_GIVEN, 0.02);
        let all: Vec<u8> = (0..Attribute::GivenName.levels().len() as u8).collect();
        assert!((sum(&levels, Attribute::GivenName, &all) - 1.0).abs() < 1e-9);
    }
}
