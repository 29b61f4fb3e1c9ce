use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A date as precise as it is known: `YYYY`, `YYYY-MM` or `YYYY-MM-DD` (FHIR R4 `date`). Never padded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartialDate {
    year: u16,
    month: u8,
    day: u8,
}

impl PartialDate {
    /// Parses the FHIR forms. Impossible dates such as `2019-02-30` are refused.
    pub fn parse(text: &str) -> Result<Self, InvalidDate> {
        let mut parts = text.split('-');
        let year = number(parts.next(), 4)?.ok_or(InvalidDate)?;
        let month = number(parts.next(), 2)?;
        let day = number(parts.next(), 2)?;
        if parts.next().is_some() {
            return Err(InvalidDate);
        }
        match (month, day) {
            (None, _) => Self::year_only(year),
            (Some(month), None) => Self::new(year, month as u8, None),
            (Some(month), Some(day)) => Self::new(year, month as u8, Some(day as u8)),
        }
    }

    /// A full or month-precise date of the Gregorian calendar.
    pub fn new(year: u16, month: u8, day: Option<u8>) -> Result<Self, InvalidDate> {
        let in_month = day.is_none_or(|day| day >= 1 && day <= days_in_month(year, month));
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !in_month {
            return Err(InvalidDate);
        }
        Ok(Self { year, month, day: day.unwrap_or(0) })
    }

    fn year_only(year: u16) -> Result<Self, InvalidDate> {
        if year == 0 { Err(InvalidDate) } else { Ok(Self { year, month: 0, day: 0 }) }
    }

    /// Year of the common era.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Month, 1 to 12, where known.
    pub const fn month(self) -> Option<u8> {
        if self.month == 0 { None } else { Some(self.month) }
    }

    /// Day of the month, from 1, where known.
    pub const fn day(self) -> Option<u8> {
        if self.day == 0 { None } else { Some(self.day) }
    }

    /// Whether the day is known.
    pub const fn is_full(self) -> bool {
        self.day != 0
    }
}

fn number(part: Option<&str>, digits: usize) -> Result<Option<u16>, InvalidDate> {
    let Some(part) = part else { return Ok(None) };
    if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidDate);
    }
    part.parse().map(Some).map_err(|_| InvalidDate)
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if self.month != 0 {
            write!(f, "-{:02}", self.month)?;
        }
        if self.day != 0 {
            write!(f, "-{:02}", self.day)?;
        }
        Ok(())
    }
}

impl fmt::Debug for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartialDate(…)")
    }
}

impl TryFrom<String> for PartialDate {
    type Error = InvalidDate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<PartialDate> for String {
    fn from(date: PartialDate) -> Self {
        date.to_string()
    }
}

/// Not a date of the forms `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or not in the calendar.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a date of the form YYYY, YYYY-MM or YYYY-MM-DD")]
pub struct InvalidDate;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_keep_the_precision_they_came_with() {
        for text in ["1984", "1984-03", "1984-03-05", "2000-02-29"] {
            assert_eq!(PartialDate::parse(text).map(|d| d.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in [
            "",
            "84",
            "1984-13",
            "1984-3-5",
            "2019-02-30",
            "1900-02-29",
            "1984-03-05T10:00",
            "0000",
        ] {
            assert_eq!(PartialDate::parse(text), Err(InvalidDate), "{text}");
        }
    }
}
