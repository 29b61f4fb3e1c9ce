use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime};

use crate::domain::PartialDate;

/// The first instant of a FHIR R4 `dateTime` and the first one after it, by its own precision:
/// `2024-05` lasts from the first of May to the first of June. Dates are taken in UTC.
pub(super) fn instants(text: &str) -> Option<(OffsetDateTime, OffsetDateTime)> {
    if text.contains('T') {
        let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        return Some((instant, instant + time::Duration::NANOSECOND));
    }
    let date = PartialDate::parse(text).ok()?;
    let year = i32::from(date.year());
    let first = day(year, date.month().unwrap_or(1), date.day().unwrap_or(1))?;
    let after = match (date.month(), date.day()) {
        (Some(_), Some(_)) => first.checked_add(time::Duration::DAY)?,
        (Some(month), None) if month < 12 => day(year, month + 1, 1)?,
        _ => day(year + 1, 1, 1)?,
    };
    Some((first, after))
}

fn day(year: i32, month: u8, day: u8) -> Option<OffsetDateTime> {
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    Some(date.midnight().assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, first: &str, after: &str) {
        let at = |text| OffsetDateTime::parse(text, &Rfc3339).expect("a time");
        assert_eq!(instants(text), Some((at(first), at(after))), "{text}");
    }

    #[test]
    fn a_time_lasts_as_long_as_its_precision() {
        check("2024", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
        check("2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z");
        check("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
        check(
            "2024-02-29T10:00:00+02:00",
            "2024-02-29T08:00:00Z",
            "2024-02-29T08:00:00.000000001Z",
        );
        assert_eq!(instants("2024-02-30"), None);
        assert_eq!(instants("soon"), None);
    }
}
