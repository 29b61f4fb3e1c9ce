//! The sections that are lists of facts: contradictions, allergies, medications, problems, alerts,
//! encounters, procedures, immunizations, documents.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Chart, Line, Section, Told, Tone,
    reading::{CVX, Moment, RXNORM, SNOMED, listed_under, moment, says, words},
};
use crate::record::{Danger, Original};

/// How many of the latest encounters, procedures and documents a page shows.
const LATEST_MAX: usize = 5;

/// Codes of "no known allergy" statements (SNOMED CT), of any kind.
const NO_KNOWN_ALLERGY: [&str; 4] = ["716186003", "409137002", "428607008", "429625007"];

pub(super) fn contradictions(chart: &Chart<'_>) -> Section {
    const TITLE: &str = "CONTRADICTIONS: ASK, OR TAKE THE SAFER ONE";
    let mut section = Section::new("contradictions", TITLE, Tone::Alarm);
    for conflict in chart.record.conflicts() {
        let implicated: Vec<(&Original, Value)> =
            conflict.implicated.iter().filter_map(|told| chart.read(told)).collect();
        let sides = sides_in_words(chart, &implicated);
        let text = conflict.kind.text();
        let text = if sides.is_empty() {
            text.to_owned()
        } else {
            format!("{text}: {}", sides.join(" / "))
        };
        let sources = implicated.iter().map(|(original, _)| original.member.to_string());
        section.lines.push(Line {
            text,
            sources: distinct(sources),
            resources: conflict.implicated.clone(),
            tone: if conflict.danger == Danger::High { Tone::Alarm } else { Tone::Caution },
            ..Line::default()
        });
    }
    section
}

/// What the sides of a contradiction say, and which members say it.
fn sides_in_words(chart: &Chart<'_>, implicated: &[(&Original, Value)]) -> Vec<String> {
    let mut sides: Vec<(String, Vec<&str>)> = Vec::new();
    for (original, json) in implicated {
        let words = side_in_words(chart, original, json);
        let member = original.member.as_str();
        match sides.iter_mut().find(|(said, _)| said.eq_ignore_ascii_case(&words)) {
            Some((_, members)) => members.push(member),
            None => sides.push((words, vec![member])),
        }
    }
    let side = |(words, members): (String, Vec<&str>)| format!("{words} ({})", members.join(" "));
    sides.into_iter().map(side).collect()
}

fn side_in_words(chart: &Chart<'_>, original: &Original, json: &Value) -> String {
    let what = match &*original.resource_type {
        "MedicationRequest" | "MedicationStatement" => words(&medication_of(chart, json)),
        "Immunization" => words(&json["vaccineCode"]),
        "Patient" => patient_in_words(json),
        _ => words(&json["code"]),
    };
    let dose = json["dosageInstruction"][0]["text"].as_str().unwrap_or_default().to_owned();
    let value = json["valueQuantity"]["value"].to_string();
    let value = if json["valueQuantity"].is_object() {
        value
    } else {
        words(&json["valueCodeableConcept"])
    };
    let clinical = json["clinicalStatus"]["coding"][0]["code"].as_str();
    let status = clinical.or(json["status"].as_str()).unwrap_or_default();
    join(vec![what, value, dose, status.to_owned()])
}

fn patient_in_words(patient: &Value) -> String {
    let dead = patient["deceasedBoolean"] == true || patient["deceasedDateTime"].is_string();
    let told = |element: &str| patient[element].as_str().unwrap_or_default().to_owned();
    let deceased = if dead { "deceased" } else { "not told as deceased" };
    join(vec![told("birthDate"), told("gender"), deceased.to_owned()])
}

pub(super) fn allergies(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("allergies", "ALLERGIES", Tone::Alarm);
    let told = chart.told("AllergyIntolerance");
    let (none_known, known): (Vec<_>, Vec<_>) =
        told.iter().partition(|one| says(&one.json["code"], &NO_KNOWN_ALLERGY));
    let mut by_substance = group_by(known, |one| listed_under(&one.json["code"], &SNOMED));
    by_substance.sort_by_key(|group| std::cmp::Reverse(weight(group)));
    for group in &by_substance {
        let tone = if weight(group) > 1 { Tone::Alarm } else { Tone::Plain };
        let text = allergy_in_words(chart, group);
        section.lines.push(group_line(chart, text, group, &ALLERGY_DATES, tone));
    }
    if !none_known.is_empty() {
        let tone = if by_substance.is_empty() { Tone::Plain } else { Tone::Caution };
        let text = "\"no known allergy\"".to_owned();
        section.lines.push(group_line(chart, text, &none_known, &ALLERGY_DATES, tone));
    }
    if told.is_empty() {
        section.remark("none told; that does not mean that there is none", Tone::Caution);
    }
    section
}

const ALLERGY_DATES: [&str; 3] = ["onsetDateTime", "recordedDate", "lastOccurrence"];

/// 3 and more: may kill; 1: known; 0: past or refuted.
fn weight(group: &[&Told<'_>]) -> usize {
    let current = |one: &&&Told<'_>| {
        !says(&one.json["clinicalStatus"], &["inactive", "resolved"])
            && !says(&one.json["verificationStatus"], &["refuted"])
    };
    let high = |one: &&&Told<'_>| one.json["criticality"] == "high";
    let is_current = group.iter().any(|one| current(&one));
    usize::from(is_current) + 2 * usize::from(group.iter().filter(current).any(|one| high(&one)))
}

fn allergy_in_words(chart: &Chart<'_>, group: &[&Told<'_>]) -> String {
    let mut parts = vec![words(&group[0].json["code"])];
    let reactions = distinct(group.iter().flat_map(|one| {
        let list = one.json["reaction"].as_array().cloned().unwrap_or_default();
        list.into_iter().flat_map(|reaction| {
            let severity = reaction["severity"].as_str().map(str::to_owned);
            let manifestations = reaction["manifestation"].as_array().cloned().unwrap_or_default();
            manifestations.into_iter().map(move |manifestation| match &severity {
                Some(severity) => format!("{} ({severity})", words(&manifestation)),
                None => words(&manifestation),
            })
        })
    }));
    if reactions.is_empty() {
        parts.push("reaction not told".to_owned());
    } else {
        parts.push(reactions.join(", "));
    }
    let criticality = distinct(told_codes(group, "criticality"));
    if !criticality.is_empty() {
        parts.push(format!("criticality {}", criticality.join("/").to_uppercase()));
    }
    for element in ["clinicalStatus", "verificationStatus"] {
        let codes = distinct(group.iter().filter_map(|one| {
            let code = one.json[element]["coding"][0]["code"].as_str()?;
            (!["active", "confirmed"].contains(&code)).then(|| code.to_owned())
        }));
        parts.extend(codes);
    }
    parts.push(age_of(chart, group, &ALLERGY_DATES, "since"));
    join(parts)
}

const MEDICATION_DATES: [&str; 3] = ["authoredOn", "effectiveDateTime", "effectivePeriod"];

pub(super) fn medications(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("medications", "CURRENT MEDICATIONS", Tone::Plain);
    let (requests, statements) =
        (chart.told("MedicationRequest"), chart.told("MedicationStatement"));
    let orders = |one: &&Told<'_>| {
        !says(&one.json["intent"], &["proposal", "plan"]) && one.json["doNotPerform"] != true
    };
    let (current, past): (Vec<_>, Vec<_>) =
        requests.iter().chain(statements.iter()).filter(orders).partition(|one| {
            says(&one.json["status"], &["active", "on-hold", "unknown", "intended"])
        });
    let drug = |one: &Told<'_>| listed_under(&medication_of(chart, &one.json), &RXNORM);
    let current = group_by(current, drug);
    let listed: Vec<String> = current.iter().map(|group| drug(group[0])).collect();
    for group in &current {
        let text = medication_in_words(chart, group);
        section.lines.push(group_line(chart, text, group, &MEDICATION_DATES, Tone::Plain));
    }
    if current.is_empty() {
        section.remark("none told as current", Tone::Caution);
    }
    let past = group_by(past.into_iter().filter(|one| !listed.contains(&drug(one))), drug);
    let latest = latest_first(past, |group| latest(group, &MEDICATION_DATES));
    for group in latest.iter().take(LATEST_MAX) {
        let text = format!("past: {}", medication_in_words(chart, group));
        section.lines.push(group_line(chart, text, group, &MEDICATION_DATES, Tone::Faint));
    }
    more(&mut section, latest.len(), "past medications");
    section
}

fn medication_in_words(chart: &Chart<'_>, group: &[&Told<'_>]) -> String {
    let mut parts = vec![words(&medication_of(chart, &group[0].json))];
    let doses = distinct(group.iter().flat_map(|one| {
        let element = if one.json["dosage"].is_array() { "dosage" } else { "dosageInstruction" };
        let list = one.json[element].as_array().cloned().unwrap_or_default();
        list.into_iter().filter_map(|dose| dose["text"].as_str().map(str::to_owned))
    }));
    parts.push(match doses.as_slice() {
        [] => "dose not told".to_owned(),
        [one] => one.clone(),
        several => format!("DOSES DIFFER: {}", several.join(" | ")),
    });
    let orders = group.iter().filter(|one| one.is_shown).count();
    if orders > 1 {
        parts.push(format!("{orders} orders"));
    }
    parts.extend(distinct(told_codes(group, "status")).into_iter().filter(|code| code != "active"));
    parts.push(age_of(chart, group, &MEDICATION_DATES, "ordered"));
    join(parts)
}

/// The medication's concept: told in place, in a contained resource, or in one of the answer.
pub(in crate::record) fn medication_of(chart: &Chart<'_>, request: &Value) -> Value {
    if request["medicationCodeableConcept"].is_object() {
        return request["medicationCodeableConcept"].clone();
    }
    let Some(reference) = request["medicationReference"]["reference"].as_str() else {
        return Value::Null;
    };
    let contained = reference
        .strip_prefix('#')
        .and_then(|id| request["contained"].as_array()?.iter().find(|one| one["id"] == id));
    if let Some(contained) = contained {
        return contained["code"].clone();
    }
    chart.read(reference).map_or_else(
        || request["medicationReference"].clone(),
        |(_, medication)| medication["code"].clone(),
    )
}

const PROBLEM_DATES: [&str; 3] = ["onsetDateTime", "onsetPeriod", "recordedDate"];

pub(super) fn problems(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("problems", "PROBLEMS", Tone::Plain);
    let told = chart.told("Condition");
    let groups = group_by(told.iter(), |one| listed_under(&one.json["code"], &SNOMED));
    let is_active = |group: &Vec<&Told<'_>>| group.iter().any(|one| is_current(&one.json));
    let (active, past): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_active);
    for group in latest_first(active, |group| latest(group, &PROBLEM_DATES)) {
        let text = problem_in_words(chart, &group, &PROBLEM_DATES);
        section.lines.push(group_line(chart, text, &group, &PROBLEM_DATES, Tone::Plain));
    }
    if told.is_empty() {
        section.remark("none told", Tone::Caution);
    }
    let past = latest_first(past, |group| latest(group, &PROBLEM_DATES));
    for group in past.iter().take(LATEST_MAX) {
        let text = format!("past: {}", problem_in_words(chart, group, &PROBLEM_DATES));
        section.lines.push(group_line(chart, text, group, &PROBLEM_DATES, Tone::Faint));
    }
    more(&mut section, past.len(), "past problems");
    section
}

/// Whether a Condition still holds; one that tells no status may.
pub(in crate::record) fn is_current(condition: &Value) -> bool {
    let status = &condition["clinicalStatus"];
    status.is_null() || says(status, &["active", "recurrence", "relapse"])
}

fn problem_in_words(chart: &Chart<'_>, group: &[&Told<'_>], elements: &[&str]) -> String {
    let statuses = distinct(group.iter().map(|one| words(&one.json["clinicalStatus"])));
    let mut parts = vec![words(&group[0].json["code"])];
    // What one calls active and another resolved must not read as settled.
    if statuses.len() > 1 {
        parts.push(format!("STATUS DIFFERS: {}", statuses.join(" | ")));
    }
    parts.push(age_of(chart, group, elements, "since"));
    join(parts)
}

pub(super) fn alerts(chart: &Chart<'_>) -> Section {
    let section = Section::new("alerts", "ALERTS", Tone::Alarm);
    let told = chart.told("Flag");
    let active = told.iter().filter(|one| one.is_shown && one.json["status"] == "active");
    let lines = latest_first(active.collect(), |one| moment(&one.json, &["period"]));
    dated(chart, section, &lines, lines.len(), |one| {
        (words(&one.json["code"]), moment(&one.json, &["period"]))
    })
}

pub(super) fn encounters(chart: &Chart<'_>) -> Section {
    let section = Section::new("encounters", "LAST ENCOUNTERS", Tone::Plain);
    let told = chart.told("Encounter");
    let shown = told.iter().filter(|one| one.is_shown).collect();
    let lines = latest_first(shown, |one| moment(&one.json, &["period"]));
    dated(chart, section, &lines, LATEST_MAX, |one| {
        let class = one.json["class"]["display"].as_str().or(one.json["class"]["code"].as_str());
        let reason = one.json["reasonCode"].as_array().into_iter().flatten().map(words);
        let kind = one.json["type"].as_array().into_iter().flatten().map(words);
        let mut parts = vec![class.unwrap_or_default().to_owned()];
        parts.extend(kind.take(1));
        parts.extend(reason.take(1).map(|reason| format!("for {reason}")));
        (join(parts), moment(&one.json, &["period"]))
    })
}

pub(super) fn procedures(chart: &Chart<'_>) -> Section {
    let section = Section::new("procedures", "PROCEDURES", Tone::Plain);
    let elements = ["performedDateTime", "performedPeriod"];
    let told = chart.told("Procedure");
    let shown = told.iter().filter(|one| one.is_shown).collect();
    let lines = latest_first(shown, |one| moment(&one.json, &elements));
    dated(chart, section, &lines, LATEST_MAX, |one| {
        (words(&one.json["code"]), moment(&one.json, &elements))
    })
}

pub(super) fn documents(chart: &Chart<'_>) -> Section {
    let section = Section::new("documents", "DOCUMENTS AND REPORTS", Tone::Plain);
    let (documents, reports) = (chart.told("DocumentReference"), chart.told("DiagnosticReport"));
    let shown = documents.iter().chain(reports.iter()).filter(|one| one.is_shown).collect();
    let elements = ["date", "effectiveDateTime", "effectivePeriod", "issued"];
    let lines = latest_first(shown, |one| moment(&one.json, &elements));
    dated(chart, section, &lines, LATEST_MAX, |one| {
        let kind = if one.json["type"].is_object() { &one.json["type"] } else { &one.json["code"] };
        let conclusion = one.json["conclusion"].as_str().or(one.json["description"].as_str());
        let parts = vec![words(kind), conclusion.unwrap_or_default().to_owned()];
        (join(parts), moment(&one.json, &elements))
    })
}

/// Immunizations by what an emergency department asks for first (CVX codes per group).
const IMMUNIZATION_GROUPS: [(&str, &[&str]); 5] = [
    (
        "Tetanus",
        &["09", "20", "28", "106", "107", "110", "113", "115", "120", "138", "139", "146", "196"],
    ),
    ("Pneumococcus", &["33", "100", "109", "133", "152", "215", "216"]),
    ("Influenza", &["88", "140", "141", "150", "158", "161", "171", "185", "186", "197", "205"]),
    (
        "COVID-19",
        &[
            "207", "208", "210", "211", "212", "213", "217", "218", "221", "229", "300", "309",
            "312",
        ],
    ),
    ("Hepatitis B", &["08", "42", "43", "44", "45", "104", "110", "146", "189"]),
];

pub(super) fn immunizations(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("immunizations", "IMMUNIZATIONS THAT MATTER", Tone::Plain);
    let told = chart.told("Immunization");
    let given = |one: &&Told<'_>| one.is_shown && !says(&one.json["status"], &["not-done"]);
    for (group, codes) in IMMUNIZATION_GROUPS {
        let in_group = |one: &&Told<'_>| {
            let code = listed_under(&one.json["vaccineCode"], &CVX);
            codes.contains(&code.as_str())
        };
        let doses = latest_first(told.iter().filter(given).filter(in_group).collect(), |one| {
            moment(&one.json, &["occurrenceDateTime"])
        });
        if let Some(last) = doses.first() {
            let when = when(chart, moment(&last.json, &["occurrenceDateTime"]), "");
            let count =
                if doses.len() > 1 { format!("{} doses told", doses.len()) } else { String::new() };
            let text =
                format!("{group}: {}", join(vec![words(&last.json["vaccineCode"]), when, count]));
            section.lines.push(group_line(
                chart,
                text,
                &[*last],
                &["occurrenceDateTime"],
                Tone::Plain,
            ));
        } else if group == "Tetanus" {
            section.remark("Tetanus: no dose told", Tone::Caution);
        }
    }
    section
}

/// Fills a section with dated lines, the latest first.
fn dated<'a>(
    chart: &Chart<'a>,
    mut section: Section,
    latest: &[&Told<'a>],
    lines_max: usize,
    read: impl Fn(&Told<'_>) -> (String, Option<Moment>),
) -> Section {
    for one in latest.iter().take(lines_max) {
        let (text, at) = read(one);
        let date = at.as_ref().map(|at| at.day.clone());
        let text = join(vec![when(chart, at, ""), text]);
        section.lines.push(chart.line(text, [*one], date, section.tone));
    }
    if latest.len() > lines_max {
        let text = format!("and {} more, older than these", latest.len() - lines_max);
        section.remark(text, Tone::Faint);
    }
    section
}

fn more(section: &mut Section, count: usize, what: &str) {
    if count > LATEST_MAX {
        let text = format!("and {} {what}, older than these", count - LATEST_MAX);
        section.remark(text, Tone::Faint);
    }
}

pub(super) fn group_line<'a>(
    chart: &Chart<'a>,
    text: String,
    group: &[&Told<'a>],
    dates: &[&str],
    tone: Tone,
) -> Line {
    let date = latest(group, dates).map(|at| at.day);
    chart.line(text, group.iter().copied(), date, tone)
}

/// Groups in the order of first appearance of their keys.
fn group_by<'a, 'b>(
    told: impl IntoIterator<Item = &'a Told<'b>>,
    key: impl Fn(&Told<'b>) -> String,
) -> Vec<Vec<&'a Told<'b>>>
where
    'b: 'a,
{
    let mut groups: BTreeMap<String, Vec<&'a Told<'b>>> = BTreeMap::new();
    for one in told {
        groups.entry(key(one)).or_default().push(one);
    }
    groups.into_values().collect()
}

pub(super) fn latest_first<T>(mut list: Vec<T>, at: impl Fn(&T) -> Option<Moment>) -> Vec<T> {
    list.sort_by_cached_key(|one| std::cmp::Reverse(at(one).map(|moment| moment.at)));
    list
}

fn latest(group: &[&Told<'_>], elements: &[&str]) -> Option<Moment> {
    let moments = group.iter().filter_map(|one| moment(&one.json, elements));
    moments.max_by_key(|moment| moment.at)
}

fn age_of(chart: &Chart<'_>, group: &[&Told<'_>], elements: &[&str], verb: &str) -> String {
    when(chart, latest(group, elements), verb)
}

pub(super) fn when(chart: &Chart<'_>, at: Option<Moment>, verb: &str) -> String {
    match at {
        Some(at) => format!("{verb} {} ({})", at.day, at.age(chart.now)).trim_start().to_owned(),
        None => "date not told".to_owned(),
    }
}

fn told_codes(group: &[&Told<'_>], element: &str) -> Vec<String> {
    group.iter().filter_map(|one| one.json[element].as_str().map(str::to_owned)).collect()
}

fn distinct(list: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for text in list {
        if !text.is_empty() && !out.iter().any(|seen| seen.eq_ignore_ascii_case(&text)) {
            out.push(text);
        }
    }
    out
}

pub(super) fn join(parts: Vec<String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}
