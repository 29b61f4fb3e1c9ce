//! What every answer has in common.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// An answer in FHIR JSON that no cache between us and the caller may keep.
pub(super) fn fhir_json(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, "application/fhir+json; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// A FHIR R4 `instant` in UTC, to the millisecond.
pub(super) fn instant(at: OffsetDateTime) -> String {
    let millisecond = at.nanosecond() / 1_000_000 * 1_000_000;
    let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(millisecond).unwrap_or(at);
    at.format(&Rfc3339).expect("the year has four digits")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn instants_are_utc_to_the_millisecond() {
        assert_eq!(instant(datetime!(2026-03-05 01:02:03.456789 +2)), "2026-03-04T23:02:03.456Z");
    }
}
