//! Measurements: laboratory results with their trend, and the latest vital signs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Chart, Section, Told, Tone,
    reading::{LOINC, Measured, Moment, code_in, listed_under, moment, says, words},
};

/// How many kinds of measurement a section shows, and how many values of each.
const KINDS_MAX: usize = 14;
const VALUES_MAX: usize = 4;

/// All values of one kind of measurement in one unit, the latest first.
struct Series<'t, 'a> {
    values: Vec<Measurement<'t, 'a>>,
}

struct Measurement<'t, 'a> {
    told: &'t Told<'a>,
    measured: Measured,
    at: Moment,
}

pub(super) fn laboratory(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("results", "LABORATORY, LATEST FIRST", Tone::Plain);
    fill(chart, &mut section, "laboratory");
    section
}

pub(super) fn vital_signs(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("vital-signs", "VITAL SIGNS", Tone::Plain);
    fill(chart, &mut section, "vital-signs");
    section
}

fn fill(chart: &Chart<'_>, section: &mut Section, category: &str) {
    let told = chart.told("Observation");
    let series = series(&told, category);
    for one in series.iter().take(KINDS_MAX) {
        let latest = &one.values[0];
        let alarm = ["HH", "LL", "AA"].contains(&latest.measured.flag());
        let tone = match latest.measured.flag() {
            _ if alarm => Tone::Alarm,
            "" => Tone::Plain,
            _ => Tone::Caution,
        };
        let told = one.values.iter().take(VALUES_MAX).map(|value| value.told);
        let date = Some(latest.at.day.clone());
        section.lines.push(chart.line(one.in_words(chart), told, date, tone));
    }
    if series.len() > KINDS_MAX {
        let text = format!("and {} other kinds, older than these", series.len() - KINDS_MAX);
        section.remark(text, Tone::Faint);
    }
}

fn series<'t, 'a>(told: &'t [Told<'a>], category: &str) -> Vec<Series<'t, 'a>> {
    // Two units are two series: numbers that do not compare must not read as a trend.
    let mut by_kind: BTreeMap<(String, String), Vec<Measurement<'t, 'a>>> = BTreeMap::new();
    for one in told.iter().filter(|one| one.is_shown) {
        let in_category = one.json["category"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|told| says(told, &[category]));
        if !in_category || says(&one.json["status"], &["cancelled", "registered"]) {
            continue;
        }
        let Ok(measured) = serde_json::from_str::<Measured>(&one.original.json) else { continue };
        let at = moment(
            &one.json,
            &["effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued"],
        );
        let (Some(at), Some(_)) = (at, measured.value()) else { continue };
        let kind = listed_under(&one.json["code"], &LOINC);
        let unit = measured.unit().to_lowercase();
        let value = Measurement { told: one, measured, at };
        by_kind.entry((kind, unit)).or_default().push(value);
    }
    let mut all: Vec<Series<'t, 'a>> =
        by_kind.into_values().map(|values| Series { values }).collect();
    for series in &mut all {
        series.values.sort_by_key(|value| std::cmp::Reverse(value.at.at));
    }
    all.sort_by_key(|series| std::cmp::Reverse(series.values[0].at.at));
    all
}

impl Series<'_, '_> {
    /// `INR 4.8 HH on 2026-11-20 (3 d ago) ↑ 3.1 H (10 d ago), 2.4 (31 d ago); range 2.0–3.0`.
    fn in_words(&self, chart: &Chart<'_>) -> String {
        let latest = &self.values[0];
        let now = chart.now;
        let mut text = format!(
            "{} {} {} {} on {} ({})",
            kind_in_words(&latest.told.json["code"]),
            latest.measured.value().unwrap_or_default(),
            latest.measured.unit(),
            latest.measured.flag(),
            latest.at.day,
            latest.at.age(now)
        );
        let earlier: Vec<String> = self.values[1..]
            .iter()
            .take(VALUES_MAX - 1)
            .map(|value| {
                let number = value.measured.value().unwrap_or_default();
                format!("{number} {} ({})", value.measured.flag(), value.at.age(now))
                    .replace("  ", " ")
            })
            .collect();
        if !earlier.is_empty() {
            text = format!("{text} {} {}", self.trend(), earlier.join(", "));
        }
        if let Some(range) = latest.measured.range() {
            text = format!("{text}; range {range}");
        }
        text
    }

    /// Which way the latest value went from the one before.
    fn trend(&self) -> &'static str {
        let number = |index: usize| self.values.get(index)?.measured.number();
        match (number(0), number(1)) {
            (Some(latest), Some(before)) if latest > before => "↑ from",
            (Some(latest), Some(before)) if latest < before => "↓ from",
            (Some(_), Some(_)) => "= as",
            _ => "before:",
        }
    }
}

fn kind_in_words(code: &Value) -> String {
    if code_in(code, &LOINC) == Some("85354-9") {
        return "Blood pressure".to_owned();
    }
    // LOINC's long names tell property, specimen and method; a page needs the analyte.
    let mut words = words(code);
    if let Some(at) = [" [", " in ", " IN "].iter().filter_map(|part| words.find(part)).min() {
        words.truncate(at);
    }
    words
}
