//! The blocking keys of a whole population, to be sorted rule by rule.

use rayon::prelude::*;

use crate::matching::{
    blocking::{HASH_BITS, Key, Keys, keys_of},
    population::Population,
};

/// Records a task makes keys of.
const CHUNK: usize = 1 << 14;
/// Bits that one pass of sorting looks at; two passes see a whole hash.
const DIGIT_BITS: u32 = HASH_BITS / 2;

/// One record under one key of a rule.
#[derive(Clone, Copy, Default)]
pub(super) struct Keyed(u64);

impl Keyed {
    const fn new(key: u32, record: u32) -> Self {
        Self((key as u64) << 32 | record as u64)
    }

    pub(super) const fn record(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.0 >> 32 == other.0 >> 32
    }

    const fn digit(self, pass: u32) -> usize {
        (self.0 >> (32 + pass * DIGIT_BITS)) as usize & ((1 << DIGIT_BITS) - 1)
    }
}

/// Every record's keys, ascending, to be taken out rule by rule.
pub(super) struct KeyTable {
    chunks: Vec<Chunk>,
}

/// The keys of some records that follow each other.
struct Chunk {
    first_record: u32,
    keys: Vec<u32>,
    /// The place of each record's next key, and where its keys end.
    next: Vec<(u32, u32)>,
}

impl KeyTable {
    /// Makes the keys of the first `rules` rules.
    pub(super) fn of(population: &Population, rules: u8) -> Self {
        let records = population.columns.len();
        let starts: Vec<usize> = (0..records).step_by(CHUNK).collect();
        let make = |start: &usize| {
            Chunk::of(population, rules, *start as u32..(start + CHUNK).min(records) as u32)
        };
        Self { chunks: starts.par_iter().map(make).collect() }
    }

    /// The records under each key of a rule, by key and record. Rules are asked for in their order.
    pub(super) fn sorted(&mut self, rule: u8) -> Vec<Keyed> {
        let parts: Vec<Vec<Keyed>> =
            self.chunks.par_iter_mut().map(|chunk| chunk.take(rule)).collect();
        let by_low_digit = sorted_by_digit(parts.iter().flatten(), 0);
        drop(parts);
        sorted_by_digit(by_low_digit.iter(), 1)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.keys.len()).sum()
    }
}

impl Chunk {
    fn of(population: &Population, rules: u8, records: std::ops::Range<u32>) -> Self {
        let columns = &population.columns;
        let mut chunk =
            Self { first_record: records.start, keys: Vec::new(), next: Vec::with_capacity(CHUNK) };
        let mut keys = Keys::default();
        for record in records {
            keys_of(columns.view(), columns.side(record), rules, &mut keys);
            let start = chunk.keys.len() as u32;
            chunk.keys.extend(keys.as_slice().iter().map(|key| key.0));
            chunk.next.push((start, chunk.keys.len() as u32));
        }
        chunk
    }

    /// Takes out the entries of one rule, in the order of the records.
    fn take(&mut self, rule: u8) -> Vec<Keyed> {
        let mut taken = Vec::with_capacity(self.next.len());
        for (record, (next, end)) in (self.first_record..).zip(&mut self.next) {
            while next < end && Key(self.keys[*next as usize]).rule() <= rule {
                taken.push(Keyed::new(self.keys[*next as usize], record));
                *next += 1;
            }
        }
        taken
    }
}

/// One pass of a radix sort: by one digit, what is equal in it keeping its order.
fn sorted_by_digit<'a>(entries: impl Iterator<Item = &'a Keyed> + Clone, pass: u32) -> Vec<Keyed> {
    let mut places = vec![0_u32; 1 << DIGIT_BITS];
    let mut count = 0;
    for entry in entries.clone() {
        places[entry.digit(pass)] += 1;
        count += 1;
    }
    let mut sorted = vec![Keyed::default(); count];
    let mut start = 0;
    for place in &mut places {
        start += std::mem::replace(place, start);
    }
    for entry in entries {
        let place = &mut places[entry.digit(pass)];
        sorted[*place as usize] = *entry;
        *place += 1;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matching::{
        Model,
        bulk::Batch,
        normalize::{FlatRecord, NormalizedRecord},
    };

    #[test]
    fn a_rules_entries_are_all_there_and_in_order() {
        let surnames = ["Lee", "Poe", "Fox", "Lee-Poe", ""];
        let records: Vec<NormalizedRecord> = (0..200)
            .map(|n| {
                let birth_date = format!("19{}-0{}-1{}", 50 + n % 7, 1 + n % 3, n % 10);
                let (given, family) = ("Ann", surnames[n % surnames.len()]);
                NormalizedRecord::from_flat(&FlatRecord {
                    given,
                    family,
                    birth_date: &birth_date,
                    ..FlatRecord::default()
                })
            })
            .collect();
        let mut batch = Batch::new(Arc::new(Model::untrained()));
        batch.extend(&records);
        let population = batch.into_population();
        let columns = &population.columns;
        let rules = 12;
        let mut expected: Vec<(u32, u32)> = Vec::new();
        for record in 0..columns.len() as u32 {
            let mut keys = Keys::default();
            keys_of(columns.view(), columns.side(record), rules, &mut keys);
            expected.extend(keys.as_slice().iter().map(|key| (key.0, record)));
        }
        expected.sort_unstable();
        let mut table = KeyTable::of(&population, rules);
        assert_eq!(table.len(), expected.len());
        let sorted = (0..rules).flat_map(|rule| table.sorted(rule)).collect::<Vec<_>>();
        let told: Vec<(u32, u32)> =
            sorted.iter().map(|keyed| ((keyed.0 >> 32) as u32, keyed.record())).collect();
        assert_eq!(told, expected);
    }
}
