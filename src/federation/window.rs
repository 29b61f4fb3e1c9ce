//! What the asker restricted, enforced here too: servers are met that ignore a criterion.

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::query::RecordQuery;
use crate::fhir::Resource;

impl RecordQuery {
    /// Whether a patient's resource is within `_type`, `_since`, `start` and `end`.
    ///
    /// What does not say when it was updated, or when the care was, is within: leaving it out
    /// could hide what matters. So is, whatever its dates, all that may still hold, such as
    /// conditions, allergies and prescriptions.
    pub(super) fn admits(&self, resource: &Resource) -> bool {
        self.wants_type(resource.resource_type())
            && self.admits_update(resource)
            && self.admits_care(resource)
    }

    fn admits_update(&self, resource: &Resource) -> bool {
        let Some(since) = self.since else { return true };
        let head: Option<Head> = resource.read().ok();
        let updated = head.and_then(|head| head.meta?.last_updated);
        let updated = updated.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
        updated.is_none_or(|updated| updated >= since)
    }

    fn admits_care(&self, resource: &Resource) -> bool {
        if self.start.is_none() && self.end.is_none()
            || !HAPPENS_ONCE.contains(&resource.resource_type())
        {
            return true;
        }
        let Ok(care) = resource.read::<Care>() else { return true };
        let (first, last) = care.span();
        let before = |one: &str, other: &str| {
            let common = one.len().min(other.len());
            one.as_bytes()[..common] < other.as_bytes()[..common]
        };
        let ended_before = self
            .start
            .zip(last)
            .is_some_and(|(start, last)| before(date_of(last), &start.to_string()));
        let began_after = self
            .end
            .zip(first)
            .is_some_and(|(end, first)| before(&end.to_string(), date_of(first)));
        !ended_before && !began_after
    }
}

/// The calendar date of a FHIR dateTime, as precise as told, where the care took place.
fn date_of(date_time: &str) -> &str {
    date_time.split('T').next().unwrap_or_default()
}

/// Types of care that takes place and is over. All others may still hold.
const HAPPENS_ONCE: [&str; 13] = [
    "Claim",
    "ClaimResponse",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ExplanationOfBenefit",
    "ImagingStudy",
    "Immunization",
    "Media",
    "MedicationAdministration",
    "MedicationDispense",
    "Observation",
    "Procedure",
];

#[derive(Deserialize)]
struct Head {
    meta: Option<Meta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    last_updated: Option<String>,
}

/// When care took place, over the types of [`HAPPENS_ONCE`]; no type has two of these that differ
/// in meaning, `created` and `issued` apart, which count last.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Care {
    effective_date_time: Option<String>,
    effective_instant: Option<String>,
    performed_date_time: Option<String>,
    occurrence_date_time: Option<String>,
    created_date_time: Option<String>,
    when_handed_over: Option<String>,
    started: Option<String>,
    effective_period: Option<Period>,
    performed_period: Option<Period>,
    created_period: Option<Period>,
    billable_period: Option<Period>,
    period: Option<Period>,
    context: Option<serde_json::Value>,
    date: Option<String>,
    issued: Option<String>,
    created: Option<String>,
}

#[derive(Deserialize)]
struct Period {
    start: Option<String>,
    end: Option<String>,
}

impl Care {
    /// First and last moment; `None` where open or not told.
    fn span(&self) -> (Option<&str>, Option<&str>) {
        let periods = [
            &self.effective_period,
            &self.performed_period,
            &self.created_period,
            &self.billable_period,
            &self.period,
        ];
        if let Some(period) = periods.into_iter().flatten().next() {
            return (period.start.as_deref(), period.end.as_deref());
        }
        // DocumentReference.context.period: the care that a document is about, however late it
        // was written. In the other types `context` is a reference.
        if let Some(period) = self.context.as_ref().and_then(|context| context.get("period")) {
            let moment = |name| period.get(name).and_then(serde_json::Value::as_str);
            return (moment("start"), moment("end"));
        }
        let moments = [
            &self.effective_date_time,
            &self.effective_instant,
            &self.performed_date_time,
            &self.occurrence_date_time,
            &self.created_date_time,
            &self.when_handed_over,
            &self.started,
            &self.date,
            &self.issued,
            &self.created,
        ];
        let moment = moments.into_iter().flatten().next().map(String::as_str);
        (moment, moment)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::PartialDate;

    fn check(query: &RecordQuery, json: &str, expected: bool) {
        let resource = Resource::parse(json.as_bytes()).expect("a resource");
        assert_eq!(query.admits(&resource), expected, "{json}");
    }

    #[test]
    fn care_outside_the_dates_is_left_out_and_what_still_holds_is_not() {
        let mut query = RecordQuery::everything(Duration::ZERO);
        query.start = PartialDate::parse("2024-03-10").ok();
        query.end = PartialDate::parse("2024-04").ok();
        let observation = |date: &str| {
            format!(r#"{{"resourceType":"Observation","effectiveDateTime":"{date}"}}"#)
        };
        check(&query, &observation("2024-03-09T23:59:00-05:00"), false);
        check(&query, &observation("2024-03-10T00:01:00-05:00"), true);
        check(&query, &observation("2024-03"), true);
        check(&query, &observation("2024"), true);
        check(&query, &observation("2023"), false);
        check(&query, &observation("2024-04-30"), true);
        check(&query, &observation("2024-05-01"), false);
        check(&query, r#"{"resourceType":"Observation"}"#, true);
        let encounter =
            |period: &str| format!(r#"{{"resourceType":"Encounter","period":{{{period}}}}}"#);
        check(&query, &encounter(r#""start":"2024-01-01","end":"2024-03-12""#), true);
        check(&query, &encounter(r#""start":"2024-01-01""#), true);
        check(&query, &encounter(r#""start":"2024-01-01","end":"2024-02-01""#), false);
        let document = r#"{"resourceType":"DocumentReference","date":"2024-03-20",
            "context":{"period":{"start":"2023-01-01","end":"2023-01-02"}}}"#;
        check(&query, document, false);
        check(&query, r#"{"resourceType":"AllergyIntolerance","onsetDateTime":"1990"}"#, true);
    }

    #[test]
    fn what_was_not_updated_since_is_left_out() {
        let mut query = RecordQuery::everything(Duration::ZERO);
        query.since = Some(time::macros::datetime!(2024-01-01 00:00 UTC));
        let goal =
            |when: &str| format!(r#"{{"resourceType":"Goal","meta":{{"lastUpdated":"{when}"}}}}"#);
        check(&query, &goal("2023-12-31T20:00:00-05:00"), true);
        check(&query, &goal("2023-12-31T20:00:00Z"), false);
        check(&query, &goal("yesterday"), true);
        check(&query, r#"{"resourceType":"Goal"}"#, true);
    }

    #[test]
    fn only_the_types_asked_for_are_let_in() {
        let mut query = RecordQuery::everything(Duration::ZERO);
        query.types.insert("Goal".to_owned());
        check(&query, r#"{"resourceType":"Goal"}"#, true);
        check(&query, r#"{"resourceType":"Flag"}"#, false);
    }
}
