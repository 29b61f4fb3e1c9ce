//! Invented patients spread over four invented members: what `tessera demo` plays on.
//!
//! Each member has record numbers, resource ids and a way of writing of its own, and the truth
//! about who is who and what is one fact is written down while the folders are made.

mod charts;
mod dialect;
mod facts;
mod generated;
mod person;
mod stories;

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use time::OffsetDateTime;

use self::charts::Charts;
use super::truth::Truth;

pub(super) use self::dialect::Site;
use self::person::Person;

/// Writes `patients` invented patients into `dir` as `<member>/<ResourceType>.ndjson`, with the
/// truth beside: the written stories, and generated patients to make up the number. The same
/// `seed` and day give the same folders.
pub(super) fn write(dir: &Path, patients: usize, seed: u64, now: OffsetDateTime) -> Result<Truth> {
    let mut charts = Charts::new(seed, now);
    stories::tell(&mut charts);
    let told = charts.patient_count();
    generated::tell(&mut charts, patients.saturating_sub(told), seed);
    charts.write(dir)
}

/// The patient of the played emergency as a FHIR Patient without any identifier: what is known of
/// her in the ambulance.
pub(super) fn emergency_patient() -> Value {
    let patient = stories::as_the_ambulance_knows_her().to_patient(Site::Mercy, "", "");
    super::asking::as_known_outside(&patient)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, HashSet},
        fs,
    };

    use tempfile::TempDir;
    use time::macros::datetime;

    use super::*;
    use crate::{
        cli::demo::holdings::{Holdings, Owner},
        fhir::Resource,
    };

    fn town(patients: usize, seed: u64) -> (TempDir, Truth, Holdings) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let now = datetime!(2026-11-23 12:00 UTC);
        let truth = write(dir.path(), patients, seed, now).expect("written");
        let holdings = Holdings::read(dir.path()).expect("readable");
        (dir, truth, holdings)
    }

    fn every_line(dir: &Path) -> Vec<(String, Value)> {
        let mut lines = Vec::new();
        for site in Site::ALL {
            let files = fs::read_dir(dir.join(site.code())).expect("a folder");
            for file in files {
                let text = fs::read_to_string(file.expect("a file").path()).expect("text");
                for line in text.lines() {
                    Resource::parse(line.as_bytes()).expect("a resource");
                    let value = serde_json::from_str(line).expect("JSON");
                    lines.push((site.code().to_owned(), value));
                }
            }
        }
        lines
    }

    #[test]
    fn the_truth_is_true_of_the_folders() {
        let (_dir, truth, holdings) = town(60, 7);
        assert_eq!(truth.patients.len(), 60);
        for local_ids in truth.patients.values() {
            assert_eq!(holdings.source_patients(local_ids).count(), local_ids.len());
        }
        let key_of = |name: &str| {
            let Some(Owner::Patient(owner)) = holdings.owner(name) else { panic!("{name}") };
            let (member, id) = owner.split_once('/').expect("a member and an id");
            let is_it =
                |ids: &BTreeMap<String, String>| ids.get(member).is_some_and(|local| local == id);
            truth.patients.iter().find(|(_, ids)| is_it(ids)).expect("a patient").0.as_str()
        };
        let pairs = truth.same_fact.iter().map(|[a, b]| (a, b));
        for (a, b) in pairs.chain(truth.conflicts.iter().map(|(a, b, _)| (a, b))) {
            assert_eq!(key_of(a), key_of(b), "a fact told twice is about one patient");
            assert_ne!(a.split('/').next(), b.split('/').next(), "and by two members");
        }
        for patient in truth.patients.keys() {
            assert!(truth.expected[patient] > 0, "{patient} has nothing to find");
        }
    }

    #[test]
    fn expected_counts_every_resource_about_a_patient() {
        let (dir, truth, _) = town(60, 7);
        let about = every_line(dir.path())
            .iter()
            .filter(|(_, one)| {
                ["subject", "patient", "beneficiary"].iter().any(|e| !one[*e].is_null())
            })
            .count();
        assert_eq!(truth.expected.values().sum::<usize>(), about);
    }

    #[test]
    fn every_reference_leads_to_something_the_member_holds() {
        let (dir, _, _) = town(40, 3);
        let lines = every_line(dir.path());
        let name = |site: &str, one: &Value| {
            format!(
                "{site} {}/{}",
                one["resourceType"].as_str().expect("a type"),
                one["id"].as_str().expect("an id")
            )
        };
        let held: HashSet<String> = lines.iter().map(|(site, one)| name(site, one)).collect();
        assert_eq!(held.len(), lines.len(), "no member uses an id twice");
        for (site, one) in &lines {
            let text = one.to_string();
            for reference in text.split("\"reference\":\"").skip(1) {
                let reference = reference.split('"').next().unwrap_or_default();
                assert!(held.contains(&format!("{site} {reference}")), "{site} {reference}");
            }
        }
    }

    #[test]
    fn one_seed_tells_one_town() {
        let text = |seed| {
            let (dir, _, _) = town(30, seed);
            fs::read_to_string(dir.path().join("mercy/Patient.ndjson")).expect("text")
        };
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }

    #[test]
    fn nobody_is_born_or_treated_in_the_future() {
        let (dir, _, _) = town(40, 3);
        for (_, one) in every_line(dir.path()) {
            for element in ["effectiveDateTime", "authoredOn", "recordedDate", "birthDate"] {
                let day = one[element].as_str().and_then(|text| text.get(..10)).unwrap_or_default();
                assert!(day <= "2026-11-23", "{element} {day}");
            }
        }
    }
}
