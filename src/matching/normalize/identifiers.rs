//! Social security numbers and other identifiers with their namespaces.

use super::{names::fold, placeholders};
use crate::domain::{Identifier, IdentifierKind};

/// Parts namespace from value in an interned identifier; occurs in neither.
pub(crate) const NAMESPACE_END: char = '\u{1f}';
const SSN_WHOLE_MIN: usize = 6;
const LAST_FOUR: usize = 4;

/// A social security number: whole, or its last four only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NormalizedSsn {
    pub(crate) whole: String,
    pub(crate) last_four: String,
}

/// Letters and digits; national numbers of other countries keep their letters. A number whose area
/// was never assigned is none: see [`normalize_taxpayer_number`] for what it may be instead.
pub(crate) fn normalize_ssn(told: &str) -> NormalizedSsn {
    let number: String = fold(told).chars().filter(char::is_ascii_alphanumeric).collect();
    let mut ssn = NormalizedSsn::default();
    if placeholders::social_security(&number) || has_taxpayer_area(&number) {
        return ssn;
    }
    if number.len() >= SSN_WHOLE_MIN {
        number[number.len() - LAST_FOUR..].clone_into(&mut ssn.last_four);
        ssn.whole = number;
    } else if number.len() == LAST_FOUR {
        ssn.last_four = number;
    }
    ssn
}

/// Nine digits from 900 on: no social security number was ever given out of these areas.
fn has_taxpayer_area(number: &str) -> bool {
    number.len() == 9 && number.starts_with('9') && number.bytes().all(|b| b.is_ascii_digit())
}

/// An individual taxpayer number that stands where a social security number is asked for; empty for
/// all else. The Internal Revenue Service gives out areas from 900 on in four ranges of groups.
pub(crate) fn normalize_taxpayer_number(told: &str) -> String {
    let number: String = fold(told).chars().filter(char::is_ascii_alphanumeric).collect();
    let usable = is_taxpayer_number(&number) && !placeholders::social_security(&number);
    if usable { namespaced("TAX", "", &number) } else { String::new() }
}

/// Whether a number, digits only, has the form of an individual taxpayer's.
pub(crate) fn is_taxpayer_number(number: &str) -> bool {
    let group = || number[3..5].parse::<u8>();
    has_taxpayer_area(number) && matches!(group(), Ok(50..=65 | 70..=88 | 90..=92 | 94..=99))
}

/// A record number within its namespace, empty where there is none.
pub(crate) fn normalize_record_number(system: &str, told: &str) -> String {
    namespaced("MR", system, told)
}

/// An identifier that names one person, within kind and namespace; empty for all others: account and
/// visit numbers name no person, a subscriber number names a household.
pub(crate) fn normalize_identifier(identifier: &Identifier) -> String {
    let kind = match identifier.kind {
        IdentifierKind::MedicareBeneficiary => "MBI",
        IdentifierKind::TaxpayerId => "TAX",
        IdentifierKind::Member => "MEMBER",
        IdentifierKind::DriversLicense => "LICENSE",
        IdentifierKind::Passport => "PASSPORT",
        IdentifierKind::PersonId => "PERSON",
        IdentifierKind::MedicalRecord
        | IdentifierKind::SocialSecurity
        | IdentifierKind::SocialSecurityLast4
        | IdentifierKind::Subscriber
        | IdentifierKind::Account
        | IdentifierKind::Other => return String::new(),
    };
    // A payer's or issuer's number says nothing without the payer or issuer.
    let needs_namespace = !matches!(
        identifier.kind,
        IdentifierKind::MedicareBeneficiary | IdentifierKind::TaxpayerId
    );
    if needs_namespace && identifier.system.trim().is_empty() {
        return String::new();
    }
    let system = if needs_namespace { identifier.system.as_str() } else { "" };
    namespaced(kind, system, &identifier.value)
}

/// A policy holder's number within its payer's namespace: shared by a family, so no evidence of one
/// person by itself. Empty for any other kind, and without a payer.
pub(crate) fn normalize_subscriber(identifier: &Identifier) -> String {
    if identifier.kind != IdentifierKind::Subscriber || identifier.system.trim().is_empty() {
        return String::new();
    }
    namespaced("SUBSCRIBER", &identifier.system, &identifier.value)
}

fn namespaced(kind: &str, system: &str, told: &str) -> String {
    let value: String = fold(told).chars().filter(char::is_ascii_alphanumeric).collect();
    if value.is_empty() || placeholders::identifier(&value) {
        return String::new();
    }
    format!("{kind}|{}{NAMESPACE_END}{value}", system.trim())
}

/// The namespace of an interned identifier, as bytes.
pub(crate) fn namespace_of(identifier: &[u8]) -> &[u8] {
    let end = identifier.iter().position(|&b| b == NAMESPACE_END as u8);
    &identifier[..end.unwrap_or(identifier.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::IdentifierUse;

    #[test]
    fn social_security_numbers_are_whole_or_last_four() {
        let read = |told: &str| {
            let ssn = normalize_ssn(told);
            (ssn.whole, ssn.last_four)
        };
        assert_eq!(read("871-27-2195"), ("871272195".into(), "2195".into()));
        assert_eq!(read("2195"), (String::new(), "2195".into()));
        assert_eq!(read("CF21927470OWMT"), ("CF21927470OWMT".into(), "OWMT".into()));
        assert_eq!(read("000-12-3456"), (String::new(), String::new()));
        assert_eq!(read("12"), (String::new(), String::new()));
        // Never assigned: a taxpayer's number, or one made up.
        assert_eq!(read("912-75-8812"), (String::new(), String::new()));
        assert_eq!(read("999-12-3456"), (String::new(), String::new()));
    }

    #[test]
    fn a_taxpayer_number_has_an_area_from_900_on_and_one_of_its_groups() {
        for (told, read) in [
            ("912-75-8812", "TAX|\u{1f}912758812"),
            ("999-50-1234", "TAX|\u{1f}999501234"),
            ("900-65-1234", "TAX|\u{1f}900651234"),
            ("900-99-1234", "TAX|\u{1f}900991234"),
            ("912-49-8812", ""),
            ("912-66-8812", ""),
            ("912-89-8812", ""),
            ("912-93-8812", ""),
            ("812-75-8812", ""),
            ("999-99-9999", ""),
            ("2195", ""),
        ] {
            assert_eq!(normalize_taxpayer_number(told), read, "{told}");
        }
    }

    #[test]
    fn identifiers_live_in_namespaces() {
        let read = |kind, system: &str, value: &str| {
            let identifier = Identifier {
                kind,
                system: system.into(),
                value: value.into(),
                identifier_use: IdentifierUse::Current,
            };
            normalize_identifier(&identifier)
        };
        assert_eq!(read(IdentifierKind::Member, "urn:payer", "w-1"), "MEMBER|urn:payer\u{1f}W1");
        assert_eq!(read(IdentifierKind::Member, "", "w-1"), "");
        assert_eq!(read(IdentifierKind::MedicareBeneficiary, "x", "1EG4-TE5"), "MBI|\u{1f}1EG4TE5");
        assert_eq!(read(IdentifierKind::Account, "urn:x", "7"), "");
        assert_eq!(read(IdentifierKind::Subscriber, "urn:payer", "W123"), "");
        assert_eq!(read(IdentifierKind::Passport, "urn:x", "PENDING"), "");
        assert_eq!(namespace_of(b"MR|a\x1f12"), b"MR|a");
    }
}
