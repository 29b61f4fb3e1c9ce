use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::fhir::{Bundle, Issue, OperationOutcome, Reference, Resource};

/// A merged record as the gateway answers it to `Patient/{id}/$everything`.
#[derive(Default)]
pub(super) struct Answer {
    /// The person as the gateway shows them.
    pub(super) person: Option<Value>,
    /// Every other resource of the answer but the gateway's own, by gateway reference.
    pub(super) resources: BTreeMap<GatewayRef, Resource>,
    /// Facts told more than once.
    pub(super) groups: Vec<Group>,
    /// `DetectedIssue`s: what contradicts what.
    pub(super) contradictions: Vec<Value>,
    /// The completeness statement, and whatever else was told.
    pub(super) issues: Vec<Issue>,
    /// The source records the person was found in.
    pub(super) located: BTreeSet<SourceRecord>,
}

/// `Type/<member>.<id>`: one member's original under its gateway id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GatewayRef {
    /// Resource type.
    pub(super) resource_type: String,
    /// `<member>.<id>`.
    pub(super) id: String,
}

impl GatewayRef {
    /// Reads a reference, relative or absolute.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match Reference::parse(text) {
            Reference::Relative { resource_type, id }
            | Reference::Absolute { resource_type, id, .. } => {
                Some(Self { resource_type: resource_type.to_owned(), id: id.to_owned() })
            }
            _ => None,
        }
    }

    /// The member it came from and the id it has there.
    pub(super) fn at_member(&self) -> Option<(&str, &str)> {
        self.id.split_once('.')
    }

    /// `<member>/<Type>/<id>`, as a truth file names it.
    pub(super) fn in_truth(&self) -> Option<String> {
        let (member, id) = self.at_member()?;
        Some(format!("{member}/{}/{id}", self.resource_type))
    }
}

/// One fact told more than once (FHIR `Linkage`).
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The one that is shown.
    pub(super) representative: GatewayRef,
    /// All originals, the representative among them.
    pub(super) originals: BTreeSet<GatewayRef>,
}

/// A source record as an answer names it: where, and by which id or record number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SourceRecord {
    /// By the patient's gateway id.
    Id {
        /// Member code.
        member: String,
        /// `Patient.id` there.
        id: String,
    },
    /// By its record number.
    Identifier {
        /// Namespace.
        system: String,
        /// Record number.
        value: String,
    },
}

impl Answer {
    /// Reads a Bundle of whole answers (all pages).
    pub(super) fn parse(json: &[u8]) -> Result<Self> {
        let bundle = Bundle::parse(json).context("the answer is no Bundle")?;
        if bundle.kind != "searchset" || bundle.malformed_entries > 0 {
            bail!("the answer is no whole searchset");
        }
        let mut answer = Self::default();
        for entry in bundle.entries {
            answer.take(entry.resource)?;
        }
        Ok(answer)
    }

    fn take(&mut self, resource: Resource) -> Result<()> {
        match resource.resource_type() {
            "OperationOutcome" => self.issues.extend(resource.read::<OperationOutcome>()?.issue),
            "Linkage" => self.groups.extend(resource.read::<Linkage>()?.group()),
            "Patient" => self.take_patient(&resource)?,
            // A gateway's own resources bear no member's id; what a member sent under the same
            // type does, and is a resource like any other.
            "DetectedIssue" if !is_from_member(&resource) => {
                self.contradictions.push(resource.read()?);
            }
            "Provenance" if !is_from_member(&resource) => {}
            kind => {
                let id = resource.id().with_context(|| format!("a {kind} has no id"))?.to_owned();
                let reference = GatewayRef { resource_type: kind.to_owned(), id };
                self.resources.insert(reference, resource);
            }
        }
        Ok(())
    }

    fn take_patient(&mut self, resource: &Resource) -> Result<()> {
        let patient: Value = resource.read()?;
        if let Some((member, id)) = resource.id().and_then(|id| id.split_once('.')) {
            // A member's own Patient: shown, so found.
            let (member, id) = (member.to_owned(), id.to_owned());
            self.located.insert(SourceRecord::Id { member, id });
        } else {
            self.located.extend(source_records(&patient));
            self.person = Some(patient);
        }
        Ok(())
    }

    /// Every original in the answer: singles, representatives, and all that stand behind them.
    pub(super) fn originals(&self) -> BTreeSet<&GatewayRef> {
        self.resources.keys().chain(self.groups.iter().flat_map(|group| &group.originals)).collect()
    }

    /// Originals that stand behind another, and can be read under their own ids.
    pub(super) fn alternates(&self) -> impl Iterator<Item = &GatewayRef> {
        self.groups.iter().flat_map(|group| {
            group.originals.iter().filter(|original| **original != group.representative)
        })
    }

    /// What the answer says is missing, in words.
    pub(super) fn gaps(&self) -> impl Iterator<Item = String> {
        self.issues.iter().filter(|issue| issue.is_gap()).map(Issue::in_words)
    }
}

/// What takes part in a contradiction.
pub(super) fn implicated(issue: &Value) -> Vec<GatewayRef> {
    let references = issue["implicated"].as_array().into_iter().flatten();
    references.filter_map(|told| GatewayRef::parse(told["reference"].as_str()?)).collect()
}

fn is_from_member(resource: &Resource) -> bool {
    resource.id().is_some_and(|id| id.contains('.'))
}

/// The source records a person's `link` names.
pub(super) fn source_records(patient: &Value) -> Vec<SourceRecord> {
    let links = patient["link"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut records = Vec::new();
    for link in links {
        let other = &link["other"];
        let by_id = other["reference"].as_str().and_then(GatewayRef::parse).and_then(|reference| {
            let (member, id) = reference.at_member()?;
            Some(SourceRecord::Id { member: member.to_owned(), id: id.to_owned() })
        });
        let by_identifier = || {
            Some(SourceRecord::Identifier {
                system: other["identifier"]["system"].as_str()?.to_owned(),
                value: other["identifier"]["value"].as_str()?.to_owned(),
            })
        };
        records.extend(by_identifier().or(by_id));
    }
    records
}

#[derive(Deserialize)]
struct Linkage {
    #[serde(default)]
    item: Vec<LinkageItem>,
}

#[derive(Deserialize)]
struct LinkageItem {
    #[serde(rename = "type")]
    kind: String,
    resource: LinkedResource,
}

#[derive(Deserialize)]
struct LinkedResource {
    reference: Option<String>,
}

impl Linkage {
    fn group(self) -> Option<Group> {
        let mut originals = BTreeSet::new();
        let mut representative = None;
        for item in self.item {
            let Some(reference) = item.resource.reference.as_deref().and_then(GatewayRef::parse)
            else {
                continue;
            };
            if item.kind == "source" {
                representative = Some(reference.clone());
            }
            originals.insert(reference);
        }
        let representative = representative.or_else(|| originals.first().cloned())?;
        Some(Group { representative, originals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let json = br#"{"resourceType":"Bundle","type":"searchset","entry":[
            {"resource":{"resourceType":"Patient","id":"11111111-1111-1111-1111-111111111111","link":[
                {"other":{"reference":"Patient/mercy.7"},"type":"seealso"},
                {"other":{"identifier":{"system":"https://lakeside.example/mrn","value":"9"}},"type":"seealso"}]}},
            {"resource":{"resourceType":"Condition","id":"mercy.c1"}},
            {"resource":{"resourceType":"Observation","id":"lakeside.o.1"}},
            {"resource":{"resourceType":"Linkage","item":[
                {"type":"source","resource":{"reference":"https://gw.example/fhir/Condition/mercy.c1"}},
                {"type":"alternate","resource":{"reference":"Condition/lakeside.c1"}}]},"search":{"mode":"include"}},
            {"resource":{"resourceType":"Provenance","target":[{"reference":"Condition/mercy.c1"}]}},
            {"resource":{"resourceType":"DetectedIssue","id":"d1","status":"final"}},
            {"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"timeout"}]},"search":{"mode":"outcome"}}]}"#;
        let answer = Answer::parse(json).expect("readable");
        assert_eq!(answer.located.len(), 2);
        assert_eq!(
            (answer.groups.len(), answer.contradictions.len(), answer.issues.len()),
            (1, 1, 1)
        );
        let originals: Vec<_> = answer.originals().iter().map(|one| one.in_truth()).collect();
        let expected = ["lakeside/Condition/c1", "mercy/Condition/c1", "lakeside/Observation/o.1"];
        assert_eq!(originals, expected.map(|one| Some(one.to_owned())));
        assert_eq!(answer.alternates().count(), 1);
    }

    #[test]
    fn a_cut_answer_is_no_answer() {
        assert!(
            Answer::parse(
                br#"{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"x":1}}]}"#
            )
            .is_err()
        );
        assert!(Answer::parse(br#"{"resourceType":"OperationOutcome","issue":[]}"#).is_err());
    }
}
