//! Clinical time as it was told, and whether two tellings can be of one moment.

const DAY_SECONDS: i64 = 86_400;
/// Offsets from UTC reach from −12 to +14 hours, so a bare date can begin and end that far off.
const WEST_SECONDS: i64 = 12 * 3600;
const EAST_SECONDS: i64 = 14 * 3600;

/// A FHIR `date`, `dateTime` or `instant`, no more precise than it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record) enum ClinicalTime {
    /// A moment known to the minute or better.
    Moment {
        /// Seconds since 1970, UTC.
        second: i64,
        /// Nanoseconds within it, where a fraction was told.
        nanos: Option<u32>,
        /// The calendar day on the teller's clock, in days since 1970.
        local_day: i32,
    },
    /// A clock reading without a zone (not FHIR, but sent): seconds since 1970 on that clock.
    Unzoned(i64),
    /// A day, in days since 1970.
    Day(i32),
    /// A month.
    Month(i32, u8),
    /// A year.
    Year(i32),
}

/// How far two times agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::record) enum TimeAgreement {
    /// Both say the same, equally precisely.
    Exact,
    /// One is less precise and does not contradict.
    Vague,
    /// They are two times.
    Different,
}

impl ClinicalTime {
    /// Reads a time; `None` where it is none, such as `2019-02-30`.
    pub(in crate::record) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, clock) = match text.split_once('T') {
            Some((date, clock)) => (date, Some(clock)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let year = digits(parts.next()?, 4)?;
        let month = parts.next().map(|part| digits(part, 2));
        let day = parts.next().map(|part| digits(part, 2));
        let (month, day) = match (month, day) {
            (None, _) => return (clock.is_none() && year > 0).then_some(Self::Year(year)),
            (Some(month), None) => {
                let month = u8::try_from(month?).ok().filter(|month| (1..=12).contains(month))?;
                return clock.is_none().then_some(Self::Month(year, month));
            }
            (Some(month), Some(day)) => (month?, day?),
        };
        let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
        let date = time::Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
        let days = date.to_julian_day() - UNIX_EPOCH_JULIAN;
        if parts.next().is_some() {
            return None;
        }
        match clock {
            None => Some(Self::Day(days)),
            Some(clock) => Self::on_clock(days, clock),
        }
    }

    fn on_clock(local_day: i32, clock: &str) -> Option<Self> {
        let zone_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
        let (reading, zone) = clock.split_at(zone_at);
        let (reading, nanos) = match reading.split_once('.') {
            Some((reading, fraction)) => (reading, Some(nanoseconds(fraction)?)),
            None => (reading, None),
        };
        let mut parts = reading.split(':');
        let hour = digits(parts.next()?, 2)?;
        let minute = digits(parts.next()?, 2)?;
        let second = parts.next().map_or(Some(0), |part| digits(part, 2))?;
        if hour > 24 || minute > 59 || second > 60 || parts.next().is_some() {
            return None;
        }
        let local =
            i64::from(local_day) * DAY_SECONDS + i64::from(hour * 3600 + minute * 60 + second);
        if zone.is_empty() {
            return Some(Self::Unzoned(local));
        }
        Some(Self::Moment { second: local - offset_seconds(zone)?, nanos, local_day })
    }

    /// How far two times agree. A bare day agrees with a moment that fell on it on the teller's
    /// own clock or in UTC.
    pub(in crate::record) fn agreement(self, other: Self) -> TimeAgreement {
        use TimeAgreement::{Different, Exact, Vague};
        match (self, other) {
            (
                Self::Moment { second: a, nanos: x, .. },
                Self::Moment { second: b, nanos: y, .. },
            ) => {
                let fractions = x.is_none() || y.is_none() || x == y;
                if a == b && fractions { Exact } else { Different }
            }
            _ if self == other => Exact,
            (Self::Moment { .. } | Self::Unzoned(_), Self::Moment { .. } | Self::Unzoned(_)) => {
                Different
            }
            (precise @ (Self::Moment { .. } | Self::Unzoned(_)), vague)
            | (vague, precise @ (Self::Moment { .. } | Self::Unzoned(_))) => {
                if precise.days().any(|day| vague.holds(day)) { Vague } else { Different }
            }
            (Self::Day(day), vague) | (vague, Self::Day(day)) => {
                if vague.holds(day) {
                    Vague
                } else {
                    Different
                }
            }
            (Self::Month(year, _), Self::Year(other))
            | (Self::Year(other), Self::Month(year, _)) => {
                if year == other {
                    Vague
                } else {
                    Different
                }
            }
            _ => Different,
        }
    }

    /// Whether both fell on one calendar day.
    pub(in crate::record) fn same_day(self, other: Self) -> bool {
        self.days().any(|day| other.days().any(|its| its == day))
    }

    /// Whether two moments are one where one teller's clock shows minutes only (HL7 v2 `TS`
    /// values often end there, and converters fill in `:00`).
    pub(in crate::record) fn same_minute(self, other: Self) -> bool {
        let (Self::Moment { second: a, .. }, Self::Moment { second: b, .. }) = (self, other) else {
            return false;
        };
        a.div_euclid(60) == b.div_euclid(60) && (a.rem_euclid(60) == 0 || b.rem_euclid(60) == 0)
    }

    /// The days it may be said to have fallen on.
    fn days(self) -> impl Iterator<Item = i32> {
        let (first, second) = match self {
            Self::Moment { second, local_day, .. } => {
                (Some(local_day), Some(second.div_euclid(DAY_SECONDS) as i32))
            }
            Self::Unzoned(second) => (Some(second.div_euclid(DAY_SECONDS) as i32), None),
            Self::Day(day) => (Some(day), None),
            Self::Month(..) | Self::Year(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    fn holds(self, day: i32) -> bool {
        match self {
            Self::Day(own) => own == day,
            Self::Month(..) | Self::Year(_) => {
                let Ok(date) = time::Date::from_julian_day(day.saturating_add(UNIX_EPOCH_JULIAN))
                else {
                    return false;
                };
                match self {
                    Self::Month(year, month) => {
                        date.year() == year && u8::from(date.month()) == month
                    }
                    Self::Year(year) => date.year() == year,
                    _ => false,
                }
            }
            Self::Moment { .. } | Self::Unzoned(_) => false,
        }
    }

    /// Seconds since 1970 between which it must lie, generously: two times that agree overlap.
    pub(in crate::record) fn window(self) -> (i64, i64) {
        let days = |from: i32, to: i32| {
            let start = i64::from(from) * DAY_SECONDS - EAST_SECONDS;
            (start, i64::from(to) * DAY_SECONDS + WEST_SECONDS)
        };
        let first = |year: i32, month: time::Month| {
            time::Date::from_calendar_date(year, month, 1)
                .map_or(0, |date| date.to_julian_day() - UNIX_EPOCH_JULIAN)
        };
        match self {
            Self::Moment { second, .. } => (second, second),
            Self::Unzoned(second) => (second - EAST_SECONDS, second + WEST_SECONDS),
            Self::Day(day) => days(day, day + 1),
            Self::Month(year, month) => {
                let start = time::Month::try_from(month).map_or(0, |month| first(year, month));
                days(start, start + 31)
            }
            Self::Year(year) => {
                let start = first(year, time::Month::January);
                days(start, start + 366)
            }
        }
    }
}

/// The Julian day number of 1 January 1970.
const UNIX_EPOCH_JULIAN: i32 = 2_440_588;

fn digits(text: &str, length: usize) -> Option<i32> {
    let whole = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| text.parse().ok()).flatten()
}

/// `.5` and `.500` are one fraction; beyond nanoseconds nothing is kept.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .try_fold(0_u32, |sum, digit| sum.checked_mul(10)?.checked_add(u32::from(digit - b'0')))
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 14 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, expected: TimeAgreement) {
        let read = |text: &str| ClinicalTime::parse(text).expect("a time");
        assert_eq!(read(a).agreement(read(b)), expected, "{a} {b}");
        assert_eq!(read(b).agreement(read(a)), expected, "{b} {a}");
        let ((a_from, a_to), (b_from, b_to)) = (read(a).window(), read(b).window());
        if expected != TimeAgreement::Different {
            assert!(a_from <= b_to && b_from <= a_to, "windows of {a} {b} overlap");
        }
    }

    #[test]
    fn one_instant_in_any_zone() {
        use TimeAgreement::{Different, Exact, Vague};
        check("2020-02-28T23:30:00-05:00", "2020-02-29T04:30:00Z", Exact);
        check("2020-02-28T13:59:06.5Z", "2020-02-28T13:59:06.500+00:00", Exact);
        check("2020-02-28T13:59:06.454Z", "2020-02-28T13:59:06Z", Exact);
        check("2020-02-28T13:59:06.4Z", "2020-02-28T13:59:06.5Z", Different);
        check("2020-02-28T13:59:06Z", "2020-02-28T13:59:07Z", Different);
        check("2020-02-28T23:30:00-05:00", "2020-02-28", Vague);
        check("2020-02-28T23:30:00-05:00", "2020-02-29", Vague);
        check("2020-02-28T23:30:00-05:00", "2020-02-27", Different);
        check("2020-02-28", "2020-02", Vague);
        check("2020-02", "2020", Vague);
        check("2020-02", "2021", Different);
        check("2020-02-28", "2020-02-28", Exact);
        check("2020-02-28T10:00:00", "2020-02-28T10:00:00Z", Different);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "2019-02-30",
            "",
            "2019-13",
            "yesterday",
            "2019-02-03T25:00:00Z",
            "2019-02-03T10:00:00+99:00",
        ] {
            assert_eq!(ClinicalTime::parse(text), None, "{text}");
        }
    }
}
