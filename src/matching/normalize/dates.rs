//! Dates of birth. Partial dates stay partial; dates that cannot be stay as the digits told, since
//! a typing error is compared digit by digit.

use super::placeholders;
use crate::domain::PartialDate;

/// A date of birth as the decimal number YYYYMMDD, zeros where not told; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BirthDate(pub(crate) u32);

impl BirthDate {
    pub(crate) const NONE: Self = Self(0);

    fn new(year: u32, month: u32, day: u32) -> Self {
        let legible = (1..=9999).contains(&year) && month <= 99 && day <= 99;
        if !legible || placeholders::birth_date(year, month, day) {
            return Self::NONE;
        }
        Self(year * 10_000 + month * 100 + day)
    }

    pub(crate) const fn is_told(self) -> bool {
        self.0 != 0
    }

    /// Whether year, month and day are all told.
    pub(crate) const fn is_full(self) -> bool {
        self.month() != 0 && self.day() != 0
    }

    pub(crate) const fn year(self) -> u32 {
        self.0 / 10_000
    }

    pub(crate) const fn month(self) -> u32 {
        self.0 / 100 % 100
    }

    pub(crate) const fn day(self) -> u32 {
        self.0 % 100
    }

    pub(crate) const fn month_and_day(self) -> u32 {
        self.0 % 10_000
    }

    /// How many days lie between two dates that can be; `None` where one cannot.
    pub(crate) fn days_apart(self, other: Self) -> Option<u32> {
        Some(self.day_number()?.abs_diff(other.day_number()?))
    }

    /// Days since the beginning of the common era, in the Gregorian calendar.
    fn day_number(self) -> Option<u32> {
        let (year, month, day) = (self.year(), self.month(), self.day());
        if year == 0 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        // Years begin in March, so that the leap day is the last of its year.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        Some(365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day)
    }

    /// The eight digits, for edit distances.
    pub(crate) fn digits(self) -> [u8; 8] {
        let mut digits = [0; 8];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit = (rest % 10) as u8;
            rest /= 10;
        }
        digits
    }
}

impl From<PartialDate> for BirthDate {
    fn from(date: PartialDate) -> Self {
        let part = |part: Option<u8>| u32::from(part.unwrap_or(0));
        Self::new(u32::from(date.year()), part(date.month()), part(date.day()))
    }
}

/// Reads a date as files tell it: YYYY-MM-DD, YYYYMMDD, MM/DD/YYYY, YYYY-MM or YYYY, with any
/// separator. Two-digit years are not read: which century they mean cannot be known.
pub(crate) fn parse_birth_date(text: &str) -> BirthDate {
    let mut parts = [""; 3];
    let mut count = 0;
    let date = text.split(['T', ' ']).next().unwrap_or_default();
    for part in date.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty()) {
        if count == parts.len() {
            return BirthDate::NONE;
        }
        parts[count] = part;
        count += 1;
    }
    let number = |part: &str| part.parse::<u32>().unwrap_or(0);
    match (count, parts[0].len()) {
        (3, 4) => BirthDate::new(number(parts[0]), number(parts[1]), number(parts[2])),
        (3, _) if parts[2].len() == 4 => {
            BirthDate::new(number(parts[2]), number(parts[0]), number(parts[1]))
        }
        (2, 4) => BirthDate::new(number(parts[0]), number(parts[1]), 0),
        (1, 4) => BirthDate::new(number(parts[0]), 0, 0),
        (1, 8) if parts[0].is_ascii() => {
            BirthDate::new(number(&parts[0][..4]), number(&parts[0][4..6]), number(&parts[0][6..]))
        }
        _ => BirthDate::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_told() {
        for (text, number) in [
            ("1984-03-05", 19_840_305),
            ("19840305", 19_840_305),
            ("3/5/1984", 19_840_305),
            ("1984-03-05T10:00:00Z", 19_840_305),
            ("1984-03", 19_840_300),
            ("1984", 19_840_000),
            ("1984-02-31", 19_840_231),
            ("03/05/84", 0),
            ("1900-01-01", 0),
            ("unknown", 0),
            ("", 0),
            ("1-2-3-4", 0),
        ] {
            assert_eq!(parse_birth_date(text), BirthDate(number), "{text}");
        }
        assert_eq!(BirthDate(19_840_305).digits(), [1, 9, 8, 4, 0, 3, 0, 5]);
        let apart = |a, b| BirthDate(a).days_apart(BirthDate(b));
        assert_eq!(apart(19_840_228, 19_840_301), Some(2));
        assert_eq!(apart(19_831_231, 19_840_102), Some(2));
        assert_eq!(apart(20_000_301, 20_000_228), Some(2));
        assert_eq!(apart(19_841_301, 19_840_301), None);
        assert!(!BirthDate(19_840_300).is_full() && BirthDate(19_840_305).is_full());
    }
}
