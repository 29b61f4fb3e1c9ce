//! Messages of identity changes (IHE PMIR ITI-93): a Bundle of type `message` that holds a
//! MessageHeader and one Bundle of type `history`, whose entries create, change and delete Patients.

use serde::Deserialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{InvalidResource, IssueType, Resource};
use crate::domain::LogicalId;

/// The event of such a message.
pub const IDENTITY_FEED: &str = "urn:ihe:iti:pmir:2019:patient-feed";
/// Changes that one message may tell of; a sender has more than that only in bulk, which is imported.
const CHANGES_MAX: usize = 1_000;
/// The longest id of a message that is looked at, in bytes.
const ID_BYTES_MAX: usize = 256;

/// A message as it was sent.
#[derive(Debug)]
pub struct IdentityMessage {
    /// `MessageHeader.id`, else `Bundle.id`.
    pub id: String,
    /// What it tells, in its order; at least one change.
    pub changes: Vec<IdentityChange>,
}

/// What one entry tells of a Patient of the sender.
#[derive(Debug)]
pub struct IdentityChange {
    /// The Patient's id at its member.
    pub id: LogicalId,
    /// Its FHIR base there, where `fullUrl` tells it.
    pub base: Option<String>,
    /// The Patient from now on; `None` where it is deleted.
    pub patient: Option<Resource>,
    /// When it was changed: `entry.response.lastModified`, else when the message was made.
    pub time: Option<OffsetDateTime>,
}

/// What is wrong with a message, by place and rule, never by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFault {
    /// FHIRPath of the element.
    pub place: String,
    /// What kind of fault it is.
    pub code: IssueType,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl MessageFault {
    fn new(place: impl Into<String>, code: IssueType, problem: &'static str) -> Self {
        Self { place: place.into(), code, problem }
    }
}

/// The FHIRPath of one entry of the inner Bundle.
pub fn place_of_change(number: usize) -> String {
    format!("Bundle.entry[1].resource.entry[{number}]")
}

#[derive(Deserialize)]
struct Outer {
    id: Option<String>,
    #[serde(rename = "type", default)]
    kind: String,
    timestamp: Option<String>,
    #[serde(default)]
    entry: Vec<OuterEntry>,
}

#[derive(Deserialize)]
struct OuterEntry {
    resource: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    event_uri: Option<String>,
}

#[derive(Deserialize)]
struct History {
    #[serde(rename = "type", default)]
    kind: String,
    timestamp: Option<String>,
    #[serde(default)]
    entry: Vec<HistoryEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryEntry {
    full_url: Option<String>,
    resource: Option<Box<RawValue>>,
    request: Option<Request>,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    method: String,
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    last_modified: Option<String>,
}

impl IdentityMessage {
    /// Reads a message; all that is wrong with it, where anything is.
    pub fn read(bundle: &Resource) -> Result<Self, Vec<MessageFault>> {
        let one = |place: &str, code, problem| Err(vec![MessageFault::new(place, code, problem)]);
        let outer: Outer = parsed(bundle, "Bundle")?;
        if bundle.resource_type() != "Bundle" || outer.kind != "message" {
            let problem = "must be a Bundle of type message";
            return one("Bundle.type", IssueType::Value, problem);
        }
        let [header, history] = &outer.entry[..] else {
            let problem = "must be two: a MessageHeader, and a Bundle of type history";
            return one("Bundle.entry", IssueType::Structure, problem);
        };
        let place = "Bundle.entry[0].resource";
        let header = inner(header, place, "MessageHeader", "must be a MessageHeader")?;
        let event: Header = parsed(&header, place)?;
        if event.event_uri.as_deref() != Some(IDENTITY_FEED) {
            let place = "Bundle.entry[0].resource.eventUri";
            let problem = "only urn:ihe:iti:pmir:2019:patient-feed is taken";
            return one(place, IssueType::NotSupported, problem);
        }
        let id = header.id().map(str::to_owned).or(outer.id).unwrap_or_default();
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            let problem = "is missing or too long: by it a message is known again";
            return one("Bundle.entry[0].resource.id", IssueType::Required, problem);
        }
        let place = "Bundle.entry[1].resource";
        let history = inner(history, place, "Bundle", "must be a Bundle")?;
        let history: History = parsed(&history, place)?;
        if history.kind != "history" {
            let problem = "must be history";
            return one("Bundle.entry[1].resource.type", IssueType::Value, problem);
        }
        if history.entry.is_empty() || history.entry.len() > CHANGES_MAX {
            let problem = "must be 1 to 1000";
            return one("Bundle.entry[1].resource.entry", IssueType::Structure, problem);
        }
        let made = instant(history.timestamp.as_deref().or(outer.timestamp.as_deref()));
        let read = history.entry.into_iter().enumerate().map(|(number, entry)| {
            IdentityChange::read(entry, made).map_err(|fault| fault.within(number))
        });
        let (changes, faults): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
        let faults: Vec<_> = faults.into_iter().filter_map(Result::err).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { id, changes: changes.into_iter().flatten().collect() })
    }
}

impl MessageFault {
    fn within(mut self, number: usize) -> Self {
        self.place = format!("{}.{}", place_of_change(number), self.place);
        self
    }
}

impl IdentityChange {
    fn read(entry: HistoryEntry, made: Option<OffsetDateTime>) -> Result<Self, MessageFault> {
        let fault = |place: &str, code, problem| MessageFault::new(place, code, problem);
        let request = entry
            .request
            .ok_or_else(|| fault("request", IssueType::Required, "is missing: method and url"))?;
        let modified = entry.response.and_then(|told| instant(told.last_modified.as_deref()));
        let time = modified.or(made);
        let of_url = id_of(&request.url);
        if request.method == "DELETE" {
            let problem = "must be Patient/ and an id";
            let id = of_url.ok_or_else(|| fault("request.url", IssueType::Value, problem))?;
            return Ok(Self { id, base: None, patient: None, time });
        }
        if request.method != "PUT" && request.method != "POST" {
            let problem = "must be POST, PUT or DELETE";
            return Err(fault("request.method", IssueType::NotSupported, problem));
        }
        let raw =
            entry.resource.ok_or_else(|| fault("resource", IssueType::Required, "is missing"))?;
        let patient = Resource::from_raw(raw)
            .map_err(|invalid| fault("resource", IssueType::Structure, in_words(&invalid)))?;
        if patient.resource_type() != "Patient" {
            return Err(fault("resource", IssueType::NotSupported, "only Patients are taken"));
        }
        let problem = "is missing, or is no FHIR id: by it a Patient is known again";
        let id = patient.id().and_then(|told| LogicalId::parse(told).ok());
        let id = id.ok_or_else(|| fault("resource.id", IssueType::Required, problem))?;
        if request.method == "PUT" && of_url.as_ref() != Some(&id) {
            let problem = "must be Patient/ and the id of the resource";
            return Err(fault("request.url", IssueType::Value, problem));
        }
        let path = format!("/Patient/{}", id.as_str());
        let base = entry.full_url.and_then(|url| url.strip_suffix(&path).map(str::to_owned));
        Ok(Self { id, base, patient: Some(patient), time })
    }

    /// The id of another Patient of the same member that a reference of this one names: relative, or
    /// below the base of its own `fullUrl`.
    pub fn id_of_reference(&self, reference: &str) -> Option<LogicalId> {
        let below = self.base.as_deref().and_then(|base| reference.strip_prefix(base));
        let path = match below {
            Some(rest) => rest.strip_prefix('/')?,
            None => reference,
        };
        LogicalId::parse(path.strip_prefix("Patient/")?).ok()
    }
}

/// The id in `Patient/{id}`, also below a base.
fn id_of(url: &str) -> Option<LogicalId> {
    let path = url.rsplit_once("/Patient/").map(|(_, id)| id).or(url.strip_prefix("Patient/"))?;
    LogicalId::parse(path).ok()
}

fn instant(told: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(told?, &Rfc3339).ok()
}

fn inner(
    entry: &OuterEntry,
    place: &str,
    kind: &str,
    problem: &'static str,
) -> Result<Resource, Vec<MessageFault>> {
    let raw = entry.resource.clone();
    let raw =
        raw.ok_or_else(|| vec![MessageFault::new(place, IssueType::Required, "is missing")])?;
    let resource = Resource::from_raw(raw).map_err(|invalid| {
        vec![MessageFault::new(place, IssueType::Structure, in_words(&invalid))]
    })?;
    if resource.resource_type() != kind {
        return Err(vec![MessageFault::new(place, IssueType::Value, problem)]);
    }
    Ok(resource)
}

fn parsed<'a, T: Deserialize<'a>>(
    resource: &'a Resource,
    place: &str,
) -> Result<T, Vec<MessageFault>> {
    let read = resource.read();
    read.map_err(|invalid| vec![MessageFault::new(place, IssueType::Structure, in_words(&invalid))])
}

/// The problem without its line, which would count from the entry on.
fn in_words(invalid: &InvalidResource) -> &'static str {
    match invalid {
        InvalidResource::Nesting => "is nested too deep",
        InvalidResource::Length => "is too long",
        _ => "has another shape than FHIR's",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message() -> Value {
        json!({"resourceType": "Bundle", "type": "message", "timestamp": "2026-02-03T04:05:06Z",
            "entry": [
                {"resource": {"resourceType": "MessageHeader", "id": "m1", "eventUri": IDENTITY_FEED}},
                {"resource": {"resourceType": "Bundle", "type": "history", "entry": [
                    {"fullUrl": "https://a.example/fhir/Patient/1",
                        "resource": {"resourceType": "Patient", "id": "1"},
                        "request": {"method": "POST", "url": "Patient"},
                        "response": {"status": "201", "lastModified": "2026-01-01T00:00:00Z"}},
                    {"request": {"method": "DELETE", "url": "Patient/2"},
                        "response": {"status": "204"}}]}}]})
    }

    fn read(told: &Value) -> Result<IdentityMessage, Vec<MessageFault>> {
        IdentityMessage::read(&Resource::from_value(told).expect("a resource"))
    }

    #[test]
    fn a_message_tells_changes_in_order_with_their_times() {
        let message = read(&message()).expect("whole");
        assert_eq!((message.id.as_str(), message.changes.len()), ("m1", 2));
        let [created, deleted] = &message.changes[..] else { panic!("two") };
        assert!(created.patient.is_some() && deleted.patient.is_none());
        assert_eq!(created.time.map(OffsetDateTime::year), Some(2026));
        assert!(created.time < deleted.time, "its own time, else the message's");
        for (reference, expected) in [
            ("Patient/7", Some("7")),
            ("https://a.example/fhir/Patient/7", Some("7")),
            ("https://b.example/fhir/Patient/7", None),
            ("https://a.example/fhir2/Patient/7", None),
            ("RelatedPerson/7", None),
            ("Patient/7/_history/2", None),
            ("7", None),
        ] {
            let id = created.id_of_reference(reference);
            assert_eq!(id.as_ref().map(LogicalId::as_str), expected, "{reference}");
        }
    }

    fn check(pointer: &str, value: Value, place: &str, code: IssueType) {
        let mut told = message();
        *told.pointer_mut(pointer).expect("it is there") = value;
        let faults = read(&told).expect_err(pointer);
        assert_eq!((faults[0].place.as_str(), faults[0].code), (place, code), "{pointer}");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place() {
        let history = "Bundle.entry[1].resource";
        let entry = |rest: &str| format!("{history}.entry[0].{rest}");
        check("/type", json!("batch"), "Bundle.type", IssueType::Value);
        check("/entry", json!([]), "Bundle.entry", IssueType::Structure);
        check(
            "/entry/0/resource",
            json!({"resourceType": "Patient"}),
            "Bundle.entry[0].resource",
            IssueType::Value,
        );
        check(
            "/entry/0/resource/eventUri",
            json!("urn:x"),
            "Bundle.entry[0].resource.eventUri",
            IssueType::NotSupported,
        );
        check(
            "/entry/0/resource/id",
            json!(null),
            "Bundle.entry[0].resource.id",
            IssueType::Required,
        );
        check(
            "/entry/1/resource/type",
            json!("searchset"),
            "Bundle.entry[1].resource.type",
            IssueType::Value,
        );
        check(
            "/entry/1/resource/entry",
            json!([]),
            "Bundle.entry[1].resource.entry",
            IssueType::Structure,
        );
        let first = "/entry/1/resource/entry/0";
        let at = |rest: &str| format!("{first}{rest}");
        check(&at("/request"), json!(null), &entry("request"), IssueType::Required);
        check(
            &at("/request/method"),
            json!("PATCH"),
            &entry("request.method"),
            IssueType::NotSupported,
        );
        check(
            &at("/request"),
            json!({"method": "PUT", "url": "Patient/9"}),
            &entry("request.url"),
            IssueType::Value,
        );
        check(
            &at("/request"),
            json!({"method": "DELETE", "url": "Patient"}),
            &entry("request.url"),
            IssueType::Value,
        );
        check(&at("/resource"), json!(null), &entry("resource"), IssueType::Required);
        check(
            &at("/resource"),
            json!({"resourceType": "RelatedPerson", "id": "1"}),
            &entry("resource"),
            IssueType::NotSupported,
        );
        check(&at("/resource/id"), json!("a_b"), &entry("resource.id"), IssueType::Required);
        check(first, json!({"request": 7}), history, IssueType::Structure);
    }

    #[test]
    fn every_bad_entry_is_told() {
        let mut told = message();
        let entries = &mut told["entry"][1]["resource"]["entry"];
        entries[0]["request"]["method"] = json!("GET");
        entries[1]["request"]["url"] = json!("Group/1");
        assert_eq!(read(&told).expect_err("two").len(), 2);
    }
}
