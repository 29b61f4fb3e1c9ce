//! The sections that are lists of facts: contradictions, allergies, medications, problems,
//! encounters, procedures, immunizations, documents.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Brief, Told, members_of,
    page::{Page, Tone},
    reading::{CVX, Moment, RXNORM, SNOMED, listed_under, moment, says, words},
};
use crate::cli::demo::answer::{GatewayRef, implicated};

/// How many of the latest encounters, procedures and documents a page shows.
const LATEST_MAX: usize = 5;

/// Codes of "no known allergy" statements (SNOMED CT), of any kind.
const NO_KNOWN_ALLERGY: [&str; 4] = ["716186003", "409137002", "428607008", "429625007"];

pub(super) fn contradictions(brief: &Brief<'_>, page: &mut Page) {
    if brief.answer.contradictions.is_empty() {
        return;
    }
    page.heading("CONTRADICTIONS: ASK, OR TAKE THE SAFER ONE", Tone::Alarm);
    for issue in &brief.answer.contradictions {
        let implicated = implicated(issue);
        let text = issue["detail"].as_str().map_or_else(|| words(&issue["code"]), str::to_owned);
        let sides = sides_in_words(brief, &implicated);
        let text = if sides.is_empty() { text } else { format!("{text}: {}", sides.join(" / ")) };
        let tone = if issue["severity"] == "high" { Tone::Alarm } else { Tone::Caution };
        page.item(&format!("! {text}"), &members_of(implicated.iter()), tone);
    }
}

/// What the sides of a contradiction say, and which members say it.
fn sides_in_words(brief: &Brief<'_>, implicated: &[GatewayRef]) -> Vec<String> {
    let mut sides: Vec<(String, Vec<&str>)> = Vec::new();
    for reference in implicated {
        let Some(words) = side_in_words(brief, reference) else { continue };
        let member = reference.at_member().map_or("?", |(member, _)| member);
        match sides.iter_mut().find(|(said, _)| said.eq_ignore_ascii_case(&words)) {
            Some((_, members)) => members.push(member),
            None => sides.push((words, vec![member])),
        }
    }
    let side = |(words, members): (String, Vec<&str>)| format!("{words} ({})", members.join(" "));
    sides.into_iter().map(side).collect()
}

/// One side. An original that could not be read is spoken for by the others.
fn side_in_words(brief: &Brief<'_>, reference: &GatewayRef) -> Option<String> {
    let json: Value = brief.answer.resources.get(reference)?.read().ok()?;
    let what = match reference.resource_type.as_str() {
        "MedicationRequest" | "MedicationStatement" => words(&medication_of(brief, &json)),
        "Immunization" => words(&json["vaccineCode"]),
        _ => words(&json["code"]),
    };
    let dose = json["dosageInstruction"][0]["text"].as_str().unwrap_or_default().to_owned();
    let status = json["clinicalStatus"]["coding"][0]["code"].as_str().unwrap_or_default();
    Some(join(vec![what, dose, status.to_owned()]))
}

pub(super) fn allergies(brief: &Brief<'_>, page: &mut Page) {
    page.heading("ALLERGIES", Tone::Alarm);
    let told = brief.told("AllergyIntolerance");
    let (none_known, known): (Vec<_>, Vec<_>) =
        told.iter().partition(|one| says(&one.json["code"], &NO_KNOWN_ALLERGY));
    let mut by_substance = group_by(known, |one| listed_under(&one.json["code"], &SNOMED));
    by_substance.sort_by_key(|group| std::cmp::Reverse(weight(group)));
    for group in &by_substance {
        let tone = if weight(group) > 1 { Tone::Alarm } else { Tone::Plain };
        page.item(&allergy_in_words(brief, group), &brief.sources(group.iter().copied()), tone);
    }
    if !none_known.is_empty() {
        let tone = if by_substance.is_empty() { Tone::Plain } else { Tone::Caution };
        let text = "\"no known allergy\", according to:";
        page.item(text, &brief.sources(none_known.iter().copied()), tone);
    }
    if told.is_empty() {
        page.remark("none told; that does not mean that there is none", Tone::Caution);
    }
}

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

fn allergy_in_words(brief: &Brief<'_>, group: &[&Told<'_>]) -> String {
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
    parts.push(age_of(brief, group, &["onsetDateTime", "recordedDate", "lastOccurrence"], "since"));
    join(parts)
}

pub(super) fn medications(brief: &Brief<'_>, page: &mut Page) {
    page.heading("CURRENT MEDICATIONS", Tone::Plain);
    let mut told = brief.told("MedicationRequest");
    told.extend(brief.told("MedicationStatement"));
    let orders = |one: &&Told<'_>| {
        !says(&one.json["intent"], &["proposal", "plan"]) && one.json["doNotPerform"] != true
    };
    let (current, past): (Vec<_>, Vec<_>) = told
        .iter()
        .filter(orders)
        .partition(|one| says(&one.json["status"], &["active", "on-hold", "unknown", "intended"]));
    let drug = |one: &Told<'_>| listed_under(&medication_of(brief, &one.json), &RXNORM);
    let current = group_by(current, drug);
    let listed: Vec<String> = current.iter().map(|group| drug(group[0])).collect();
    for group in &current {
        let text = medication_in_words(brief, group);
        page.item(&text, &brief.sources(group.iter().copied()), Tone::Plain);
    }
    if current.is_empty() {
        page.remark("none told as current", Tone::Caution);
    }
    let past = group_by(past.into_iter().filter(|one| !listed.contains(&drug(one))), drug);
    let latest = latest_first(past, |group| latest(group, &["authoredOn", "effectivePeriod"]));
    for group in latest.iter().take(LATEST_MAX) {
        let text = format!("past: {}", medication_in_words(brief, group));
        page.item(&text, &brief.sources(group.iter().copied()), Tone::Faint);
    }
    more(page, latest.len(), "past medications");
}

fn medication_in_words(brief: &Brief<'_>, group: &[&Told<'_>]) -> String {
    let mut parts = vec![words(&medication_of(brief, &group[0].json))];
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
    parts.push(age_of(
        brief,
        group,
        &["authoredOn", "effectiveDateTime", "effectivePeriod"],
        "ordered",
    ));
    join(parts)
}

/// The medication's concept: told in place, in a contained resource, or in one of the answer.
fn medication_of(brief: &Brief<'_>, request: &Value) -> Value {
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
    GatewayRef::parse(reference)
        .and_then(|reference| brief.answer.resources.get(&reference)?.read::<Value>().ok())
        .map_or_else(
            || request["medicationReference"].clone(),
            |medication| medication["code"].clone(),
        )
}

pub(super) fn problems(brief: &Brief<'_>, page: &mut Page) {
    page.heading("PROBLEMS", Tone::Plain);
    let told = brief.told("Condition");
    let groups = group_by(told.iter(), |one| listed_under(&one.json["code"], &SNOMED));
    let is_active = |group: &Vec<&Told<'_>>| {
        group.iter().any(|one| {
            let status = &one.json["clinicalStatus"];
            status.is_null() || says(status, &["active", "recurrence", "relapse"])
        })
    };
    let elements = ["onsetDateTime", "onsetPeriod", "recordedDate"];
    let (active, past): (Vec<_>, Vec<_>) = groups.into_iter().partition(is_active);
    for group in latest_first(active, |group| latest(group, &elements)) {
        let sources = brief.sources(group.iter().copied());
        page.item(&problem_in_words(brief, &group, &elements), &sources, Tone::Plain);
    }
    if told.is_empty() {
        page.remark("none told", Tone::Caution);
    }
    let past = latest_first(past, |group| latest(group, &elements));
    for group in past.iter().take(LATEST_MAX) {
        let text = format!("past: {}", problem_in_words(brief, group, &elements));
        page.item(&text, &brief.sources(group.iter().copied()), Tone::Faint);
    }
    more(page, past.len(), "past problems");
}

fn problem_in_words(brief: &Brief<'_>, group: &[&Told<'_>], elements: &[&str]) -> String {
    let statuses = distinct(group.iter().map(|one| words(&one.json["clinicalStatus"])));
    let mut parts = vec![words(&group[0].json["code"])];
    // What one calls active and another resolved must not read as settled.
    if statuses.len() > 1 {
        parts.push(format!("STATUS DIFFERS: {}", statuses.join(" | ")));
    }
    parts.push(age_of(brief, group, elements, "since"));
    join(parts)
}

pub(super) fn encounters(brief: &Brief<'_>, page: &mut Page) {
    let told = brief.shown("Encounter");
    let lines = latest_first(told.iter().collect(), |one| moment(&one.json, &["period"]));
    section(brief, page, "LAST ENCOUNTERS", &lines, |one| {
        let class = one.json["class"]["display"].as_str().or(one.json["class"]["code"].as_str());
        let reason = one.json["reasonCode"].as_array().into_iter().flatten().map(words);
        let kind = one.json["type"].as_array().into_iter().flatten().map(words);
        let mut parts = vec![class.unwrap_or_default().to_owned()];
        parts.extend(kind.take(1));
        parts.extend(reason.take(1).map(|reason| format!("for {reason}")));
        (join(parts), moment(&one.json, &["period"]))
    });
}

pub(super) fn procedures(brief: &Brief<'_>, page: &mut Page) {
    let elements = ["performedDateTime", "performedPeriod"];
    let told = brief.shown("Procedure");
    let lines = latest_first(told.iter().collect(), |one| moment(&one.json, &elements));
    section(brief, page, "PROCEDURES", &lines, |one| {
        (words(&one.json["code"]), moment(&one.json, &elements))
    });
}

pub(super) fn documents(brief: &Brief<'_>, page: &mut Page) {
    let mut told = brief.shown("DocumentReference");
    told.extend(brief.shown("DiagnosticReport"));
    let elements = ["date", "effectiveDateTime", "effectivePeriod", "issued"];
    let lines = latest_first(told.iter().collect(), |one| moment(&one.json, &elements));
    section(brief, page, "DOCUMENTS AND REPORTS", &lines, |one| {
        let kind = if one.json["type"].is_object() { &one.json["type"] } else { &one.json["code"] };
        let conclusion = one.json["conclusion"].as_str().or(one.json["description"].as_str());
        let parts = vec![words(kind), conclusion.unwrap_or_default().to_owned()];
        (join(parts), moment(&one.json, &elements))
    });
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

pub(super) fn immunizations(brief: &Brief<'_>, page: &mut Page) {
    page.heading("IMMUNIZATIONS THAT MATTER", Tone::Plain);
    let told = brief.shown("Immunization");
    let given = |one: &&Told<'_>| !says(&one.json["status"], &["not-done"]);
    for (group, codes) in IMMUNIZATION_GROUPS {
        let in_group = |one: &&Told<'_>| {
            let code = listed_under(&one.json["vaccineCode"], &CVX);
            codes.contains(&code.as_str())
        };
        let doses = latest_first(told.iter().filter(given).filter(in_group).collect(), |one| {
            moment(&one.json, &["occurrenceDateTime"])
        });
        if let Some(last) = doses.first() {
            let when = when(brief, moment(&last.json, &["occurrenceDateTime"]), "");
            let count =
                if doses.len() > 1 { format!("{} doses told", doses.len()) } else { String::new() };
            let text =
                format!("{group}: {}", join(vec![words(&last.json["vaccineCode"]), when, count]));
            page.item(&text, &brief.sources([*last]), Tone::Plain);
        } else if group == "Tetanus" {
            page.remark("Tetanus: no dose told", Tone::Caution);
        }
    }
}

fn section(
    brief: &Brief<'_>,
    page: &mut Page,
    heading: &str,
    latest: &[&Told<'_>],
    read: impl Fn(&Told<'_>) -> (String, Option<Moment>),
) {
    if latest.is_empty() {
        return;
    }
    page.heading(heading, Tone::Plain);
    for one in latest.iter().take(LATEST_MAX) {
        let (text, at) = read(one);
        let text = join(vec![when(brief, at, ""), text]);
        page.item(&text, &brief.sources([*one]), Tone::Plain);
    }
    more(page, latest.len(), "more");
}

fn more(page: &mut Page, count: usize, what: &str) {
    if count > LATEST_MAX {
        let text = format!("and {} {what}, older than these", count - LATEST_MAX);
        page.remark(&text, Tone::Faint);
    }
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

fn latest_first<T>(mut list: Vec<T>, at: impl Fn(&T) -> Option<Moment>) -> Vec<T> {
    list.sort_by_cached_key(|one| std::cmp::Reverse(at(one).map(|moment| moment.at)));
    list
}

fn latest(group: &[&Told<'_>], elements: &[&str]) -> Option<Moment> {
    let moments = group.iter().filter_map(|one| moment(&one.json, elements));
    moments.max_by_key(|moment| moment.at)
}

fn age_of(brief: &Brief<'_>, group: &[&Told<'_>], elements: &[&str], verb: &str) -> String {
    when(brief, latest(group, elements), verb)
}

fn when(brief: &Brief<'_>, at: Option<Moment>, verb: &str) -> String {
    match at {
        Some(at) => format!("{verb} {} ({})", at.day, at.age(brief.now)).trim_start().to_owned(),
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

fn join(parts: Vec<String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}
