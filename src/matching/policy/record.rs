//! A record as the policy reads it.

use crate::{
    domain::{Demographics, IdentifierKind, PartialDate},
    matching::{
        nicknames,
        normalize::{
            NAMESPACE_END, NormalizedRecord, Suffix, is_taxpayer_number, normalize_subscriber,
        },
        similarity::within_one_edit,
    },
};

use super::{outcome::Agreement, table::PolicyAttribute};

/// Below this many characters one edit is no agreement (CMS 3.3.0 §V.E).
const FUZZY_LENGTH_MIN: usize = 5;
/// Nobody is older, in years.
const AGE_MAX_YEARS: u16 = 120;

/// One source record, normalized and freed of placeholders as the policy demands.
///
/// Prepared once and compared often. A combination is always evaluated within one such record:
/// values of different records are never mixed.
#[derive(Clone, Debug, Default)]
pub struct PolicyRecord {
    first: Vec<String>,
    /// First names of which only the initial is told: no agreement, but a contradiction where it differs.
    initials: Vec<String>,
    /// Whether a newborn's stand-in name is told: of twins both may bear it.
    newborn: bool,
    /// Whole surnames and, of double ones, each part.
    last: Vec<String>,
    suffixes: Vec<Suffix>,
    /// Days since the beginning of the common era; 0 where not fully told.
    birth_day: i32,
    /// House number and street joined, city, ZIP code.
    streets: Vec<Street>,
    zips: Vec<String>,
    phones: Vec<String>,
    emails: Vec<String>,
    ssn_last4: Vec<String>,
    itin_last4: Vec<String>,
    legal_ids: Vec<String>,
    mbis: Vec<String>,
    namespace_ids: Vec<String>,
    member_ids: Vec<String>,
    subscriber_ids: Vec<String>,
    /// Attributes that were told, but only by placeholders, by [`PolicyAttribute`] as bit.
    suppressed: u32,
}

#[derive(Clone, Debug)]
struct Street {
    line: String,
    city: String,
    zip: String,
}

impl PolicyRecord {
    /// Prepares what a source told. `as_of` bounds the birth dates that can be true.
    pub fn new(told: &Demographics, as_of: PartialDate) -> Self {
        let normalized = NormalizedRecord::from_demographics(told);
        let mut record = Self {
            birth_day: birth_day(told.birth_date, &normalized, as_of),
            phones: kept(&normalized.phones, |phone| is_nanp(phone)),
            emails: kept(&normalized.emails, |email| !email.ends_with("@EXAMPLE.COM")),
            ..Self::default()
        };
        record.read_names(&normalized);
        record.read_places(&normalized);
        record.read_numbers(told, &normalized);
        record.note_suppressed(told);
        record
    }

    fn read_names(&mut self, normalized: &NormalizedRecord) {
        for name in &normalized.names {
            // An initial is no first name: it agrees with one name in ten.
            let initial = name.given.len() == 1;
            let given = if initial { &mut self.initials } else { &mut self.first };
            push_new(given, name.given.clone());
            self.newborn |= name.newborn.is_one();
            if !name.family.is_empty() {
                push_new(&mut self.last, name.family.concat());
            }
            if name.family.len() > 1 {
                for part in name.family.iter().filter(|part| part.len() > 2) {
                    push_new(&mut self.last, part.clone());
                }
            }
            if name.suffix != Suffix::NONE && !self.suffixes.contains(&name.suffix) {
                self.suffixes.push(name.suffix);
            }
        }
    }

    fn read_places(&mut self, normalized: &NormalizedRecord) {
        for place in &normalized.places {
            let zip: String = place.postal_code.chars().take(5).collect();
            if !place.number.is_empty() && !place.street.is_empty() {
                self.streets.push(Street {
                    line: format!("{}{}", place.number, place.street),
                    city: place.city.clone(),
                    zip: zip.clone(),
                });
            }
            push_new(&mut self.zips, zip);
        }
    }

    fn read_numbers(&mut self, told: &Demographics, normalized: &NormalizedRecord) {
        for ssn in &normalized.ssns {
            push_new(&mut self.ssn_last4, ssn.last_four.clone());
        }
        for identifier in &normalized.identifiers {
            let Some((namespace, value)) = identifier.split_once(NAMESPACE_END) else { continue };
            match namespace.split('|').next().unwrap_or_default() {
                "LICENSE" | "PASSPORT" => self.legal_ids.push(identifier.clone()),
                "MBI" if is_mbi(value) => self.mbis.push(identifier.clone()),
                "MEMBER" => self.member_ids.push(identifier.clone()),
                "PERSON" => self.namespace_ids.push(identifier.clone()),
                "TAX" if is_taxpayer_number(value) => {
                    push_new(&mut self.itin_last4, value[5..].to_owned());
                }
                _ => {}
            }
        }
        let namespaced = |number: &&String| !number.starts_with(&format!("MR|{NAMESPACE_END}"));
        self.namespace_ids.extend(normalized.record_numbers.iter().filter(namespaced).cloned());
        for identifier in &told.identifiers {
            push_new(&mut self.subscriber_ids, normalize_subscriber(identifier));
        }
    }

    /// Marks attributes that were told but left nothing to compare.
    fn note_suppressed(&mut self, told: &Demographics) {
        let kind = |kinds: &[IdentifierKind]| {
            told.identifiers.iter().any(|i| kinds.contains(&i.kind) && !i.value.trim().is_empty())
        };
        let lines = || told.addresses.iter().flat_map(|address| &address.lines);
        let told_at_all = [
            (PolicyAttribute::First, told.names.iter().any(|name| some(&name.given))),
            (PolicyAttribute::Last, told.names.iter().any(|name| !name.family.is_empty())),
            (PolicyAttribute::BirthDate, told.birth_date.is_some()),
            (PolicyAttribute::Street, lines().any(|line| !line.trim().is_empty())),
            (PolicyAttribute::Zip, told.addresses.iter().any(|a| !a.postal_code.is_empty())),
            (PolicyAttribute::Phone, some(&told.phones)),
            (PolicyAttribute::Email, some(&told.emails)),
            (
                PolicyAttribute::SsnLast4,
                kind(&[IdentifierKind::SocialSecurity, IdentifierKind::SocialSecurityLast4]),
            ),
            (PolicyAttribute::ItinLast4, kind(&[IdentifierKind::TaxpayerId])),
            (
                PolicyAttribute::LegalId,
                kind(&[IdentifierKind::DriversLicense, IdentifierKind::Passport]),
            ),
            (PolicyAttribute::Mbi, kind(&[IdentifierKind::MedicareBeneficiary])),
            (PolicyAttribute::NamespaceId, kind(&[IdentifierKind::PersonId])),
            (PolicyAttribute::MemberId, kind(&[IdentifierKind::Member])),
            (PolicyAttribute::SubscriberId, kind(&[IdentifierKind::Subscriber])),
        ];
        for (attribute, told) in told_at_all {
            if told && !self.has(attribute) {
                self.suppressed |= 1 << attribute as u32;
            }
        }
    }

    fn has(&self, attribute: PolicyAttribute) -> bool {
        match attribute {
            PolicyAttribute::BirthDate => self.birth_day != 0,
            PolicyAttribute::Street => !self.streets.is_empty(),
            _ => !self.values(attribute).is_empty(),
        }
    }

    fn is_suppressed(&self, attribute: PolicyAttribute) -> bool {
        self.suppressed & (1 << attribute as u32) != 0
    }

    fn values(&self, attribute: PolicyAttribute) -> &[String] {
        match attribute {
            PolicyAttribute::First => &self.first,
            PolicyAttribute::Last => &self.last,
            PolicyAttribute::Zip => &self.zips,
            PolicyAttribute::Phone => &self.phones,
            PolicyAttribute::Email => &self.emails,
            PolicyAttribute::SsnLast4 => &self.ssn_last4,
            PolicyAttribute::ItinLast4 => &self.itin_last4,
            PolicyAttribute::LegalId => &self.legal_ids,
            PolicyAttribute::Mbi => &self.mbis,
            PolicyAttribute::NamespaceId => &self.namespace_ids,
            PolicyAttribute::MemberId => &self.member_ids,
            PolicyAttribute::SubscriberId => &self.subscriber_ids,
            PolicyAttribute::BirthDate | PolicyAttribute::Street => &[],
        }
    }

    /// How two records agree on one attribute: the best of all pairs of known values.
    pub(super) fn agreement(&self, other: &Self, attribute: PolicyAttribute) -> Agreement {
        if !self.has(attribute) || !other.has(attribute) {
            let suppressed = self.is_suppressed(attribute) || other.is_suppressed(attribute);
            return if suppressed { Agreement::Suppressed } else { Agreement::Missing };
        }
        match attribute {
            PolicyAttribute::BirthDate => match self.birth_day.abs_diff(other.birth_day) {
                0 => Agreement::Exact,
                1 => Agreement::Fuzzy,
                _ => Agreement::Conflict,
            },
            PolicyAttribute::Street => best(&self.streets, &other.streets, street_agreement),
            PolicyAttribute::First => best(&self.first, &other.first, |a, b| {
                if nicknames::related(a, b) { Agreement::Nickname } else { text_agreement(a, b) }
            }),
            PolicyAttribute::Last => best(&self.last, &other.last, |a, b| text_agreement(a, b)),
            _ => best(self.values(attribute), other.values(attribute), |a, b| {
                if a == b { Agreement::Exact } else { Agreement::Conflict }
            }),
        }
    }

    /// Whether both tell a generational suffix, and none in common.
    pub(super) fn suffix_conflict(&self, other: &Self) -> bool {
        !self.suffixes.is_empty()
            && !other.suffixes.is_empty()
            && !self.suffixes.iter().any(|suffix| other.suffixes.contains(suffix))
    }

    /// Whether the first names may be those of two people born together: both are known and no two are
    /// forms of one name, or one is a newborn's stand-in.
    pub(super) fn may_be_twins(&self, other: &Self) -> bool {
        let known = |record: &Self| !record.first.is_empty() || !record.initials.is_empty();
        let both = known(self) && known(other);
        self.newborn || other.newborn || both && !self.shares_first_name(other)
    }

    fn shares_first_name(&self, other: &Self) -> bool {
        let names = |record: &Self| {
            record.first.iter().chain(&record.initials).cloned().collect::<Vec<String>>()
        };
        let (ours, theirs) = (names(self), names(other));
        let initial_of = |a: &str, b: &str| a.len() == 1 && b.starts_with(a);
        ours.iter().any(|a| {
            theirs
                .iter()
                .any(|b| a == b || nicknames::related(a, b) || initial_of(a, b) || initial_of(b, a))
        })
    }
}

fn birth_day(told: Option<PartialDate>, normalized: &NormalizedRecord, as_of: PartialDate) -> i32 {
    let Some(told) = told.filter(|date| date.is_full() && normalized.birth_date.is_full()) else {
        return 0;
    };
    let oldest = as_of.year().saturating_sub(AGE_MAX_YEARS);
    let (born, today) = (day_number(told), day_number(as_of));
    // Two days ahead of the clock are a matter of time zones.
    if told.year() < oldest || born > today + 2 { 0 } else { born }
}

/// Days since the beginning of the common era, in the Gregorian calendar; a missing month or day counts
/// as the last one.
fn day_number(date: PartialDate) -> i32 {
    let (year, month) = (i32::from(date.year()), i32::from(date.month().unwrap_or(12)));
    let day = i32::from(date.day().unwrap_or(31));
    // Years begin in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}

fn text_agreement(a: &str, b: &str) -> Agreement {
    if a == b {
        return Agreement::Exact;
    }
    let long_enough = a.len() >= FUZZY_LENGTH_MIN && b.len() >= FUZZY_LENGTH_MIN;
    if long_enough && within_one_edit(a.as_bytes(), b.as_bytes()) {
        Agreement::Fuzzy
    } else {
        Agreement::Conflict
    }
}

/// Normalization drops the street's type and direction; so that 12 Oak St and 12 Oak Ave of two towns
/// do not agree, ZIP code or city must agree where both tell them.
fn street_agreement(a: &Street, b: &Street) -> Agreement {
    let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
    let agree = |a: &str, b: &str| !a.is_empty() && a == b;
    let elsewhere = differ(&a.zip, &b.zip) && !agree(&a.city, &b.city)
        || differ(&a.city, &b.city) && !agree(&a.zip, &b.zip);
    if elsewhere { Agreement::Conflict } else { text_agreement(&a.line, &b.line) }
}

fn best<T>(a: &[T], b: &[T], agreement: impl Fn(&T, &T) -> Agreement) -> Agreement {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| agreement(a, b)).min().unwrap_or(Agreement::Missing)
}

/// A number of the North American plan: area and exchange begin with 2 to 9.
fn is_nanp(phone: &str) -> bool {
    let bytes = phone.as_bytes();
    let begins = |at: usize| bytes.get(at).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    bytes.len() == 10 && begins(0) && begins(3)
}

/// The form of a Medicare Beneficiary Identifier: `C A AN N A AN N A A N N` (CMS, MBI format).
fn is_mbi(value: &str) -> bool {
    value.len() == 11
        && value.bytes().enumerate().all(|(at, byte)| match at {
            0 => (b'1'..=b'9').contains(&byte),
            1 | 4 | 7 | 8 => byte.is_ascii_uppercase(),
            2 | 5 => byte.is_ascii_alphanumeric(),
            _ => byte.is_ascii_digit(),
        })
}

fn some(values: &[String]) -> bool {
    values.iter().any(|value| !value.trim().is_empty())
}

fn kept(values: &[String], keep: impl Fn(&String) -> bool) -> Vec<String> {
    values.iter().filter(|value| keep(value)).cloned().collect()
}

fn push_new(values: &mut Vec<String>, value: String) {
    if !value.is_empty() && !values.contains(&value) {
        values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_one_another_over_months_years_and_leap_days() {
        let day = |text| day_number(PartialDate::parse(text).expect("a date"));
        for (before, after) in [
            ("2000-02-28", "2000-02-29"),
            ("2000-02-29", "2000-03-01"),
            ("1900-02-28", "1900-03-01"),
            ("2023-12-31", "2024-01-01"),
            ("2024-04-30", "2024-05-01"),
        ] {
            assert_eq!(day(after) - day(before), 1, "{before}");
        }
    }

    #[test]
    fn one_edit_is_agreement_only_between_long_words() {
        for (a, b, agreement) in [
            ("MARTIN", "MARTIN", Agreement::Exact),
            ("MARTIN", "MRATIN", Agreement::Fuzzy),
            ("MARTIN", "MARTINS", Agreement::Fuzzy),
            ("MARTIN", "MRATINS", Agreement::Conflict),
            ("JOHN", "JON", Agreement::Conflict),
            ("JOHNS", "JOHN", Agreement::Conflict),
        ] {
            assert_eq!(text_agreement(a, b), agreement, "{a} {b}");
            assert_eq!(text_agreement(b, a), agreement, "{b} {a}");
        }
    }

    #[test]
    fn numbers_of_the_right_form_only() {
        assert!(is_nanp("6125550143") && !is_nanp("1125550143") && !is_nanp("6121550143"));
        assert!(!is_nanp("5550143"));
        assert!(is_mbi("1EG4TE5MK73") && !is_mbi("0EG4TE5MK73") && !is_mbi("1EG4TE5MK7"));
    }
}
