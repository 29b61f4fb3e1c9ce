//! The table of combinations, as data.

use serde::{Serialize, Serializer};

/// What a combination is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAttribute {
    /// First given name, any known one.
    First,
    /// Family name, any known one.
    Last,
    /// Full date of birth.
    BirthDate,
    /// House number and street.
    Street,
    /// Five-digit ZIP code.
    Zip,
    /// Telephone number.
    Phone,
    /// E-mail address.
    Email,
    /// Last four digits of a social security number.
    SsnLast4,
    /// Last four digits of an individual taxpayer identification number.
    ItinLast4,
    /// Driver's licence or passport within its issuer's namespace.
    LegalId,
    /// Medicare Beneficiary Identifier.
    Mbi,
    /// An identifier that is bound to a namespace: a person's or a record's number.
    NamespaceId,
    /// Insurance number of the individual within the payer's namespace.
    MemberId,
    /// Insurance number of the policy holder within the payer's namespace.
    SubscriberId,
}

impl PolicyAttribute {
    /// Every attribute, in the order of explanations.
    pub const ALL: [Self; 14] = [
        Self::First,
        Self::Last,
        Self::BirthDate,
        Self::Street,
        Self::Zip,
        Self::Phone,
        Self::Email,
        Self::SsnLast4,
        Self::ItinLast4,
        Self::LegalId,
        Self::Mbi,
        Self::NamespaceId,
        Self::MemberId,
        Self::SubscriberId,
    ];
}

/// A rule's number within one version of the table. Numbers are not stable between versions, so it
/// means nothing without [`super::PolicyVerdict::table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u8);

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}", self.0))
    }
}

/// One combination.
pub(super) struct Rule {
    pub(super) id: RuleId,
    pub(super) fields: &'static [RuleField],
    /// How many names and streets may agree by one edit only; a neighboring day does not count.
    pub(super) fuzzy_max: usize,
    pub(super) stance: Stance,
}

/// One attribute of a combination and whether it may be fuzzy: starred in the table.
pub(super) struct RuleField {
    pub(super) attribute: PolicyAttribute,
    pub(super) starred: bool,
}

/// How a rule is applied where nobody configured otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    On,
    /// Off: people who live together satisfy it.
    Off,
    /// On unless the first names may be those of two people born together: else twins satisfy it.
    FirstNameGuard,
}

/// The version of the table that [`RULES`] holds.
pub(super) const TABLE_VERSION: &str = "3.3.0";

const fn exact(attribute: PolicyAttribute) -> RuleField {
    RuleField { attribute, starred: false }
}

const fn starred(attribute: PolicyAttribute) -> RuleField {
    RuleField { attribute, starred: true }
}

const fn rule(id: u8, fields: &'static [RuleField]) -> Rule {
    Rule { id: RuleId(id), fields, fuzzy_max: 1, stance: Stance::On }
}

/// The published collision rate of these combinations counts two names as fuzzy at once.
const fn two_fuzzy(id: u8, fields: &'static [RuleField]) -> Rule {
    Rule { fuzzy_max: 2, ..rule(id, fields) }
}

const fn with(stance: Stance, rule: &Rule) -> Rule {
    Rule { stance, id: rule.id, fields: rule.fields, fuzzy_max: rule.fuzzy_max }
}

use PolicyAttribute::{
    BirthDate, Email, First, ItinLast4, Last, LegalId, Mbi, MemberId, NamespaceId, Phone, SsnLast4,
    Street, SubscriberId, Zip,
};

/// CMS Patient Matching & Response Proposal 3.3.0 (draft of 2026-06-24), table 2.
pub(super) static RULES: [Rule; 37] = [
    two_fuzzy(1, &[starred(First), starred(Last), starred(BirthDate), starred(Street)]),
    rule(2, &[exact(First), starred(Last), starred(BirthDate), exact(Phone)]),
    two_fuzzy(3, &[starred(First), starred(Last), starred(BirthDate), exact(Email)]),
    rule(4, &[starred(First), exact(Last), exact(BirthDate), exact(SsnLast4)]),
    rule(5, &[exact(First), starred(Last), exact(BirthDate), exact(SsnLast4)]),
    rule(6, &[starred(First), exact(Last), exact(BirthDate), exact(ItinLast4)]),
    rule(7, &[exact(First), starred(Last), exact(BirthDate), exact(ItinLast4)]),
    rule(8, &[exact(First), exact(BirthDate), exact(Mbi)]),
    rule(9, &[exact(First), exact(BirthDate), exact(LegalId)]),
    rule(10, &[starred(Last), starred(BirthDate), exact(LegalId)]),
    rule(11, &[exact(First), exact(BirthDate), exact(Phone)]),
    rule(12, &[exact(First), exact(BirthDate), exact(Email)]),
    rule(13, &[exact(Last), exact(Phone), exact(SsnLast4)]),
    rule(14, &[exact(Last), exact(Phone), exact(ItinLast4)]),
    rule(15, &[starred(Last), exact(Email), exact(SsnLast4)]),
    rule(16, &[starred(Last), exact(Email), exact(ItinLast4)]),
    rule(17, &[exact(First), exact(Phone), exact(SsnLast4)]),
    rule(18, &[exact(First), exact(Phone), exact(ItinLast4)]),
    rule(19, &[exact(First), exact(Email), exact(SsnLast4)]),
    rule(20, &[exact(First), exact(Email), exact(ItinLast4)]),
    rule(21, &[exact(Phone), exact(Mbi)]),
    rule(22, &[exact(Phone), exact(LegalId)]),
    rule(23, &[exact(Email), exact(Mbi)]),
    rule(24, &[exact(Email), exact(LegalId)]),
    rule(25, &[exact(LegalId), exact(Mbi)]),
    rule(26, &[exact(NamespaceId)]),
    rule(27, &[exact(First), exact(BirthDate), exact(MemberId)]),
    rule(28, &[starred(Last), starred(BirthDate), exact(MemberId)]),
    rule(29, &[exact(Phone), exact(MemberId)]),
    rule(30, &[exact(Email), exact(MemberId)]),
    rule(31, &[starred(First), exact(Last), exact(BirthDate), exact(SubscriberId)]),
    rule(32, &[exact(First), starred(Last), exact(BirthDate), exact(SubscriberId)]),
    with(Stance::Off, &two_fuzzy(33, &[starred(First), starred(Last), exact(Phone), exact(Zip)])),
    with(Stance::Off, &rule(34, &[exact(Last), exact(Phone), exact(Zip)])),
    with(Stance::Off, &rule(35, &[exact(Last), exact(Email), exact(Zip)])),
    with(Stance::FirstNameGuard, &rule(36, &[starred(Last), exact(BirthDate), exact(Phone)])),
    with(Stance::Off, &rule(37, &[starred(Last), exact(Street), exact(Phone)])),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_numbered_through() {
        let ids: Vec<u8> = RULES.iter().map(|rule| rule.id.0).collect();
        assert_eq!(ids, (1..=37).collect::<Vec<u8>>());
    }

    #[test]
    fn only_names_streets_and_dates_are_starred() {
        for rule in &RULES {
            for field in rule.fields.iter().filter(|field| field.starred) {
                assert!(matches!(field.attribute, First | Last | BirthDate | Street));
            }
        }
    }

    #[test]
    fn what_a_household_shares_is_off_and_the_twins_rule_is_guarded() {
        let of = |stance| -> Vec<u8> {
            RULES.iter().filter(|rule| rule.stance == stance).map(|rule| rule.id.0).collect()
        };
        assert_eq!(of(Stance::Off), [33, 34, 35, 37]);
        assert_eq!(of(Stance::FirstNameGuard), [36]);
    }
}
