//! What the exchange says itself about a record: Linkage, DetectedIssue, Provenance.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{
    Conflict, MergeContext, OwnResource,
    gateway_id::own_id,
    intake::{Intake, Sender, Told},
};

/// System of URIs used as identifiers (FHIR R4 §2.24.0.6).
const URI: &str = "urn:ietf:rfc:3986";
const AUTHOR: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const TRANSMITTER: &str =
    "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type";
/// Code system of [`super::ConflictKind`], described in `docs/record.md`.
const CONFLICTS: &str = "urn:tessera:conflict";

/// Ties the resources of one group, the representative first (FHIR R4 `Linkage`).
pub(super) fn linkage(context: &MergeContext, intake: &Intake, group: &[u32]) -> OwnResource {
    let told = group.iter().filter_map(|place| intake.told.get(*place as usize));
    let references: Vec<String> = told.map(reference).collect();
    let mut parts: Vec<&str> = references.iter().map(String::as_str).collect();
    parts.sort_unstable();
    let id = own_id("linkage", &parts);
    let items: Vec<Value> = references
        .iter()
        .enumerate()
        .map(|(i, reference)| {
            let kind = if i == 0 { "source" } else { "alternate" };
            json!({"type": kind, "resource": {"reference": reference}})
        })
        .collect();
    let json = json!({
        "resourceType": "Linkage",
        "id": id,
        "active": true,
        "author": agent(context.exchange_id.as_deref(), &context.exchange_name),
        "item": items,
    });
    OwnResource { resource_type: "Linkage", id, json: json.to_string() }
}

/// Shows one contradiction (FHIR R4 `DetectedIssue`).
pub(super) fn detected_issue(context: &MergeContext, conflict: &Conflict) -> OwnResource {
    let mut parts: Vec<&str> = vec![conflict.kind.code()];
    parts.extend(conflict.implicated.iter().map(String::as_str));
    let id = own_id("issue", &parts);
    let implicated: Vec<Value> =
        conflict.implicated.iter().map(|reference| json!({"reference": reference})).collect();
    let json = json!({
        "resourceType": "DetectedIssue",
        "id": id,
        "status": "final",
        "code": {
            "coding": [{"system": CONFLICTS, "code": conflict.kind.code()}],
            "text": conflict.kind.text(),
        },
        "severity": conflict.danger.severity(),
        "patient": {"reference": format!("Patient/{}", context.person)},
        "implicated": implicated,
        "detail": conflict.kind.text(),
        "author": agent(context.exchange_id.as_deref(), &context.exchange_name),
    });
    OwnResource { resource_type: "DetectedIssue", id, json: json.to_string() }
}

/// Names author and transmitter of everything, one Provenance for each member and inbound
/// `meta.source` (US Core Provenance: the exchange transmits what it did not change in content).
pub(super) fn provenances(context: &MergeContext, intake: &Intake) -> Vec<OwnResource> {
    let mut by_source: BTreeMap<(u16, Option<&str>), Vec<&Told>> = BTreeMap::new();
    for told in &intake.told {
        by_source.entry((told.member, told.source.as_deref())).or_default().push(told);
    }
    by_source
        .into_iter()
        .filter_map(|((member, source), told)| {
            let sender = intake.members.get(usize::from(member))?;
            Some(provenance(context, sender, source, &told))
        })
        .collect()
}

fn provenance(
    context: &MergeContext,
    sender: &Sender,
    source: Option<&str>,
    told: &[&Told],
) -> OwnResource {
    let references: Vec<String> = told.iter().copied().map(reference).collect();
    let mut parts = vec![sender.code.as_str(), source.unwrap_or_default()];
    parts.extend(references.iter().map(String::as_str));
    let id = own_id("provenance", &parts);
    let targets: Vec<Value> =
        references.iter().map(|reference| json!({"reference": reference})).collect();
    let participant = |system: &str, code: &str, who: Value| json!({"type": {"coding": [{"system": system, "code": code}]}, "who": who});
    let author = sender.name.as_deref().unwrap_or(sender.code.as_str());
    let exchange = agent(context.exchange_id.as_deref(), &context.exchange_name);
    let recorded = context.recorded.to_offset(time::UtcOffset::UTC);
    let mut json = json!({
        "resourceType": "Provenance",
        "id": id,
        "target": targets,
        // A year beyond four digits is the only failure, and no clock of ours tells one.
        "recorded": recorded.format(&Rfc3339).unwrap_or_default(),
        "agent": [
            participant(AUTHOR, "author", agent(sender.organization_id.as_deref(), author)),
            participant(TRANSMITTER, "transmitter", exchange),
        ],
    });
    if let (Some(source), Some(object)) = (source, json.as_object_mut()) {
        let what = json!({"identifier": {"system": URI, "value": source}});
        object.insert("entity".to_owned(), json!([{"role": "source", "what": what}]));
    }
    OwnResource { resource_type: "Provenance", id, json: json.to_string() }
}

/// An organization by its identifier and name; it need not be a resource that can be read.
fn agent(identifier: Option<&str>, name: &str) -> Value {
    match identifier {
        Some(value) => json!({"identifier": {"system": URI, "value": value}, "display": name}),
        None => json!({"display": name}),
    }
}

/// `Type/<member>.<id>`.
pub(super) fn reference(told: &Told) -> String {
    format!("{}/{}", told.resource.resource_type(), told.gateway_id)
}
