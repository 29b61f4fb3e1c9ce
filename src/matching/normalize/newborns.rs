//! Stand-ins for the names of newborns: BABYBOY, INFANT GIRL B, TWIN A, BOY OF MARIA, JUDY GIRL A,
//! 2JUDYSGIRL. They name nobody, but tell the sex, and which of several is meant.

use crate::matching::kept::kept;

/// Whether a given name is a stand-in for a newborn's, which of several it means, and the sex it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Newborn {
    /// 0 for a real name, 1 for a stand-in without number, from 2 for A, B, C … of several.
    place: u8,
    /// `M`, `F`, or 0.
    sex: u8,
}

kept!(Newborn { place, sex });

impl Newborn {
    /// Reads a given name, or a stand-in told over given and middle name.
    pub(super) fn read(given: &[String], middle: &[String]) -> Self {
        let mut read = Reading::default();
        let words = given.iter().chain(middle).map(String::as_str);
        for word in words.clone() {
            if matches!(word, "OF" | "O") && read.is_told {
                break;
            }
            if !read.take(word) {
                // What follows words that nobody is called by is the mother's, or left of a real name.
                if !read.is_no_name {
                    read = judys_girl(words);
                }
                break;
            }
        }
        if !read.is_told {
            return Self::default();
        }
        Self { place: read.place.map_or(1, |place| 2 + place), sex: read.sex }
    }

    pub(crate) const fn is_one(self) -> bool {
        self.place > 0
    }

    /// The sex that the stand-in tells (`M`, `F`), 0 for none.
    pub(super) const fn sex(self) -> u8 {
        self.sex
    }

    /// Whether the two are two babies: both numbered, and differently, or a boy and a girl.
    pub(crate) const fn contradicts(self, other: Self) -> bool {
        let numbered = self.place > 1 && other.place > 1;
        let sexes_told = self.sex != 0 && other.sex != 0;
        numbered && self.place != other.place || sexes_told && self.sex != other.sex
    }
}

/// A stand-in name, as far as it was read.
#[derive(Default)]
struct Reading {
    is_told: bool,
    /// Told by a word that nobody is called by: INFANT, BABYBOY, but not BABY alone.
    is_no_name: bool,
    /// From 0.
    place: Option<u8>,
    sex: u8,
}

impl Reading {
    /// Takes in the next word; `false` where it is a real name.
    fn take(&mut self, word: &str) -> bool {
        if self.is_told && self.take_detail(word) {
            return true;
        }
        let (word, before) = match word.as_bytes() {
            [digit @ b'1'..=b'4', _, ..] => (&word[1..], Some(digit - b'1')),
            _ => (word, None),
        };
        let (stem, after) = match word.as_bytes() {
            // These end like a place and are none.
            _ if matches!(word, "BB" | "NB" | "BABYMALE" | "BABYFEMALE") => (word, None),
            [.., letter @ b'A'..=b'D'] => (&word[..word.len() - 1], Some(letter - b'A')),
            [.., digit @ b'1'..=b'4'] => (&word[..word.len() - 1], Some(digit - b'1')),
            _ => (word, None),
        };
        let Some(sex) = child(stem) else { return false };
        // BABY, BOY and GIRL may each be a name; BABY GIRL is none.
        self.is_no_name |= self.is_told || !matches!(stem, "BABY" | "TWIN" | "BOY" | "GIRL");
        self.is_told = true;
        self.place = self.place.or(before).or(after);
        self.sex = if self.sex == 0 { sex } else { self.sex };
        true
    }

    /// A place or a sex after the stand-in itself.
    fn take_detail(&mut self, word: &str) -> bool {
        match word.as_bytes() {
            [letter @ b'A'..=b'D'] => self.place = self.place.or(Some(letter - b'A')),
            [digit @ b'1'..=b'4'] => self.place = self.place.or(Some(digit - b'1')),
            b"MALE" | b"M" => self.sex = b'M',
            b"FEMALE" | b"F" => self.sex = b'F',
            // Some other initial.
            [_] => {}
            _ => return false,
        }
        true
    }
}

/// The sex that a word for a newborn tells, 0 for none; `None` for any other word.
fn child(word: &str) -> Option<u8> {
    // JUDYSGIRL: the mother's name and whose child it is (The Joint Commission, NPSG.01.01.01).
    let of_mother = |child: &str| word.strip_suffix(child).is_some_and(|mother| mother.len() > 2);
    match word {
        "BABY" | "NEWBORN" | "INFANT" | "NB" | "TWIN" => Some(0),
        "BABYBOY" | "BOY" | "BB" | "INFANTBOY" | "NEWBORNBOY" | "BBOY" | "BABYMALE" => Some(b'M'),
        "BABYGIRL" | "GIRL" | "BG" | "INFANTGIRL" | "NEWBORNGIRL" | "BGIRL" | "BABYFEMALE" => {
            Some(b'F')
        }
        _ if of_mother("SBOY") => Some(b'M'),
        _ if of_mother("SGIRL") => Some(b'F'),
        _ => None,
    }
}

/// JUDY GIRL A: the mother's name, whose child it is, and which of several.
fn judys_girl<'a>(mut words: impl Iterator<Item = &'a str>) -> Reading {
    let mother = words.next().unwrap_or_default();
    let mut read = Reading::default();
    if let [digit @ b'1'..=b'4', _, ..] = mother.as_bytes() {
        read.place = Some(digit - b'1');
    }
    let child = words.next().unwrap_or_default();
    let is_one = matches!(child, "BOY" | "GIRL") && read.take(child);
    if is_one && words.all(|word| read.take(word)) { read } else { Reading::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::normalize::normalize_name;

    fn check(given: &[&str], middle: &str, place: u8, sex: u8) {
        let name = normalize_name(given, middle, "LEE", "");
        assert_eq!(name.newborn, Newborn { place, sex }, "{given:?} {middle}");
        assert_eq!(name.given.is_empty() && name.middle.is_empty(), place > 0, "{given:?}");
    }

    #[test]
    fn stand_ins_are_read_and_real_names_left() {
        for (given, place, sex) in [
            ("BABYBOY", 1, b'M'),
            ("BABY GIRL A", 2, b'F'),
            ("BABY GIRL D", 5, b'F'),
            ("BABY GIRL E", 1, b'F'),
            ("BABY GIRL E DONNIE", 1, b'F'),
            ("BABY BOY ANGELA", 1, b'M'),
            ("BABYBOYB", 3, b'M'),
            ("BABYGIRL2", 3, b'F'),
            ("BABYGIRL 2", 3, b'F'),
            ("BABYMALE", 1, b'M'),
            ("NEWBORN FEMALE", 1, b'F'),
            ("BB", 1, b'M'),
            ("NB", 1, 0),
            ("TWIN B", 3, 0),
            ("TWINA", 2, 0),
            ("BOY OF MARIA", 1, b'M'),
            ("INFANT RUTH", 1, 0),
            ("JUDYSGIRL", 1, b'F'),
            ("2JUDYSGIRL", 3, b'F'),
            ("2Judy's Girl", 3, b'F'),
            ("JUDY GIRL", 1, b'F'),
            ("JUDY BOY B", 3, b'M'),
            ("JUDY ANN", 0, 0),
            ("BABY JANE", 0, 0),
            ("BOY MARIE", 0, 0),
            ("SGIRL", 0, 0),
        ] {
            check(&[given], "", place, sex);
        }
    }

    #[test]
    fn a_stand_in_is_read_over_the_parts_of_a_name() {
        check(&["BABY", "GIRL", "B"], "", 3, b'F');
        check(&["BABY GIRL", "B"], "", 3, b'F');
        check(&["BABY"], "GIRL B", 3, b'F');
        check(&["JUDY"], "ANN", 0, 0);
    }

    #[test]
    fn two_babies_are_told_apart_by_number_or_sex() {
        let read = |given: &str| normalize_name(&[given], "", "LEE", "").newborn;
        for (a, b, two) in [
            ("BABY A", "BABY B", true),
            ("BABYBOY", "BABYGIRL", true),
            ("BABYBOY A", "BABYGIRL A", true),
            ("BABY", "BABY B", false),
            ("BABY A", "TWIN A", false),
            ("BABYBOY", "NEWBORN", false),
            ("BABYBOY", "ANN", false),
        ] {
            assert_eq!(read(a).contradicts(read(b)), two, "{a} {b}");
            assert_eq!(read(b).contradicts(read(a)), two, "{b} {a}");
        }
    }
}
