//! Reads what a clinician is shown out of FHIR elements, however a member wrote them.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use time::{Date, Month, OffsetDateTime, format_description::well_known::Rfc3339};

/// A point in time as precise as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::record) struct Moment {
    /// Its first second, for ordering and ages.
    pub(in crate::record) at: OffsetDateTime,
    /// `2026-03-01`, `2026-03` or `2026`.
    pub(in crate::record) day: String,
}

impl Moment {
    /// Reads a FHIR date, dateTime or instant.
    pub(in crate::record) fn parse(text: &str) -> Option<Self> {
        let day = text.get(..10.min(text.len()))?.to_owned();
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Some(Self { at, day });
        }
        let mut parts = day.splitn(3, '-');
        let year: i32 = parts.next()?.parse().ok()?;
        let month: u8 = parts.next().map_or(Ok(1), str::parse).ok()?;
        let date = parts.next().map_or(Ok(1), str::parse).ok()?;
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, date).ok()?;
        Some(Self { at: date.midnight().assume_utc(), day })
    }

    /// How long ago, in the unit a reader would use.
    pub(in crate::record) fn age(&self, now: OffsetDateTime) -> String {
        let days = (now - self.at).whole_days();
        match days {
            i64::MIN..0 => "in the future".to_owned(),
            0 => match (now - self.at).whole_hours() {
                _ if self.day.len() < 10 => "this year".to_owned(),
                hours => format!("{hours} h ago"),
            },
            1..=60 => format!("{days} d ago"),
            61..=730 => format!("{} mo ago", days * 12 / 365),
            _ => format!("{} y ago", days * 4 / 1461),
        }
    }
}

/// Whole years from a birth date to a day; days and months where younger than two years.
pub(in crate::record) fn age_in_life(birth: &Moment, now: OffsetDateTime) -> String {
    let days = (now - birth.at).whole_days().max(0);
    if days < 60 {
        return format!("{days} days");
    }
    if days < 730 {
        return format!("{} months", days * 12 / 365);
    }
    let had_birthday = (now.month() as u8, now.day()) >= (birth.at.month() as u8, birth.at.day());
    let years = now.year() - birth.at.year() - i32::from(!had_birthday);
    format!("{years} years")
}

/// The first of some elements that holds a time; of a Period, its start.
pub(in crate::record) fn moment(resource: &Value, elements: &[&str]) -> Option<Moment> {
    elements.iter().find_map(|element| {
        let value = &resource[*element];
        value.as_str().or_else(|| value["start"].as_str()).and_then(Moment::parse)
    })
}

/// What a CodeableConcept says to a reader: its text, else a display, else a code.
pub(in crate::record) fn words(concept: &Value) -> String {
    let codings = || concept["coding"].as_array().into_iter().flatten();
    concept["text"]
        .as_str()
        .or_else(|| codings().find_map(|coding| coding["display"].as_str()))
        .or_else(|| codings().find_map(|coding| coding["code"].as_str()))
        .unwrap_or_default()
        .to_owned()
}

/// The first code of a concept in one of two spellings of a code system; `None` where it has none.
pub(in crate::record) fn code_in<'a>(concept: &'a Value, system: &CodeSystem) -> Option<&'a str> {
    concept["coding"].as_array().into_iter().flatten().find_map(|coding| {
        let told = coding["system"].as_str()?;
        system.0.contains(&told).then(|| coding["code"].as_str())?
    })
}

/// A code system by its URI and its OID.
pub(in crate::record) struct CodeSystem([&'static str; 2]);

pub(in crate::record) const RXNORM: CodeSystem =
    CodeSystem(["http://www.nlm.nih.gov/research/umls/rxnorm", "urn:oid:2.16.840.1.113883.6.88"]);
pub(in crate::record) const LOINC: CodeSystem =
    CodeSystem(["http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"]);
pub(in crate::record) const SNOMED: CodeSystem =
    CodeSystem(["http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"]);
pub(in crate::record) const CVX: CodeSystem =
    CodeSystem(["http://hl7.org/fhir/sid/cvx", "urn:oid:2.16.840.1.113883.12.292"]);

/// Under what a concept is listed: its code in the system, else its words.
pub(in crate::record) fn listed_under(concept: &Value, system: &CodeSystem) -> String {
    code_in(concept, system).map_or_else(|| words(concept).to_lowercase(), str::to_owned)
}

/// Whether a concept or a plain code says one of some codes.
pub(in crate::record) fn says(value: &Value, codes: &[&str]) -> bool {
    value.as_str().is_some_and(|code| codes.contains(&code))
        || value["coding"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|coding| coding["code"].as_str().is_some_and(|code| codes.contains(&code)))
}

/// An Observation's value with its decimals as the member wrote them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::record) struct Measured {
    #[serde(default)]
    value_quantity: Option<Quantity>,
    #[serde(default)]
    value_codeable_concept: Option<Value>,
    #[serde(default)]
    value_string: Option<String>,
    #[serde(default)]
    interpretation: Vec<Value>,
    #[serde(default)]
    reference_range: Vec<ReferenceRange>,
    #[serde(default)]
    component: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    value_quantity: Option<Quantity>,
}

#[derive(Deserialize)]
struct Quantity {
    value: Option<Box<RawValue>>,
    comparator: Option<String>,
    unit: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct ReferenceRange {
    low: Option<Quantity>,
    high: Option<Quantity>,
    text: Option<String>,
}

impl Quantity {
    fn number(&self) -> Option<String> {
        let comparator = self.comparator.as_deref().unwrap_or_default();
        self.value.as_ref().map(|value| format!("{comparator}{}", value.get()))
    }

    /// UCUM annotations such as `{INR}` say nothing that the name does not.
    fn unit(&self) -> &str {
        let unit = self.unit.as_deref().or(self.code.as_deref()).unwrap_or_default();
        if unit.starts_with('{') { "" } else { unit }
    }
}

impl Measured {
    /// The value without its unit; blood pressure as `128/76`.
    pub(in crate::record) fn value(&self) -> Option<String> {
        if let Some(number) = self.value_quantity.as_ref().and_then(Quantity::number) {
            return Some(number);
        }
        let part = |code| {
            self.component
                .iter()
                .find(|component| code_in(&component.code, &LOINC) == Some(code))
                .and_then(|component| component.value_quantity.as_ref()?.number())
        };
        if let (Some(systolic), Some(diastolic)) = (part("8480-6"), part("8462-4")) {
            return Some(format!("{systolic}/{diastolic}"));
        }
        let in_words = self.value_codeable_concept.as_ref().map(words);
        in_words.or_else(|| self.value_string.clone()).filter(|value| !value.is_empty())
    }

    /// The unit, empty where there is none.
    pub(in crate::record) fn unit(&self) -> &str {
        let component = || self.component.first().and_then(|first| first.value_quantity.as_ref());
        self.value_quantity.as_ref().or_else(component).map(Quantity::unit).unwrap_or_default()
    }

    /// The number, for a trend.
    pub(in crate::record) fn number(&self) -> Option<f64> {
        self.value_quantity.as_ref()?.value.as_ref()?.get().parse().ok()
    }

    /// `HH`, `L` …; empty where normal or not said.
    pub(in crate::record) fn flag(&self) -> &str {
        let code = self
            .interpretation
            .first()
            .and_then(|told| told["coding"][0]["code"].as_str())
            .unwrap_or_default();
        if code == "N" { "" } else { code }
    }

    /// The reference range in words.
    pub(in crate::record) fn range(&self) -> Option<String> {
        let range = self.reference_range.first()?;
        let number = |limit: &Option<Quantity>| limit.as_ref().and_then(Quantity::number);
        match (number(&range.low), number(&range.high)) {
            (Some(low), Some(high)) => Some(format!("{low}–{high}")),
            (Some(low), None) => Some(format!("≥ {low}")),
            (None, Some(high)) => Some(format!("≤ {high}")),
            (None, None) => range.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    #[test]
    fn ages_are_told_in_the_unit_one_would_say() {
        let check = |text, expected: &str| {
            assert_eq!(Moment::parse(text).expect("a time").age(NOW), expected, "{text}");
        };
        check("2026-11-23T09:00:00Z", "3 h ago");
        check("2026-11-20", "3 d ago");
        check("2026-05-23", "6 mo ago");
        check("2019-11-22", "7 y ago");
        check("2019", "7 y ago");
        assert!(Moment::parse("2026-13-01").is_none() && Moment::parse("").is_none());
    }

    #[test]
    fn a_birthday_counts_when_it_has_come() {
        let age = |text| age_in_life(&Moment::parse(text).expect("a date"), NOW);
        assert_eq!(age("1951-11-23"), "75 years");
        assert_eq!(age("1951-11-24"), "74 years");
        assert_eq!(age("2026-11-21"), "2 days");
        assert_eq!(age("2025-11-23"), "12 months");
    }

    #[test]
    fn values_keep_their_decimals() {
        let told = r#"{"valueQuantity":{"value":3.10,"unit":"{INR}"},"referenceRange":[{"low":{"value":2.0},"high":{"value":3.0}}],
            "interpretation":[{"coding":[{"code":"H"}]}]}"#;
        let told: Measured = serde_json::from_str(told).expect("readable");
        assert_eq!((told.value().as_deref(), told.unit(), told.flag()), (Some("3.10"), "", "H"));
        assert_eq!(told.range().as_deref(), Some("2.0–3.0"));
        let pressure = json!({"component": [
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}, "valueQuantity": {"value": 128, "unit": "mmHg"}},
            {"code": {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.1", "code": "8462-4"}]}, "valueQuantity": {"value": 76}}]});
        let pressure: Measured = serde_json::from_value(pressure).expect("readable");
        assert_eq!((pressure.value().as_deref(), pressure.unit()), (Some("128/76"), "mmHg"));
    }
}
