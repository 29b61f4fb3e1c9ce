use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use crate::domain::PartialDate;

/// HL7 v2 `TS`/`DTM`: `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    date: PartialDate,
    time: Option<Time>,
    offset: Option<UtcOffset>,
}

impl Timestamp {
    /// Reads a point in time; `None` where it is not one of the calendar and the clock.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, zone) = match text.find(['+', '-']) {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        let (digits, fraction) = match local.split_once('.') {
            Some((digits, fraction)) => (digits, Some(fraction)),
            None => (local, None),
        };
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !whole || !matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14) {
            return None;
        }
        let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u16>().ok();
        let year = number(0..4)?;
        let date = match (number(4..6), number(6..8)) {
            (None, _) => PartialDate::parse(digits).ok()?,
            (Some(month), day) => {
                PartialDate::new(year, month as u8, day.map(|day| day as u8)).ok()?
            }
        };
        let nanosecond = fraction.map_or(Some(0), nanoseconds)?;
        let time = match number(8..10) {
            None if fraction.is_some() => return None,
            None => None,
            Some(hour) => {
                let minute = number(10..12).unwrap_or_default() as u8;
                let second = number(12..14).unwrap_or_default() as u8;
                Some(Time::from_hms_nano(hour as u8, minute, second, nanosecond).ok()?)
            }
        };
        let offset = match zone {
            Some(zone) => Some(offset(zone)?),
            None => None,
        };
        Some(Self { date, time, offset })
    }

    /// The day, as precise as it was told.
    pub fn date(self) -> PartialDate {
        self.date
    }

    /// The zone, where told.
    pub fn offset(self) -> Option<UtcOffset> {
        self.offset
    }

    /// The moment, where at least the hour is known; `zone` holds where none was told.
    pub fn moment(self, zone: UtcOffset) -> Option<OffsetDateTime> {
        let month = Month::try_from(self.date.month()?).ok()?;
        let date =
            Date::from_calendar_date(self.date.year().into(), month, self.date.day()?).ok()?;
        Some(date.with_time(self.time?).assume_offset(self.offset.unwrap_or(zone)))
    }
}

/// Up to four digits after the point, as HL7 allows; more are cut.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    digits.parse().ok()
}

fn offset(zone: &str) -> Option<UtcOffset> {
    let (sign, digits) = zone.split_at(1);
    let minus = if sign == "-" { -1 } else { 1 };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i8 = digits[..2].parse().ok()?;
    let minutes: i8 = digits[2..].parse().ok()?;
    UtcOffset::from_hms(minus * hours, minus * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_as_precise_as_told() {
        let date = |text| Timestamp::parse(text).expect(text).date().to_string();
        assert_eq!(date("1984"), "1984");
        assert_eq!(date("198403"), "1984-03");
        assert_eq!(date("19840305"), "1984-03-05");
        assert_eq!(date("198808181126+0215"), "1988-08-18");
        let moment = |text| Timestamp::parse(text).expect(text).moment(UtcOffset::UTC);
        assert_eq!(moment("19840305"), None);
        assert_eq!(moment("198403"), None);
        assert_eq!(moment("1984030510"), Some(datetime!(1984-03-05 10:00 UTC)));
        assert_eq!(moment("20210817151943.4+0200"), Some(datetime!(2021-08-17 15:19:43.4 +2)));
        assert_eq!(moment("202108171519-0530"), Some(datetime!(2021-08-17 15:19 -5:30)));
    }

    #[test]
    fn a_zone_is_taken_where_none_is_told() {
        let zone = UtcOffset::from_hms(-5, 0, 0).expect("a zone");
        let told = Timestamp::parse("20210817151943").expect("a time");
        assert_eq!(told.moment(zone), Some(datetime!(2021-08-17 15:19:43 -5)));
    }

    #[test]
    fn what_is_on_no_calendar_or_clock_is_refused() {
        for bad in [
            "",
            "198",
            "19841",
            "20190230",
            "201913",
            "2021081725",
            "202108171561",
            "yesterday",
            "2021-08-17",
            "20210817+25",
            "20210817151943.",
            "20210817.5",
            "0000",
            "20210817151943+9999",
        ] {
            assert!(Timestamp::parse(bad).is_none(), "{bad}");
        }
    }
}
