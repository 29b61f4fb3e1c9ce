//! What shows that two values are not alike without reading them: a few bits of each.
//!
//! A sketch only ever rules out. Where it does not, the values themselves are compared.

/// The letters of a name and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letters(u32);

impl Letters {
    const LENGTH_SHIFT: u32 = 26;
    /// Longer, or with bytes that are neither letter nor digit: nothing can be told.
    const UNKNOWN: u32 = 63;

    pub(crate) fn of(text: &[u8]) -> Self {
        let legible = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        if text.len() >= Self::UNKNOWN as usize || !text.iter().all(legible) {
            return Self(Self::UNKNOWN << Self::LENGTH_SHIFT);
        }
        // A digit shares its bit with a letter, which only makes texts look more alike.
        let set = text.iter().fold(0, |set, b| set | 1 << (u32::from(b & 31) - 1));
        Self((text.len() as u32) << Self::LENGTH_SHIFT | set)
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    const fn length(self) -> u32 {
        self.0 >> Self::LENGTH_SHIFT
    }

    const fn set(self) -> u32 {
        self.0 & ((1 << Self::LENGTH_SHIFT) - 1)
    }

    const fn are_known(self, other: Self) -> bool {
        self.length() != Self::UNKNOWN && other.length() != Self::UNKNOWN
    }

    /// Whether the two may be at most one edit apart: an insertion, deletion, substitution or swap.
    #[inline]
    pub(crate) const fn may_be_one_edit(self, other: Self) -> bool {
        !self.are_known(other)
            || self.length().abs_diff(other.length()) <= 1
                && (self.set() & !other.set()).count_ones() <= 1
                && (other.set() & !self.set()).count_ones() <= 1
    }

    /// Whether their Jaro–Winkler similarity may reach `least`, which is at least 0.7.
    #[inline]
    pub(crate) fn may_be_similar(self, other: Self, least: f64) -> bool {
        if !self.are_known(other) {
            return true;
        }
        // Each letter that the other lacks stands at some place that matches nothing. With m matches,
        // none of them out of order and the longest prefix, Jaro is (m/|a| + m/|b| + 1) / 3, and
        // Winkler adds 0.4 of what it lacks to 1.
        let matched = |one: Self, two: Self| one.length() - (one.set() & !two.set()).count_ones();
        let matches = f64::from(matched(self, other).min(matched(other, self)));
        let (a, b) = (f64::from(self.length()), f64::from(other.length()));
        let shares_min = (least - 0.4) / 0.6 * 3.0 - 1.0 - 1e-9;
        matches * (a + b) >= shares_min * a * b
    }

    /// Whether the one may be the beginning or the end of the other.
    #[inline]
    pub(crate) const fn may_be_within(self, other: Self) -> bool {
        !self.are_known(other) || self.set() & !other.set() == 0 || other.set() & !self.set() == 0
    }
}

/// The first four bytes of a number and its last four, hashed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends(u32);

impl Ends {
    /// Shorter texts may change at both ends by one edit.
    const LENGTH_MIN: usize = 9;
    /// Nothing can be told.
    const UNKNOWN: u32 = 0;

    pub(crate) fn of(text: &[u8]) -> Self {
        if text.len() < Self::LENGTH_MIN {
            return Self(Self::UNKNOWN);
        }
        let hash = |part: &[u8]| {
            let mixed = part.iter().fold(0, |sum: u32, b| sum << 8 | u32::from(*b));
            (mixed.wrapping_mul(0x9e37_79b1) >> 16).max(1)
        };
        Self(hash(&text[..4]) << 16 | hash(&text[text.len() - 4..]))
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the two may be at most one edit apart: one edit leaves one of the ends as it is.
    #[inline]
    pub(crate) const fn may_be_one_edit(self, other: Self) -> bool {
        self.0 == Self::UNKNOWN
            || other.0 == Self::UNKNOWN
            || self.0 >> 16 == other.0 >> 16
            || self.0 & 0xffff == other.0 & 0xffff
    }
}

/// How often each digit stands in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digits(u32);

impl Digits {
    const COUNT_BITS: u32 = 3;
    const COUNT_MAX: u32 = (1 << Self::COUNT_BITS) - 1;
    /// Something else than digits, or one of them too often: nothing can be told.
    const UNKNOWN: u32 = 1 << 31;

    pub(crate) fn of(text: &[u8]) -> Self {
        let mut counts = [0_u32; 10];
        for byte in text {
            match counts.get_mut(usize::from(byte.wrapping_sub(b'0'))) {
                Some(count) if *count < Self::COUNT_MAX => *count += 1,
                _ => return Self(Self::UNKNOWN),
            }
        }
        Self(counts.iter().fold(0, |packed, count| packed << Self::COUNT_BITS | count))
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the two may be at most `edits` apart: an edit takes one digit at most and brings one.
    #[inline]
    pub(crate) fn may_be_within(self, other: Self, edits: u32) -> bool {
        if (self.0 | other.0) & Self::UNKNOWN != 0 {
            return true;
        }
        let count =
            |packed: u32, digit: u32| packed >> (digit * Self::COUNT_BITS) & Self::COUNT_MAX;
        let differences =
            (0..10).map(|digit| count(self.0, digit).abs_diff(count(other.0, digit))).sum::<u32>();
        differences <= 2 * edits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matching::similarity::{jaro_winkler, osa_distance, within_one_edit};

    proptest! {
        #[test]
        fn letters_rule_out_nothing_that_is_alike(a in "[A-D1-2]{0,9}", b in "[A-D1-2]{0,9}", least in 0.7_f64..1.0) {
            let (x, y) = (Letters::of(a.as_bytes()), Letters::of(b.as_bytes()));
            if within_one_edit(a.as_bytes(), b.as_bytes()) {
                prop_assert!(x.may_be_one_edit(y));
            }
            if !a.is_empty() && !b.is_empty() && jaro_winkler(&a, &b) >= least {
                prop_assert!(x.may_be_similar(y, least));
            }
            if a.starts_with(&b) || a.ends_with(&b) {
                prop_assert!(x.may_be_within(y) && y.may_be_within(x));
            }
        }

        #[test]
        fn ends_rule_out_no_single_edit(a in "[0-2]{7,11}", at in 0_usize..11, kind in 0..4, with in "[0-2]") {
            let mut b = a.clone();
            let at = at.min(a.len() - 2);
            match kind {
                0 => b.insert_str(at, &with),
                1 => drop(b.remove(at)),
                2 => b.replace_range(at..=at, &with),
                _ => {
                    let moved = b.remove(at);
                    b.insert(at + 1, moved);
                }
            }
            prop_assert!(within_one_edit(a.as_bytes(), b.as_bytes()));
            prop_assert!(Ends::of(a.as_bytes()).may_be_one_edit(Ends::of(b.as_bytes())));
        }
    }

    proptest! {
        #[test]
        fn digits_rule_out_nothing_within_their_edits(a in "[0-9]{0,10}", b in "[0-9]{0,10}", edits in 1_u32..4) {
            let (x, y) = (Digits::of(a.as_bytes()), Digits::of(b.as_bytes()));
            if osa_distance(&a, &b) <= edits as usize {
                prop_assert!(x.may_be_within(y, edits));
            }
        }
    }

    #[test]
    fn what_cannot_be_alike_is_ruled_out() {
        let letters = |text: &str| Letters::of(text.as_bytes());
        assert!(!letters("JENNIFER").may_be_one_edit(letters("ROBERT")));
        assert!(!letters("JENNIFER").may_be_similar(letters("ROBERT"), 0.82));
        assert!(!letters("LEE").may_be_within(letters("POE")));
        assert!(letters("J-R").may_be_similar(letters("ROBERT"), 0.82), "nothing is known of it");
        let ends = |text: &str| Ends::of(text.as_bytes());
        assert!(!ends("5157380889").may_be_one_edit(ends("5633990138")));
        assert!(ends("5157").may_be_one_edit(ends("5633990138")), "too short to tell");
        let digits = |text: &str| Digits::of(text.as_bytes());
        assert!(!digits("871272195").may_be_within(digits("302449981"), 2));
        assert!(
            digits("A71272195").may_be_within(digits("302449981"), 2),
            "nothing is known of it"
        );
        assert!(digits("111111111").may_be_within(digits("302449981"), 2), "too many to count");
    }
}
