//! Contradictions that no amount of agreement outweighs: a vetoed pair is never linked, only reviewed.

use serde::Serialize;

use super::{
    columns::Side,
    levels::{Attribute, MISSING, Pattern, birth_date, given, location, phone, sex, ssn, suffix},
};

/// One reason why two records must not be linked without a person looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Veto {
    /// Two different generational suffixes: father and son.
    SuffixConflict = 1,
    /// Two newborns told apart by their stand-in names: BABYBOY A and BABYBOY B, BABYBOY and BABYGIRL.
    NewbornConflict = 2,
    /// Two different places among those born together.
    BirthOrderConflict = 4,
    /// Born on one day and living together, but other given name, sex and social security number.
    TwinConflict = 8,
    /// One name and one home, but a suffix on one side, clearly another birth date and another social
    /// security number.
    ParentConflict = 16,
}

impl Veto {
    /// Every veto, for tables.
    pub const ALL: [Self; 5] = [
        Self::SuffixConflict,
        Self::NewbornConflict,
        Self::BirthOrderConflict,
        Self::TwinConflict,
        Self::ParentConflict,
    ];

    /// What a reviewer reads.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::SuffixConflict => "generational suffixes differ",
            Self::NewbornConflict => "newborns told apart by their stand-in names",
            Self::BirthOrderConflict => "birth orders differ",
            Self::TwinConflict => {
                "given name, sex and social security number differ, birth date and home do not"
            }
            Self::ParentConflict => {
                "birth date, suffix and social security number differ, name and home do not"
            }
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
    let date = pattern.level(Attribute::BirthDate);
    let dates_allow = may_be_born_together(date);
    let two_babies = a.names().any(|x| b.names().any(|y| x.newborn.contradicts(y.newborn)));
    vetoes.add(Veto::NewbornConflict, dates_allow && two_babies);
    let (first, second) = (a.row.birth_order, b.row.birth_order);
    vetoes
        .add(Veto::BirthOrderConflict, dates_allow && first != 0 && second != 0 && first != second);
    vetoes
}

const fn may_be_born_together(date: u8) -> bool {
    !matches!(date, birth_date::DIFFERENT | birth_date::GENERATION_APART)
}

fn of_pattern(pattern: Pattern) -> Vetoes {
    let mut vetoes = Vetoes::NONE;
    let given = pattern.level(Attribute::GivenName);
    let date = pattern.level(Attribute::BirthDate);
    let other_ssn = matches!(
        pattern.level(Attribute::SocialSecurity),
        ssn::DIFFERENT | ssn::LAST_FOUR_DIFFERENT
    );
    let same_date = matches!(date, birth_date::SAME | birth_date::SAME_FREQUENT);
    let other_date = matches!(
        date,
        birth_date::DIFFERENT | birth_date::GENERATION_APART | birth_date::PARTIAL_DIFFERS
    );
    let other_given = given != MISSING && !given::agrees(given);
    let sexes_conflict = pattern.level(Attribute::Sex) == sex::GIVEN_DIFFERS + sex::CONFLICT;
    let suffixes_differ = pattern.level(Attribute::Suffix) == suffix::ONE_SIDED;
    let same_given = (given::SAME..given::SIMILAR).contains(&given);
    vetoes.add(Veto::SuffixConflict, pattern.level(Attribute::Suffix) == suffix::CONFLICT);
    vetoes.add(
        Veto::TwinConflict,
        sexes_conflict && other_ssn && other_given && same_date && lives_together(pattern),
    );
    vetoes.add(
        Veto::ParentConflict,
        suffixes_differ && other_ssn && other_date && same_given && lives_together(pattern),
    );
    vetoes
}

fn lives_together(pattern: Pattern) -> bool {
    let place = pattern.level(Attribute::Location);
    let phone = pattern.level(Attribute::Phone);
    place != MISSING && place >= location::UNIT_MISSING
        || phone != MISSING && phone % phone::LOCATION_DIFFERS >= phone::SAME
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
        use Attribute::{BirthDate, GivenName, Location, Phone, Sex, SocialSecurity, Suffix};
        check(&[], &[]);
        check(&[(Suffix, suffix::CONFLICT)], &[Veto::SuffixConflict]);
        check(&[(Suffix, suffix::ONE_SIDED)], &[]);
        let twin = [
            (SocialSecurity, ssn::DIFFERENT),
            (GivenName, given::DIFFERENT),
            (Sex, sex::GIVEN_DIFFERS + sex::CONFLICT),
            (BirthDate, birth_date::SAME),
            (Location, location::SAME),
        ];
        check(&twin, &[Veto::TwinConflict]);
        for other in [
            (SocialSecurity, ssn::LAST_FOUR_DIFFERENT),
            (GivenName, given::WEAK),
            (GivenName, given::MIDDLE_INITIAL),
            (BirthDate, birth_date::SAME_FREQUENT),
            (Location, location::UNIT_MISSING),
        ] {
            check(&with(&twin, other), &[Veto::TwinConflict]);
        }
        // Any of them missing or otherwise, and it is only evidence.
        for other in [
            (SocialSecurity, ssn::NEAR),
            (SocialSecurity, MISSING),
            (GivenName, given::INITIAL),
            (GivenName, MISSING),
            (Sex, sex::GIVEN_DIFFERS + sex::SAME),
            (BirthDate, birth_date::ONE_DIGIT),
            (BirthDate, MISSING),
            (Location, location::OTHER_UNIT),
            (Location, MISSING),
        ] {
            check(&with(&twin, other), &[]);
        }
        let parent = [
            (SocialSecurity, ssn::DIFFERENT),
            (GivenName, given::SAME),
            (Suffix, suffix::ONE_SIDED),
            (BirthDate, birth_date::DIFFERENT),
            (Phone, phone::LOCATION_DIFFERS + phone::SAME),
        ];
        check(&parent, &[Veto::ParentConflict]);
        check(&with(&parent, (GivenName, given::SAME + 2)), &[Veto::ParentConflict]);
        for date in [birth_date::PARTIAL_DIFFERS, birth_date::GENERATION_APART] {
            check(&with(&parent, (BirthDate, date)), &[Veto::ParentConflict]);
        }
        check(&with(&parent, (Suffix, suffix::CONFLICT)), &[Veto::SuffixConflict]);
        for other in [
            (SocialSecurity, ssn::SAME),
            (GivenName, given::SWAPPED),
            (GivenName, given::SIMILAR),
            (Suffix, suffix::NONE),
            (Suffix, suffix::SAME),
            (BirthDate, birth_date::YEAR),
            (Phone, phone::LOCATION_DIFFERS + phone::NEAR),
            (Phone, MISSING),
        ] {
            check(&with(&parent, other), &[]);
        }
    }

    /// Tries every level of every attribute beside the pair's own: the veto stands at those listed only.
    fn stands_at(base: &[(Attribute, u8)], veto: Veto, listed: &[(Attribute, &[u8])]) {
        for attribute in Attribute::ALL {
            let needed = listed.iter().find(|(named, _)| *named == attribute).map(|(_, at)| *at);
            for level in (0..attribute.levels().len() as u8).chain([MISSING]) {
                let stands = needed.is_none_or(|at| at.contains(&level));
                let pattern = with(base, (attribute, level))
                    .iter()
                    .fold(Pattern::EMPTY, |pattern, (a, level)| pattern.with(*a, *level));
                assert_eq!(of_pattern(pattern).contains(veto), stands, "{attribute:?} at {level}");
            }
        }
    }

    #[test]
    fn a_veto_stands_at_its_levels_and_at_no_other() {
        use Attribute::{BirthDate, GivenName, Location, Sex, SocialSecurity, Suffix};
        const OTHER_SSN: &[u8] = &[ssn::DIFFERENT, ssn::LAST_FOUR_DIFFERENT];
        const ONE_HOME: &[u8] = &[location::UNIT_MISSING, location::SAME, location::SAME_SHARED];
        stands_at(
            &[(Suffix, suffix::CONFLICT)],
            Veto::SuffixConflict,
            &[(Suffix, &[suffix::CONFLICT])],
        );
        let twin = [
            (SocialSecurity, ssn::DIFFERENT),
            (GivenName, given::DIFFERENT),
            (Sex, sex::GIVEN_DIFFERS + sex::CONFLICT),
            (BirthDate, birth_date::SAME),
            (Location, location::SAME),
        ];
        let other_given = [given::DIFFERENT, given::WEAK, given::MIDDLE_INITIAL];
        let same_date = [birth_date::SAME, birth_date::SAME_FREQUENT];
        stands_at(
            &twin,
            Veto::TwinConflict,
            &[
                (SocialSecurity, OTHER_SSN),
                (GivenName, &other_given),
                (Sex, &[sex::GIVEN_DIFFERS + sex::CONFLICT]),
                (BirthDate, &same_date),
                (Location, ONE_HOME),
            ],
        );
        let parent = [
            (SocialSecurity, ssn::DIFFERENT),
            (GivenName, given::SAME),
            (Suffix, suffix::ONE_SIDED),
            (BirthDate, birth_date::DIFFERENT),
            (Location, location::SAME),
        ];
        let other_date =
            [birth_date::DIFFERENT, birth_date::GENERATION_APART, birth_date::PARTIAL_DIFFERS];
        stands_at(
            &parent,
            Veto::ParentConflict,
            &[
                (SocialSecurity, OTHER_SSN),
                (GivenName, &[given::SAME, given::SAME + 1, given::SAME + 2]),
                (Suffix, &[suffix::ONE_SIDED]),
                (BirthDate, &other_date),
                (Location, ONE_HOME),
            ],
        );
    }

    #[test]
    fn only_clearly_other_dates_tell_two_newborns_of_one_name_apart() {
        for level in (0..Attribute::BirthDate.levels().len() as u8).chain([MISSING]) {
            let apart = [birth_date::DIFFERENT, birth_date::GENERATION_APART].contains(&level);
            assert_eq!(may_be_born_together(level), !apart, "{level}");
        }
    }

    fn with(levels: &[(Attribute, u8)], other: (Attribute, u8)) -> Vec<(Attribute, u8)> {
        levels.iter().copied().chain([other]).collect()
    }
}
