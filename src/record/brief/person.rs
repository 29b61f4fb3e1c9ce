//! Who it is, who answered, and what is missing.

use serde_json::Value;

use super::{
    BriefInput, Section, Tone,
    reading::{Moment, age_in_life},
};
use crate::fhir::Issue;

/// What the exchange knows to be missing.
pub(super) fn missing(input: &BriefInput<'_>) -> Section {
    let gaps: Vec<&Issue> = input.statement.iter().filter(|issue| issue.is_gap()).collect();
    let tone = if gaps.is_empty() { Tone::Plain } else { Tone::Caution };
    let mut section = Section::new("missing", "MISSING, AND FROM WHOM", tone);
    if input.statement.is_empty() {
        section.remark("nobody says whether this is complete", Tone::Alarm);
    } else if gaps.is_empty() {
        section.remark("nothing that this exchange knows of", Tone::Plain);
    }
    for gap in gaps {
        section.remark(gap.in_words(), Tone::Caution);
    }
    section
}

/// Who answered, and with how much.
pub(super) fn answered(input: &BriefInput<'_>) -> Section {
    let mut section = Section::new("answered", "WHERE", Tone::Plain);
    for issue in input.statement.iter().filter(|issue| !issue.is_gap()) {
        section.remark(issue.in_words(), Tone::Plain);
    }
    section
}

/// The person.
pub(super) fn who(input: &BriefInput<'_>) -> Section {
    let person = input.person;
    let mut section = Section::new("patient", "WHO", Tone::Plain);
    let list = |element: &str| person[element].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = list("name").iter().map(name_in_words).collect();
    let born = person["birthDate"].as_str().and_then(Moment::parse);
    let age = born.as_ref().map_or_else(
        || "age unknown".to_owned(),
        |born| format!("{} (born {})", age_in_life(born, input.now), born.day),
    );
    let sex = person["gender"].as_str().unwrap_or("sex unknown");
    let first = names.first().cloned().unwrap_or_else(|| "name unknown".to_owned());
    section.remark(format!("{first} · {age} · {sex}"), Tone::Plain);
    if person["deceasedBoolean"] == true || person["deceasedDateTime"].is_string() {
        section.remark("A MEMBER REPORTS THIS PERSON AS DECEASED", Tone::Alarm);
    }
    if let Some(others) = names.get(1..).filter(|others| !others.is_empty()) {
        section.remark(format!("also: {}", others.join("; ")), Tone::Plain);
    }
    let addresses: Vec<String> = list("address").iter().map(address_in_words).collect();
    let telecom: Vec<String> = list("telecom")
        .iter()
        .filter_map(|contact| contact["value"].as_str().map(str::to_owned))
        .collect();
    let identifiers: Vec<String> =
        list("identifier").iter().filter_map(identifier_in_words).collect();
    for told in [addresses, telecom, identifiers].iter().filter(|told| !told.is_empty()) {
        section.remark(told.join("; "), Tone::Faint);
    }
    let links = list("link");
    let records: Vec<String> = links.iter().map(link_in_words).collect();
    let text = format!("source records linked: {}: {}", records.len(), records.join("; "));
    section.remark(text, Tone::Plain);
    section
}

fn name_in_words(name: &Value) -> String {
    let given = name["given"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let suffixes = name["suffix"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let family = name["family"].as_str().map(str::to_uppercase);
    let parts: Vec<String> =
        given.map(str::to_owned).chain(family).chain(suffixes.map(str::to_owned)).collect();
    let whole = if parts.is_empty() {
        name["text"].as_str().unwrap_or("name unknown").to_owned()
    } else {
        parts.join(" ")
    };
    match name["use"].as_str() {
        Some(told @ ("maiden" | "old" | "nickname" | "temp" | "anonymous")) => {
            format!("{whole} ({told})")
        }
        _ => whole,
    }
}

fn address_in_words(address: &Value) -> String {
    let lines = address["line"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let rest =
        ["city", "state", "postalCode"].into_iter().filter_map(|part| address[part].as_str());
    let whole = lines.chain(rest).collect::<Vec<_>>().join(", ");
    if address["use"] == "old" { format!("{whole} (old)") } else { whole }
}

fn identifier_in_words(identifier: &Value) -> Option<String> {
    let value = identifier["value"].as_str()?;
    let code = identifier["type"]["coding"][0]["code"].as_str();
    let system = identifier["system"].as_str().unwrap_or_default();
    // An SSN is no clinician's business in full; its end tells namesakes apart.
    if code == Some("SS") || system == "http://hl7.org/fhir/sid/us-ssn" {
        let end: String = value.chars().filter(char::is_ascii_digit).collect();
        return Some(format!(
            "SSN …{}",
            end.get(end.len().saturating_sub(4)..).unwrap_or_default()
        ));
    }
    let kind = &identifier["type"];
    let kind = kind["text"].as_str().or(code).unwrap_or("identifier");
    Some(format!("{kind} {value} ({})", keeper(&identifier["assigner"]["display"], system)))
}

/// Who gave out an identifier: by name, else the host of the namespace, else the namespace.
fn keeper(name: &Value, system: &str) -> String {
    let host = || system.split("://").nth(1)?.split('/').next();
    name.as_str().or_else(host).unwrap_or(system).to_owned()
}

/// A linked source record: its number, and who keeps it.
fn link_in_words(link: &Value) -> String {
    let other = &link["other"];
    match other["identifier"]["value"].as_str() {
        Some(value) => {
            let system = other["identifier"]["system"].as_str().unwrap_or_default();
            format!("{} {value}", keeper(&other["display"], system))
        }
        None => other["reference"].as_str().unwrap_or("a record without a number").to_owned(),
    }
}
