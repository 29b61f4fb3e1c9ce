//! Random pairs hold matches too: noticeably so where records are few or duplicates many.

use super::random_pairs::Strangers;
use crate::matching::{
    levels::{Attribute, birth_date, email, location, phone, ssn},
    model::{Class, Model},
    term_frequency::TermWeights,
};

/// No probability of strangers is taken below this share of what was measured.
const SHARE_MIN: f64 = 0.02;

/// Takes the matches' share out of the strangers' probabilities, and of all that are tied to them.
pub(super) fn clean_strangers(model: &mut Model, measured: &Strangers, terms: &TermWeights) {
    let pairs = |class: Class| model.classes[class as usize].pairs;
    let share = pairs(Class::Match) / pairs(Class::Stranger);
    let mut cleaned = measured.levels;
    for attribute in Attribute::ALL {
        let matching = model.classes[Class::Match as usize].at(attribute);
        let levels = attribute.levels().len();
        let row = &mut cleaned[attribute as usize][..levels];
        for (level, p) in row.iter_mut().enumerate() {
            if counts_people(attribute, level as u8) {
                continue;
            }
            let raw = *p;
            let floor = if (attribute, level as u8) == (Attribute::BirthDate, birth_date::SAME) {
                0.8 * terms.birth_date_floor
            } else {
                // As low as the sample could have hidden: less than one standard deviation.
                (0.7 * (raw / measured.pairs).sqrt()).min(0.5 * raw)
            };
            let clean = (raw - share * matching[level]) / (1.0 - share);
            *p = clean.max(floor).max(SHARE_MIN * raw).min(1.0);
        }
    }
    for class in Class::ALL {
        for attribute in Attribute::ALL.into_iter().filter(|a| class.is_tied(*a)) {
            model.classes[class as usize].probabilities[attribute as usize] =
                cleaned[attribute as usize];
        }
    }
}

/// Levels whose probability comes from counting people, not records: matches are not in it.
fn counts_people(attribute: Attribute, level: u8) -> bool {
    match attribute {
        Attribute::Phone => level % phone::LOCATION_DIFFERS >= phone::SAME,
        Attribute::Location => level >= location::SAME,
        Attribute::SocialSecurity => level == ssn::SAME,
        Attribute::Email => level == email::SAME,
        _ => false,
    }
}
