//! How often each value occurs in a population, and how many people share it.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::{
    blocking::fingerprint,
    columns::{Columns, Field, Side},
    kept::kept,
    normalize::BirthDate,
};

/// Fields whose values may be shared by several people.
pub(crate) const SHARED_FIELDS: [Field; 4] =
    [Field::Ssn, Field::Phone, Field::Email, Field::Building];

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
        let place = id as usize;
        if place >= self.of.len() {
            self.of.resize(place + 1, 0);
        }
        if up {
            self.of[place] += 1;
            self.total += 1;
        } else {
            self.of[place] = self.of[place].saturating_sub(1);
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
    pub(crate) holders: [Vec<u16>; 4],
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

    /// Notes one holder more, or fewer, of a value of `SHARED_FIELDS[field]`.
    pub(crate) fn change_holders(&mut self, field: usize, id: u32, up: bool) {
        let place = id as usize;
        let holders = &mut self.holders[field];
        if place >= holders.len() {
            holders.resize(place + 1, 0);
        }
        let count = &mut holders[place];
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
fn holders_of_population(columns: &Columns) -> [Vec<u16>; 4] {
    let view = columns.view();
    let who: Vec<u32> = (0..columns.len() as u32)
        .into_par_iter()
        .with_min_len(4_096)
        .map(|number| fingerprint(view, columns.side(number)))
        .collect();
    let counted = SHARED_FIELDS.par_iter().map(|field| count_holders(columns, *field, &who));
    let mut counted = counted.collect::<Vec<_>>().into_iter();
    std::array::from_fn(|_| counted.next().unwrap_or_default())
}

fn count_holders(columns: &Columns, field: Field, who: &[u32]) -> Vec<u16> {
    let mut held: Vec<u64> = Vec::new();
    for (number, who) in (0..).zip(who) {
        each_shared_value(columns.side(number), field, |id| {
            if id != 0 {
                held.push(u64::from(id) << 32 | u64::from(*who));
            }
        });
    }
    held.par_sort_unstable();
    held.dedup();
    let mut holders = vec![0_u16; columns.lexicon(field).len()];
    for value in held {
        let count = &mut holders[(value >> 32) as usize];
        *count = count.saturating_add(1);
    }
    holders
}
