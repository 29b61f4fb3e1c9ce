//! Telephone numbers, in the context of the location, and e-mail addresses.

use super::{Found, best_of, location_agrees};
use crate::matching::{
    columns::{Field, Side, View},
    levels::{MISSING, email, phone},
    similarity::{jaro_winkler_bytes, within_one_edit},
    term_frequency::TermWeights,
};

const LOCAL_PART_SIMILAR: f64 = 0.92;
/// Short local parts resemble each other by chance.
const LOCAL_PART_LENGTH_MIN: usize = 6;

/// A household shares its telephone, so what agreement says depends on where they live.
pub(super) fn compare_phones(
    view: View<'_>,
    terms: &TermWeights,
    a: Side<'_>,
    b: Side<'_>,
    location_level: u8,
) -> (Found, (u8, u8)) {
    let rank = |level: u8| match level {
        phone::SAME_SHARED => 2 * phone::NEAR + 1,
        other => 2 * other,
    };
    let (mut found, chosen) =
        best_of(a.phones(), b.phones(), rank, |x, y| compare_phone(view, terms, x, y));
    if found.level != MISSING && location_level != MISSING {
        found.level += if location_agrees(location_level) {
            phone::LOCATION_AGREES
        } else {
            phone::LOCATION_DIFFERS
        };
    }
    (found, chosen)
}

fn compare_phone(view: View<'_>, terms: &TermWeights, a: u32, b: u32) -> Found {
    let (a, b) = (terms.usable_phone(a), terms.usable_phone(b));
    if a == 0 || b == 0 {
        return Found::MISSING;
    }
    if a == b {
        return match terms.shared_phone(a) {
            Some(frequency) => Found { level: phone::SAME_SHARED, frequency },
            None => Found::at(phone::SAME),
        };
    }
    let near = view.ends(Field::Phone, a).may_be_one_edit(view.ends(Field::Phone, b))
        && within_one_edit(view.text(Field::Phone, a), view.text(Field::Phone, b));
    Found::at(if near { phone::NEAR } else { phone::DIFFERENT })
}

pub(super) fn compare_emails(
    view: View<'_>,
    terms: &TermWeights,
    a: Side<'_>,
    b: Side<'_>,
) -> (Found, (u8, u8)) {
    best_of(a.emails(), b.emails(), |level| level, |x, y| compare_email(view, terms, x, y))
}

fn compare_email(view: View<'_>, terms: &TermWeights, a: u32, b: u32) -> Found {
    let (a, b) = (terms.usable_email(a), terms.usable_email(b));
    if a == 0 || b == 0 {
        return Found::MISSING;
    }
    if a == b {
        return Found::at(email::SAME);
    }
    let (x, y) = (view.text(Field::Email, a), view.text(Field::Email, b));
    let (local_x, local_y) = (local_part(x), local_part(y));
    let long = local_x.len().min(local_y.len()) >= LOCAL_PART_LENGTH_MIN;
    let similar = || jaro_winkler_bytes(local_x, local_y) >= LOCAL_PART_SIMILAR;
    let near = local_x == local_y || within_one_edit(x, y) || long && similar();
    Found::at(if near { email::NEAR } else { email::DIFFERENT })
}

fn local_part(address: &[u8]) -> &[u8] {
    let end = address.iter().position(|&b| b == b'@');
    &address[..end.unwrap_or(address.len())]
}
