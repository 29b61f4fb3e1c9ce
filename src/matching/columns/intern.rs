//! Numbers in place of values: a record's names, places and numbers interned into a row.

use super::{Columns, Field, LOCAL, Local, More, NameRow, PlaceRow, Row, SsnRow};
use crate::matching::{
    nicknames,
    normalize::{NormalizedName, NormalizedPlace, NormalizedRecord, namespace_of},
    room::{make_room, reach},
};

/// Whoever gives numbers to values.
pub(super) trait Interner {
    fn value(&mut self, field: Field, text: &[u8]) -> u32;
    fn parts(&mut self, parts: [u32; 4]) -> u32;
    fn more(&mut self, more: More) -> u32;
}

/// An identifier as the lexicon keeps it: many share a namespace, so only its number stands there.
pub(super) struct KeptNumber(pub(super) Vec<u8>);

impl KeptNumber {
    pub(super) fn of(namespace: u32, text: &[u8]) -> Self {
        let value = text.get(namespace_of(text).len() + 1..).unwrap_or_default();
        Self([&Self::prefix(namespace), value].concat())
    }

    pub(super) fn prefix(namespace: u32) -> Vec<u8> {
        match u8::try_from(namespace) {
            Ok(small) if small < u8::MAX => vec![small],
            _ => [&[u8::MAX][..], &namespace.to_le_bytes()].concat(),
        }
    }
}

impl Interner for Columns {
    fn value(&mut self, field: Field, text: &[u8]) -> u32 {
        let id = if field == Field::Number && !text.is_empty() {
            let namespace = self.namespaces.intern(namespace_of(text));
            self.lexicons[field as usize].intern(&KeptNumber::of(namespace, text).0)
        } else {
            self.lexicons[field as usize].intern(text)
        };
        if field == Field::Name && id as usize >= self.nicknames.len() {
            // A new name: numbers are given one after the other.
            let clusters = std::str::from_utf8(text).map_or(&[][..], nicknames::clusters);
            *reach(&mut self.nicknames, id as usize) = clusters;
        }
        if id as usize >= self.sketches[field as usize].len() {
            let sketch = self.sketch(field, text);
            *reach(&mut self.sketches[field as usize], id as usize) = sketch;
        }
        id
    }

    fn parts(&mut self, parts: [u32; 4]) -> u32 {
        make_room(&mut self.family_parts, 1);
        self.family_parts.push(parts);
        self.family_parts.len() as u32
    }

    fn more(&mut self, more: More) -> u32 {
        make_room(&mut self.more, 1);
        self.more.push(more);
        self.more.len() as u32
    }
}

/// Gives a probe's values the population's numbers, and new ones that are the probe's alone.
pub(super) struct Probing<'a> {
    pub(super) columns: &'a Columns,
    pub(super) local: &'a mut Local,
}

impl Interner for Probing<'_> {
    fn value(&mut self, field: Field, text: &[u8]) -> u32 {
        if let Some(id) = self.columns.find(field, text) {
            return id;
        }
        let texts = &mut self.local.texts[field as usize];
        let place = texts.iter().position(|known| known == text).unwrap_or_else(|| {
            texts.push(text.to_vec());
            texts.len() - 1
        });
        LOCAL | place as u32
    }

    fn parts(&mut self, parts: [u32; 4]) -> u32 {
        self.local.family_parts.push(parts);
        LOCAL | (self.local.family_parts.len() as u32 - 1)
    }

    fn more(&mut self, more: More) -> u32 {
        self.local.more.push(more);
        LOCAL | (self.local.more.len() as u32 - 1)
    }
}

/// A record as a row of numbers.
pub(super) fn intern(to: &mut impl Interner, record: &NormalizedRecord) -> Row {
    let mut names: Vec<NameRow> = record.names.iter().map(|name| intern_name(to, name)).collect();
    let mut places: Vec<PlaceRow> =
        record.places.iter().map(|place| intern_place(to, place)).collect();
    let mut ssns: Vec<SsnRow> = record
        .ssns
        .iter()
        .map(|ssn| SsnRow {
            whole: to.value(Field::Ssn, ssn.whole.as_bytes()),
            last_four: to.value(Field::Ssn, ssn.last_four.as_bytes()),
        })
        .collect();
    let mut values = |field, texts: &[String]| -> Vec<u32> {
        texts.iter().map(|text| to.value(field, text.as_bytes())).collect()
    };
    let mut phones = values(Field::Phone, &record.phones);
    let mut emails = values(Field::Email, &record.emails);
    let mut record_numbers = values(Field::Number, &record.record_numbers);
    let mut identifiers = values(Field::Number, &record.identifiers);
    let mut row = Row {
        name: take_first(&mut names),
        place: take_first(&mut places),
        ssn: take_first(&mut ssns),
        phone: take_first(&mut phones),
        email: take_first(&mut emails),
        record_number: take_first(&mut record_numbers),
        identifier: take_first(&mut identifiers),
        birth_date: record.birth_date,
        sex: record.sex,
        birth_order: record.birth_order,
        more: 0,
    };
    let more = More { names, places, ssns, phones, emails, record_numbers, identifiers };
    if !more.is_empty() {
        row.more = to.more(more);
    }
    row
}

fn take_first<T: Default>(values: &mut Vec<T>) -> T {
    if values.is_empty() { T::default() } else { values.remove(0) }
}

fn intern_name(to: &mut impl Interner, name: &NormalizedName) -> NameRow {
    let mut row = NameRow {
        given: to.value(Field::Name, name.given.as_bytes()),
        middle: to.value(Field::Name, name.middle.as_bytes()),
        suffix: name.suffix,
        newborn: name.newborn,
        ..NameRow::default()
    };
    if let [only] = name.family.as_slice() {
        row.family = to.value(Field::Name, only.as_bytes());
    } else if !name.family.is_empty() {
        row.family = to.value(Field::Name, name.family.concat().as_bytes());
        let mut parts = [0; 4];
        for (slot, part) in parts.iter_mut().zip(&name.family) {
            *slot = to.value(Field::Name, part.as_bytes());
        }
        row.parts = to.parts(parts);
    }
    row
}

fn intern_place(to: &mut impl Interner, place: &NormalizedPlace) -> PlaceRow {
    let number = to.value(Field::Street, place.number.as_bytes());
    let street = to.value(Field::Street, place.street.as_bytes());
    let mut building = [0; 8];
    building[..4].copy_from_slice(&number.to_le_bytes());
    building[4..].copy_from_slice(&street.to_le_bytes());
    PlaceRow {
        number,
        street,
        unit: to.value(Field::Street, place.unit.as_bytes()),
        city: to.value(Field::Area, place.city.as_bytes()),
        postal_code: to.value(Field::Area, place.postal_code.as_bytes()),
        building: if street == 0 { 0 } else { to.value(Field::Building, &building) },
    }
}
