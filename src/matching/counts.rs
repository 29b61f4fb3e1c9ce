//! How often each value occurs in a population, and how many people share it.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::{
    blocking::{either_trait, fingerprint},
    columns::{Columns, Field, Side, View},
    kept::{kept, kept_one},
    normalize::BirthDate,
    room::reach,
};

/// Fields whose values may be shared by several people.
pub(crate) const SHARED_FIELDS: [Field; 4] =
    [Field::Ssn, Field::Phone, Field::Email, Field::Building];

/// Who seems to hold a value, counted in two ways: two people seldom share both a given name's sound and
/// a birth date, and duplicates of one person with slips in the one mostly share the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders([u16; 2]);

impl Holders {
    /// How many people seem to hold the value.
    pub(crate) const fn people(self) -> u16 {
        let [sounds, dates] = self.0;
        if sounds < dates { sounds } else { dates }
    }
}

/// By what the holders of a field's values are told apart, in two ways. A family lives in one building, so
/// there only who differs in both is counted twice.
pub(crate) fn holder_traits(view: View<'_>, side: Side<'_>, field: Field) -> [u32; 2] {
    match field {
        Field::Building => [fingerprint(view, side); 2],
        _ => either_trait(view, side),
    }
}

/// Occurrences by interned number; numbers beyond the end occur never.
#[derive(Clone, Default)]
pub(crate) struct Occurrences {
    pub(crate) of: Vec<u32>,
    pub(crate) total: u64,
}

impl Occurrences {
    fn change(&mut self, id: u32, up: bool) {
        if id == 0 {
            return;
        }
        let count = reach(&mut self.of, id as usize);
        if up {
            *count += 1;
            self.total += 1;
        } else {
            *count = count.saturating_sub(1);
            self.total = self.total.saturating_sub(1);
        }
    }
}

/// Counts of one population, kept up to date record by record.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    pub(crate) given: Occurrences,
    pub(crate) family: Occurrences,
    pub(crate) cities: Occurrences,
    pub(crate) postal_codes: Occurrences,
    pub(crate) dates: HashMap<BirthDate, u32, foldhash::fast::FixedState>,
    pub(crate) dated: u64,
    /// For each of [`SHARED_FIELDS`], by interned number: how many people seem to hold a value. People,
    /// not records: duplicates of one person would look like chance.
    pub(crate) holders: [Vec<Holders>; 4],
    pub(crate) records: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, side: Side<'_>) {
        self.change(side, true);
    }

    pub(crate) fn subtract(&mut self, side: Side<'_>) {
        self.change(side, false);
    }

    fn change(&mut self, side: Side<'_>, up: bool) {
        for (i, name) in side.names().enumerate() {
            // A former surname often repeats the given name: one person, one count.
            let repeats = |id: fn(&super::columns::NameRow) -> u32| {
                side.names().take(i).any(|earlier| id(earlier) == id(name))
            };
            if !repeats(|n| n.given) {
                self.given.change(name.given, up);
            }
            if !repeats(|n| n.family) {
                self.family.change(name.family, up);
            }
        }
        for place in side.places() {
            self.cities.change(place.city, up);
            self.postal_codes.change(place.postal_code, up);
        }
        let date = side.row.birth_date;
        if date.is_full() {
            let count = self.dates.entry(date).or_insert(0);
            *count = if up { *count + 1 } else { count.saturating_sub(1) };
            self.dated = if up { self.dated + 1 } else { self.dated.saturating_sub(1) };
        }
        self.records = if up { self.records + 1 } else { self.records.saturating_sub(1) };
    }

    /// Notes one holder more, or fewer, of a value of `SHARED_FIELDS[field]`, told apart in one `way`.
    pub(crate) fn change_holders(&mut self, field: usize, id: u32, way: usize, up: bool) {
        let count = &mut reach(&mut self.holders[field], id as usize).0[way];
        *count = if up { count.saturating_add(1) } else { count.saturating_sub(1) };
    }

    /// Counts a whole population at once.
    pub(crate) fn of_population(columns: &Columns) -> Self {
        let count = || {
            let mut counts = Self::default();
            for number in 0..columns.len() as u32 {
                counts.add(columns.side(number));
            }
            counts
        };
        let (counts, holders) = rayon::join(count, || holders_of_population(columns));
        Self { holders, ..counts }
    }
}

kept_one!(Holders);
kept!(Occurrences { of, total });
kept!(Counts { given, family, cities, postal_codes, dates, dated, holders, records });

/// The values of a shared field that one record holds.
pub(crate) fn shared_values(side: Side<'_>, field: Field) -> Vec<u32> {
    let mut values = Vec::new();
    each_shared_value(side, field, |id| values.push(id));
    values.retain(|id| *id != 0);
    values.sort_unstable();
    values.dedup();
    values
}

/// Whether a record holds a value of a shared field.
pub(crate) fn holds(side: Side<'_>, field: Field, value: u32) -> bool {
    let mut found = false;
    each_shared_value(side, field, |id| found |= id == value);
    found
}

/// Takes the numbers of a record's values of a shared field, 0 and repeated ones too.
fn each_shared_value(side: Side<'_>, field: Field, take: impl FnMut(u32)) {
    match field {
        Field::Ssn => side.ssns().map(|ssn| ssn.whole).for_each(take),
        Field::Phone => side.phones().for_each(take),
        Field::Email => side.emails().for_each(take),
        _ => side.places().map(|place| place.building).for_each(take),
    }
}

/// For each of [`SHARED_FIELDS`], how many people seem to hold each value.
fn holders_of_population(columns: &Columns) -> [Vec<Holders>; 4] {
    let mut counted: Vec<Vec<Holders>> = SHARED_FIELDS
        .iter()
        .map(|field| vec![Holders::default(); columns.lexicon(*field).len()])
        .collect();
    for way in 0..2 {
        counted.par_iter_mut().zip(SHARED_FIELDS).for_each(|(holders, field)| {
            for value in held_by_different(columns, field, way) {
                let count = &mut holders[(value >> 32) as usize].0[way];
                *count = count.saturating_add(1);
            }
        });
    }
    let mut counted = counted.into_iter();
    std::array::from_fn(|_| counted.next().unwrap_or_default())
}

/// Each value of a field above what its holders are told apart by in one `way`, each pair once.
fn held_by_different(columns: &Columns, field: Field, way: usize) -> Vec<u64> {
    let view = columns.view();
    let mut held: Vec<u64> = Vec::new();
    for number in 0..columns.len() as u32 {
        let side = columns.side(number);
        let mut who = None;
        each_shared_value(side, field, |id| {
            if id != 0 {
                let who = *who.get_or_insert_with(|| holder_traits(view, side, field)[way]);
                held.push(u64::from(id) << 32 | u64::from(who));
            }
        });
    }
    held.par_sort_unstable();
    held.dedup();
    held
}
