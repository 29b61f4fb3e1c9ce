//! Gathers one patient's resources from a member's pages, and lets only what was verified through.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{Hash, Hasher},
};

use super::{
    capability::Capabilities,
    outcome::{Cut, DropReason, Dropped},
    query::RecordQuery,
    whose::{Verdict, Whose},
};
use crate::fhir::{
    IssueSeverity, IssueType, OperationOutcome, Reference, Resource, bundle::Entry,
    subject::is_patient_data,
};

/// Type and id at the member.
pub(super) type Key = (String, String);

/// How many different copies of the Patient are kept to be compared; more than two were never met.
const PATIENT_COPIES_MAX: usize = 8;

/// Referenced types that are read one by one where the answer lacks them, those first whose lack
/// hurts most: a prescription is nothing without its medication.
const READ_BY_REFERENCE: [&str; 10] = [
    "Medication",
    "Specimen",
    "Media",
    "Device",
    "RelatedPerson",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "Substance",
];

/// What came through.
#[derive(Debug)]
pub(super) struct Sifted {
    pub(super) resources: Vec<Resource>,
    /// Copies of the Patient that differ from one another.
    pub(super) patient_copies: Vec<Resource>,
    pub(super) dropped: Dropped,
    pub(super) outside_query: usize,
    pub(super) said_incomplete: bool,
}

/// Gathers and verifies.
pub(super) struct Sieve<'a> {
    whose: Whose<'a>,
    query: &'a RecordQuery,
    resources_max: usize,
    /// What came, byte for byte: paging and includes bring much of it again.
    came: HashSet<Came>,
    seen: HashSet<Key>,
    kept: Vec<Resource>,
    kept_keys: HashSet<Key>,
    /// About nobody; kept at the end where something kept refers to it. Several under one id where
    /// the member sent several.
    nobodys: BTreeMap<Key, Vec<Resource>>,
    dropped_keys: HashSet<Key>,
    /// What the kept resources refer to on this member.
    referred: BTreeSet<Key>,
    patient_copies: Vec<Resource>,
    dropped: Dropped,
    outside_query: usize,
    said_incomplete: bool,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(whose: Whose<'a>, query: &'a RecordQuery, resources_max: usize) -> Self {
        Self {
            whose,
            query,
            resources_max,
            came: HashSet::new(),
            seen: HashSet::new(),
            kept: Vec::new(),
            kept_keys: HashSet::new(),
            nobodys: BTreeMap::new(),
            dropped_keys: HashSet::new(),
            referred: BTreeSet::new(),
            patient_copies: Vec::new(),
            dropped: Dropped::default(),
            outside_query: 0,
            said_incomplete: false,
        }
    }

    /// Takes the entries of one page; fails once more resources came than are taken.
    pub(super) fn add_page(&mut self, entries: Vec<Entry>, malformed: usize) -> Result<(), Cut> {
        self.dropped.count(DropReason::Malformed, malformed);
        for entry in &entries {
            let url = entry.full_url.as_deref().filter(|url| url.starts_with("urn:"));
            if let Some(url) = url
                && self.whose.verdict(&entry.resource) == Verdict::ThePatient
            {
                self.whose.full_urls.insert(url.to_owned());
            }
        }
        entries.into_iter().try_for_each(|entry| self.add(entry.resource))
    }

    /// Takes one resource.
    pub(super) fn add(&mut self, resource: Resource) -> Result<(), Cut> {
        if resource.resource_type() == "OperationOutcome" {
            self.said_incomplete |= says_incomplete(&resource);
            return Ok(());
        }
        let verdict = self.whose.verdict(&resource);
        if verdict == Verdict::ThePatient {
            self.keep_copy(&resource);
        }
        if !self.came.insert(Came(resource.clone())) {
            return Ok(());
        }
        if self.came.len() > self.resources_max {
            return Err(Cut::Resources);
        }
        let key = key_of(&resource);
        let is_second = key.as_ref().is_some_and(|key| !self.seen.insert(key.clone()));
        match (verdict, key) {
            // Its copies were compared; one of them is shown.
            (Verdict::ThePatient, _) if is_second || !self.query.wants_type("Patient") => {}
            (Verdict::ThePatient, key) => self.keep(key, resource),
            // Without an id, or under one that was used before: the record says so of it.
            (Verdict::Ours, key) if self.query.admits(&resource) => self.keep(key, resource),
            (Verdict::Ours, _) => self.outside_query += 1,
            (Verdict::Nobodys, Some(key)) => self.nobodys.entry(key).or_default().push(resource),
            // Nothing can refer to it.
            (Verdict::Nobodys, None) => self.dropped.count(DropReason::NoId, 1),
            (Verdict::Drop(reason), key) => {
                self.dropped.count(reason, 1);
                self.dropped_keys.extend(key);
            }
        }
        Ok(())
    }

    /// What is referred to and did not come, the most important first.
    pub(super) fn missing(&mut self, capabilities: &Capabilities) -> Vec<Key> {
        self.take_in_referred();
        let mut missing: Vec<(usize, Key)> = self
            .referred
            .iter()
            .filter(|key| !self.seen.contains(*key))
            .filter(|(kind, _)| !is_patient_data(kind) || self.query.wants_type(kind))
            .filter(|(kind, _)| capabilities.reads(kind))
            .filter_map(|key| {
                let rank = READ_BY_REFERENCE.iter().position(|kind| *kind == key.0)?;
                Some((rank, key.clone()))
            })
            .collect();
        missing.sort_unstable();
        missing.into_iter().map(|(_, key)| key).collect()
    }

    /// Ends the gathering.
    pub(super) fn finish(mut self) -> Sifted {
        self.take_in_referred();
        self.take_in_provenance();
        self.dropped.count(DropReason::Unreferenced, self.nobodys.values().map(Vec::len).sum());
        Sifted {
            resources: self.kept,
            patient_copies: self.patient_copies,
            dropped: self.dropped,
            outside_query: self.outside_query,
            said_incomplete: self.said_incomplete,
        }
    }

    fn keep(&mut self, key: Option<Key>, resource: Resource) {
        self.referred.extend(self.keys_referred_by(&resource));
        self.kept_keys.extend(key);
        self.kept.push(resource);
    }

    fn keep_copy(&mut self, patient: &Resource) {
        let known = self.patient_copies.iter().any(|copy| copy.json() == patient.json());
        if !known && self.patient_copies.len() < PATIENT_COPIES_MAX {
            self.patient_copies.push(patient.clone());
        }
    }

    /// Keeps what kept resources refer to, and what that refers to, until nothing is left.
    fn take_in_referred(&mut self) {
        loop {
            let found: Vec<Key> =
                self.nobodys.keys().filter(|key| self.referred.contains(*key)).cloned().collect();
            if found.is_empty() {
                return;
            }
            for key in found {
                self.keep_nobodys(&key);
            }
        }
    }

    fn keep_nobodys(&mut self, key: &Key) {
        for resource in self.nobodys.remove(key).unwrap_or_default() {
            self.keep(Some(key.clone()), resource);
        }
    }

    /// A Provenance points at what it is about: kept where that was kept, and none of it dropped.
    fn take_in_provenance(&mut self) {
        let candidates: Vec<Key> =
            self.nobodys.keys().filter(|(kind, _)| kind == "Provenance").cloned().collect();
        for key in candidates {
            let told = self.nobodys.get(&key).into_iter().flatten();
            let pointed: Vec<Key> = told.flat_map(|one| self.keys_referred_by(one)).collect();
            let about_kept = pointed.iter().any(|key| self.kept_keys.contains(key));
            let about_dropped = pointed.iter().any(|key| self.dropped_keys.contains(key));
            if about_kept && !about_dropped {
                self.keep_nobodys(&key);
            }
        }
        self.take_in_referred();
    }

    fn keys_referred_by(&self, resource: &Resource) -> Vec<Key> {
        let lead = |told: &str| {
            let (kind, id) = Reference::parse(told).on_server(self.whose.base)?;
            Some((kind.to_owned(), id.to_owned()))
        };
        resource.links().filter_map(|link| lead(&link.text()?)).collect()
    }
}

/// A resource, compared by its bytes.
struct Came(Resource);

impl PartialEq for Came {
    fn eq(&self, other: &Self) -> bool {
        self.0.json() == other.0.json()
    }
}

impl Eq for Came {}

impl Hash for Came {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.json().hash(state);
    }
}

fn key_of(resource: &Resource) -> Option<Key> {
    Some((resource.resource_type().to_owned(), resource.id()?.to_owned()))
}

/// Whether a member says within its answer that the answer is not whole.
fn says_incomplete(resource: &Resource) -> bool {
    let Ok(outcome) = resource.read::<OperationOutcome>() else { return false };
    outcome.issue.iter().any(|issue| {
        let grave = matches!(issue.severity, IssueSeverity::Fatal | IssueSeverity::Error);
        let gap = matches!(
            issue.code,
            IssueType::Incomplete
                | IssueType::Timeout
                | IssueType::TooCostly
                | IssueType::Throttled
                | IssueType::Transient
                | IssueType::Suppressed
        );
        grave || gap && issue.severity != IssueSeverity::Information
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{domain::LocalId, fhir::Bundle};

    fn sift(query: &RecordQuery, resources: &[&str]) -> Sifted {
        let local_ids = [LocalId::parse("urn:mrn", "A1").expect("whole")];
        let whose = Whose {
            base: "https://a.example/fhir",
            patient_id: "7",
            local_ids: &local_ids,
            full_urls: BTreeSet::new(),
        };
        let mut sieve = Sieve::new(whose, query, 100);
        let entries: Vec<String> =
            resources.iter().map(|json| format!(r#"{{"resource":{json}}}"#)).collect();
        let bundle = format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.join(","));
        let bundle = Bundle::parse(bundle.as_bytes()).expect("a bundle");
        sieve.add_page(bundle.entries, bundle.malformed_entries).expect("few resources");
        sieve.finish()
    }

    fn names(sifted: &Sifted) -> Vec<String> {
        let name =
            |one: &Resource| format!("{}/{}", one.resource_type(), one.id().unwrap_or_default());
        sifted.resources.iter().map(name).collect()
    }

    fn whole() -> RecordQuery {
        RecordQuery::everything(Duration::ZERO)
    }

    const REQUEST: &str = r#"{"resourceType":"MedicationRequest","id":"1","subject":{"reference":"Patient/7"},
        "medicationReference":{"reference":"Medication/m"}}"#;
    const MEDICATION: &str =
        r#"{"resourceType":"Medication","id":"m","manufacturer":{"reference":"Organization/o"}}"#;
    const MAKER: &str = r#"{"resourceType":"Organization","id":"o"}"#;
    const STRANGER: &str =
        r#"{"resourceType":"Condition","id":"s","subject":{"reference":"Patient/8"}}"#;

    #[test]
    fn what_a_kept_resource_refers_to_is_kept_with_it() {
        let unrelated = r#"{"resourceType":"Organization","id":"x"}"#;
        let sifted = sift(&whole(), &[MAKER, unrelated, MEDICATION, REQUEST]);
        assert_eq!(names(&sifted), ["MedicationRequest/1", "Medication/m", "Organization/o"]);
        assert_eq!(sifted.dropped.of(DropReason::Unreferenced), 1);
    }

    #[test]
    fn a_type_filter_never_leaves_a_prescription_without_its_medication() {
        let mut query = whole();
        query.types.insert("MedicationRequest".to_owned());
        let goal = r#"{"resourceType":"Goal","id":"g","subject":{"reference":"Patient/7"}}"#;
        let sifted = sift(&query, &[REQUEST, MEDICATION, goal]);
        assert_eq!(names(&sifted), ["MedicationRequest/1", "Medication/m"]);
        assert_eq!(sifted.outside_query, 1);
    }

    #[test]
    fn foreign_resources_are_dropped_and_counted_once() {
        let sifted = sift(&whole(), &[STRANGER, STRANGER, REQUEST, REQUEST]);
        assert_eq!(names(&sifted), ["MedicationRequest/1"]);
        assert_eq!((sifted.dropped.total(), sifted.dropped.foreign()), (1, 1));
    }

    #[test]
    fn provenance_follows_what_it_is_about() {
        let about = |id: &str, targets: &str| {
            format!(r#"{{"resourceType":"Provenance","id":"{id}","target":[{targets}]}}"#)
        };
        let ours = r#"{"reference":"MedicationRequest/1"}"#;
        let mixed = format!(r#"{ours},{{"reference":"Condition/s"}}"#);
        let (good, bad) = (about("good", ours), about("bad", &mixed));
        let sifted = sift(&whole(), &[&good, &bad, STRANGER, REQUEST]);
        assert_eq!(names(&sifted), ["MedicationRequest/1", "Provenance/good"]);
    }

    #[test]
    fn a_second_differing_copy_of_the_patient_is_noticed() {
        let one = r#"{"resourceType":"Patient","id":"7","gender":"male"}"#;
        let two = r#"{"resourceType":"Patient","id":"7","gender":"female"}"#;
        let sifted = sift(&whole(), &[one, one, two]);
        assert_eq!((sifted.resources.len(), sifted.patient_copies.len()), (1, 2));
    }

    #[test]
    fn a_member_may_say_that_its_answer_is_not_whole() {
        let outcome = |severity: &str, code: &str| {
            format!(
                r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{severity}","code":"{code}"}}]}}"#
            )
        };
        let said = |severity, code| sift(&whole(), &[&outcome(severity, code)]).said_incomplete;
        assert!(said("warning", "incomplete") && said("error", "exception"));
        assert!(!said("information", "informational") && !said("warning", "informational"));
    }

    #[test]
    fn what_has_no_id_or_another_ones_is_the_patients_all_the_same() {
        let without = r#"{"resourceType":"Goal","subject":{"reference":"Patient/7"}}"#;
        let goal = |text: &str| {
            format!(
                r#"{{"resourceType":"Goal","id":"g","subject":{{"reference":"Patient/7"}},"description":{{"text":"{text}"}}}}"#
            )
        };
        let (one, other) = (goal("walk"), goal("run"));
        let nobodys = r#"{"resourceType":"Organization","name":"x"}"#;
        let sifted = sift(&whole(), &[without, without, &one, &other, &one, nobodys]);
        assert_eq!(names(&sifted), ["Goal/", "Goal/g", "Goal/g"]);
        assert_eq!((sifted.dropped.total(), sifted.dropped.of(DropReason::NoId)), (1, 1));
    }

    #[test]
    fn more_resources_than_are_taken_cut_the_answer() {
        let query = whole();
        let whose = Whose {
            base: "https://a.example/fhir",
            patient_id: "7",
            local_ids: &[],
            full_urls: BTreeSet::new(),
        };
        let mut sieve = Sieve::new(whose, &query, 2);
        let mut add = |id: &str| {
            let json = format!(
                r#"{{"resourceType":"Goal","id":"{id}","subject":{{"reference":"Patient/7"}}}}"#
            );
            sieve.add(Resource::parse(json.as_bytes()).expect("a resource"))
        };
        assert_eq!((add("1"), add("2"), add("3")), (Ok(()), Ok(()), Err(Cut::Resources)));
        assert_eq!(sieve.finish().resources.len(), 2);
    }
}
