//! Dates and times as stretches of time, by the precision they were written with (FHIR R4 §3.1.1.4.7).

use std::fmt;

use thiserror::Error;
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// A half-open stretch of time: from its start up to, not including, its end; either may be open.
///
/// `2024` is the whole year, `2024-03-01T10:00:00Z` one second, `…10:00:00.250Z` one millisecond.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// Nanoseconds since 1970 in UTC; `i128::MIN` where open.
    start: i128,
    /// Nanoseconds since 1970 in UTC; `i128::MAX` where open.
    end: i128,
}

impl TimeRange {
    /// All of time.
    pub const ALWAYS: Self = Self { start: i128::MIN, end: i128::MAX };

    /// Parses a FHIR `date`, `dateTime` or `instant`. Where no zone is told, UTC holds.
    ///
    /// Seconds may be missing, as search parameters allow. Years run from 1 to 9999.
    pub fn parse(text: &str) -> Result<Self, InvalidDateTime> {
        match text.split_once('T') {
            None => parse_date(text),
            Some((date, time)) => parse_date_time(date, time),
        }
    }

    /// The moment itself, as short as can be told.
    pub fn at(moment: OffsetDateTime) -> Self {
        let start = moment.unix_timestamp_nanos();
        Self { start, end: start + 1 }
    }

    /// A FHIR `Period`: open on the side that is not told. Refused where it ends before it starts.
    pub fn period(start: Option<&str>, end: Option<&str>) -> Result<Self, InvalidDateTime> {
        let start = start.map_or(Ok(i128::MIN), |text| Self::parse(text).map(|told| told.start))?;
        let end = end.map_or(Ok(i128::MAX), |text| Self::parse(text).map(|told| told.end))?;
        if end <= start {
            return Err(InvalidDateTime);
        }
        Ok(Self { start, end })
    }

    /// The stretch from the earliest start to the latest end of both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The first moment, where it is not open.
    pub fn start(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(self.start).ok()
    }

    /// The first moment after, where it is not open.
    pub fn end(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(self.end).ok()
    }

    /// Whether all of `other` lies in this one.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether both share a moment.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn widened(self, by_ns: i128) -> Self {
        Self { start: self.start.saturating_sub(by_ns), end: self.end.saturating_add(by_ns) }
    }

    fn between(start: PrimitiveDateTime, offset: UtcOffset, length: Duration) -> Self {
        let start = start.assume_offset(offset).unix_timestamp_nanos();
        Self { start, end: start + length.whole_nanoseconds() }
    }
}

impl fmt::Debug for TimeRange {
    // A date may be a patient's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeRange(…)")
    }
}

/// Not a date, dateTime or instant of FHIR, or not in the calendar.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a date or time of the form YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz")]
pub struct InvalidDateTime;

fn parse_date(text: &str) -> Result<TimeRange, InvalidDateTime> {
    let (first, days) = match text.len() {
        4 => {
            let year = number(text, 4)?;
            (day(year, 1, 1)?, i64::from(time::util::days_in_year(year.cast_signed())))
        }
        7 => {
            let (year, month) = text.split_once('-').ok_or(InvalidDateTime)?;
            let first = day(number(year, 4)?, number(month, 2)?, 1)?;
            (first, i64::from(first.month().length(first.year())))
        }
        _ => (full_date(text)?, 1),
    };
    Ok(TimeRange::between(first.midnight(), UtcOffset::UTC, Duration::days(days)))
}

fn full_date(text: &str) -> Result<Date, InvalidDateTime> {
    let mut parts = text.splitn(3, '-');
    let mut next = |digits| number(parts.next().unwrap_or_default(), digits);
    day(next(4)?, next(2)?, next(2)?)
}

fn parse_date_time(date: &str, rest: &str) -> Result<TimeRange, InvalidDateTime> {
    let (time, offset) = split_zone(rest)?;
    let mut parts = time.splitn(3, ':');
    let hour = number(parts.next().unwrap_or_default(), 2)?;
    let minute = number(parts.next().ok_or(InvalidDateTime)?, 2)?;
    let (second, nanosecond, precision) = match parts.next() {
        None => (0, 0, Duration::MINUTE),
        Some(seconds) => parse_seconds(seconds)?,
    };
    // FHIR's pattern allows second 60; the calendar here has no leap seconds, so it falls on the next minute.
    let (second, leap) =
        if second == 60 { (59, Duration::SECOND) } else { (second, Duration::ZERO) };
    let time = Time::from_hms_nano(small(hour)?, small(minute)?, small(second)?, nanosecond)
        .map_err(|_| InvalidDateTime)?;
    let start = PrimitiveDateTime::new(full_date(date)?, time);
    let start = start.checked_add(leap).ok_or(InvalidDateTime)?;
    Ok(TimeRange::between(start, offset, precision))
}

/// Seconds, nanoseconds, and how long a stretch that precision means.
fn parse_seconds(text: &str) -> Result<(u32, u32, Duration), InvalidDateTime> {
    let Some((second, fraction)) = text.split_once('.') else {
        return Ok((number(text, 2)?, 0, Duration::SECOND));
    };
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidDateTime);
    }
    // Beyond nanoseconds digits are dropped: no clock tells them.
    let digits = &fraction[..fraction.len().min(9)];
    let unit = 10_u32.pow(9 - digits.len() as u32);
    let told: u32 = digits.parse().map_err(|_| InvalidDateTime)?;
    Ok((number(second, 2)?, told * unit, Duration::nanoseconds(i64::from(unit))))
}

fn split_zone(text: &str) -> Result<(&str, UtcOffset), InvalidDateTime> {
    if let Some(time) = text.strip_suffix('Z') {
        return Ok((time, UtcOffset::UTC));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Ok((text, UtcOffset::UTC)) };
    let (hours, minutes) = text[at + 1..].split_once(':').ok_or(InvalidDateTime)?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 14 || minutes > 59 {
        return Err(InvalidDateTime);
    }
    let seconds = (hours * 3600 + minutes * 60).cast_signed();
    let seconds = if text.as_bytes()[at] == b'-' { -seconds } else { seconds };
    let offset = UtcOffset::from_whole_seconds(seconds).map_err(|_| InvalidDateTime)?;
    Ok((&text[..at], offset))
}

fn day(year: u32, month: u32, day: u32) -> Result<Date, InvalidDateTime> {
    if year == 0 {
        return Err(InvalidDateTime);
    }
    let month = Month::try_from(small(month)?).map_err(|_| InvalidDateTime)?;
    Date::from_calendar_date(year.cast_signed(), month, small(day)?).map_err(|_| InvalidDateTime)
}

fn number(text: &str, digits: usize) -> Result<u32, InvalidDateTime> {
    if text.len() != digits || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidDateTime);
    }
    text.parse().map_err(|_| InvalidDateTime)
}

fn small(number: u32) -> Result<u8, InvalidDateTime> {
    u8::try_from(number).map_err(|_| InvalidDateTime)
}

/// How a date parameter relates to a value (FHIR R4 §3.1.1.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatePrefix {
    /// The parameter contains the value.
    Eq,
    /// It does not.
    Ne,
    /// The value reaches beyond the parameter.
    Gt,
    /// The value begins before the parameter.
    Lt,
    /// `gt` or `eq`.
    Ge,
    /// `lt` or `eq`.
    Le,
    /// The value starts after the parameter ends.
    Sa,
    /// The value ends before the parameter starts.
    Eb,
    /// They overlap, the parameter widened by a tenth of its distance from now.
    Ap,
}

impl DatePrefix {
    /// Takes a prefix off a parameter; `eq` where there is none.
    pub fn split(text: &str) -> (Self, &str) {
        let prefix = match text.as_bytes() {
            [b'e', b'q', ..] => Self::Eq,
            [b'n', b'e', ..] => Self::Ne,
            [b'g', b't', ..] => Self::Gt,
            [b'l', b't', ..] => Self::Lt,
            [b'g', b'e', ..] => Self::Ge,
            [b'l', b'e', ..] => Self::Le,
            [b's', b'a', ..] => Self::Sa,
            [b'e', b'b', ..] => Self::Eb,
            [b'a', b'p', ..] => Self::Ap,
            _ => return (Self::Eq, text),
        };
        (prefix, &text[2..])
    }
}

/// A date parameter such as `ge2024-03-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateCriterion {
    /// How it relates.
    pub prefix: DatePrefix,
    /// To which stretch.
    pub range: TimeRange,
}

impl DateCriterion {
    /// Parses a prefix, perhaps none, and a date or time.
    pub fn parse(text: &str) -> Result<Self, InvalidDateTime> {
        let (prefix, date) = DatePrefix::split(text);
        Ok(Self { prefix, range: TimeRange::parse(date)? })
    }

    /// Whether a value meets this; `now` matters to `ap` alone.
    pub fn matches(self, value: TimeRange, now: OffsetDateTime) -> bool {
        let told = self.range;
        match self.prefix {
            DatePrefix::Eq => told.contains(value),
            DatePrefix::Ne => !told.contains(value),
            DatePrefix::Gt => value.end > told.end,
            DatePrefix::Lt => value.start < told.start,
            DatePrefix::Ge => value.end > told.end || told.contains(value),
            DatePrefix::Le => value.start < told.start || told.contains(value),
            DatePrefix::Sa => value.start >= told.end,
            DatePrefix::Eb => value.end <= told.start,
            DatePrefix::Ap => {
                let gap = now.unix_timestamp_nanos().saturating_sub(told.start).abs();
                told.widened((gap / 10).max(NANOSECONDS_PER_SECOND)).overlaps(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn range(text: &str) -> TimeRange {
        TimeRange::parse(text).expect("a date")
    }

    fn check(text: &str, start: OffsetDateTime, length: Duration) {
        let told = range(text);
        assert_eq!(told.start(), Some(start), "{text}");
        assert_eq!(told.end(), Some(start + length), "{text}");
    }

    #[test]
    fn a_date_is_as_long_as_its_precision() {
        check("2024", datetime!(2024-01-01 0:00 UTC), Duration::days(366));
        check("2023-02", datetime!(2023-02-01 0:00 UTC), Duration::days(28));
        check("2024-02-29", datetime!(2024-02-29 0:00 UTC), Duration::DAY);
        check("2024-03-01T10:30Z", datetime!(2024-03-01 10:30 UTC), Duration::MINUTE);
        check("2024-03-01T10:30:05Z", datetime!(2024-03-01 10:30:05 UTC), Duration::SECOND);
        let milliseconds = datetime!(2024-03-01 10:30:05.250 UTC);
        check("2024-03-01T10:30:05.250Z", milliseconds, Duration::MILLISECOND);
    }

    #[test]
    fn one_instant_is_the_same_in_every_zone() {
        let utc = range("2024-03-01T02:30:00Z");
        assert_eq!(range("2024-02-29T21:30:00-05:00"), utc);
        assert_eq!(range("2024-03-01T08:00:00+05:30"), utc);
        assert_eq!(range("2024-03-01T02:30:00"), utc, "without a zone, UTC");
    }

    #[test]
    fn second_60_is_the_next_minute() {
        assert_eq!(range("2016-12-31T23:59:60Z"), range("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn the_last_year_has_an_end() {
        assert!(range("9999-12-31").start().is_some());
        assert!(range("2024").contains(range("2024-12-31T23:59:59.999Z")));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "24",
            "0000",
            "2024-13",
            "2024-1",
            "2024-02-30",
            "2024-03-01T",
            "2024-03-01T10",
            "2024-03-01T24:00:00Z",
            "2024-03-01T10:00:61Z",
            "2024-03-01T10:00:00.Z",
            "2024-03-01T10:00:00+15:00",
            "2024-03T10:00:00Z",
            "2024-03-01 10:00",
            "２０２４",
        ] {
            assert_eq!(TimeRange::parse(text), Err(InvalidDateTime), "{text}");
        }
    }

    #[test]
    fn a_period_is_open_where_it_is_not_told() {
        let since = TimeRange::period(Some("2024-03"), None).expect("a period");
        assert_eq!(since.start(), Some(datetime!(2024-03-01 0:00 UTC)));
        assert_eq!(since.end(), None);
        let one_day = TimeRange::period(Some("2024-03-01"), Some("2024-03-01")).expect("a period");
        assert_eq!(one_day, range("2024-03-01"));
        assert!(TimeRange::period(Some("2024-03-02"), Some("2024-03-01")).is_err());
    }

    fn meets(criterion: &str, value: TimeRange) -> bool {
        let now = datetime!(2024-06-01 0:00 UTC);
        DateCriterion::parse(criterion).expect("a criterion").matches(value, now)
    }

    #[test]
    fn prefixes_compare_stretches() {
        let half = TimeRange::period(Some("2024-01-01"), Some("2024-06-30")).expect("a period");
        assert!(!meets("2024-03-01", half), "eq: not contained");
        assert!(meets("ge2024-03-01", half) && meets("le2024-03-01", half), "overlap query");
        assert!(meets("2024", half) && !meets("ne2024", half));
        assert!(meets("gt2024-06-29", half) && !meets("gt2024-06-30", half));
        assert!(meets("ge2024-06-30", range("2024-06-30T08:00:00Z")));
        assert!(!meets("lt2024-01-01", half) && meets("lt2024-01-02", half));
        assert!(meets("sa2023-12-31", half) && !meets("sa2024-01-01", half));
        assert!(meets("eb2024-07-01", half) && !meets("eb2024-06-30", half));
    }

    #[test]
    fn approximately_widens_with_the_distance_from_now() {
        // 152 days before now: a tenth of it is 15 days.
        assert!(meets("ap2024-01-01", range("2024-01-14")));
        assert!(!meets("ap2024-01-01", range("2024-01-20")));
        assert!(meets("ap2024-01-01", range("2024-01-01")));
    }

    #[test]
    fn an_open_period_compares_as_endless() {
        let since = TimeRange::period(Some("2020"), None).expect("a period");
        assert!(meets("gt2024", since) && meets("ge2024", since) && !meets("eb2024", since));
        assert!(meets("ap2024", since) && !meets("2024", since));
    }
}
