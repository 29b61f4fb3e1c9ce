//! From values as told to values that can be compared. Nothing here looks at two records.

mod addresses;
mod contacts;
mod dates;
mod identifiers;
mod names;
mod newborns;
mod placeholders;

pub(crate) use addresses::{NormalizedPlace, normalize_place};
pub(crate) use contacts::{normalize_email, normalize_phone};
pub(crate) use dates::{BirthDate, parse_birth_date};
pub(crate) use identifiers::{
    NAMESPACE_END, NormalizedSsn, is_taxpayer_number, namespace_of, normalize_identifier,
    normalize_record_number, normalize_ssn, normalize_subscriber, normalize_taxpayer_number,
};
pub(crate) use names::{NormalizedName, SUFFIXES_VERSION, Suffix, normalize_name};
pub(crate) use newborns::Newborn;
pub(crate) use placeholders::VERSION as PLACEHOLDERS_VERSION;

use super::kept::kept_one;
use crate::domain::{Demographics, IdentifierKind, Name, NameUse, Sex};

kept_one!(BirthDate);
kept_one!(Suffix);

/// At most this many values of one attribute are kept, the first told first: a bound on what one
/// record can make others compare.
const VALUES_MAX: usize = 8;

/// One record, every value normalized; the first of each list is the most usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NormalizedRecord {
    pub(crate) names: Vec<NormalizedName>,
    pub(crate) birth_date: BirthDate,
    /// `M`, `F`, `O`, or 0 where not told.
    pub(crate) sex: u8,
    pub(crate) ssns: Vec<NormalizedSsn>,
    pub(crate) phones: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) places: Vec<NormalizedPlace>,
    pub(crate) record_numbers: Vec<String>,
    pub(crate) identifiers: Vec<String>,
    /// Place among those born together, from 1; 0 where not told.
    pub(crate) birth_order: u8,
}

/// One row of a flat file, borrowed as told; empty where absent.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the columns' names say what they hold")]
pub struct FlatRecord<'a> {
    pub given: &'a str,
    pub middle: &'a str,
    pub family: &'a str,
    pub suffix: &'a str,
    pub sex: &'a str,
    pub birth_date: &'a str,
    pub ssn: &'a str,
    pub phone: &'a str,
    pub email: &'a str,
    pub address_line: &'a str,
    pub city: &'a str,
    pub postal_code: &'a str,
    pub record_number: &'a str,
}

impl NormalizedRecord {
    /// Normalizes what a source told.
    pub fn from_demographics(told: &Demographics) -> Self {
        let mut record = Self {
            birth_date: told.birth_date.map(BirthDate::from).unwrap_or_default(),
            sex: match told.sex {
                Some(Sex::Female) => b'F',
                Some(Sex::Male) => b'M',
                Some(Sex::Other) => b'O',
                None => 0,
            },
            names: normalize_names(&told.names),
            phones: keep(told.phones.iter().map(|phone| normalize_phone(phone))),
            emails: keep(told.emails.iter().map(|email| normalize_email(email))),
            birth_order: told.birth_order.unwrap_or(0),
            ..Self::default()
        };
        for address in told.addresses.iter().take(VALUES_MAX) {
            let lines: Vec<&str> = address.lines.iter().map(String::as_str).collect();
            let place = normalize_place(&lines, &address.city, &address.postal_code);
            if place != NormalizedPlace::default() && !record.places.contains(&place) {
                record.places.push(place);
            }
        }
        record.read_identifiers(told);
        record.infer_sex();
        record
    }

    fn read_identifiers(&mut self, told: &Demographics) {
        for identifier in told.identifiers.iter().take(4 * VALUES_MAX) {
            match identifier.kind {
                IdentifierKind::SocialSecurity | IdentifierKind::SocialSecurityLast4 => {
                    let ssn = normalize_ssn(&identifier.value);
                    if !ssn.last_four.is_empty() && !self.ssns.contains(&ssn) {
                        self.ssns.push(ssn);
                    }
                    push_new(&mut self.identifiers, normalize_taxpayer_number(&identifier.value));
                }
                IdentifierKind::MedicalRecord => push_new(
                    &mut self.record_numbers,
                    normalize_record_number(&identifier.system, &identifier.value),
                ),
                _ => push_new(&mut self.identifiers, normalize_identifier(identifier)),
            }
        }
        self.ssns.truncate(VALUES_MAX);
        self.drop_policy_holders(told);
    }

    /// A member number that is the policy holder's, without a suffix of its own, names the family.
    fn drop_policy_holders(&mut self, told: &Demographics) {
        for identifier in told.identifiers.iter().take(4 * VALUES_MAX) {
            let held = normalize_subscriber(identifier);
            if let Some(number) = held.strip_prefix("SUBSCRIBER") {
                self.identifiers.retain(|known| known.strip_prefix("MEMBER") != Some(number));
            }
        }
    }

    /// Normalizes one row of a flat file.
    pub fn from_flat(row: &FlatRecord<'_>) -> Self {
        let name = normalize_name(&[row.given], row.middle, row.family, row.suffix);
        let address = [row.address_line];
        let lines: &[&str] = if row.address_line.is_empty() { &[] } else { &address };
        let place = normalize_place(lines, row.city, row.postal_code);
        let ssn = normalize_ssn(row.ssn);
        let mut record = Self {
            names: vec![name],
            birth_date: parse_birth_date(row.birth_date),
            sex: match row.sex.bytes().next() {
                Some(b'M' | b'm') => b'M',
                Some(b'F' | b'f') => b'F',
                _ => 0,
            },
            ssns: if ssn.last_four.is_empty() { Vec::new() } else { vec![ssn] },
            phones: keep([normalize_phone(row.phone)].into_iter()),
            emails: keep([normalize_email(row.email)].into_iter()),
            places: if place == NormalizedPlace::default() { Vec::new() } else { vec![place] },
            record_numbers: keep([normalize_record_number("", row.record_number)].into_iter()),
            identifiers: keep([normalize_taxpayer_number(row.ssn)].into_iter()),
            ..Self::default()
        };
        record.infer_sex();
        record
    }

    /// A newborn's stand-in name often tells the sex where its own field does not.
    fn infer_sex(&mut self) {
        if self.sex == 0 {
            let told = self.names.iter().map(|name| name.newborn.sex());
            self.sex = told.into_iter().find(|sex| *sex != 0).unwrap_or(0);
        }
    }

    /// Whether anything at all can be compared.
    pub fn is_usable(&self) -> bool {
        let named = self.names.iter().any(|name| !name.given.is_empty() || !name.family.is_empty());
        named
            || self.birth_date.is_told()
            || !self.ssns.is_empty()
            || !self.phones.is_empty()
            || !self.emails.is_empty()
            || !self.identifiers.is_empty()
    }
}

fn normalize_names(told: &[Name]) -> Vec<NormalizedName> {
    let mut names: Vec<NormalizedName> = Vec::with_capacity(told.len().min(VALUES_MAX));
    let usable = told.iter().filter(|name| name.name_use != NameUse::Anonymous);
    for name in usable.take(VALUES_MAX) {
        let mut normalized = normalize_one(name);
        // A former name often tells the surname only: the rest is as it was first told.
        if let Some(first) = names.first()
            && normalized.given.is_empty()
            && !normalized.newborn.is_one()
        {
            normalized.given.clone_from(&first.given);
            normalized.middle.clone_from(&first.middle);
        }
        if normalized != NormalizedName::default() && !names.contains(&normalized) {
            names.push(normalized);
        }
    }
    names
}

fn normalize_one(name: &Name) -> NormalizedName {
    let suffix = name.suffixes.join(" ");
    if name.given.is_empty() && name.family.is_empty() {
        let (given, family) = match name.text.split_once(',') {
            Some((family, given)) => (given, family),
            None => name.text.trim().rsplit_once(' ').unwrap_or(("", name.text.trim())),
        };
        return normalize_name(&[given], "", family, &suffix);
    }
    let given: Vec<&str> = name.given.iter().map(String::as_str).collect();
    normalize_name(&given, "", &name.family, &suffix)
}

fn keep(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    for value in values.take(VALUES_MAX) {
        push_new(&mut kept, value);
    }
    kept
}

fn push_new(values: &mut Vec<String>, value: String) {
    if !value.is_empty() && values.len() < VALUES_MAX && !values.contains(&value) {
        values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_surname_keeps_the_given_name() {
        let told = Demographics {
            names: vec![
                Name { family: "Lee".into(), given: vec!["Ann".into()], ..Name::default() },
                Name { family: "Poe".into(), name_use: NameUse::Maiden, ..Name::default() },
                Name { family: "Hidden".into(), name_use: NameUse::Anonymous, ..Name::default() },
                Name { text: "Poe, Annie".into(), ..Name::default() },
            ],
            ..Demographics::default()
        };
        let record = NormalizedRecord::from_demographics(&told);
        let read: Vec<(&str, &str)> =
            record.names.iter().map(|n| (n.given.as_str(), n.family[0].as_str())).collect();
        assert_eq!(read, [("ANN", "LEE"), ("ANN", "POE"), ("ANNIE", "POE")]);
    }

    #[test]
    fn a_row_and_the_same_demographics_normalize_alike() {
        let row = FlatRecord {
            given: "Baby Girl",
            family: "Lee",
            phone: "317-341-0388",
            address_line: "1 Main St",
            city: "Salem",
            birth_date: "2020-01-02",
            ..FlatRecord::default()
        };
        let record = NormalizedRecord::from_flat(&row);
        assert_eq!(record.sex, b'F');
        assert!(record.is_usable());
        assert!(!NormalizedRecord::from_flat(&FlatRecord::default()).is_usable());
    }
}
