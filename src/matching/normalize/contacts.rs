//! Telephone numbers and e-mail addresses.

use super::{names::fold, placeholders};

const PHONE_DIGITS_MIN: usize = 6;
/// A NANP number, and as many of a longer international one as tell subscribers apart.
const PHONE_DIGITS: usize = 10;

/// The last ten digits, empty where the number reaches nobody.
pub(crate) fn normalize_phone(told: &str) -> String {
    // An extension is not part of the number.
    let number = told.split(['x', 'X', ';']).next().unwrap_or_default();
    let mut digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if digits.len() > PHONE_DIGITS {
        digits.drain(..digits.len() - PHONE_DIGITS);
    }
    if digits.len() < PHONE_DIGITS_MIN || placeholders::phone(&digits) {
        digits.clear();
    }
    digits
}

/// Upper case, trimmed; empty where it is no mailbox of a person.
pub(crate) fn normalize_email(told: &str) -> String {
    let folded = fold(told.trim());
    match folded.split_once('@') {
        Some((local, domain))
            if !local.is_empty() && domain.len() > 2 && !placeholders::mailbox(local) =>
        {
            folded.into_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_ten_digits() {
        for (told, digits) in [
            ("(317) 341-0388", "3173410388"),
            ("+1 317 341 0388", "3173410388"),
            ("317-341-0388 x12", "3173410388"),
            ("712 300633", "712300633"),
            ("12345", ""),
            ("555-555-5555", ""),
        ] {
            assert_eq!(normalize_phone(told), digits, "{told}");
        }
    }

    #[test]
    fn mailboxes_of_nobody_are_dropped() {
        assert_eq!(normalize_email(" Ann.Lee@Mail.org "), "ANN.LEE@MAIL.ORG");
        for told in ["noreply@mail.org", "none", "@mail.org", "a@", ""] {
            assert_eq!(normalize_email(told), "", "{told}");
        }
    }
}
