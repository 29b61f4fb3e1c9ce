//! Searching persons by what is told of them: postings from values to records, kept as records come.
//!
//! The postings may lead to more records than meet a search: values that were replaced stay until
//! the next start, and words are cut. So whoever searches compares each record found with what it
//! says today ([`Criterion::is_met`]). They never lead to fewer.

mod criteria;
mod posting;
mod reach;
mod terms;
mod words;

mod numbers;

use std::{collections::BTreeMap, ops::RangeInclusive};

use hashbrown::{HashMap, HashSet};

use crate::{
    domain::PartialDate,
    matching::kept::{kept, kept_one},
};

use super::deed::Deed;

pub use criteria::{Criterion, IdentifierToken, Part, TextMatch, TextPart};
pub use reach::TooBroad;
pub(super) use terms::Terms;

use numbers::Numbers;
use posting::Posting;
use terms::{Field, Number};
use words::Words;

type Hasher = foldhash::fast::FixedState;

/// Values of all records, committed or about to be.
#[derive(Default)]
pub(super) struct SearchIndex {
    words: Words,
    by_word: HashMap<WordKey, Posting, Hasher>,
    by_birth_date: BTreeMap<DateKey, Posting>,
    numbers: Numbers,
    systems: HashSet<Box<str>, Hasher>,
}

/// A field above, a word's number below.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct WordKey(u32);

impl WordKey {
    fn new(field: Field, word: u32) -> Self {
        Self((field as u32) << 28 | word)
    }
}

/// A birth date in the order of dates: year, month, day; 0 for what is not told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct DateKey(u32);

impl DateKey {
    fn of(date: PartialDate) -> Self {
        let day = u32::from(date.day().unwrap_or(0));
        Self(u32::from(date.year()) << 9 | u32::from(date.month().unwrap_or(0)) << 5 | day)
    }

    /// All dates of these years, however precise.
    fn years(first: i32, last: i32) -> RangeInclusive<Self> {
        let key = |year: i32| (year.clamp(0, 9_999) as u32) << 9;
        Self(key(first))..=Self(key(last) | 0x1FF)
    }
}

impl SearchIndex {
    /// Lets a record be found by these values, beside those that it had. Harmless for a record that
    /// is never committed.
    pub(super) fn add(&mut self, record: u32, terms: &Terms) {
        for (field, word) in &terms.words {
            let key = WordKey::new(*field, self.words.intern(word));
            add(self.by_word.entry(key), record);
        }
        if let Some(date) = terms.birth_date {
            let posting = self.by_birth_date.entry(DateKey::of(date));
            posting.and_modify(|held| held.add(record)).or_insert(Posting::One(record));
        }
        terms.numbers.iter().for_each(|number| self.numbers.add(number, record));
        for system in &terms.systems {
            if !self.systems.contains(system.as_str()) {
                self.systems.insert(system.as_str().into());
            }
        }
    }

    /// Lets a record that was given another identifier be found by it.
    pub(super) fn follow(&mut self, deed: &Deed) {
        if let Some(renamed) = &deed.renamed {
            let number = Number::Identifier(renamed.to.value().to_owned());
            self.numbers.add(&number, renamed.record);
        }
    }

    /// Whether some record was told with an identifier of this namespace.
    pub(super) fn knows_system(&self, system: &str) -> bool {
        self.systems.contains(system)
    }
}

kept_one!(WordKey);
kept_one!(DateKey);
kept!(SearchIndex { words, by_word, by_birth_date, numbers, systems });

fn add(posting: hashbrown::hash_map::Entry<'_, WordKey, Posting, Hasher>, record: u32) {
    posting.and_modify(|held| held.add(record)).or_insert(Posting::One(record));
}

/// Where each value leads, line by line in one order.
#[cfg(test)]
impl SearchIndex {
    pub(super) fn dump(&self) -> Vec<String> {
        let Self { words, by_word, by_birth_date, numbers, systems } = self;
        let led_to = |posting: &Posting| {
            let mut records = Vec::new();
            posting.read(&mut records);
            records.into_iter().collect::<std::collections::BTreeSet<u32>>()
        };
        let mut lines: Vec<String> = Vec::new();
        for (WordKey(key), posting) in by_word {
            let word = words.text(key & 0x0FFF_FFFF);
            assert!(words.beginning(&word).any(|no| no == key & 0x0FFF_FFFF));
            lines.push(format!("word {} {word} {:?}", key >> 28, led_to(posting)));
        }
        lines.extend(
            by_birth_date.iter().map(|(date, held)| format!("{} {:?}", date.0, led_to(held))),
        );
        lines.extend(numbers.dump());
        lines.extend(systems.iter().map(|system| format!("system {system}")));
        lines.sort_unstable();
        lines
    }
}
