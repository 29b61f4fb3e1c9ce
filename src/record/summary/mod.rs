//! A patient summary as a FHIR document (HL7 IPS 2.0.1, `Patient/{id}/$summary`).

mod narrative;
mod sections;

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use self::sections::{Entry, Found, Need, PLANS};
use super::{BriefInput, MergedRecord, brief::Chart, gateway_id::hash};
use crate::fhir::{Issue, Reference, Resource};

/// What a summary is made of.
pub struct SummaryInput<'a> {
    /// The person, as the exchange shows them (FHIR R4 `Patient`).
    pub person: &'a Value,
    /// The record.
    pub record: &'a MergedRecord,
    /// Who answered and what is missing.
    pub statement: &'a [Issue],
    /// Whether every member answered in full and nothing was withheld: only then is what nobody told
    /// known to be nothing.
    pub is_whole: bool,
    /// The FHIR base under which the entries can be read.
    pub base_url: &'a str,
    /// The exchange's name, as author and custodian.
    pub exchange_name: &'a str,
    /// Names the document; never used twice.
    pub document_id: Uuid,
    /// When it is put together.
    pub now: OffsetDateTime,
}

/// Resources in one document, at the most: referred-to ones beyond it are left to be read by id.
const ENTRIES_MAX: usize = 2_000;

const LOINC: &str = "http://loinc.org";

/// Puts the document together: a Bundle of type `document`, as JSON.
pub fn summary(input: &SummaryInput<'_>) -> String {
    let chart = Chart::of(&BriefInput {
        person: input.person,
        record: input.record,
        statement: input.statement,
        now: input.now,
    });
    let mut own = Vec::new();
    let mut cited = Vec::new();
    let mut told = Vec::new();
    for plan in PLANS {
        let found = (plan.find)(&chart);
        if found.is_empty() && plan.need == Need::Optional {
            continue;
        }
        told.push(section(input, &chart, plan, &found, &mut own, &mut cited));
    }
    told.push(gaps(input));
    let mut entries = Entries::new(input.base_url);
    let composition = composition(input, &told);
    entries.push(&urn(input, 1), &composition.to_string());
    let person = presentable(input.person);
    let id = person["id"].as_str().unwrap_or_default();
    entries.push(&format!("{}/Patient/{id}", input.base_url), &person.to_string());
    entries.push(&urn(input, 2), &author(input).to_string());
    entries.push(&urn(input, 3), &custodian(input).to_string());
    for (url, resource) in own {
        entries.push(&url, &resource.to_string());
    }
    entries.push_with_references(input.record, cited);
    let moment = instant(input.now);
    format!(
        r#"{{"resourceType":"Bundle","id":"{0}","identifier":{{"system":"urn:ietf:rfc:3986","value":"urn:uuid:{0}"}},"type":"document","timestamp":"{moment}","entry":[{1}]}}"#,
        input.document_id, entries.json
    )
}

/// The entries of the document, as JSON.
struct Entries<'a> {
    base_url: &'a str,
    json: String,
}

impl<'a> Entries<'a> {
    fn new(base_url: &'a str) -> Self {
        Self { base_url, json: String::new() }
    }

    fn push(&mut self, url: &str, resource: &str) {
        if !self.json.is_empty() {
            self.json.push(',');
        }
        let url = Value::from(url).to_string();
        self.json.extend(["{\"fullUrl\":", &url, ",\"resource\":", resource, "}"]);
    }

    /// Adds resources of the record and all that they refer to, so that the document stands alone. A
    /// document has one Patient; the members' own are not in it.
    fn push_with_references(&mut self, record: &MergedRecord, cited: Vec<String>) {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut next: VecDeque<String> = cited.into();
        while let Some(reference) = next.pop_front() {
            let Reference::Relative { resource_type, id } = Reference::parse(&reference) else {
                continue;
            };
            if resource_type == "Patient" || seen.len() >= ENTRIES_MAX {
                continue;
            }
            let Some(original) = record.original(resource_type, id) else { continue };
            if !seen.insert(reference.clone()) {
                continue;
            }
            let url = format!("{}/{reference}", self.base_url);
            self.push(&url, &original.json);
            let Ok(resource) = Resource::parse(original.json.as_bytes()) else { continue };
            let links = resource.links().filter(|link| !link.is_attachment());
            next.extend(links.filter_map(|link| Some(link.text()?.into_owned())));
        }
    }
}

fn section(
    input: &SummaryInput<'_>,
    chart: &Chart<'_>,
    plan: &sections::Plan,
    found: &[Found],
    own: &mut Vec<(String, Value)>,
    cited: &mut Vec<String>,
) -> Value {
    let mut section = json!({
        "title": plan.title,
        "code": { "coding": [{ "system": LOINC, "code": plan.code, "display": plan.display }] },
    });
    if found.is_empty() {
        let (reason, text) = nothing(input.is_whole, plan.nothing);
        section["text"] = narrative::paragraphs(&[text]);
        section["emptyReason"] = reason;
        return section;
    }
    section["text"] = narrative::table(chart, plan.columns, found);
    let mut entries = Vec::new();
    for one in found {
        match &one.entry {
            Entry::Resource(reference) => {
                entries.push(json!({ "reference": reference }));
                cited.push(reference.clone());
            }
            Entry::Use(device) => {
                let (url, statement) = device_use(input, device);
                entries.push(json!({ "reference": url }));
                own.push((url, statement));
                cited.push(device.clone());
            }
        }
    }
    section["entry"] = Value::Array(entries);
    section
}

/// Why a section is empty. That there is nothing is said only where everybody answered.
fn nothing(is_whole: bool, text: &str) -> (Value, String) {
    let (code, display) =
        if is_whole { ("nilknown", "Nil Known") } else { ("unavailable", "Unavailable") };
    let reason = json!({ "coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/list-empty-reason",
        "code": code,
        "display": display,
    }] });
    let text = if is_whole {
        format!("{text}, according to every member of the exchange that holds records.")
    } else {
        format!("{text} by those who answered; the record is not known to be complete.")
    };
    (reason, text)
}

/// What is missing and what contradicts: a document can carry no OperationOutcome.
fn gaps(input: &SummaryInput<'_>) -> Value {
    let mut told: Vec<String> = input
        .statement
        .iter()
        .filter(|issue| issue.is_gap())
        .map(|issue| format!("Missing: {}", issue.in_words()))
        .collect();
    told.extend(input.record.conflicts().iter().map(|conflict| {
        let sides = conflict.implicated.join(", ");
        format!("Contradiction ({}): {}: {sides}", conflict.danger.severity(), conflict.kind.text())
    }));
    let rest = input.statement.iter().filter(|issue| !issue.is_gap());
    told.extend(rest.map(Issue::in_words));
    let (reason, _) = nothing(input.is_whole, "");
    json!({
        "title": "Information gaps",
        "code": {
            "coding": [{ "system": "urn:tessera:section", "code": "information-gaps" }],
            "text": "Information gaps",
        },
        "text": narrative::paragraphs(&told),
        "emptyReason": reason,
    })
}

fn composition(input: &SummaryInput<'_>, sections: &[Value]) -> Value {
    let person = input.person["id"].as_str().unwrap_or_default();
    json!({
        "resourceType": "Composition",
        "id": id(input, 1),
        "status": "final",
        "type": { "coding": [{
            "system": LOINC, "code": "60591-5", "display": "Patient summary Document"
        }] },
        "subject": { "reference": format!("Patient/{person}") },
        "date": instant(input.now),
        // Put together by software, so that no person vouches for it (IPS).
        "author": [{ "reference": urn(input, 2) }],
        "title": "International Patient Summary",
        "custodian": { "reference": urn(input, 3) },
        "section": sections,
    })
}

fn author(input: &SummaryInput<'_>) -> Value {
    json!({
        "resourceType": "Device",
        "id": id(input, 2),
        "deviceName": [{ "name": "Tessera", "type": "user-friendly-name" }],
        "version": [{ "value": env!("CARGO_PKG_VERSION") }],
        "owner": { "reference": urn(input, 3) },
    })
}

fn custodian(input: &SummaryInput<'_>) -> Value {
    json!({
        "resourceType": "Organization",
        "id": id(input, 3),
        "name": input.exchange_name,
    })
}

/// That a device which is said to be the patient's is used by the patient: IPS lists uses, and most
/// members hold devices alone.
fn device_use(input: &SummaryInput<'_>, device: &str) -> (String, Value) {
    let bits = u128::from_str_radix(&hash(&["device-use", device])[..32], 16).unwrap_or_default();
    let url = format!("urn:uuid:{}", Uuid::from_u128(bits));
    let person = input.person["id"].as_str().unwrap_or_default();
    let statement = json!({
        "resourceType": "DeviceUseStatement",
        "id": Uuid::from_u128(bits),
        "status": "active",
        "subject": { "reference": format!("Patient/{person}") },
        "derivedFrom": [{ "reference": device }],
        "_timingDateTime": { "extension": [{
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown"
        }] },
        "device": { "reference": device },
    });
    (url, statement)
}

/// The person with what IPS requires, where it is not known said to be so.
fn presentable(person: &Value) -> Value {
    let mut person = person.clone();
    let unknown = json!({ "extension": [{
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "unknown"
    }] });
    if person["name"].as_array().is_none_or(Vec::is_empty) {
        person["name"] = json!([unknown]);
    }
    if !person["birthDate"].is_string() {
        person["_birthDate"] = unknown;
    }
    person
}

/// Ids of what the exchange says itself, made from the document's.
fn id(input: &SummaryInput<'_>, number: u128) -> Uuid {
    Uuid::from_u128(input.document_id.as_u128() ^ number)
}

fn urn(input: &SummaryInput<'_>, number: u128) -> String {
    format!("urn:uuid:{}", id(input, number))
}

fn instant(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    // A year beyond four digits is the only failure, and no clock of ours tells one.
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
