//! The blocking rules.

use super::{HASH_BITS, Key, mix};
use crate::matching::{
    columns::{Field, NameRow, PlaceRow, Row, Side, View},
    similarity::sound_code,
};

/// Rules that suffice at any size; the others only help where records are few.
pub(crate) const CORE_RULES: u8 = 21;
/// All rules but comparing everybody with everybody.
pub(crate) const RULES: u8 = 40;
/// At most this many names and places of one record make keys.
const VALUES_MAX: usize = 4;

/// The keys of one record, ascending, each once.
#[derive(Default)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    rules: u8,
}

impl Keys {
    pub(crate) fn as_slice(&self) -> &[Key] {
        &self.keys
    }

    /// A key made of `parts`; a part not told (0) makes none.
    fn add(&mut self, rule: u8, parts: &[u32]) {
        if rule < self.rules && !parts.contains(&0) {
            let hash = mix(parts) as u32 & ((1 << HASH_BITS) - 1);
            self.keys.push(Key(u32::from(rule) << HASH_BITS | hash));
        }
    }
}

/// What the rules read of one name.
#[derive(Clone, Copy)]
struct NameKeys {
    given: u32,
    family: u32,
    given_sound: u32,
    family_sound: u32,
    given_initial: u32,
    family_initial: u32,
    given_start: u32,
    family_start: u32,
}

/// Makes the keys of the first `rules` rules.
pub(crate) fn keys_of(view: View<'_>, side: Side<'_>, rules: u8, keys: &mut Keys) {
    keys.keys.clear();
    keys.rules = rules;
    number_keys(view, side, keys);
    for name in side.names().take(VALUES_MAX) {
        let parts = view.family_parts(name);
        let last = parts.into_iter().rev().find(|part| *part != 0).unwrap_or(0);
        let first = NameKeys::new(view, name, parts[0]);
        name_keys(&first, side, keys);
        if last != parts[0] {
            name_keys(&NameKeys::new(view, name, last), side, keys);
        }
    }
    for place in side.places().take(VALUES_MAX) {
        place_keys(place, keys);
    }
    keys.keys.sort_unstable();
    keys.keys.dedup();
}

impl NameKeys {
    fn new(view: View<'_>, name: &NameRow, family_part: u32) -> Self {
        let (given, family) = (view.name(name.given), view.name(name.family));
        let initial = |text: &[u8]| text.first().map_or(0, |&b| u32::from(b));
        let start =
            |text: &[u8]| text.iter().take(3).fold(0, |packed, &b| packed << 8 | u32::from(b));
        Self {
            given: name.given,
            family: name.family,
            given_sound: sound_code(given),
            family_sound: sound_code(view.name(family_part)),
            given_initial: initial(given),
            family_initial: initial(family),
            given_start: start(given),
            family_start: start(family),
        }
    }
}

/// Parts of a birth date as the rules use them; all 0 where not told in full.
struct DateKeys {
    date: u32,
    year: u32,
    month: u32,
    day: u32,
    month_and_day: u32,
    unordered: u32,
}

impl DateKeys {
    fn new(row: &Row) -> Self {
        let date = row.birth_date;
        let year = date.year();
        if !date.is_full() {
            return Self { date: 0, year, month: 0, day: 0, month_and_day: 0, unordered: 0 };
        }
        let (month, day) = (date.month(), date.day());
        Self {
            date: date.0,
            year,
            month,
            day,
            month_and_day: date.month_and_day(),
            unordered: month.min(day) * 100 + month.max(day),
        }
    }
}

fn number_keys(view: View<'_>, side: Side<'_>, keys: &mut Keys) {
    let row = side.row;
    let dates = DateKeys::new(row);
    for ssn in side.ssns() {
        keys.add(0, &[ssn.whole]);
        keys.add(5, &[ssn.last_four, dates.year]);
        keys.add(28, &[ssn.last_four]);
        let whole = view.text(Field::Ssn, ssn.whole);
        let head = &whole[..whole.len().saturating_sub(4)];
        keys.add(35, &[head.iter().fold(0, |sum: u32, b| sum.wrapping_mul(37) + u32::from(*b))]);
    }
    for email in side.emails() {
        keys.add(1, &[email]);
    }
    for phone in side.phones() {
        keys.add(4, &[phone]);
    }
    for number in side.identifiers() {
        keys.add(19, &[number]);
    }
    for number in side.record_numbers() {
        keys.add(20, &[number]);
    }
    keys.add(25, &[dates.date]);
    for place in side.places().take(VALUES_MAX) {
        keys.add(13, &[dates.date, place.postal_code]);
    }
}

fn name_keys(name: &NameKeys, side: Side<'_>, keys: &mut Keys) {
    let row = side.row;
    let date = DateKeys::new(row);
    let (sg, sf) = (name.given_sound, name.family_sound);
    let (gi, fi) = (name.given_initial, name.family_initial);
    // Whichever of the two stands first: given names and surnames are swapped.
    let (low, high) = (sg.min(sf), sg.max(sf));
    let sex = u32::from(row.sex) + 1;
    keys.add(2, &[date.date, sg]);
    keys.add(3, &[date.date, sf]);
    for ssn in side.ssns() {
        keys.add(6, &[ssn.last_four, sg]);
    }
    keys.add(7, &[sg, sf, date.year]);
    keys.add(8, &[low, high, date.month_and_day]);
    keys.add(9, &[low, high, date.year]);
    keys.add(14, &[date.year, date.unordered, gi]);
    keys.add(15, &[name.given, name.family]);
    keys.add(21, &[name.given_start, date.year, date.month, sex]);
    keys.add(22, &[name.family_start, date.year, date.month, sex]);
    keys.add(23, &[name.given_start, name.family_start, date.day]);
    keys.add(26, &[low, high]);
    for number in side.record_numbers() {
        keys.add(29, &[name.family, number]);
        keys.add(29, &[name.given, number]);
    }
    keys.add(36, &[sg, date.year]);
    keys.add(36, &[sf, date.year, 1]);
    keys.add(37, &[date.month_and_day, gi]);
    keys.add(37, &[date.month_and_day, fi, 1]);
    keys.add(38, &[sg]);
    keys.add(38, &[sf, 1]);
    for place in side.places().take(VALUES_MAX) {
        let (code, city) = (place.postal_code, place.city);
        keys.add(10, &[place.building, gi]);
        keys.add(12, &[sg, sf, code]);
        keys.add(16, &[sf, gi, date.year, code]);
        keys.add(17, &[sg, date.month_and_day, code]);
        keys.add(18, &[sf, date.month_and_day, city]);
        keys.add(24, &[place.street, sg]);
        keys.add(24, &[place.street, sf, 1]);
        keys.add(27, &[sf, code]);
        keys.add(30, &[code, gi]);
        keys.add(30, &[code, fi, 1]);
        keys.add(32, &[city, sg]);
        keys.add(32, &[city, sf, 1]);
        keys.add(34, &[place.number, sg]);
        keys.add(34, &[place.number, sf, 1]);
    }
}

fn place_keys(place: &PlaceRow, keys: &mut Keys) {
    keys.add(11, &[place.building]);
    keys.add(31, &[place.postal_code, place.number]);
    keys.add(33, &[place.street]);
    keys.add(39, &[place.postal_code]);
}

/// What an oversized block of `rule` is split by: something its key does not hold. 0 where not told.
pub(crate) fn refinement(view: View<'_>, row: &Row, rule: u8) -> u32 {
    let given = || sound_code(view.name(row.name.given));
    let family = || sound_code(view.name(row.name.family));
    let date = row.birth_date;
    match rule {
        0 | 1 | 3 | 4 | 5 | 11 | 13 | 18 | 19 | 20 | 22 | 25 | 27 | 28 | 29 | 35 => given(),
        2 | 10 | 14 | 17 | 21 | 37 => family(),
        6 | 8 | 12 | 15 | 24 | 26 | 31 | 34 => date.year(),
        7 | 9 | 16 | 36 => date.month_and_day(),
        23 | 30 | 32 | 33 | 38 | 39 => date.0,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{
        columns::Columns,
        normalize::{FlatRecord, NormalizedRecord},
    };

    fn shared_rules(a: &FlatRecord<'_>, b: &FlatRecord<'_>) -> Vec<u8> {
        let mut columns = Columns::default();
        let numbers = [a, b].map(|row| columns.push(&NormalizedRecord::from_flat(row)));
        let [a, b] = numbers.map(|number| {
            let mut keys = Keys::default();
            keys_of(columns.view(), columns.side(number), RULES, &mut keys);
            keys.as_slice().to_vec()
        });
        let mut rules: Vec<u8> = a.iter().filter(|k| b.contains(k)).map(|k| k.rule()).collect();
        rules.dedup();
        rules
    }

    #[test]
    fn records_that_are_told_alike_share_their_rules() {
        let base = FlatRecord {
            given: "Ann",
            family: "Lee-Poe",
            birth_date: "1984-03-05",
            ssn: "871-27-2195",
            ..FlatRecord::default()
        };
        let swapped = FlatRecord { given: "Poe", family: "Ann", ssn: "", ..base };
        assert!(shared_rules(&base, &swapped).contains(&8));
        let other_name = FlatRecord { given: "Zoe", family: "Fox", ..base };
        assert_eq!(shared_rules(&base, &other_name), [0, 5, 25, 28, 35]);
        let other_day = FlatRecord { birth_date: "1984-05-03", ssn: "", ..base };
        assert!(shared_rules(&base, &other_day).contains(&14));
        assert!(shared_rules(&FlatRecord::default(), &FlatRecord::default()).is_empty());
    }
}
