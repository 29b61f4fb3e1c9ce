//! Values that stand for "not known": by table, field by field. A hit makes the field unavailable,
//! neither evidence nor contradiction. What tables miss, learned frequency catches.

/// Version of these tables.
pub(crate) const VERSION: &str = "2026.11";

/// Given names that name nobody.
const GIVEN: &[&str] = &[
    "UNKNOWN",
    "UNK",
    "UNKN",
    "NONE",
    "NA",
    "NULL",
    "NIL",
    "UNIDENTIFIED",
    "PATIENT",
    "NONAME",
    "NOFIRSTNAME",
    "FNU",
    "ANONYMOUS",
    "TEST",
    "TESTING",
    "TESTPATIENT",
    "DUMMY",
    "TRAINING",
    "SAMPLE",
    "FAKE",
    "NOTGIVEN",
    "UNNAMED",
    "REFUSED",
];

/// Surnames that name nobody. Short: Doe, Test, Baby and None are real surnames.
const FAMILY: &[&str] = &[
    "UNKNOWN",
    "UNK",
    "UNKN",
    "UNIDENTIFIED",
    "NOLASTNAME",
    "LNU",
    "NULL",
    "NONAME",
    "ANONYMOUS",
    "ZZTEST",
    "REFUSED",
];

/// Whole names, given and family, used for people whose name is not known.
const WHOLE: &[(&str, &str)] = &[("JOHN", "DOE"), ("JANE", "DOE"), ("TEST", "PATIENT")];

/// Address lines of people without one, without spaces.
const STREET: &[&str] = &[
    "UNKNOWN",
    "UNK",
    "NONE",
    "NA",
    "HOMELESS",
    "UNDOMICILED",
    "NOADDRESS",
    "NOFIXEDADDRESS",
    "NOFIXEDABODE",
    "NFA",
    "GENERALDELIVERY",
    "TRANSIENT",
    "SHELTER",
    "REFUSED",
    "SAME",
];

const CITY: &[&str] = &["UNKNOWN", "UNK", "NONE", "NA", "XX"];

/// Local parts of mailboxes that reach nobody in particular.
const MAILBOX: &[&str] = &[
    "NOREPLY",
    "NOEMAIL",
    "NONE",
    "NA",
    "UNKNOWN",
    "TEST",
    "NOMAIL",
    "DECLINED",
    "REFUSED",
    "INFO",
    "NO",
    "DONOTREPLY",
];

pub(super) fn given(token: &str) -> bool {
    GIVEN.contains(&token) || repeats_one_of(token, "XZ")
}

pub(super) fn family(joined: &str) -> bool {
    FAMILY.contains(&joined) || repeats_one_of(joined, "XZ")
}

pub(super) fn whole_name(given: &str, family: &str) -> bool {
    WHOLE.contains(&(given, family))
}

pub(super) fn street(line_without_spaces: &str) -> bool {
    STREET.contains(&line_without_spaces)
}

pub(super) fn city(city: &str) -> bool {
    CITY.contains(&city)
}

pub(super) fn postal_code(code: &str) -> bool {
    matches!(code, "00000" | "99999" | "0000" | "9999")
}

pub(super) fn mailbox(local_part: &str) -> bool {
    MAILBOX.contains(&local_part)
}

/// Telephone numbers, digits only, that reach nobody.
pub(super) fn phone(digits: &str) -> bool {
    let line = &digits[digits.len().min(1)..];
    one_character(line)
        || matches!(digits, "1234567890" | "0123456789" | "5555555555")
        || digits.len() == 10 && (digits.ends_with("5551212") || digits.starts_with("000"))
}

/// Social security numbers never issued, or printed in advertisements.
pub(super) fn social_security(number: &str) -> bool {
    const NEVER_ISSUED: &[&str] = &["123456789", "078051120", "987654321", "219099999"];
    let whole = number.len() == 9 && number.bytes().all(|b| b.is_ascii_digit());
    one_character(number)
        || NEVER_ISSUED.contains(&number)
        || whole
            && (number.starts_with("000")
                || number.starts_with("666")
                || &number[3..5] == "00"
                || number.ends_with("0000"))
}

/// Identifier values that a clerk types to get past a mandatory field.
pub(super) fn identifier(value: &str) -> bool {
    matches!(value, "PENDING" | "TBD" | "NONE" | "UNKNOWN" | "NA" | "UNK") || one_character(value)
}

/// Dates of birth that systems fill in by themselves.
pub(super) fn birth_date(year: u32, month: u32, day: u32) -> bool {
    matches!((year, month, day), (1800 | 1850 | 1900 | 1901, 1, 1) | (9999, _, _))
}

fn one_character(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_none_or(|first| bytes.iter().all(|b| b == first))
}

fn repeats_one_of(token: &str, letters: &str) -> bool {
    token.len() > 1 && one_character(token) && token.starts_with(|c| letters.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_nothing_is_told_from_what_is_rare() {
        assert!(given("UNKNOWN") && given("XX") && given("ZZZ") && !given("ANN") && !given("X"));
        assert!(family("LNU") && !family("DOE") && !family("TEST") && !family("BABY"));
        assert!(whole_name("JANE", "DOE") && !whole_name("MARY", "DOE"));
        assert!(street("UNDOMICILED") && !street("MAIN"));
        assert!(city("UNK") && !city("UNION"));
        assert!(postal_code("00000") && !postal_code("10002"));
        assert!(mailbox("NOREPLY") && !mailbox("NORA"));
        assert!(phone("5555555555") && phone("2125551212") && phone("0001234567") && phone(""));
        assert!(!phone("2125550143"));
        assert!(social_security("078051120") && social_security("666123456"));
        assert!(social_security("123004567") && social_security("123450000"));
        assert!(social_security("111111111") && !social_security("871272195"));
        assert!(identifier("TBD") && identifier("0000") && !identifier("H21987515"));
        assert!(birth_date(1900, 1, 1) && !birth_date(1900, 1, 2) && !birth_date(1984, 1, 1));
    }
}
