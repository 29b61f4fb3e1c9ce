//! A merged record on one page, as an emergency physician reads it: who, how sure, where; what
//! contradicts, what kills, what is taken; and what is missing.

mod clinical;
mod page;
mod reading;
mod results;

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use self::{
    page::{Page, Tone},
    reading::{Moment, age_in_life},
};
use super::answer::{Answer, GatewayRef, is_gap, issue_in_words};
use crate::fhir::{Issue, Resource};

/// What is printed, and for when.
pub(super) struct Brief<'a> {
    /// The record.
    pub(super) answer: &'a Answer,
    /// How the person was found.
    pub(super) sureness: Sureness<'a>,
    /// From `$match` sent to `$everything` read.
    pub(super) elapsed: Duration,
    /// The moment from which ages are told.
    pub(super) now: OffsetDateTime,
    /// Whether the page goes to a terminal.
    pub(super) colors: bool,
}

/// How sure the exchange is of the person, and on what it was asked.
pub(super) struct Sureness<'a> {
    /// FHIR match grade.
    pub(super) grade: &'a str,
    /// FHIR search score, 0 to 1.
    pub(super) score: Option<f64>,
    /// What was known of the patient, in words.
    pub(super) asked_with: &'a str,
    /// How many persons came into question.
    pub(super) candidates: usize,
}

impl Brief<'_> {
    /// The whole page.
    pub(super) fn print(&self) -> String {
        let mut page = Page::new(self.colors);
        page.title("OUTSIDE RECORDS FOR THE EMERGENCY DEPARTMENT");
        self.who(&mut page);
        self.how_sure(&mut page);
        self.where_found(&mut page);
        clinical::contradictions(self, &mut page);
        clinical::allergies(self, &mut page);
        clinical::medications(self, &mut page);
        clinical::problems(self, &mut page);
        results::laboratory(self, &mut page);
        results::vital_signs(self, &mut page);
        clinical::encounters(self, &mut page);
        clinical::procedures(self, &mut page);
        clinical::immunizations(self, &mut page);
        clinical::documents(self, &mut page);
        self.missing(&mut page);
        page.heading("TIME", Tone::Plain);
        let seconds = self.elapsed.as_secs_f64();
        page.remark(&format!("{seconds:.2} s from asking who this is to this page"), Tone::Plain);
        page.into_text()
    }

    fn who(&self, page: &mut Page) {
        page.heading("WHO", Tone::Plain);
        let Some(person) = &self.answer.person else {
            page.remark("the answer names no person", Tone::Alarm);
            return;
        };
        let list = |element: &str| person[element].as_array().cloned().unwrap_or_default();
        let names: Vec<String> = list("name").iter().map(name_in_words).collect();
        let born = person["birthDate"].as_str().and_then(Moment::parse);
        let age = born.as_ref().map_or_else(
            || "age unknown".to_owned(),
            |born| format!("{} (born {})", age_in_life(born, self.now), born.day),
        );
        let sex = person["gender"].as_str().unwrap_or("sex unknown");
        let first = names.first().cloned().unwrap_or_else(|| "name unknown".to_owned());
        page.item(&format!("{first} · {age} · {sex}"), "", Tone::Plain);
        if person["deceasedBoolean"] == true || person["deceasedDateTime"].is_string() {
            page.remark("A MEMBER REPORTS THIS PERSON AS DECEASED", Tone::Alarm);
        }
        if names.len() > 1 {
            page.item(&format!("also: {}", names[1..].join("; ")), "", Tone::Plain);
        }
        let addresses: Vec<String> = list("address").iter().map(address_in_words).collect();
        let telecom: Vec<String> = list("telecom")
            .iter()
            .filter_map(|contact| contact["value"].as_str().map(str::to_owned))
            .collect();
        for reached in [addresses, telecom] {
            if !reached.is_empty() {
                page.item(&reached.join("; "), "", Tone::Faint);
            }
        }
        let identifiers: Vec<String> =
            list("identifier").iter().filter_map(identifier_in_words).collect();
        if !identifiers.is_empty() {
            page.item(&identifiers.join("; "), "", Tone::Faint);
        }
    }

    fn how_sure(&self, page: &mut Page) {
        page.heading("HOW SURE, AND WHY", Tone::Plain);
        let sure = &self.sureness;
        let score = sure.score.map(|score| format!(" (score {score:.3})")).unwrap_or_default();
        let tone = if sure.grade == "certain" { Tone::Plain } else { Tone::Alarm };
        let others = match sure.candidates {
            0 | 1 => "nobody else came into question".to_owned(),
            several => format!("{several} persons came into question"),
        };
        page.item(&format!("{}{score}; {others}", sure.grade), "", tone);
        page.item(&format!("asked with: {}", sure.asked_with), "", Tone::Plain);
        let links = self.answer.person.as_ref().and_then(|person| person["link"].as_array());
        let records: Vec<String> = links.into_iter().flatten().map(link_in_words).collect();
        let text = format!("source records linked: {}: {}", records.len(), records.join("; "));
        page.item(&text, "", Tone::Plain);
    }

    fn where_found(&self, page: &mut Page) {
        page.heading("WHERE", Tone::Plain);
        let (gaps, answered): (Vec<_>, Vec<_>) =
            self.answer.issues.iter().partition(|issue| is_gap(issue));
        for issue in answered {
            page.item(&issue_in_words(issue), "", Tone::Plain);
        }
        if !gaps.is_empty() {
            let text = format!("{} gaps: see MISSING below", gaps.len());
            page.remark(&text, Tone::Caution);
        }
    }

    fn missing(&self, page: &mut Page) {
        let gaps: Vec<&Issue> = self.answer.issues.iter().filter(|issue| is_gap(issue)).collect();
        let tone = if gaps.is_empty() { Tone::Plain } else { Tone::Caution };
        page.heading("MISSING, AND FROM WHOM", tone);
        if gaps.is_empty() && self.answer.issues.is_empty() {
            page.remark("the answer does not say whether it is complete", Tone::Alarm);
        } else if gaps.is_empty() {
            page.remark("nothing that this exchange knows of", Tone::Plain);
        }
        for issue in gaps {
            page.item(&issue_in_words(issue), "", Tone::Caution);
        }
    }

    /// The resources of a type that tell a fact each, read as JSON.
    fn shown(&self, resource_type: &str) -> Vec<Told<'_>> {
        self.told(resource_type).into_iter().filter(|one| one.is_shown).collect()
    }

    /// All resources of a type, with those that stand behind another and were read all the same: for
    /// what is listed by code, where each may say another dose or status.
    fn told(&self, resource_type: &str) -> Vec<Told<'_>> {
        let of_type = self.answer.resources.iter();
        of_type
            .filter(|(reference, _)| reference.resource_type == resource_type)
            .filter_map(|(reference, resource)| {
                let json: Value = resource.read().ok()?;
                let withdrawn = json["status"] == "entered-in-error"
                    || reading::says(&json["verificationStatus"], &["entered-in-error"]);
                let is_shown = self.answer.is_shown(reference);
                (!withdrawn).then_some(Told { reference, resource, json, is_shown })
            })
            .collect()
    }

    /// `mercy`, or `3 sources: lakeside mercy stanne`.
    fn sources<'a>(&'a self, told: impl IntoIterator<Item = &'a Told<'a>>) -> String {
        let originals = told.into_iter().flat_map(|one| self.answer.originals_of(one.reference));
        members_of(originals)
    }
}

/// A shown resource.
struct Told<'a> {
    reference: &'a GatewayRef,
    resource: &'a Resource,
    json: Value,
    /// Whether it is the one that is shown for its fact.
    is_shown: bool,
}

fn members_of<'a>(originals: impl Iterator<Item = &'a GatewayRef>) -> String {
    let mut members: Vec<&str> =
        originals.map(|original| original.at_member().map_or("?", |(member, _)| member)).collect();
    members.sort_unstable();
    members.dedup();
    match members.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("{} sources: {}", several.len(), several.join(" ")),
    }
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

#[cfg(test)]
mod tests;
