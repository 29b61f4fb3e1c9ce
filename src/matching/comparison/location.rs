//! Address, city and postal code as one joint comparison: they are parts of one fact.

use super::{Found, best_of};
use crate::matching::{
    columns::{Field, PlaceRow, Side, View},
    levels::location as level,
    similarity::{jaro_winkler_bytes, within_one_edit},
    term_frequency::TermWeights,
};

const STREET_SIMILAR: f64 = 0.9;

pub(super) fn compare_best(
    view: View<'_>,
    terms: &TermWeights,
    a: Side<'_>,
    b: Side<'_>,
) -> (Found, (u8, u8)) {
    // A shared building says less than one's own street address nearly spelled.
    let rank = |found: u8| match found {
        level::SAME_SHARED => 2 * level::NEAR + 1,
        other => 2 * other,
    };
    best_of(a.places(), b.places(), rank, |x, y| compare(view, terms, x, y))
}

fn both(a: u32, b: u32) -> bool {
    a != 0 && b != 0
}

fn compare(view: View<'_>, terms: &TermWeights, a: &PlaceRow, b: &PlaceRow) -> Found {
    let streets = both(a.street, b.street);
    let codes = both(a.postal_code, b.postal_code);
    let cities = both(a.city, b.city);
    if !streets && !codes && !cities {
        return Found::MISSING;
    }
    let same_code = codes && a.postal_code == b.postal_code;
    let same_city = cities && a.city == b.city;
    let codes_differ = codes && !same_code;
    // In one area, or at least nothing says that they are not.
    let one_area = same_code || same_city || !codes_differ && !cities;
    if streets && a.building == b.building {
        if codes_differ && !same_city {
            return Found::at(level::NEAR);
        }
        return same_building(terms, a, b);
    }
    if streets && one_area {
        if is_near(view, a, b) {
            return Found::at(level::NEAR);
        }
        if a.street == b.street {
            return Found::at(level::STREET);
        }
    }
    if same_code {
        return Found { level: level::POSTAL_CODE, frequency: terms.postal_code(a.postal_code) };
    }
    if same_city {
        return Found { level: level::CITY, frequency: terms.city(a.city) };
    }
    Found::at(level::DIFFERENT)
}

fn same_building(terms: &TermWeights, a: &PlaceRow, b: &PlaceRow) -> Found {
    if let Some(frequency) = terms.shared_building(a.building) {
        return Found { level: level::SAME_SHARED, frequency };
    }
    Found::at(if a.unit == b.unit {
        level::SAME
    } else if a.unit == 0 || b.unit == 0 {
        level::UNIT_MISSING
    } else {
        level::OTHER_UNIT
    })
}

/// One typing error in the street's name or in the house number.
fn is_near(view: View<'_>, a: &PlaceRow, b: &PlaceRow) -> bool {
    if a.number == 0 || b.number == 0 {
        return false;
    }
    let text = |id| view.text(Field::Street, id);
    if a.street == b.street {
        return within_one_edit(text(a.number), text(b.number));
    }
    if a.number != b.number {
        return false;
    }
    let (x, y) = (text(a.street), text(b.street));
    within_one_edit(x, y)
        || x.starts_with(y)
        || y.starts_with(x)
        || jaro_winkler_bytes(x, y) > STREET_SIMILAR
}
