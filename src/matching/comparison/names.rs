//! Names and sex: given name, middle name, surname and suffix of one name against those of another.

use super::Found;
use crate::matching::{
    columns::{Field, NameRow, Side, View},
    levels::{MISSING, family, given, middle, sex, suffix},
    normalize::Suffix,
    similarity::{jaro_winkler_bytes, within_one_edit},
    sketch::Letters,
    term_frequency::TermWeights,
};

/// One edit in a shorter name is too easily another name.
const ONE_EDIT_LENGTH_MIN: usize = 3;
const SIMILAR: f64 = 0.92;
const GIVEN_WEAK: f64 = 0.82;
const FAMILY_WEAK: f64 = 0.84;
const MIDDLE_NEAR: f64 = 0.9;
/// The shortest surname that counts as a beginning or an end of a longer one.
const AFFIX_LENGTH_MIN: usize = 4;

/// The levels of two names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NameLevels {
    pub(super) given: Found,
    pub(super) middle: Found,
    pub(super) family: Found,
    pub(super) suffix: Found,
}

/// Compares every name with every other and keeps the pair that agrees best.
pub(super) fn compare_best(
    view: View<'_>,
    terms: &TermWeights,
    a: Side<'_>,
    b: Side<'_>,
) -> (NameLevels, (u8, u8)) {
    let female = a.row.sex == b'F' && b.row.sex == b'F';
    let pair = |x: &NameRow, y: &NameRow| Pair { view, terms, a: *x, b: *y, female }.levels();
    let mut best = pair(&a.row.name, &b.row.name);
    let mut chosen = (0, 0);
    if a.more.names.is_empty() && b.more.names.is_empty() {
        return (best, chosen);
    }
    for (i, x) in a.names().enumerate() {
        for (j, y) in b.names().enumerate() {
            let levels = pair(x, y);
            if agreement(&levels) > agreement(&best) {
                (best, chosen) = (levels, (i as u8, j as u8));
            }
        }
    }
    (best, chosen)
}

/// Ranks pairs of names: how well given name and surname agree together.
fn agreement(levels: &NameLevels) -> u8 {
    let given = match levels.given.level {
        given::DIFFERENT | MISSING => 0,
        given::WEAK | given::MIDDLE_INITIAL => 1,
        given::INITIAL | given::HALF_SWAPPED | given::IS_MIDDLE => 2,
        given::SWAPPED | given::SIMILAR => 4,
        given::ONE_EDIT | given::NICKNAME => 5,
        _ => 8,
    };
    let family = match levels.family.level {
        MISSING => 1,
        level => match level % family::BOTH_FEMALE {
            family::DIFFERENT => 0,
            family::WEAK => 1,
            family::IN_GIVEN => 2,
            family::PART => 3,
            family::NEAR => 5,
            _ => 8,
        },
    };
    given + family
}

/// Sex, told apart by whether the given names agree: a conflict means most where they do.
pub(super) fn sex_level(a: u8, b: u8, given_level: u8) -> u8 {
    if a == 0 || b == 0 {
        return MISSING;
    }
    let context = match given_level {
        MISSING => sex::GIVEN_MISSING,
        level if given::agrees(level) => sex::GIVEN_AGREES,
        _ => sex::GIVEN_DIFFERS,
    };
    context + if a == b { sex::SAME } else { sex::CONFLICT }
}

struct Pair<'a> {
    view: View<'a>,
    terms: &'a TermWeights,
    a: NameRow,
    b: NameRow,
    female: bool,
}

impl Pair<'_> {
    fn levels(&self) -> NameLevels {
        let given = self.given();
        let agrees = given.level != MISSING && given::agrees(given.level);
        let middle = match self.middle(given.level) {
            MISSING => MISSING,
            level if agrees => level + middle::GIVEN_AGREES,
            level => level,
        };
        let mut family = self.family(given.level);
        if self.female && family.level != MISSING {
            family.level += family::BOTH_FEMALE;
        }
        let suffix = Found::at(suffix_level(self.a.suffix, self.b.suffix));
        NameLevels { given, middle: Found::at(middle), family, suffix }
    }

    fn text(&self, id: u32) -> &[u8] {
        self.view.name(id)
    }

    fn letters(&self, id: u32) -> Letters {
        self.view.letters(Field::Name, id)
    }

    fn is_one_edit(&self, a: u32, b: u32) -> bool {
        self.letters(a).may_be_one_edit(self.letters(b))
            && within_one_edit(self.text(a), self.text(b))
    }

    /// Their similarity if it is `least` or more, else 0.
    fn similarity(&self, a: u32, b: u32, least: f64) -> f64 {
        if self.letters(a).may_be_similar(self.letters(b), least) {
            jaro_winkler_bytes(self.text(a), self.text(b))
        } else {
            0.0
        }
    }

    fn given(&self) -> Found {
        let (a, b) = (&self.a, &self.b);
        if a.newborn.is_one() && b.newborn.is_one() {
            let contradicts = a.newborn.contradicts(b.newborn);
            return if contradicts { Found::at(given::DIFFERENT) } else { Found::MISSING };
        }
        if a.given == 0 || b.given == 0 {
            return Found::MISSING;
        }
        if a.given == b.given {
            let (bucket, frequency) = self.terms.given(a.given);
            return Found { level: given::SAME + bucket, frequency };
        }
        if self.is_swapped() {
            return Found::at(given::SWAPPED);
        }
        self.other_given()
    }

    /// Given name here is surname there, both ways.
    fn is_swapped(&self) -> bool {
        let (a, b) = (&self.a, &self.b);
        if a.family == 0 || b.family == 0 {
            return false;
        }
        self.is_alike(a.given, b.family) && self.is_alike(a.family, b.given)
    }

    /// Neither the same nor swapped.
    #[expect(clippy::many_single_char_names, reason = "two names and their texts")]
    fn other_given(&self) -> Found {
        let (a, b) = (&self.a, &self.b);
        let (x, y) = (self.text(a.given), self.text(b.given));
        if x.len() == 1 || y.len() == 1 {
            return Found::at(self.initial_level(x, y));
        }
        if self.view.are_nicknames(a.given, b.given) {
            return Found::at(given::NICKNAME);
        }
        if a.middle != 0 && a.middle == b.given || b.middle != 0 && b.middle == a.given {
            return Found::at(given::IS_MIDDLE);
        }
        let crossed = b.family != 0 && self.is_alike(a.given, b.family)
            || a.family != 0 && self.is_alike(b.given, a.family);
        if a.family != b.family && x.len() > 2 && y.len() > 2 && crossed {
            return Found::at(given::HALF_SWAPPED);
        }
        let level = if self.is_one_edit(a.given, b.given) {
            if x.len().min(y.len()) < ONE_EDIT_LENGTH_MIN {
                return Found::at(given::WEAK);
            }
            given::ONE_EDIT
        } else {
            match self.similarity(a.given, b.given, GIVEN_WEAK) {
                s if s >= SIMILAR => given::SIMILAR,
                s if s >= GIVEN_WEAK => return Found::at(given::WEAK),
                _ if self.begins_like_middle(x, y) => return Found::at(given::MIDDLE_INITIAL),
                _ => return Found::at(given::DIFFERENT),
            }
        };
        Found { level, frequency: self.terms.similar_given(a.given, b.given) }
    }

    /// A middle name used as the given name: the one's given name begins as the other's middle name,
    /// of which only the initial is told, and nothing says otherwise the other way round.
    fn begins_like_middle(&self, x: &[u8], y: &[u8]) -> bool {
        let [of_a, of_b] = [self.a.middle, self.b.middle].map(|middle| self.text(middle));
        let begins = |middle: &[u8], given: &[u8]| middle.len() == 1 && middle[0] == given[0];
        let allows = |middle: &[u8], given: &[u8]| middle.is_empty() || middle[0] == given[0];
        begins(of_a, y) && allows(of_b, x) || begins(of_b, x) && allows(of_a, y)
    }

    fn initial_level(&self, x: &[u8], y: &[u8]) -> u8 {
        if x[0] == y[0] {
            return given::INITIAL;
        }
        let is_middle = |middle: u32, initial: &[u8]| {
            initial.len() == 1 && middle != 0 && self.text(middle)[0] == initial[0]
        };
        if is_middle(self.a.middle, y) || is_middle(self.b.middle, x) {
            given::WEAK
        } else {
            given::DIFFERENT
        }
    }

    fn middle(&self, given_level: u8) -> u8 {
        let used_already = matches!(
            given_level,
            given::SWAPPED | given::IS_MIDDLE | given::HALF_SWAPPED | given::MIDDLE_INITIAL
        );
        let (a, b) = (self.a.middle, self.b.middle);
        if a == 0 || b == 0 || used_already {
            return MISSING;
        }
        let (x, y) = (self.text(a), self.text(b));
        if x.len() == 1 || y.len() == 1 {
            return if x[0] == y[0] { middle::INITIAL } else { middle::DIFFERENT };
        }
        if a == b {
            return middle::SAME;
        }
        let near = self.is_one_edit(a, b)
            || self.view.are_nicknames(a, b)
            || self.similarity(a, b, MIDDLE_NEAR) > MIDDLE_NEAR;
        if near { middle::NEAR } else { middle::DIFFERENT }
    }

    #[expect(clippy::many_single_char_names, reason = "two names and their texts")]
    fn family(&self, given_level: u8) -> Found {
        let (a, b) = (&self.a, &self.b);
        if a.family == 0 || b.family == 0 {
            return Found::MISSING;
        }
        if a.family == b.family {
            let (bucket, frequency) = self.terms.family(a.family);
            return Found { level: family::SAME + bucket, frequency };
        }
        // What made the given names agree is not told twice.
        if matches!(given_level, given::SWAPPED | given::HALF_SWAPPED) {
            return Found::MISSING;
        }
        if self.family_in_given() {
            return Found::at(family::IN_GIVEN);
        }
        let (x, y) = (self.text(a.family), self.text(b.family));
        let near =
            Found { level: family::NEAR, frequency: self.terms.similar_family(a.family, b.family) };
        if self.is_one_edit(a.family, b.family) && x.len().min(y.len()) >= ONE_EDIT_LENGTH_MIN {
            return near;
        }
        if (x.len() == 1) != (y.len() == 1) && x[0] == y[0] {
            return Found::at(family::WEAK);
        }
        let may_be_affix = self.letters(a.family).may_be_within(self.letters(b.family));
        if self.shares_family_part() || may_be_affix && is_affix(x, y) {
            return Found::at(family::PART);
        }
        match self.similarity(a.family, b.family, FAMILY_WEAK) {
            s if s >= SIMILAR => Found { frequency: 0.0, ..near },
            s if s >= FAMILY_WEAK => Found::at(family::WEAK),
            _ => Found::at(family::DIFFERENT),
        }
    }

    /// One side has no given name, and its surname, or a part of it, is the other's given name.
    fn family_in_given(&self) -> bool {
        let found = |with: &NameRow, without: &NameRow| {
            with.given != 0
                && without.given == 0
                && !without.newborn.is_one()
                && (with.given == without.family
                    || self.view.family_parts(without).contains(&with.given))
        };
        found(&self.a, &self.b) || found(&self.b, &self.a)
    }

    fn shares_family_part(&self) -> bool {
        if !View::has_family_parts(&self.a) && !View::has_family_parts(&self.b) {
            return false;
        }
        let theirs = self.view.family_parts(&self.b);
        self.view
            .family_parts(&self.a)
            .into_iter()
            .any(|part| part != 0 && self.text(part).len() > 2 && theirs.contains(&part))
    }

    /// The same, or so similar that a typing error explains it.
    fn is_alike(&self, a: u32, b: u32) -> bool {
        if a == b {
            return a != 0;
        }
        let (x, y) = (self.letters(a), self.letters(b));
        if !x.may_be_one_edit(y) && !x.may_be_similar(y, SIMILAR) {
            return false;
        }
        let (x, y) = (self.text(a), self.text(b));
        x.len().min(y.len()) >= ONE_EDIT_LENGTH_MIN
            && (within_one_edit(x, y) || jaro_winkler_bytes(x, y) >= SIMILAR)
    }
}

fn is_affix(x: &[u8], y: &[u8]) -> bool {
    let (short, long) = if x.len() < y.len() { (x, y) } else { (y, x) };
    short.len() >= AFFIX_LENGTH_MIN && (long.starts_with(short) || long.ends_with(short))
}

fn suffix_level(a: Suffix, b: Suffix) -> u8 {
    match (a, b) {
        (Suffix::NONE, Suffix::NONE) => suffix::NONE,
        (Suffix::NONE, _) | (_, Suffix::NONE) => suffix::ONE_SIDED,
        _ if a == b => suffix::SAME,
        _ => suffix::CONFLICT,
    }
}
