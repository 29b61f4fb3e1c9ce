//! Names: folded to upper-case ASCII, suffixes pulled out of wherever they hide, newborns'
//! stand-in names told apart from real ones.

use std::borrow::Cow;

use super::{newborns::Newborn, placeholders};

/// At most this many parts of a surname are kept; no real one has more that matter.
const FAMILY_PARTS_MAX: usize = 4;

/// Version of the table of generational suffixes.
pub(crate) const SUFFIXES_VERSION: &str = "2026.11";

/// A generational suffix; none is [`Suffix::NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suffix(pub(crate) u8);

impl Suffix {
    pub(crate) const NONE: Self = Self(0);

    /// How the suffix is written, empty for none.
    pub(crate) const fn text(self) -> &'static str {
        match self.0 {
            1 => "JR",
            2 => "SR",
            3 => "II",
            4 => "III",
            5 => "IV",
            6 => "V",
            7 => "I",
            _ => "",
        }
    }
}

/// One name, ready to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NormalizedName {
    pub(crate) given: String,
    pub(crate) middle: String,
    /// The surname's parts in order.
    pub(crate) family: Vec<String>,
    pub(crate) suffix: Suffix,
    pub(crate) newborn: Newborn,
}

/// Normalizes one name given in parts.
pub(crate) fn normalize_name(
    given: &[&str],
    middle: &str,
    family: &str,
    suffix: &str,
) -> NormalizedName {
    let mut given: Vec<String> = given.iter().flat_map(|part| tokens(part)).collect();
    let middle = tokens(middle);
    let mut family = tokens(family);
    let mut found = tokens(suffix).iter().map(|t| suffix_field(t)).find(|s| *s != Suffix::NONE);
    for parts in [&mut family, &mut given] {
        let hidden = pull_suffix(parts);
        found = found.or(hidden);
    }
    drop_titles(&mut given);
    let mut name = NormalizedName { suffix: found.unwrap_or_default(), ..Default::default() };
    name.newborn = Newborn::read(&given, &middle);
    if name.newborn.is_one() {
        given.clear();
    }
    let joined = family.concat();
    if !joined.is_empty() && placeholders::family(&joined) {
        family.clear();
    }
    // A surname told twice, as ALVARADO ALVARADO, is kept as told: some are so.
    family.truncate(FAMILY_PARTS_MAX);
    name.family = family;
    set_given(&mut name, given, middle, &joined);
    name
}

fn set_given(name: &mut NormalizedName, given: Vec<String>, middle: Vec<String>, family: &str) {
    let mut given = given.into_iter();
    let Some(first) = given.next() else { return };
    if placeholders::whole_name(&first, family) {
        name.family.clear();
        return;
    }
    if placeholders::given(&first) {
        return;
    }
    name.given = first;
    name.middle = middle.into_iter().next().or_else(|| given.next()).unwrap_or_default();
}

/// Folds to upper-case ASCII.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Cow::Owned(text.to_ascii_uppercase());
        }
        return Cow::Borrowed(text);
    }
    Cow::Owned(any_ascii::any_ascii(text).to_ascii_uppercase())
}

/// A name's parts: letters and digits; apostrophes and periods vanish, anything else parts.
fn tokens(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let folded = fold(text);
    let mut parts = Vec::with_capacity(1);
    let mut part = String::new();
    for c in folded.chars() {
        match c {
            'A'..='Z' | '0'..='9' => part.push(c),
            '\'' | '`' | '.' => {}
            _ if part.is_empty() => {}
            _ => parts.push(std::mem::take(&mut part)),
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// A suffix that stands alone at the end of a name.
fn hidden_suffix(token: &str) -> Suffix {
    Suffix(match token {
        "JR" | "JUNIOR" | "JNR" => 1,
        "SR" | "SENIOR" | "SNR" => 2,
        "II" | "2ND" => 3,
        "III" | "3RD" => 4,
        "IV" | "4TH" => 5,
        _ => 0,
    })
}

/// What the suffix field holds: there even a lone V or I is a number, not an initial.
fn suffix_field(token: &str) -> Suffix {
    match token {
        "V" | "5TH" => Suffix(6),
        "I" | "1ST" => Suffix(7),
        other => hidden_suffix(other),
    }
}

fn pull_suffix(parts: &mut Vec<String>) -> Option<Suffix> {
    if parts.len() < 2 {
        return None;
    }
    let suffix = hidden_suffix(parts.last()?);
    if suffix == Suffix::NONE {
        return None;
    }
    parts.pop();
    Some(suffix)
}

fn drop_titles(given: &mut Vec<String>) {
    const TITLES: &[&str] = &["MR", "MRS", "MS", "MISS", "DR", "PROF", "REV"];
    while given.len() > 1 && TITLES.contains(&given[0].as_str()) {
        given.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_folded_and_suffixes_pulled_out() {
        let name = normalize_name(&["José  María"], "", "Núñez-O'Brien Jr.", "");
        assert_eq!((name.given.as_str(), name.middle.as_str()), ("JOSE", "MARIA"));
        assert_eq!(name.family, ["NUNEZ", "OBRIEN"]);
        assert_eq!(name.suffix.text(), "JR");
        assert_eq!(normalize_name(&["JAMES III"], "", "POE", "").suffix.text(), "III");
        assert_eq!(normalize_name(&["Dr. Ann"], "", "LEE", "MD").given, "ANN");
        assert_eq!(normalize_name(&["ANN"], "", "LEE", "v").suffix.text(), "V");
        // A surname of one part is never a suffix, a lone V in a name never a number.
        assert_eq!(normalize_name(&["ANN"], "", "SENIOR", "").family, ["SENIOR"]);
        assert_eq!(normalize_name(&["ANN V"], "", "LEE", "").suffix, Suffix::NONE);
    }

    #[test]
    fn placeholders_leave_nothing_behind() {
        let name = normalize_name(&["UNKNOWN"], "", "Lee", "");
        assert_eq!((name.given.as_str(), name.family.len()), ("", 1));
        assert!(normalize_name(&["JOHN"], "", "DOE", "").family.is_empty());
        assert!(normalize_name(&["MARY"], "", "UNKNOWN", "").family.is_empty());
    }
}
