//! Contradictions that no amount of agreement outweighs: a vetoed pair is never linked, only reviewed.

use serde::Serialize;

use super::{
    columns::Side,
    levels::{Attribute, MISSING, Pattern, birth_date, given, ssn, suffix},
};

/// One reason why two records must not be linked without a person looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Veto {
    /// Two different generational suffixes: father and son.
    SuffixConflict = 1,
    /// Two newborns told apart by their stand-in names, such as BABYBOY A and BABYBOY B.
    NewbornConflict = 2,
    /// Two different places among those born together.
    BirthOrderConflict = 4,
    /// Other given name and other social security number: twins, siblings, spouses.
    GivenNameAndSsnConflict = 8,
    /// Clearly another birth date and another social security number: namesakes, parent and child.
    BirthDateAndSsnConflict = 16,
}

impl Veto {
    /// Every veto, for tables.
    pub const ALL: [Self; 5] = [
        Self::SuffixConflict,
        Self::NewbornConflict,
        Self::BirthOrderConflict,
        Self::GivenNameAndSsnConflict,
        Self::BirthDateAndSsnConflict,
    ];

    /// What a reviewer reads.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::SuffixConflict => "generational suffixes differ",
            Self::NewbornConflict => "newborns of different birth order by name",
            Self::BirthOrderConflict => "birth orders differ",
            Self::GivenNameAndSsnConflict => "given names and social security numbers differ",
            Self::BirthDateAndSsnConflict => "birth dates and social security numbers differ",
        }
    }
}

/// The vetoes of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vetoes(u8);

impl Vetoes {
    pub(crate) const NONE: Self = Self(0);

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `veto` is among them.
    pub const fn contains(self, veto: Veto) -> bool {
        self.0 & veto as u8 != 0
    }

    /// The vetoes, in the order of [`Veto::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Veto> {
        Veto::ALL.into_iter().filter(move |veto| self.contains(*veto))
    }

    fn add(&mut self, veto: Veto, applies: bool) {
        if applies {
            self.0 |= veto as u8;
        }
    }
}

pub(crate) fn find(pattern: Pattern, a: Side<'_>, b: Side<'_>) -> Vetoes {
    let mut vetoes = of_pattern(pattern);
    let dates_allow = pattern.level(Attribute::BirthDate) != birth_date::DIFFERENT;
    vetoes.add(
        Veto::NewbornConflict,
        dates_allow && a.row.name.newborn.contradicts(b.row.name.newborn),
    );
    let (first, second) = (a.row.birth_order, b.row.birth_order);
    vetoes
        .add(Veto::BirthOrderConflict, dates_allow && first != 0 && second != 0 && first != second);
    vetoes
}

fn of_pattern(pattern: Pattern) -> Vetoes {
    let mut vetoes = Vetoes::NONE;
    let given = pattern.level(Attribute::GivenName);
    let other_ssn = matches!(
        pattern.level(Attribute::SocialSecurity),
        ssn::DIFFERENT | ssn::LAST_FOUR_DIFFERENT
    );
    let other_date = matches!(
        pattern.level(Attribute::BirthDate),
        birth_date::DIFFERENT | birth_date::PARTIAL_DIFFERS
    );
    vetoes.add(Veto::SuffixConflict, pattern.level(Attribute::Suffix) == suffix::CONFLICT);
    vetoes.add(
        Veto::GivenNameAndSsnConflict,
        other_ssn && given != MISSING && given < given::INITIAL,
    );
    vetoes.add(Veto::BirthDateAndSsnConflict, other_ssn && other_date);
    vetoes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(levels: &[(Attribute, u8)], expected: &[Veto]) {
        let pattern = levels.iter().fold(Pattern::EMPTY, |p, (a, level)| p.with(*a, *level));
        assert_eq!(of_pattern(pattern).iter().collect::<Vec<_>>(), expected, "{levels:?}");
    }

    #[test]
    fn vetoes_of_patterns() {
        use Attribute::{BirthDate, GivenName, SocialSecurity, Suffix};
        check(&[], &[]);
        check(&[(Suffix, suffix::CONFLICT)], &[Veto::SuffixConflict]);
        check(&[(Suffix, suffix::ONE_SIDED)], &[]);
        let other_ssn = (SocialSecurity, ssn::DIFFERENT);
        check(&[other_ssn], &[]);
        check(&[other_ssn, (GivenName, given::DIFFERENT)], &[Veto::GivenNameAndSsnConflict]);
        check(&[other_ssn, (GivenName, given::WEAK)], &[Veto::GivenNameAndSsnConflict]);
        check(&[other_ssn, (GivenName, given::INITIAL)], &[]);
        check(&[(SocialSecurity, ssn::NEAR), (GivenName, given::DIFFERENT)], &[]);
        check(
            &[(SocialSecurity, ssn::LAST_FOUR_DIFFERENT), (GivenName, given::DIFFERENT)],
            &[Veto::GivenNameAndSsnConflict],
        );
        check(&[other_ssn, (BirthDate, birth_date::DIFFERENT)], &[Veto::BirthDateAndSsnConflict]);
        check(
            &[other_ssn, (BirthDate, birth_date::PARTIAL_DIFFERS)],
            &[Veto::BirthDateAndSsnConflict],
        );
        check(&[other_ssn, (BirthDate, birth_date::YEAR)], &[]);
        check(&[(BirthDate, birth_date::DIFFERENT)], &[]);
    }
}
