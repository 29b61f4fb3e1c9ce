use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    domain::{LocalId, MemberCode},
    fhir::{Reference, Resource, subject::subject_references},
};

/// What a folder of members holds, as far as feeding and checking need it.
#[derive(Default)]
pub(super) struct Holdings {
    /// The members, by their code.
    pub(super) members: Vec<MemberFolder>,
    /// By `<member>/<Type>/<id>`.
    owners: HashMap<String, Owner>,
    /// `<member>/<patient id or record number>` to `<member>/<patient id>`.
    patients: HashMap<String, String>,
}

/// Whose a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// About this patient: `<member>/<patient id>`.
    Patient(String),
    /// About nobody, such as an Organization or a Medication.
    Nobody,
}

/// One member's sub-folder.
pub(super) struct MemberFolder {
    /// The folder's name.
    pub(super) code: MemberCode,
    /// The namespaces of its record numbers.
    pub(super) identifier_systems: Vec<String>,
    /// Its patients.
    pub(super) patients: Vec<SourcePatient>,
}

/// One patient as a member holds them.
pub(super) struct SourcePatient {
    /// `Patient.id` at the member.
    pub(super) id: String,
    /// The record number.
    pub(super) local_id: LocalId,
    /// The whole Patient.
    pub(super) resource: Resource,
}

impl Holdings {
    /// Reads `<dir>/<member>/<ResourceType>.ndjson` of every member.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let mut holdings = Self::default();
        let entries =
            fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
        let mut folders: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        for folder in folders {
            holdings.read_member(&folder)?;
        }
        if holdings.members.iter().all(|member| member.patients.is_empty()) {
            bail!("{} has no member folder with a Patient.ndjson", dir.display());
        }
        Ok(holdings)
    }

    fn read_member(&mut self, dir: &Path) -> Result<()> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let code = MemberCode::parse(&name)
            .with_context(|| format!("the folder name {name} is no member code"))?;
        let mut member =
            MemberFolder { code, identifier_systems: Vec::new(), patients: Vec::new() };
        let mut files: Vec<PathBuf> = fs::read_dir(dir)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
            .collect();
        files.sort();
        for file in files {
            each_resource(&file, |resource| self.take(&name, &mut member, resource))?;
        }
        self.members.push(member);
        Ok(())
    }

    fn take(&mut self, name: &str, member: &mut MemberFolder, resource: Resource) -> Result<()> {
        let kind = resource.resource_type().to_owned();
        let id = resource.id().context("a resource has no id")?.to_owned();
        if kind == "Patient" {
            let local_id = record_number(&resource)?;
            if !member.identifier_systems.iter().any(|system| system == local_id.system()) {
                member.identifier_systems.push(local_id.system().to_owned());
            }
            let key = format!("{name}/{id}");
            self.patients.insert(format!("{name}/{}", local_id.value()), key.clone());
            self.patients.insert(key.clone(), key);
            member.patients.push(SourcePatient { id, local_id, resource });
            return Ok(());
        }
        let owner =
            subject_references(&resource).iter().find_map(|reference| {
                match Reference::parse(reference) {
                    Reference::Relative { resource_type: "Patient", id } => {
                        Some(format!("{name}/{id}"))
                    }
                    _ => None,
                }
            });
        let owner = owner.map_or(Owner::Nobody, Owner::Patient);
        self.owners.insert(format!("{name}/{kind}/{id}"), owner);
        Ok(())
    }

    /// The source record behind a member's local patient id or record number.
    pub(super) fn patient(&self, member: &str, local: &str) -> Option<&str> {
        self.patients.get(&format!("{member}/{local}")).map(String::as_str)
    }

    /// Whose a resource `<member>/<Type>/<id>` is; `None` where no member holds it.
    pub(super) fn owner(&self, resource: &str) -> Option<&Owner> {
        self.owners.get(resource)
    }

    /// The source patients of a truth's patient, in the order of the members' codes.
    pub(super) fn source_patients<'a>(
        &'a self,
        local_ids: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = (&'a MemberFolder, &'a SourcePatient)> {
        self.members.iter().filter_map(move |member| {
            let local = local_ids.get(member.code.as_str())?;
            let told = |patient: &&SourcePatient| {
                patient.id == *local || patient.local_id.value() == local
            };
            member.patients.iter().find(told).map(|patient| (member, patient))
        })
    }

    /// The number of source patients at all members.
    pub(super) fn patient_count(&self) -> usize {
        self.members.iter().map(|member| member.patients.len()).sum()
    }
}

fn each_resource(file: &Path, mut take: impl FnMut(Resource) -> Result<()>) -> Result<()> {
    let reader = BufReader::new(
        fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?,
    );
    for (index, line) in reader.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        Resource::parse(line.as_bytes())
            .map_err(anyhow::Error::from)
            .and_then(&mut take)
            .with_context(|| format!("{}, line {}", file.display(), index + 1))?;
    }
    Ok(())
}

/// The first identifier of type MR with a system and a value.
fn record_number(patient: &Resource) -> Result<LocalId> {
    let told: Identified = patient.read()?;
    told.identifier
        .iter()
        .filter(|identifier| identifier.is_record_number())
        .find_map(|told| LocalId::parse(told.system.as_deref()?, told.value.as_deref()?).ok())
        .context("a Patient has no identifier of type MR with a system and a value")
}

#[derive(Deserialize)]
struct Identified {
    #[serde(default)]
    identifier: Vec<ToldIdentifier>,
}

#[derive(Deserialize)]
struct ToldIdentifier {
    #[serde(rename = "type")]
    kind: Option<Concept>,
    system: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Concept {
    #[serde(default)]
    coding: Vec<Coding>,
}

#[derive(Deserialize)]
struct Coding {
    code: Option<String>,
}

impl ToldIdentifier {
    fn is_record_number(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| {
            kind.coding.iter().any(|coding| coding.code.as_deref() == Some("MR"))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder of members out of lines, for the tests of this room.
    pub(in crate::cli::demo) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("it has a parent")).expect("created");
            fs::write(path, text).expect("written");
        }
        dir
    }

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"1"},
        {"type":{"coding":[{"code":"MR"}]},"system":"https://mercy.example/mrn","value":"M-7"}]}"#;

    #[test]
    fn a_member_folder_says_its_namespace_its_patients_and_whose_each_resource_is() {
        let patient = PATIENT.replace('\n', " ");
        let dir = folder(&[
            ("mercy/Patient.ndjson", &patient),
            (
                "mercy/Condition.ndjson",
                r#"{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"}}"#,
            ),
            ("mercy/Organization.ndjson", r#"{"resourceType":"Organization","id":"o1"}"#),
            ("truth.json", "{}"),
        ]);
        let holdings = Holdings::read(dir.path()).expect("readable");
        assert_eq!(holdings.members[0].identifier_systems, ["https://mercy.example/mrn"]);
        assert_eq!(holdings.patient("mercy", "M-7"), Some("mercy/p1"));
        assert_eq!(holdings.patient("mercy", "p1"), Some("mercy/p1"));
        assert_eq!(
            holdings.owner("mercy/Condition/c1"),
            Some(&Owner::Patient("mercy/p1".to_owned()))
        );
        assert_eq!(holdings.owner("mercy/Organization/o1"), Some(&Owner::Nobody));
        assert_eq!(holdings.owner("mercy/Condition/c2"), None);
    }

    #[test]
    fn a_patient_without_a_record_number_is_named_by_file_and_line() {
        let dir = folder(&[("mercy/Patient.ndjson", r#"{"resourceType":"Patient","id":"p1"}"#)]);
        let Err(error) = Holdings::read(dir.path()) else { panic!("it must be refused") };
        assert!(format!("{error:#}").contains("Patient.ndjson, line 1"), "{error:#}");
    }
}
