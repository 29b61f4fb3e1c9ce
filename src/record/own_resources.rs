//! What the exchange says itself about a record: Linkage, DetectedIssue, Provenance.

use std::collections::BTreeMap;

use serde::Serialize;
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Linkage<'a> {
    resource_type: &'static str,
    id: &'a str,
    active: bool,
    author: Agent<'a>,
    item: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    r#type: &'static str,
    resource: Target<'a>,
}

#[derive(Serialize)]
struct Target<'a> {
    reference: &'a str,
}

/// An organization by its identifier and name; it need not be a resource that can be read.
#[derive(Clone, Copy, Serialize)]
struct Agent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<Uri<'a>>,
    display: &'a str,
}

#[derive(Clone, Copy, Serialize)]
struct Uri<'a> {
    system: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetectedIssue<'a> {
    resource_type: &'static str,
    id: &'a str,
    status: &'static str,
    code: Concept<'a>,
    severity: &'static str,
    patient: Target<'a>,
    author: Agent<'a>,
    implicated: Vec<Target<'a>>,
    detail: &'a str,
}

#[derive(Serialize)]
struct Concept<'a> {
    coding: [Coding; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

#[derive(Serialize)]
struct Coding {
    system: &'static str,
    code: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provenance<'a> {
    resource_type: &'static str,
    id: &'a str,
    target: Vec<Target<'a>>,
    recorded: &'a str,
    agent: [Participant<'a>; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<[Entity<'a>; 1]>,
}

#[derive(Serialize)]
struct Participant<'a> {
    r#type: Concept<'a>,
    who: Agent<'a>,
}

#[derive(Serialize)]
struct Entity<'a> {
    role: &'static str,
    what: Identified<'a>,
}

#[derive(Serialize)]
struct Identified<'a> {
    identifier: Uri<'a>,
}

/// Ties the resources of one group, the representative first (FHIR R4 `Linkage`).
pub(super) fn linkage(context: &MergeContext, intake: &Intake, group: &[u32]) -> OwnResource {
    let told = group.iter().filter_map(|place| intake.told.get(*place as usize));
    let references: Vec<String> = told.map(reference).collect();
    let mut parts: Vec<&str> = references.iter().map(String::as_str).collect();
    parts.sort_unstable();
    let id = own_id("linkage", &parts);
    let item = |(i, reference)| Item {
        r#type: if i == 0 { "source" } else { "alternate" },
        resource: Target { reference },
    };
    let json = written(&Linkage {
        resource_type: "Linkage",
        id: &id,
        active: true,
        author: exchange(context),
        item: references.iter().map(String::as_str).enumerate().map(item).collect(),
    });
    OwnResource { resource_type: "Linkage", id, json }
}

/// Shows one contradiction (FHIR R4 `DetectedIssue`).
pub(super) fn detected_issue(context: &MergeContext, conflict: &Conflict) -> OwnResource {
    let mut parts: Vec<&str> = vec![conflict.kind.code()];
    parts.extend(conflict.implicated.iter().map(String::as_str));
    let id = own_id("issue", &parts);
    let json = written(&DetectedIssue {
        resource_type: "DetectedIssue",
        id: &id,
        status: "final",
        code: concept(CONFLICTS, conflict.kind.code(), Some(conflict.kind.text())),
        severity: conflict.danger.severity(),
        patient: Target { reference: &format!("Patient/{}", context.person) },
        author: exchange(context),
        implicated: targets(&conflict.implicated),
        detail: conflict.kind.text(),
    });
    OwnResource { resource_type: "DetectedIssue", id, json }
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
    let name = sender.name.as_deref().unwrap_or(sender.code.as_str());
    let author = agent(sender.organization_id.as_deref(), name);
    // A year beyond four digits is the only failure, and no clock of ours tells one.
    let recorded = context.recorded.to_offset(time::UtcOffset::UTC).format(&Rfc3339);
    let json = written(&Provenance {
        resource_type: "Provenance",
        id: &id,
        target: targets(&references),
        recorded: &recorded.unwrap_or_default(),
        agent: [
            Participant { r#type: concept(AUTHOR, "author", None), who: author },
            Participant {
                r#type: concept(TRANSMITTER, "transmitter", None),
                who: exchange(context),
            },
        ],
        entity: source.map(|value| {
            [Entity { role: "source", what: Identified { identifier: Uri { system: URI, value } } }]
        }),
    });
    OwnResource { resource_type: "Provenance", id, json }
}

fn exchange(context: &MergeContext) -> Agent<'_> {
    agent(context.exchange_id.as_deref(), &context.exchange_name)
}

fn agent<'a>(identifier: Option<&'a str>, display: &'a str) -> Agent<'a> {
    Agent { identifier: identifier.map(|value| Uri { system: URI, value }), display }
}

const fn concept<'a>(
    system: &'static str,
    code: &'static str,
    text: Option<&'a str>,
) -> Concept<'a> {
    Concept { coding: [Coding { system, code }], text }
}

fn targets(references: &[String]) -> Vec<Target<'_>> {
    references.iter().map(|reference| Target { reference }).collect()
}

fn written(resource: &impl Serialize) -> String {
    serde_json::to_string(resource).expect("these structs hold text and lists alone")
}

/// `Type/<member>.<id>`.
pub(super) fn reference(told: &Told) -> String {
    format!("{}/{}", told.resource.resource_type(), told.gateway_id)
}
