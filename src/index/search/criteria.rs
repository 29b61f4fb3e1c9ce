//! What a search of persons asks (FHIR R4 Patient, IHE PDQm ITI-78), and whether records meet it.

use time::OffsetDateTime;

use crate::{
    domain::{Demographics, EnterpriseId, Sex},
    fhir::dates::{DateCriterion, TimeRange},
    index::Location,
};

use super::{
    terms::{email, phone},
    words::fold,
};

/// One thing that a person must meet: one of its alternatives at least.
#[derive(Clone)]
pub enum Criterion {
    /// `_id`: one of these persons.
    Person(Vec<EnterpriseId>),
    /// A string parameter.
    Text {
        /// Where the text may stand.
        part: TextPart,
        /// How it is compared.
        how: TextMatch,
        /// What is looked for.
        any: Vec<String>,
    },
    /// `identifier`.
    Identifier(Vec<IdentifierToken>),
    /// `telecom`, `phone` or `email`.
    Contact {
        /// Telephone numbers count.
        phones: bool,
        /// Addresses of e-mail count.
        emails: bool,
        /// What is looked for.
        any: Vec<String>,
    },
    /// `birthdate`.
    BirthDate(Vec<DateCriterion>),
    /// `gender`; `None` where it is not known.
    Sex(Vec<Option<Sex>>),
    /// `:missing`: whether nothing of this is told.
    Missing(Part, bool),
    /// Nobody meets it, such as `active=false` where everybody is active.
    Nobody,
}

/// Where a text may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the parameters'")]
pub enum TextPart {
    Family,
    Given,
    /// Any part of a name.
    Name,
    MothersMaidenName,
    /// Any part of an address.
    Address,
    City,
    State,
    PostalCode,
    Country,
}

/// How texts are compared (FHIR R4 §3.1.1.4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// It begins so, or words of it do; case, accents and punctuation do not count.
    Start,
    /// `:exact`: it is this, letter by letter.
    Exact,
    /// `:contains`: it has this somewhere; case, accents and punctuation do not count.
    Contains,
}

/// An identifier to look for.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentifierToken {
    /// Its namespace: any where absent, none where empty.
    pub system: Option<String>,
    /// Its value; any where absent.
    pub value: Option<String>,
}

/// What may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the parameters'")]
pub enum Part {
    Text(TextPart),
    Identifier,
    Phones,
    Emails,
    Contacts,
    BirthDate,
    Sex,
}

impl Criterion {
    /// Whether the records of one person meet this, any of them. `now` matters to dates told as
    /// approximate.
    pub fn is_met(&self, person: EnterpriseId, records: &[Location], now: OffsetDateTime) -> bool {
        let told = || records.iter().map(|location| &location.demographics);
        match self {
            Self::Person(ids) => ids.contains(&person),
            Self::Text { part, how, any } => any.iter().any(|sought| {
                let sought = Sought { text: sought, words: fold(sought), how: *how };
                told().any(|told| texts(told, *part).any(|text| sought.is(text)))
            }),
            Self::Identifier(any) => {
                any.iter().any(|token| records.iter().any(|record| token.is_of(record)))
            }
            Self::Contact { phones, emails, any } => any.iter().any(|sought| {
                told().any(|told| {
                    let by_phone = |held: &String| phone(held) == phone(sought);
                    let by_email = |held: &String| email(held) == email(sought);
                    *phones && told.phones.iter().any(by_phone)
                        || *emails && told.emails.iter().any(by_email)
                })
            }),
            Self::BirthDate(any) => told().filter_map(|told| told.birth_date).any(|date| {
                let date = TimeRange::parse(&date.to_string());
                date.is_ok_and(|date| any.iter().any(|sought| sought.matches(date, now)))
            }),
            Self::Sex(any) => any.iter().any(|sought| match sought {
                Some(_) => told().any(|told| told.sex == *sought),
                None => told().all(|told| told.sex.is_none()),
            }),
            Self::Missing(part, missing) => told().any(|told| part.is_told(told)) != *missing,
            Self::Nobody => false,
        }
    }
}

impl IdentifierToken {
    fn is_of(&self, record: &Location) -> bool {
        let own = &record.record.local_id;
        let others = record.demographics.identifiers.iter();
        let mut held = others.map(|one| (one.system.trim(), one.value.trim()));
        self.is(own.system(), own.value()) || held.any(|(system, value)| self.is(system, value))
    }

    fn is(&self, system: &str, value: &str) -> bool {
        self.system.as_ref().is_none_or(|told| told == system)
            && self.value.as_ref().is_none_or(|told| told == value)
    }
}

impl Part {
    fn is_told(self, told: &Demographics) -> bool {
        match self {
            Self::Text(part) => texts(told, part).any(|text| !text.trim().is_empty()),
            // A record is known by one.
            Self::Identifier => true,
            Self::Phones => !told.phones.is_empty(),
            Self::Emails => !told.emails.is_empty(),
            Self::Contacts => !told.phones.is_empty() || !told.emails.is_empty(),
            Self::BirthDate => told.birth_date.is_some(),
            Self::Sex => told.sex.is_some(),
        }
    }
}

/// The texts of one part.
fn texts(told: &Demographics, part: TextPart) -> Box<dyn Iterator<Item = &str> + '_> {
    let (names, addresses) = (told.names.iter(), told.addresses.iter());
    match part {
        TextPart::Family => Box::new(names.map(|name| name.family.as_str())),
        TextPart::Given => Box::new(names.flat_map(|name| &name.given).map(String::as_str)),
        TextPart::Name => Box::new(names.flat_map(|name| {
            let parts = name.given.iter().chain(&name.prefixes).chain(&name.suffixes);
            parts.chain([&name.family, &name.text]).map(String::as_str)
        })),
        TextPart::MothersMaidenName => Box::new(told.mothers_maiden_name.as_deref().into_iter()),
        TextPart::Address => Box::new(addresses.flat_map(|one| {
            let parts = [&one.city, &one.state, &one.postal_code, &one.country];
            one.lines.iter().chain(parts).map(String::as_str)
        })),
        TextPart::City => Box::new(addresses.map(|one| one.city.as_str())),
        TextPart::State => Box::new(addresses.map(|one| one.state.as_str())),
        TextPart::PostalCode => Box::new(addresses.map(|one| one.postal_code.as_str())),
        TextPart::Country => Box::new(addresses.map(|one| one.country.as_str())),
    }
}

/// A text to look for, folded once.
struct Sought<'a> {
    text: &'a str,
    words: Vec<String>,
    how: TextMatch,
}

impl Sought<'_> {
    fn is(&self, held: &str) -> bool {
        if self.how == TextMatch::Exact {
            return held == self.text;
        }
        let Some((last, before)) = self.words.split_last() else { return false };
        let held = fold(held);
        match self.how {
            TextMatch::Contains => {
                held.join(" ").contains(&self.words.join(" "))
                    || held.concat().contains(&self.words.concat())
            }
            TextMatch::Start | TextMatch::Exact => {
                held.concat().starts_with(&self.words.concat())
                    || held.windows(self.words.len()).any(|at| {
                        at[..before.len()] == *before && at[before.len()].starts_with(last.as_str())
                    })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(how: TextMatch, sought: &str, held: &str, expected: bool) {
        let is = Sought { text: sought, words: fold(sought), how }.is(held);
        assert_eq!(is, expected, "{how:?} {sought:?} in {held:?}");
    }

    #[test]
    fn a_text_is_found_by_its_beginning_or_that_of_its_words() {
        for (sought, held) in [
            ("cal", "Calloway"),
            ("MULLER", "Müller"),
            ("oneil", "O'Neil"),
            ("o neil", "O'Neil"),
            ("poe", "Lee-Poe"),
            ("leepoe", "Lee-Poe"),
            ("mary an", "Anna Mary Ann"),
            ("12 harbour", "12 Harbour Row"),
        ] {
            check(TextMatch::Start, sought, held, true);
        }
        for (sought, held) in [("alloway", "Calloway"), ("mary bob", "Mary Ann"), ("-", "Poe")] {
            check(TextMatch::Start, sought, held, false);
        }
    }

    #[test]
    fn exact_is_letter_by_letter_and_contains_is_anywhere() {
        check(TextMatch::Exact, "Müller", "Müller", true);
        check(TextMatch::Exact, "Muller", "Müller", false);
        check(TextMatch::Exact, "Mü", "Müller", false);
        check(TextMatch::Contains, "LLOW", "Calloway", true);
        check(TextMatch::Contains, "bour ro", "12 Harbour Row", true);
        check(TextMatch::Contains, "xyz", "Calloway", false);
    }
}
