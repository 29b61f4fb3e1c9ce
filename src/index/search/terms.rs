//! What of a record can be searched by.

use crate::domain::{Demographics, LocalId, PartialDate};

use super::words::fold;

/// Words of one record that can be searched by; a record with more is found by the first of them.
const WORDS_MAX: usize = 1_024;

/// The elements whose words are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Family,
    Given,
    /// Prefixes, suffixes and names told as text.
    OtherName,
    MothersMaidenName,
    Line,
    City,
    State,
    PostalCode,
    Country,
}

/// The searchable values of one record, folded: worked out before anybody waits for the index.
#[derive(Default)]
pub(crate) struct Terms {
    pub(super) words: Vec<(Field, String)>,
    pub(super) numbers: Vec<Number>,
    pub(super) birth_date: Option<PartialDate>,
    /// Namespaces of identifiers.
    pub(super) systems: Vec<String>,
}

/// A value that is looked up whole.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Number {
    Identifier(String),
    /// See [`phone`].
    Phone(String),
    /// See [`email`].
    Email(String),
}

impl Terms {
    /// Of what a member tells of the patient that it calls `local_id`.
    pub(crate) fn of(local_id: &LocalId, told: &Demographics) -> Self {
        let mut terms = Self { birth_date: told.birth_date, ..Self::default() };
        for name in &told.names {
            terms.text(Field::Family, &name.family);
            name.given.iter().for_each(|given| terms.text(Field::Given, given));
            let other = name.prefixes.iter().chain(&name.suffixes).chain([&name.text]);
            other.for_each(|part| terms.text(Field::OtherName, part));
        }
        told.mothers_maiden_name.iter().for_each(|name| terms.text(Field::MothersMaidenName, name));
        for address in &told.addresses {
            address.lines.iter().for_each(|line| terms.text(Field::Line, line));
            terms.text(Field::City, &address.city);
            terms.text(Field::State, &address.state);
            terms.text(Field::PostalCode, &address.postal_code);
            terms.text(Field::Country, &address.country);
        }
        terms.words.truncate(WORDS_MAX);
        terms.identifier(local_id.system(), local_id.value());
        for identifier in &told.identifiers {
            terms.identifier(&identifier.system, &identifier.value);
        }
        terms.numbers.extend(told.phones.iter().map(|told| Number::Phone(phone(told))));
        terms.numbers.extend(told.emails.iter().map(|told| Number::Email(email(told))));
        terms
    }

    /// Each word, and a text of several also as one: "O Neil" is found by "oneil".
    fn text(&mut self, field: Field, text: &str) {
        if text.is_empty() || self.words.len() >= WORDS_MAX {
            return;
        }
        let words = fold(text);
        // Lines are as many as records, and nobody writes "12mainst".
        if words.len() > 1 && field != Field::Line {
            self.put(field, words.concat());
        }
        for word in words {
            self.put(field, word);
        }
    }

    fn put(&mut self, field: Field, word: String) {
        let term = (field, word);
        if !self.words.contains(&term) {
            self.words.push(term);
        }
    }

    fn identifier(&mut self, system: &str, value: &str) {
        self.numbers.push(Number::Identifier(value.trim().to_owned()));
        let system = system.trim();
        if !system.is_empty() && !self.systems.iter().any(|known| known == system) {
            self.systems.push(system.to_owned());
        }
    }
}

/// A telephone number as it is compared: its digits, without the 1 that North America puts before
/// ten; the text itself where it has none.
pub(super) fn phone(told: &str) -> String {
    let digits: String = told.chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix('1') {
        Some(rest) if rest.len() == 10 => rest.to_owned(),
        _ if digits.is_empty() => told.trim().to_lowercase(),
        _ => digits,
    }
}

/// An address of e-mail as it is compared.
pub(super) fn email(told: &str) -> String {
    told.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephone_numbers_are_compared_by_their_digits() {
        for (told, expected) in [
            ("+1 (315) 555-0142", "3155550142"),
            ("315.555.0142", "3155550142"),
            ("+44 20 7946 0991", "442079460991"),
            ("Front Desk", "front desk"),
        ] {
            assert_eq!(phone(told), expected);
        }
    }
}
