//! Social security numbers and other identifiers.

use super::{Found, best_of};
use crate::matching::{
    columns::{Field, Side, SsnRow, View},
    levels::{number, ssn},
    similarity::osa_distance_bytes,
    term_frequency::TermWeights,
};

/// Two slips in one number of nine digits happen; by chance two numbers are hardly ever so near.
const EDITS_MAX: u32 = 2;

pub(super) fn compare_ssns(
    view: View<'_>,
    terms: &TermWeights,
    a: Side<'_>,
    b: Side<'_>,
) -> (Found, (u8, u8)) {
    let rank = |level: u8| match level {
        ssn::SAME => 6,
        ssn::LAST_FOUR_SAME => 5,
        ssn::NEAR => 4,
        ssn::TWO_EDITS => 3,
        ssn::ONLY_LAST_FOUR => 2,
        ssn::LAST_FOUR_DIFFERENT => 1,
        _ => 0,
    };
    best_of(a.ssns(), b.ssns(), rank, |x, y| compare_ssn(view, terms, x, y))
}

fn compare_ssn(view: View<'_>, terms: &TermWeights, a: &SsnRow, b: &SsnRow) -> Found {
    if a.last_four == 0 || b.last_four == 0 {
        return Found::MISSING;
    }
    let usable = |ssn: &SsnRow| ssn.whole == 0 || terms.usable_ssn(ssn.whole) != 0;
    if !usable(a) || !usable(b) {
        return Found::MISSING;
    }
    let same_last_four = a.last_four == b.last_four;
    Found::at(if a.whole == 0 || b.whole == 0 {
        if same_last_four { ssn::LAST_FOUR_SAME } else { ssn::LAST_FOUR_DIFFERENT }
    } else if a.whole == b.whole {
        ssn::SAME
    } else {
        match edits(view, a.whole, b.whole) {
            Some(1) => ssn::NEAR,
            Some(2) => ssn::TWO_EDITS,
            _ if same_last_four => ssn::ONLY_LAST_FOUR,
            _ => ssn::DIFFERENT,
        }
    })
}

/// How many edits lie between two social security numbers, if they are few.
fn edits(view: View<'_>, a: u32, b: u32) -> Option<usize> {
    view.digits(a)
        .may_be_within(view.digits(b), EDITS_MAX)
        .then(|| osa_distance_bytes(view.text(Field::Ssn, a), view.text(Field::Ssn, b)))
        .filter(|edits| *edits <= EDITS_MAX as usize)
}

/// Numbers of one namespace agree or differ; those of two namespaces cannot be compared.
pub(super) fn compare_namespaced(
    view: View<'_>,
    a: impl Iterator<Item = u32> + Clone,
    b: impl Iterator<Item = u32> + Clone,
) -> (Found, (u8, u8)) {
    best_of(
        a,
        b,
        |level| level,
        |x, y| {
            if x == 0 || y == 0 {
                return Found::MISSING;
            }
            if x == y {
                return Found::at(number::SAME);
            }
            let comparable = view.are_of_one_namespace(x, y);
            if comparable { Found::at(number::DIFFERENT) } else { Found::MISSING }
        },
    )
}
