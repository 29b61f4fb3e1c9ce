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
        let mut entries = parts.concat();
        drop(parts);
        let mut spare = vec![Keyed::default(); entries.len()];
        for pass in 0..HASH_BITS / DIGIT_BITS {
            sort_by_digit(&entries, &mut spare, pass);
            std::mem::swap(&mut entries, &mut spare);
        }
        entries
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
fn sort_by_digit(entries: &[Keyed], sorted: &mut [Keyed], pass: u32) {
    let mut places = vec![0_u32; 1 << DIGIT_BITS];
    for entry in entries {
        places[entry.digit(pass)] += 1;
    }
    let mut start = 0;
    for place in &mut places {
        start += std::mem::replace(place, start);
    }
    for entry in entries {
        let place = &mut places[entry.digit(pass)];
        sorted[*place as usize] = *entry;
        *place += 1;
    }
}
