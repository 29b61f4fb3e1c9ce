//! What a patient wants done and not done.

use serde_json::Value;

use super::{
    Chart, Section, Told, Tone,
    clinical::{group_line, join, latest_first, when},
    reading::{moment, says, words},
};

/// Documents and orders that say what a patient wants done and not done: LOINC types of advance
/// directives, portable orders and proxies; HL7 consent categories; SNOMED CT resuscitation status.
const DIRECTIVES: [&str; 22] = [
    "42348-3",
    "42349-1",
    "45473-6",
    "64298-3",
    "75320-2",
    "77599-9",
    "78823-2",
    "81334-5",
    "81335-2",
    "81351-9",
    "84095-9",
    "86533-7",
    "92664-2",
    "93037-0",
    "acd",
    "adr",
    "dnr",
    "hcd",
    "polst",
    "304253006",
    "439569004",
    "450475007",
];

pub(super) fn directives(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("advance-directives", "ADVANCE DIRECTIVES", Tone::Alarm);
    let elements = [
        "dateTime",
        "date",
        "effectiveDateTime",
        "authoredOn",
        "performedDateTime",
        "onsetDateTime",
    ];
    for kind in
        ["Consent", "DocumentReference", "ServiceRequest", "Observation", "Condition", "Procedure"]
    {
        let told = chart.told(kind);
        let is_directive = |one: &&Told<'_>| one.is_shown && is_directive(&one.json);
        let found: Vec<&Told<'_>> = told.iter().filter(is_directive).collect();
        for one in latest_first(found, |one| moment(&one.json, &elements)) {
            let what = ["code", "type"].map(|element| words(&one.json[element])).concat();
            let category = words(&one.json["category"][0]);
            let value = words(&one.json["valueCodeableConcept"]);
            let about = one.json["description"].as_str().unwrap_or_default().to_owned();
            let status = one.json["status"].as_str().unwrap_or_default().to_owned();
            let what = if what.is_empty() { category } else { what };
            let date = when(chart, moment(&one.json, &elements), "");
            let text = join(vec![what, value, about, status, date]);
            section.lines.push(group_line(chart, text, &[one], &elements, Tone::Alarm));
        }
    }
    if section.lines.is_empty() {
        section.tone = Tone::Plain;
        section.remark("none told", Tone::Plain);
    }
    section
}

/// Whether a resource is one of [`DIRECTIVES`], by its category, type, code or scope.
pub(in crate::record) fn is_directive(resource: &Value) -> bool {
    let told = ["category", "type", "code", "scope"].map(|element| &resource[element]);
    told.into_iter().any(|told| match told {
        Value::Array(items) => items.iter().any(|concept| says(concept, &DIRECTIVES)),
        concept => says(concept, &DIRECTIVES),
    })
}
