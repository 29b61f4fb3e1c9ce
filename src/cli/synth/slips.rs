//! Slips of the keyboard.

use fastrand::Rng;

use super::dice::one_of;

/// Keys beside each letter on a QWERTY keyboard, A to Z.
const BESIDE: [&str; 26] = [
    "SQZ", "VNG", "XVD", "SFE", "WRD", "DGR", "FHT", "GJY", "UOK", "HKU", "JLI", "KO", "NK", "MB",
    "IPL", "OL", "WA", "ETF", "ADW", "RYG", "YIJ", "CB", "QES", "ZCS", "TUH", "XA",
];

/// One slip in a text of letters or digits: a neighboring key, two keys swapped, one dropped or doubled.
///
/// A text too short to be slipped in stays as it is.
pub(super) fn typo(rng: &mut Rng, text: &str) -> String {
    let mut letters: Vec<u8> = text.bytes().collect();
    if letters.len() < 3 || !text.is_ascii() {
        return text.to_owned();
    }
    // The first letter is seldom wrong.
    let at = if rng.u8(..8) == 0 { 0 } else { rng.usize(1..letters.len()) };
    match rng.u8(..10) {
        0..4 => letters[at] = beside(rng, letters[at]),
        4..7 if at + 1 < letters.len() => letters.swap(at, at + 1),
        7..9 => {
            letters.remove(at);
        }
        _ => letters.insert(at, letters[at]),
    }
    String::from_utf8(letters).unwrap_or_else(|_| text.to_owned())
}

/// One wrong digit, or two neighbors swapped; the length stays.
pub(super) fn digit_slip(rng: &mut Rng, text: &str) -> String {
    let digits: Vec<usize> =
        (0..text.len()).filter(|&i| text.as_bytes()[i].is_ascii_digit()).collect();
    if digits.is_empty() {
        return text.to_owned();
    }
    let mut bytes = text.as_bytes().to_vec();
    let at = rng.usize(..digits.len());
    if rng.bool() && at + 1 < digits.len() {
        bytes.swap(digits[at], digits[at + 1]);
    } else {
        bytes[digits[at]] = b'0' + (bytes[digits[at]] - b'0' + rng.u8(1..10)) % 10;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn beside(rng: &mut Rng, letter: u8) -> u8 {
    if letter.is_ascii_uppercase() {
        one_of(rng, BESIDE[usize::from(letter - b'A')].as_bytes())
    } else if letter.is_ascii_digit() {
        b'0' + (letter - b'0' + 1) % 10
    } else {
        letter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_one_edit_away() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..1_000 {
            let slipped = typo(&mut rng, "MARGARET");
            assert!(strsim::osa_distance("MARGARET", &slipped) <= 1, "{slipped}");
        }
    }

    #[test]
    fn a_digit_slip_keeps_the_shape() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..1_000 {
            let slipped = digit_slip(&mut rng, "1984-03-05");
            assert_eq!(slipped.len(), 10);
            assert!(slipped.as_bytes()[4] == b'-' && slipped.as_bytes()[7] == b'-');
            assert!(strsim::osa_distance("1984-03-05", &slipped) <= 2, "{slipped}");
        }
        assert_eq!(digit_slip(&mut rng, "UNK"), "UNK");
    }

    #[test]
    fn what_is_too_short_stays() {
        assert_eq!(typo(&mut Rng::with_seed(1), "AL"), "AL");
    }
}
