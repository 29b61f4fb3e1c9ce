//! Comparing two records: one level for each attribute, the best over all values told.
//!
//! Evidence always comes from one record on each side. Names are compared whole (given, middle,
//! surname and suffix of one name against those of one other), so that a former surname is never
//! combined with another name's given name.

pub(super) mod birth_date;
mod contact;
mod location;
mod names;
mod numbers;

use super::{
    columns::{Side, View},
    levels::{ATTRIBUTES, Attribute, MISSING, Pattern, location as place_level},
    term_frequency::TermWeights,
    veto::{self, Vetoes},
};

/// How two records compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) pattern: Pattern,
    /// Adjustment to the strangers' likelihood for the values' frequencies, in nats, by attribute.
    pub(crate) frequency: [f32; ATTRIBUTES],
    pub(crate) vetoes: Vetoes,
    /// Which values were compared, where there are several.
    pub(crate) chosen: Chosen,
}

/// The places of the values compared, left and right, in each record's own order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) name: (u8, u8),
    pub(crate) place: (u8, u8),
    pub(crate) ssn: (u8, u8),
    pub(crate) phone: (u8, u8),
    pub(crate) email: (u8, u8),
    pub(crate) record_number: (u8, u8),
    pub(crate) identifier: (u8, u8),
}

impl Comparison {
    /// The sum of the adjustments, in nats.
    #[inline]
    pub(crate) fn frequency(&self) -> f32 {
        self.frequency.iter().sum()
    }
}

/// A level with the adjustment for the frequency of the value agreed on, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    level: u8,
    frequency: f32,
}

impl Found {
    const MISSING: Self = Self::at(MISSING);

    const fn at(level: u8) -> Self {
        Self { level, frequency: 0.0 }
    }
}

/// Compares two records whose values `view` can read.
pub(crate) fn compare(view: View<'_>, terms: &TermWeights, a: Side<'_>, b: Side<'_>) -> Comparison {
    let mut result = Comparison {
        pattern: Pattern::EMPTY,
        frequency: [0.0; ATTRIBUTES],
        vetoes: Vetoes::NONE,
        chosen: Chosen::default(),
    };
    let mut put = |attribute: Attribute, found: Found| {
        result.pattern = result.pattern.with(attribute, found.level);
        result.frequency[attribute as usize] = found.frequency;
    };
    let (name, chosen_name) = names::compare_best(view, terms, a, b);
    put(Attribute::GivenName, name.given);
    put(Attribute::MiddleName, name.middle);
    put(Attribute::FamilyName, name.family);
    put(Attribute::Suffix, name.suffix);
    put(Attribute::Sex, Found::at(names::sex_level(a.row.sex, b.row.sex, name.given.level)));
    put(Attribute::BirthDate, birth_date::compare(terms, a.row.birth_date, b.row.birth_date));
    let (location, chosen_place) = location::compare_best(view, terms, a, b);
    put(Attribute::Location, location);
    let (phone, chosen_phone) = contact::compare_phones(view, terms, a, b, location.level);
    put(Attribute::Phone, phone);
    let (email, chosen_email) = contact::compare_emails(view, terms, a, b);
    put(Attribute::Email, email);
    let (ssn, chosen_ssn) = numbers::compare_ssns(view, terms, a, b);
    put(Attribute::SocialSecurity, ssn);
    let (record_number, chosen_record_number) =
        numbers::compare_namespaced(view, a.record_numbers(), b.record_numbers());
    put(Attribute::RecordNumber, record_number);
    let (identifier, chosen_identifier) =
        numbers::compare_namespaced(view, a.identifiers(), b.identifiers());
    put(Attribute::Identifier, identifier);
    result.chosen = Chosen {
        name: chosen_name,
        place: chosen_place,
        ssn: chosen_ssn,
        phone: chosen_phone,
        email: chosen_email,
        record_number: chosen_record_number,
        identifier: chosen_identifier,
    };
    result.vetoes = veto::find(result.pattern, a, b);
    result
}

/// Whether the two live at one address, as far as is told.
fn location_agrees(level: u8) -> bool {
    level != MISSING && level >= place_level::NEAR
}

/// The best of all pairs of values, with where they stand. `better` ranks a level; the first best wins.
#[expect(clippy::needless_pass_by_value, reason = "iterators are handed over")]
fn best_of<A, B, I, J, F>(
    left: I,
    right: J,
    rank: impl Fn(u8) -> u8,
    compare: F,
) -> (Found, (u8, u8))
where
    I: Iterator<Item = A> + Clone,
    J: Iterator<Item = B> + Clone,
    A: Copy,
    F: Fn(A, B) -> Found,
{
    // Most records tell one value.
    if let ((1, Some(1)), (1, Some(1))) = (left.size_hint(), right.size_hint())
        && let (Some(a), Some(b)) = (left.clone().next(), right.clone().next())
    {
        return (compare(a, b), (0, 0));
    }
    let mut best: Option<(u8, Found, (u8, u8))> = None;
    for (i, a) in left.enumerate() {
        for (j, b) in right.clone().enumerate() {
            let found = compare(a, b);
            if found.level == MISSING {
                continue;
            }
            let rank = rank(found.level);
            let frequency_less = |known: &Found| found.frequency < known.frequency;
            if best.as_ref().is_none_or(|(known, level, _)| {
                rank > *known || rank == *known && frequency_less(level)
            }) {
                best = Some((rank, found, (i as u8, j as u8)));
            }
        }
    }
    best.map_or((Found::MISSING, (0, 0)), |(_, found, places)| (found, places))
}
