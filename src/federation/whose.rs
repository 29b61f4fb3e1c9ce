//! Whose a resource is: the patient's that was asked for, or not. Nothing else is released.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::outcome::DropReason;
use crate::{
    domain::LocalId,
    fhir::{
        Bundle, Reference, Resource,
        patient::read_patient,
        subject::{is_patient_data, subject_references},
    },
};

/// The patient asked for, as one member names them.
#[derive(Clone, Debug)]
pub(super) struct Whose<'a> {
    /// The member's base.
    pub(super) base: &'a str,
    /// `Patient.id` there.
    pub(super) patient_id: &'a str,
    /// The identifiers asked for.
    pub(super) local_ids: &'a [LocalId],
    /// `urn:` full URLs under which the answer holds this Patient.
    pub(super) full_urls: BTreeSet<String>,
}

/// Whose a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The Patient itself.
    ThePatient,
    /// About the patient.
    Ours,
    /// About nobody: part of the record only where something of the patient's refers to it.
    Nobodys,
    /// Not to be released.
    Drop(DropReason),
}

impl Whose<'_> {
    pub(super) fn verdict(&self, resource: &Resource) -> Verdict {
        match resource.resource_type() {
            "Patient" if resource.id() == Some(self.patient_id) => Verdict::ThePatient,
            "Patient" => Verdict::Drop(DropReason::OtherPatient),
            "Bundle" => self.of_bundle(resource),
            kind if is_patient_data(kind) => self.of_patient_data(resource),
            _ => self.of_other(resource),
        }
    }

    /// Types that must say whose they are.
    fn of_patient_data(&self, resource: &Resource) -> Verdict {
        let subjects = subject_references(resource);
        let Some(contained) = Contained::of(resource, self) else {
            return Verdict::Drop(DropReason::Malformed);
        };
        if subjects.is_empty() && !self.is_named_by_identifier(resource) {
            return Verdict::Drop(DropReason::NoSubject);
        }
        let ours = |subject: &str| self.is_subject(subject, &contained);
        if subjects.iter().all(|subject| ours(subject))
            && contained.subjects.iter().all(|subject| ours(subject))
        {
            Verdict::Ours
        } else {
            Verdict::Drop(DropReason::ForeignSubject)
        }
    }

    /// All other types: whichever Patient they refer to must be ours.
    fn of_other(&self, resource: &Resource) -> Verdict {
        let mut patients = Vec::new();
        for link in resource.links() {
            let Some(told) = link.text() else { return Verdict::Drop(DropReason::Malformed) };
            patients.extend(self.is_our_patient(&told));
        }
        match patients.as_slice() {
            [] => Verdict::Nobodys,
            all if all.iter().all(|ours| *ours) => Verdict::Ours,
            _ => Verdict::Drop(DropReason::ForeignSubject),
        }
    }

    /// A Bundle within the answer, such as a document: all in it must be ours.
    fn of_bundle(&self, resource: &Resource) -> Verdict {
        let Ok(bundle) = Bundle::parse(resource.json().as_bytes()) else {
            return Verdict::Drop(DropReason::Malformed);
        };
        let mut within = self.clone();
        for entry in
            bundle.entries.iter().filter(|entry| entry.resource.resource_type() == "Patient")
        {
            let same_id = entry.resource.id() == Some(self.patient_id);
            let ours = self.names_ours(&entry.resource).unwrap_or(same_id);
            if !ours {
                return Verdict::Drop(DropReason::ForeignSubject);
            }
            within.full_urls.extend(entry.full_url.clone());
        }
        let mut verdict = Verdict::Nobodys;
        for entry in &bundle.entries {
            match within.verdict(&entry.resource) {
                // Checked above, by id or by identifier.
                _ if entry.resource.resource_type() == "Patient" => verdict = Verdict::Ours,
                Verdict::ThePatient | Verdict::Ours => verdict = Verdict::Ours,
                Verdict::Nobodys => {}
                Verdict::Drop(reason) => return Verdict::Drop(reason),
            }
        }
        verdict
    }

    fn is_subject(&self, reference: &str, contained: &Contained) -> bool {
        match Reference::parse(reference) {
            Reference::Contained(id) => contained.our_patients.contains(id),
            _ => self.is_our_patient(reference) == Some(true),
        }
    }

    /// Whether a reference leads to our Patient; `None` where it leads to no Patient.
    fn is_our_patient(&self, reference: &str) -> Option<bool> {
        if self.full_urls.contains(reference) {
            return Some(true);
        }
        let parsed = Reference::parse(reference);
        match parsed {
            Reference::Relative { resource_type: "Patient", .. }
            | Reference::Absolute { resource_type: "Patient", .. } => {
                Some(parsed.on_server(self.base) == Some(("Patient", self.patient_id)))
            }
            _ => None,
        }
    }

    /// A logical reference: no `reference`, but the identifier asked for.
    fn is_named_by_identifier(&self, resource: &Resource) -> bool {
        let Ok(logical) = resource.read::<Logical>() else { return false };
        [logical.subject, logical.patient, logical.beneficiary]
            .into_iter()
            .flatten()
            .filter_map(|subject| subject.identifier)
            .any(|told| {
                self.local_ids
                    .iter()
                    .any(|id| told.system == id.system() && told.value == id.value())
            })
    }

    fn carries_our_id(&self, patient: &Resource) -> bool {
        self.names_ours(patient) == Some(true)
    }

    /// Whether a Patient carries an identifier that was asked for; `None` where it carries none of
    /// those namespaces. Ids within a document are its author's, so that an equal one proves little.
    fn names_ours(&self, patient: &Resource) -> Option<bool> {
        let told = read_patient(patient).ok()?.local_ids;
        let systems =
            |id: &&LocalId| self.local_ids.iter().any(|ours| ours.system() == id.system());
        let mut known = told.iter().filter(systems).peekable();
        known.peek()?;
        Some(known.any(|id| self.local_ids.contains(id)))
    }
}

/// What a resource contains, as far as it tells whose the resource is.
#[derive(Debug, Default)]
struct Contained {
    /// Ids of contained Patients that carry the identifier asked for.
    our_patients: HashSet<String>,
    /// Subjects of contained patient data.
    subjects: Vec<String>,
}

impl Contained {
    /// `None` where it cannot be read.
    fn of(resource: &Resource, whose: &Whose<'_>) -> Option<Self> {
        let mut told = Self::default();
        if resource.head().field("contained").is_none() {
            return Some(told);
        }
        let containing: Containing<'_> = resource.read().ok()?;
        for raw in containing.contained {
            let inner = Resource::from_raw(raw.to_owned()).ok()?;
            if inner.resource_type() == "Patient" {
                if whose.carries_our_id(&inner) {
                    told.our_patients.extend(inner.id().map(str::to_owned));
                }
            } else if is_patient_data(inner.resource_type()) {
                told.subjects.extend(subject_references(&inner).into_iter().map(Cow::into_owned));
            }
        }
        Some(told)
    }
}

#[derive(Deserialize)]
struct Containing<'a> {
    #[serde(borrow, default)]
    contained: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Logical {
    subject: Option<LogicalSubject>,
    patient: Option<LogicalSubject>,
    beneficiary: Option<LogicalSubject>,
}

#[derive(Deserialize)]
struct LogicalSubject {
    identifier: Option<LogicalId>,
}

#[derive(Deserialize)]
struct LogicalId {
    #[serde(default)]
    system: String,
    #[serde(default)]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Verdict) {
        let local_ids = [LocalId::parse("urn:mrn", "A1").expect("whole")];
        let whose = Whose {
            base: "https://a.example/fhir",
            patient_id: "7",
            local_ids: &local_ids,
            full_urls: BTreeSet::from(["urn:uuid:0-7".to_owned()]),
        };
        let resource = Resource::parse(json.as_bytes()).expect("a resource");
        assert_eq!(whose.verdict(&resource), expected, "{json}");
    }

    const FOREIGN: Verdict = Verdict::Drop(DropReason::ForeignSubject);

    fn observation(subject: &str) -> String {
        format!(
            r#"{{"resourceType":"Observation","id":"o","subject":{{"reference":"{subject}"}}}}"#
        )
    }

    #[test]
    fn subjects_are_told_apart_however_they_are_written() {
        check(&observation("Patient/7"), Verdict::Ours);
        check(&observation("Patient/7/_history/2"), Verdict::Ours);
        check(&observation("https://a.example/fhir/Patient/7"), Verdict::Ours);
        check(&observation("urn:uuid:0-7"), Verdict::Ours);
        check(&observation("Patient/70"), FOREIGN);
        check(&observation("https://b.example/fhir/Patient/7"), FOREIGN);
        check(&observation("https://a.example/other/Patient/7"), FOREIGN);
        check(&observation("urn:uuid:0-8"), FOREIGN);
        check(&observation("Group/7"), FOREIGN);
        check(&observation("#p"), FOREIGN);
        check(r#"{"resourceType":"Observation","id":"o"}"#, Verdict::Drop(DropReason::NoSubject));
        let coverage = r#"{"resourceType":"Coverage","beneficiary":{"reference":"Patient/8"},
            "subscriber":{"reference":"Patient/7"}}"#;
        check(coverage, FOREIGN);
        let account = r#"{"resourceType":"Account","subject":[{"reference":"Patient/7"},
            {"reference":"Patient/8"}]}"#;
        check(account, FOREIGN);
    }

    #[test]
    fn a_subject_named_by_identifier_alone_must_be_the_one_asked_for() {
        let by = |value: &str| {
            format!(
                r#"{{"resourceType":"Flag","subject":{{"identifier":{{"system":"urn:mrn","value":"{value}"}}}}}}"#
            )
        };
        check(&by("A1"), Verdict::Ours);
        check(&by("A2"), Verdict::Drop(DropReason::NoSubject));
    }

    #[test]
    fn contained_subjects_are_resolved_inside_the_resource() {
        let with = |value: &str, inner: &str| {
            format!(
                r##"{{"resourceType":"ServiceRequest","id":"s","subject":{{"reference":"#p"}},"contained":[
                {{"resourceType":"Patient","id":"p","identifier":[{{"system":"urn:mrn","value":"{value}"}}]}}
                {inner}]}}"##
            )
        };
        check(&with("A1", ""), Verdict::Ours);
        check(&with("A2", ""), FOREIGN);
        let foreign_inside =
            r#",{"resourceType":"Specimen","id":"x","subject":{"reference":"Patient/8"}}"#;
        check(&with("A1", foreign_inside), FOREIGN);
    }

    #[test]
    fn another_patient_is_dropped_and_so_is_what_points_at_one() {
        check(r#"{"resourceType":"Patient","id":"7"}"#, Verdict::ThePatient);
        let other = Verdict::Drop(DropReason::OtherPatient);
        check(r#"{"resourceType":"Patient","id":"8"}"#, other);
        check(r#"{"resourceType":"Practitioner","id":"1"}"#, Verdict::Nobodys);
        let device = |id: &str| {
            format!(r#"{{"resourceType":"Device","patient":{{"reference":"Patient/{id}"}}}}"#)
        };
        check(&device("7"), Verdict::Ours);
        check(&device("8"), FOREIGN);
        let group = r#"{"resourceType":"Group","member":[{"entity":{"reference":"Patient/7"}},
            {"entity":{"reference":"Patient/8"}}]}"#;
        check(group, FOREIGN);
    }

    #[test]
    fn a_document_is_ours_only_where_all_in_it_is() {
        let document = |patient: &str, subject: &str| {
            format!(
                r#"{{"resourceType":"Bundle","type":"document","entry":[
                {{"fullUrl":"urn:uuid:c","resource":{{"resourceType":"Composition","subject":{{"reference":"urn:uuid:p"}}}}}},
                {{"fullUrl":"urn:uuid:p","resource":{{"resourceType":"Patient","id":"x",
                  "identifier":[{{"system":"urn:mrn","value":"{patient}"}}]}}}},
                {{"fullUrl":"urn:uuid:o","resource":{{"resourceType":"Observation","subject":{{"reference":"{subject}"}}}}}}]}}"#
            )
        };
        check(&document("A1", "urn:uuid:p"), Verdict::Ours);
        check(&document("A1", "Patient/8"), FOREIGN);
        check(&document("A2", "urn:uuid:p"), FOREIGN);
        let under_our_id = |more: &str| {
            format!(
                r#"{{"resourceType":"Bundle","type":"document","entry":[
                {{"resource":{{"resourceType":"Patient","id":"7"{more}}}}}]}}"#
            )
        };
        check(&under_our_id(""), Verdict::Ours);
        check(
            &under_our_id(r#","identifier":[{"system":"urn:other","value":"9"}]"#),
            Verdict::Ours,
        );
        check(&under_our_id(r#","identifier":[{"system":"urn:mrn","value":"A2"}]"#), FOREIGN);
        check(r#"{"resourceType":"Bundle","type":"collection"}"#, Verdict::Nobodys);
    }
}
