//! Birth dates: typing errors, swapped parts, defaults, and dates told in part.

use super::Found;
use crate::matching::{
    levels::birth_date as level, normalize::BirthDate, similarity::within_one_edit,
    term_frequency::TermWeights,
};

/// 1 January, which systems fill in where only the year is known.
const NEW_YEAR: u32 = 101;
/// A day told wrong by so many: a birth around midnight, a date counted from another, a slip.
const FEW_DAYS_MAX: u32 = 3;
/// Whoever was born so many years apart on one day of the year is parent and child rather than a typing error.
const GENERATION_YEARS_MIN: u32 = 14;

pub(super) fn compare(terms: &TermWeights, a: BirthDate, b: BirthDate) -> Found {
    if !a.is_told() || !b.is_told() {
        return Found::MISSING;
    }
    if !a.is_full() || !b.is_full() {
        return Found::at(partial_level(a, b));
    }
    if a == b {
        return match terms.frequent_date(a) {
            Some(frequency) => Found { level: level::SAME_FREQUENT, frequency },
            None => Found::at(level::SAME),
        };
    }
    Found::at(full_level(a, b))
}

/// Whether two full dates differ by more than a slip, and neither is what a system fills in.
pub(in crate::matching) fn differ_by_no_slip(
    terms: &TermWeights,
    a: BirthDate,
    b: BirthDate,
) -> bool {
    let told = [a, b].into_iter().all(|date| terms.frequent_date(date).is_none());
    let level = compare(terms, a, b).level;
    let no_slip = matches!(
        level,
        level::DIFFERENT
            | level::YEAR
            | level::MONTH_AND_DAY
            | level::TWO_OF_THREE
            | level::WITHIN_A_YEAR
            | level::GENERATION_APART
    );
    told && no_slip
}

fn full_level(a: BirthDate, b: BirthDate) -> u8 {
    let year = a.year() == b.year();
    if year && a.month() == b.day() && a.day() == b.month() {
        return level::SWAPPED;
    }
    if within_one_edit(&a.digits(), &b.digits()) {
        return level::ONE_DIGIT;
    }
    if a.month_and_day() == b.month_and_day() {
        let apart = a.year().abs_diff(b.year());
        let generation = apart >= GENERATION_YEARS_MIN;
        return if generation { level::GENERATION_APART } else { level::MONTH_AND_DAY };
    }
    if a.days_apart(b).is_some_and(|days| days <= FEW_DAYS_MAX) {
        return level::FEW_DAYS;
    }
    if !year {
        let apart = a.year().abs_diff(b.year());
        return if apart <= 1 { level::WITHIN_A_YEAR } else { level::DIFFERENT };
    }
    if a.month_and_day() == NEW_YEAR || b.month_and_day() == NEW_YEAR {
        return level::YEAR_AND_DEFAULT;
    }
    if a.month() == b.month() || a.day() == b.day() {
        return level::TWO_OF_THREE;
    }
    level::YEAR
}

/// Only what both tell is compared; nothing is padded.
fn partial_level(a: BirthDate, b: BirthDate) -> u8 {
    let months_told = a.month() != 0 && b.month() != 0;
    let agrees = a.year() == b.year() && (!months_told || a.month() == b.month());
    if agrees { level::PARTIAL_AGREES } else { level::PARTIAL_DIFFERS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::normalize::parse_birth_date;

    #[test]
    fn birth_date_levels() {
        let check = |a: &str, b: &str, expected: u8| {
            let (a, b) = (parse_birth_date(a), parse_birth_date(b));
            let terms = TermWeights::default();
            assert_eq!(compare(&terms, a, b), Found::at(expected), "{a:?} {b:?}");
            assert_eq!(compare(&terms, b, a), Found::at(expected), "{b:?} {a:?}");
        };
        check("1984-03-05", "1984-03-05", level::SAME);
        check("1984-03-05", "1984-05-03", level::SWAPPED);
        check("1984-03-05", "1984-03-06", level::ONE_DIGIT);
        check("1984-03-12", "1948-03-12", level::ONE_DIGIT);
        check("1984-03-12", "1991-03-12", level::MONTH_AND_DAY);
        check("1984-03-12", "1984-03-30", level::TWO_OF_THREE);
        check("1984-03-12", "1984-11-30", level::YEAR);
        check("1984-01-01", "1984-11-30", level::YEAR_AND_DEFAULT);
        check("1984-03-12", "1985-11-30", level::WITHIN_A_YEAR);
        check("1984-03-12", "1991-07-19", level::DIFFERENT);
        check("1984", "1984-11-30", level::PARTIAL_AGREES);
        check("1984-03", "1984-11-30", level::PARTIAL_DIFFERS);
        check("1984-03", "1984-03-30", level::PARTIAL_AGREES);
        check("1985", "1984-11-30", level::PARTIAL_DIFFERS);
        check("", "1984-11-30", crate::matching::levels::MISSING);
    }
}
