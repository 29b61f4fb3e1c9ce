//! Attributes, their comparison levels, and the pattern of a pair: one level for each attribute.
//!
//! A level may stand in a context ("given names agree: sex conflicts"): within one context the
//! probabilities of an attribute's levels sum to 1, so that evidence already told by the context
//! is not counted twice.

/// What two records are compared on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Attribute {
    GivenName,
    Sex,
    MiddleName,
    FamilyName,
    Suffix,
    BirthDate,
    SocialSecurity,
    Phone,
    Email,
    Location,
    RecordNumber,
    Identifier,
}

/// How many attributes there are.
pub(crate) const ATTRIBUTES: usize = 12;
/// Bits of a level in a pattern.
const LEVEL_BITS: u32 = 5;
/// The most levels an attribute can have, *missing* included.
pub(crate) const LEVELS: usize = 1 << LEVEL_BITS;
/// One side or both tell nothing: no evidence in any class.
pub(crate) const MISSING: u8 = LEVELS as u8 - 1;

pub(crate) mod given {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const WEAK: u8 = 1;
    pub(crate) const INITIAL: u8 = 2;
    pub(crate) const ONE_EDIT: u8 = 3;
    pub(crate) const NICKNAME: u8 = 4;
    pub(crate) const SWAPPED: u8 = 5;
    /// Three: rare, usual, common.
    pub(crate) const SAME: u8 = 6;
    pub(crate) const SIMILAR: u8 = 9;
    pub(crate) const IS_MIDDLE: u8 = 10;
    pub(crate) const HALF_SWAPPED: u8 = 11;
    pub(crate) const MIDDLE_INITIAL: u8 = 12;

    /// Whether a level that is not missing may be one name told twice.
    pub(crate) const fn agrees(level: u8) -> bool {
        !matches!(level, DIFFERENT | WEAK | MIDDLE_INITIAL)
    }
}

pub(crate) mod sex {
    pub(crate) const CONFLICT: u8 = 0;
    pub(crate) const SAME: u8 = 1;
    pub(crate) const GIVEN_DIFFERS: u8 = 0;
    pub(crate) const GIVEN_AGREES: u8 = 2;
    pub(crate) const GIVEN_MISSING: u8 = 4;
}

pub(crate) mod middle {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const INITIAL: u8 = 1;
    pub(crate) const NEAR: u8 = 2;
    pub(crate) const SAME: u8 = 3;
    pub(crate) const GIVEN_AGREES: u8 = 4;
}

pub(crate) mod family {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const WEAK: u8 = 1;
    pub(crate) const NEAR: u8 = 2;
    pub(crate) const PART: u8 = 3;
    pub(crate) const IN_GIVEN: u8 = 4;
    /// Three: rare, usual, common.
    pub(crate) const SAME: u8 = 5;
    pub(crate) const BOTH_FEMALE: u8 = 8;
}

pub(crate) mod suffix {
    pub(crate) const CONFLICT: u8 = 0;
    pub(crate) const ONE_SIDED: u8 = 1;
    pub(crate) const SAME: u8 = 2;
    pub(crate) const NONE: u8 = 3;
}

pub(crate) mod birth_date {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const YEAR: u8 = 1;
    pub(crate) const MONTH_AND_DAY: u8 = 2;
    pub(crate) const TWO_OF_THREE: u8 = 3;
    pub(crate) const ONE_DIGIT: u8 = 4;
    pub(crate) const SWAPPED: u8 = 5;
    pub(crate) const SAME_FREQUENT: u8 = 6;
    pub(crate) const SAME: u8 = 7;
    pub(crate) const YEAR_AND_DEFAULT: u8 = 8;
    pub(crate) const WITHIN_A_YEAR: u8 = 9;
    pub(crate) const FEW_DAYS: u8 = 10;
    pub(crate) const GENERATION_APART: u8 = 11;
    pub(crate) const PARTIAL_DIFFERS: u8 = 12;
    pub(crate) const PARTIAL_AGREES: u8 = 13;
}

pub(crate) mod ssn {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const ONLY_LAST_FOUR: u8 = 1;
    pub(crate) const NEAR: u8 = 2;
    pub(crate) const LAST_FOUR_SAME: u8 = 3;
    pub(crate) const SAME: u8 = 4;
    pub(crate) const LAST_FOUR_DIFFERENT: u8 = 5;
    pub(crate) const TWO_EDITS: u8 = 6;
}

pub(crate) mod phone {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const NEAR: u8 = 1;
    pub(crate) const SAME: u8 = 2;
    pub(crate) const SAME_SHARED: u8 = 3;
    pub(crate) const LOCATION_DIFFERS: u8 = 4;
    pub(crate) const LOCATION_AGREES: u8 = 8;
}

pub(crate) mod email {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const NEAR: u8 = 1;
    pub(crate) const SAME: u8 = 2;
}

pub(crate) mod location {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const CITY: u8 = 1;
    pub(crate) const POSTAL_CODE: u8 = 2;
    pub(crate) const STREET: u8 = 3;
    pub(crate) const NEAR: u8 = 4;
    pub(crate) const OTHER_UNIT: u8 = 5;
    pub(crate) const UNIT_MISSING: u8 = 6;
    pub(crate) const SAME: u8 = 7;
    pub(crate) const SAME_SHARED: u8 = 8;
}

pub(crate) mod number {
    pub(crate) const DIFFERENT: u8 = 0;
    pub(crate) const SAME: u8 = 1;
}

impl Attribute {
    /// Every attribute, in the order of the pattern.
    pub const ALL: [Self; ATTRIBUTES] = [
        Self::GivenName,
        Self::Sex,
        Self::MiddleName,
        Self::FamilyName,
        Self::Suffix,
        Self::BirthDate,
        Self::SocialSecurity,
        Self::Phone,
        Self::Email,
        Self::Location,
        Self::RecordNumber,
        Self::Identifier,
    ];

    /// The name in model files and explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GivenName => "given_name",
            Self::Sex => "sex",
            Self::MiddleName => "middle_name",
            Self::FamilyName => "family_name",
            Self::Suffix => "suffix",
            Self::BirthDate => "birth_date",
            Self::SocialSecurity => "social_security",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Location => "location",
            Self::RecordNumber => "record_number",
            Self::Identifier => "identifier",
        }
    }

    /// The names of the levels, in the order of their numbers.
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub const fn levels(self) -> &'static [&'static str] {
        match self {
            Self::GivenName => &[
                "different",
                "weakly similar",
                "initial",
                "one edit",
                "nickname",
                "swapped with family name",
                "same, rare",
                "same",
                "same, common",
                "similar",
                "is the other's middle name",
                "half swapped with family name",
                "begins like the other's middle name",
            ],
            Self::Sex => &[
                "conflict (given names differ)",
                "same (given names differ)",
                "conflict (given names agree)",
                "same (given names agree)",
                "conflict (no given name)",
                "same (no given name)",
            ],
            Self::MiddleName => &[
                "different (given names differ)",
                "initial (given names differ)",
                "near (given names differ)",
                "same (given names differ)",
                "different (given names agree)",
                "initial (given names agree)",
                "near (given names agree)",
                "same (given names agree)",
            ],
            Self::FamilyName => &[
                "different",
                "weakly similar",
                "near",
                "a part in common",
                "in the given name's place",
                "same, rare",
                "same",
                "same, common",
                "different (both female)",
                "weakly similar (both female)",
                "near (both female)",
                "a part in common (both female)",
                "in the given name's place (both female)",
                "same, rare (both female)",
                "same (both female)",
                "same, common (both female)",
            ],
            Self::Suffix => &["conflict", "one-sided", "same", "none"],
            Self::BirthDate => &[
                "different",
                "same year",
                "same month and day",
                "two of three parts",
                "one digit",
                "day and month swapped",
                "same, over-frequent date",
                "same",
                "same year, one on 1 January",
                "within a year",
                "a few days apart",
                "same month and day, a generation apart",
                "partial, differs",
                "partial, agrees",
            ],
            Self::SocialSecurity => &[
                "different",
                "only last four same",
                "near",
                "last four same",
                "same",
                "last four different",
                "two edits",
            ],
            Self::Phone => &[
                "different",
                "near",
                "same",
                "same, shared by many",
                "different (another location)",
                "near (another location)",
                "same (another location)",
                "same, shared by many (another location)",
                "different (same location)",
                "near (same location)",
                "same (same location)",
                "same, shared by many (same location)",
            ],
            Self::Email => &["different", "near", "same"],
            Self::Location => &[
                "different",
                "same city",
                "same postal code",
                "same street",
                "near",
                "same building, other unit",
                "same building, unit missing",
                "same",
                "same, shared by many",
            ],
            Self::RecordNumber | Self::Identifier => &["different", "same"],
        }
    }

    /// The levels of one context follow each other; this is how many.
    const fn context_size(self) -> u8 {
        match self {
            Self::Sex => 2,
            Self::MiddleName | Self::Phone => 4,
            Self::FamilyName => family::BOTH_FEMALE,
            Self::BirthDate => birth_date::PARTIAL_DIFFERS,
            _ => LEVELS as u8,
        }
    }

    /// The levels of each context, as ranges of level numbers.
    pub(crate) fn contexts(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (count, size) = (self.levels().len(), usize::from(self.context_size()));
        (0..count).step_by(size).map(move |start| start..(start + size).min(count))
    }
}

/// One level for each attribute, packed: pairs that agree in the same way share a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern(u64);

impl Pattern {
    /// Nothing known of any attribute.
    pub(crate) const EMPTY: Self = Self((1 << (LEVEL_BITS * ATTRIBUTES as u32)) - 1);

    /// With `attribute` at `level`.
    #[must_use]
    #[inline]
    pub(crate) const fn with(self, attribute: Attribute, level: u8) -> Self {
        let shift = LEVEL_BITS * attribute as u32;
        Self(self.0 & !((LEVELS as u64 - 1) << shift) | (level as u64) << shift)
    }

    /// The level of one attribute, or [`MISSING`].
    #[inline]
    pub(crate) const fn level(self, attribute: Attribute) -> u8 {
        self.at(attribute as usize)
    }

    /// The pattern as a number, for sorting.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) const fn at(self, attribute: usize) -> u8 {
        (self.0 >> (LEVEL_BITS * attribute as u32)) as u8 & MISSING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_fits_and_has_a_name_of_its_own() {
        for attribute in Attribute::ALL {
            let mut names = attribute.levels().to_vec();
            assert!(names.len() < LEVELS, "{attribute:?}");
            assert_eq!(attribute.contexts().map(|c| c.len()).sum::<usize>(), names.len());
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), attribute.levels().len(), "{attribute:?}");
        }
    }

    #[test]
    fn a_pattern_keeps_every_level() {
        let mut pattern = Pattern::EMPTY;
        assert!(Attribute::ALL.iter().all(|a| pattern.level(*a) == MISSING));
        for (i, attribute) in Attribute::ALL.into_iter().enumerate() {
            pattern = pattern.with(attribute, i as u8);
        }
        assert!(Attribute::ALL.iter().enumerate().all(|(i, a)| pattern.level(*a) == i as u8));
    }
}
