//! String kernels: how alike two normalized values are.
//!
//! Bit-parallel for ASCII of at most 64 bytes, which is what normalized names are; `strsim` for
//! the rest, and as the oracle of the tests.

/// The longest value the bit-parallel kernels take, in bytes: one machine word.
const WORD_BITS: usize = 64;

/// Jaro–Winkler similarity from 0 to 1, with the usual prefix scale of 0.1 over at most four characters.
///
/// Winkler (1990), boosted only above a Jaro similarity of 0.7, as `strsim` does.
pub fn jaro_winkler(a: &str, b: &str) -> f64 {
    jaro_winkler_bytes(a.as_bytes(), b.as_bytes())
}

/// As [`jaro_winkler`]; 0 where one is not UTF-8.
pub(crate) fn jaro_winkler_bytes(a: &[u8], b: &[u8]) -> f64 {
    let jaro = match (Lanes::of(a), Lanes::of(b)) {
        (Some(a), Some(b)) => jaro_of_lanes(a, b),
        _ if !a.is_empty() && !b.is_empty() && fits_a_word(a) && fits_a_word(b) => {
            jaro_of_words(a, b)
        }
        _ => {
            return match (std::str::from_utf8(a), std::str::from_utf8(b)) {
                (Ok(a), Ok(b)) => strsim::jaro_winkler(a, b),
                _ => 0.0,
            };
        }
    };
    if jaro <= 0.7 {
        return jaro;
    }
    let prefix = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count();
    jaro + 0.1 * prefix as f64 * (1.0 - jaro)
}

fn fits_a_word(bytes: &[u8]) -> bool {
    bytes.len() <= WORD_BITS && bytes.is_ascii()
}

/// A short ASCII text, not empty, with every character in a lane of one wide word.
#[derive(Clone, Copy)]
struct Lanes {
    bytes: [u8; Self::COUNT],
    length: usize,
}

impl Lanes {
    /// Nearly every name is this short.
    const COUNT: usize = 16;
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW_BITS: u128 = u128::MAX / 255 * 0x7f;

    #[inline]
    fn of(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > Self::COUNT {
            return None;
        }
        let mut bytes = [0; Self::COUNT];
        bytes[..text.len()].copy_from_slice(text);
        bytes.is_ascii().then_some(Self { bytes, length: text.len() })
    }

    /// The highest bit of every lane that holds `byte`.
    #[inline]
    fn holding(word: u128, byte: u8) -> u128 {
        let eight = u64::from(byte) * Self::ONES;
        let differs = word ^ (u128::from(eight) << 64 | u128::from(eight));
        let carried = (differs & Self::LOW_BITS) + Self::LOW_BITS;
        !(carried | differs | Self::LOW_BITS)
    }
}

/// Jaro similarity: for each character of `a` all characters of `b` are looked at in one step.
fn jaro_of_lanes(a: Lanes, b: Lanes) -> f64 {
    let reach = (a.length.max(b.length) / 2).saturating_sub(1);
    let word = u128::from_le_bytes(b.bytes);
    let (mut taken_a, mut taken_b) = (0_u64, 0_u128);
    // The lanes within reach: of the first character, and moved on by one for each other.
    let mut window = u128::MAX >> (8 * (Lanes::COUNT - 1 - reach));
    let within_b = u128::MAX >> (8 * (Lanes::COUNT - b.length));
    for (i, &byte) in a.bytes[..a.length].iter().enumerate() {
        let found = Lanes::holding(word, byte) & window & within_b & !taken_b;
        taken_b |= found & found.wrapping_neg();
        taken_a |= u64::from(found != 0) << i;
        window = window << 8 | if i < reach { 0xff } else { 0 };
    }
    let matches = taken_a.count_ones();
    let mut out_of_order = 0;
    while taken_a != 0 {
        let (i, j) = (taken_a.trailing_zeros() as usize, taken_b.trailing_zeros() as usize / 8);
        out_of_order += u32::from(a.bytes[i] != b.bytes[j]);
        taken_a &= taken_a - 1;
        taken_b &= taken_b - 1;
    }
    jaro(matches, out_of_order, a.length, b.length)
}

fn jaro(matches: u32, out_of_order: u32, a_length: usize, b_length: usize) -> f64 {
    if matches == 0 {
        return 0.0;
    }
    let (matches, transposed) = (f64::from(matches), f64::from(out_of_order / 2));
    (matches / a_length as f64 + matches / b_length as f64 + (matches - transposed) / matches) / 3.0
}

/// Jaro similarity with the taken positions of both sides held as bits of a word.
fn jaro_of_words(a: &[u8], b: &[u8]) -> f64 {
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let (mut taken_a, mut taken_b) = (0_u64, 0_u64);
    for (i, &byte) in a.iter().enumerate() {
        let last = (i + window + 1).min(b.len());
        let found =
            (i.saturating_sub(window)..last).find(|&j| taken_b >> j & 1 == 0 && b[j] == byte);
        if let Some(j) = found {
            taken_a |= 1 << i;
            taken_b |= 1 << j;
        }
    }
    jaro(taken_a.count_ones(), out_of_order(a, b, taken_a, taken_b), a.len(), b.len())
}

/// How many of the taken characters, read in order on both sides, differ.
fn out_of_order(a: &[u8], b: &[u8], mut taken_a: u64, mut taken_b: u64) -> u32 {
    let mut count = 0;
    while taken_a != 0 {
        let (i, j) = (taken_a.trailing_zeros() as usize, taken_b.trailing_zeros() as usize);
        count += u32::from(a[i] != b[j]);
        taken_a &= taken_a - 1;
        taken_b &= taken_b - 1;
    }
    count
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbors.
///
/// Hyyrö (2003), "A bit-vector algorithm for computing Levenshtein and Damerau edit distances".
pub fn osa_distance(a: &str, b: &str) -> usize {
    let (a_bytes, b_bytes) = (a.as_bytes(), b.as_bytes());
    if a_bytes.is_empty() || !fits_a_word(a_bytes) || !b_bytes.is_ascii() {
        return strsim::osa_distance(a, b);
    }
    let mut positions = [0_u64; 128];
    for (i, &byte) in a_bytes.iter().enumerate() {
        positions[usize::from(byte)] |= 1 << i;
    }
    let last = 1_u64 << (a_bytes.len() - 1);
    let (mut plus, mut minus) = (u64::MAX, 0_u64);
    let (mut diagonal, mut positions_before) = (0_u64, 0_u64);
    let mut distance = a_bytes.len();
    for &byte in b_bytes {
        let here = positions[usize::from(byte)];
        let swapped = ((!diagonal & here) << 1) & positions_before;
        diagonal = ((here & plus).wrapping_add(plus) ^ plus) | here | minus | swapped;
        let horizontal_plus = minus | !(diagonal | plus);
        let horizontal_minus = diagonal & plus;
        distance += usize::from(horizontal_plus & last != 0);
        distance -= usize::from(horizontal_minus & last != 0);
        let carried_plus = horizontal_plus << 1 | 1;
        plus = horizontal_minus << 1 | !(diagonal | carried_plus);
        minus = carried_plus & diagonal;
        positions_before = here;
    }
    distance
}

/// As [`osa_distance`]; the longer one's length where one is not UTF-8.
pub(crate) fn osa_distance_bytes(a: &[u8], b: &[u8]) -> usize {
    match (std::str::from_utf8(a), std::str::from_utf8(b)) {
        (Ok(a), Ok(b)) => osa_distance(a, b),
        _ => a.len().max(b.len()),
    }
}

/// Whether one edit at most lies between them: [`osa_distance`] of 0 or 1, found in one walk.
pub fn within_one_edit(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 {
        return false;
    }
    let Some(i) = short.iter().zip(long).position(|(x, y)| x != y) else {
        return true;
    };
    if short.len() < long.len() {
        return short[i..] == long[i + 1..];
    }
    let swapped = i + 1 < short.len()
        && short[i] == long[i + 1]
        && short[i + 1] == long[i]
        && short[i + 2..] == long[i + 2..];
    swapped || short[i + 1..] == long[i + 1..]
}

/// A Soundex-like code of an upper-case name, 0 for none: for blocking only, never evidence.
pub(crate) fn sound_code(name: &[u8]) -> u32 {
    const CODE_DIGITS: u32 = 3;
    let Some((&first, rest)) = name.split_first() else { return 0 };
    let mut code = u32::from(first);
    let mut last = sound_of(first);
    let mut digits = 0;
    for &byte in rest {
        let sound = sound_of(byte);
        // H and W do not part two letters of one sound.
        if sound == 7 {
            continue;
        }
        if sound != 0 && sound != last {
            code = code * 8 + sound;
            digits += 1;
            if digits == CODE_DIGITS {
                return code;
            }
        }
        last = sound;
    }
    code << (3 * (CODE_DIGITS - digits))
}

const fn sound_of(letter: u8) -> u32 {
    match letter {
        b'B' | b'F' | b'P' | b'V' => 1,
        b'C' | b'G' | b'J' | b'K' | b'Q' | b'S' | b'X' | b'Z' => 2,
        b'D' | b'T' => 3,
        b'L' => 4,
        b'M' | b'N' => 5,
        b'R' => 6,
        b'H' | b'W' => 7,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn jaro_winkler_equals_strsim(a in "[A-E]{0,70}", b in "[A-E]{0,70}") {
            prop_assert!((jaro_winkler(&a, &b) - strsim::jaro_winkler(&a, &b)).abs() < 1e-9);
        }

        #[test]
        fn jaro_winkler_of_short_names_equals_strsim(a in "[A-E]{0,18}", b in "[A-E]{0,18}") {
            prop_assert!((jaro_winkler(&a, &b) - strsim::jaro_winkler(&a, &b)).abs() < 1e-9);
        }

        #[test]
        fn osa_equals_strsim(a in "[A-D]{0,70}", b in "[A-D]{0,70}") {
            prop_assert_eq!(osa_distance(&a, &b), strsim::osa_distance(&a, &b));
        }

        #[test]
        fn beyond_ascii_falls_back(a in "[aéß]{0,9}", b in "[aéß]{0,9}") {
            prop_assert_eq!(osa_distance(&a, &b), strsim::osa_distance(&a, &b));
            prop_assert!((jaro_winkler(&a, &b) - strsim::jaro_winkler(&a, &b)).abs() < 1e-9);
        }

        #[test]
        fn one_edit_is_distance_one(a in "[AB]{0,8}", b in "[AB]{0,8}") {
            prop_assert_eq!(within_one_edit(a.as_bytes(), b.as_bytes()), strsim::osa_distance(&a, &b) <= 1);
        }
    }

    #[test]
    fn names_that_sound_alike_share_a_code() {
        for (a, b) in [("SMITH", "SMYTHE"), ("MEYER", "MAIER"), ("ASHCRAFT", "ASHCROFT")] {
            assert_eq!(sound_code(a.as_bytes()), sound_code(b.as_bytes()), "{a} {b}");
        }
        assert_ne!(sound_code(b"SMITH"), sound_code(b"JONES"));
        assert_eq!(sound_code(b""), 0);
    }
}
