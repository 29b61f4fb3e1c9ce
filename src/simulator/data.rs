//! What a member holds: its resources as they came, and an index over them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::search::served_parameters;
use crate::{
    domain::MemberCode,
    fhir::{
        Head, InvalidResource, Reference, Resource,
        dates::TimeRange,
        search_parameters::{ReadValue, described_types, fold},
        subject::subject_references,
    },
};

/// All resources of one member, indexed. Nothing changes after it is made.
pub struct MemberData {
    code: MemberCode,
    loaded_at: OffsetDateTime,
    records: Vec<Record>,
    by_id: HashMap<Arc<str>, HashMap<Arc<str>, RecordNo>>,
    by_type: BTreeMap<Arc<str>, Vec<RecordNo>>,
    by_patient: HashMap<RecordNo, Vec<RecordNo>>,
    patients_by_identifier: HashMap<Arc<str>, Vec<RecordNo>>,
    provenances_of: HashMap<RecordNo, Vec<RecordNo>>,
}

/// A resource's place in the order of loading.
pub(super) type RecordNo = u32;

/// A resource and what searches read of it.
pub(super) struct Record {
    pub(super) resource: Resource,
    /// The logical id; a server has no resource without.
    pub(super) id: Arc<str>,
    /// `meta.versionId`, or 1 where the source told none.
    pub(super) version: String,
    /// `meta.lastUpdated`, or when it was loaded where the source told none.
    pub(super) last_updated: OffsetDateTime,
    /// The patients that it is about; a Patient is about itself.
    pub(super) patients: Vec<RecordNo>,
    /// All resources here that it refers to.
    pub(super) refers_to: Vec<RecordNo>,
    values: Vec<(&'static str, IndexedValue)>,
}

#[derive(Clone)]
pub(super) enum IndexedValue {
    Token {
        system: Option<Arc<str>>,
        code: Arc<str>,
    },
    Date(TimeRange),
    /// Folded by [`fold`].
    Text {
        folded: Arc<str>,
        exact: Arc<str>,
    },
}

impl Record {
    /// What a parameter finds in this resource.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a IndexedValue> {
        self.values.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Every clinical date of this resource.
    pub(super) fn dates(&self) -> impl Iterator<Item = TimeRange> {
        self.values.iter().filter_map(|(name, value)| match value {
            IndexedValue::Date(date) if *name != "birthdate" => Some(*date),
            _ => None,
        })
    }
}

impl MemberData {
    /// Indexes resources; `loaded_at` stands for the last change of those that tell none.
    pub fn new(
        code: MemberCode,
        resources: Vec<Resource>,
        loaded_at: OffsetDateTime,
    ) -> Result<Self, InvalidData> {
        let mut data = Self::empty(code, loaded_at);
        let mut loading = Loading::default();
        for resource in resources {
            data.add(resource, &mut loading).map_err(InvalidData::Resource)?;
        }
        data.link(&loading);
        Ok(data)
    }

    /// Reads a member's folder: each `*.ndjson` in it, one resource a line.
    pub fn read(
        code: MemberCode,
        dir: &Path,
        loaded_at: OffsetDateTime,
    ) -> Result<Self, InvalidData> {
        let mut data = Self::empty(code, loaded_at);
        let mut loading = Loading::default();
        for path in sorted_entries(dir)? {
            if path.extension().is_some_and(|extension| extension == "ndjson") {
                data.read_file(&path, &mut loading)?;
            }
        }
        data.link(&loading);
        Ok(data)
    }

    /// Reads every sub-folder of `dir` as a member whose code is the folder's name.
    pub fn read_all(dir: &Path, loaded_at: OffsetDateTime) -> Result<Vec<Self>, InvalidData> {
        let mut members = Vec::new();
        for path in sorted_entries(dir)?.into_iter().filter(|path| path.is_dir()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let code = MemberCode::parse(name).map_err(|_| InvalidData::Code(path.clone()))?;
            members.push(Self::read(code, &path, loaded_at)?);
        }
        if members.is_empty() {
            return Err(InvalidData::NoMembers(dir.to_owned()));
        }
        Ok(members)
    }

    /// The member's code.
    pub fn code(&self) -> &MemberCode {
        &self.code
    }

    /// How many resources it holds, Patients among them.
    pub fn resource_count(&self) -> usize {
        self.records.len()
    }

    /// Its resources of one type, in the order of loading.
    pub fn resources(&self, resource_type: &str) -> impl Iterator<Item = &Resource> {
        self.of_type(resource_type).iter().map(|no| &self.record(*no).resource)
    }

    pub(super) fn loaded_at(&self) -> OffsetDateTime {
        self.loaded_at
    }

    pub(super) fn record(&self, no: RecordNo) -> &Record {
        &self.records[no as usize]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = RecordNo> + use<> {
        0..self.records.len() as RecordNo
    }

    pub(super) fn find(&self, resource_type: &str, id: &str) -> Option<RecordNo> {
        self.by_id.get(resource_type)?.get(id).copied()
    }

    pub(super) fn of_type(&self, resource_type: &str) -> &[RecordNo] {
        self.by_type.get(resource_type).map_or(&[], Vec::as_slice)
    }

    /// All that is about a patient, the Patient itself first.
    pub(super) fn of_patient(&self, patient: RecordNo) -> &[RecordNo] {
        self.by_patient.get(&patient).map_or(&[], Vec::as_slice)
    }

    /// Patients with an identifier of this value, in whatever system.
    pub(super) fn patients_identified(&self, value: &str) -> &[RecordNo] {
        self.patients_by_identifier.get(value).map_or(&[], Vec::as_slice)
    }

    /// Each Provenance that refers to this record.
    pub(super) fn provenances_of(&self, no: RecordNo) -> &[RecordNo] {
        self.provenances_of.get(&no).map_or(&[], Vec::as_slice)
    }

    /// The patient who comes after this one, or nobody where there is only one.
    pub(super) fn another_patient(&self, patient: RecordNo) -> Option<RecordNo> {
        let patients = self.of_type("Patient");
        let after = patients.partition_point(|no| *no <= patient);
        let other = patients.get(after).or_else(|| patients.first())?;
        (*other != patient).then_some(*other)
    }

    /// The types that can be read and searched here.
    pub(super) fn served_types(&self) -> BTreeSet<&str> {
        let here = self.by_type.keys().map(AsRef::as_ref);
        described_types().map(|kind| -> &str { kind }).chain(here).collect()
    }

    fn empty(code: MemberCode, loaded_at: OffsetDateTime) -> Self {
        Self {
            code,
            loaded_at,
            records: Vec::new(),
            by_id: HashMap::new(),
            by_type: BTreeMap::new(),
            by_patient: HashMap::new(),
            patients_by_identifier: HashMap::new(),
            provenances_of: HashMap::new(),
        }
    }

    fn read_file(&mut self, path: &Path, loading: &mut Loading) -> Result<(), InvalidData> {
        let text = fs::read(path).map_err(|source| unreadable(path, source))?;
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let added = Resource::parse(line)
                .map_err(ResourceFault::Invalid)
                .and_then(|resource| self.add(resource, loading));
            added.map_err(|fault| InvalidData::Line {
                path: path.to_owned(),
                line: at + 1,
                fault,
            })?;
        }
        Ok(())
    }

    fn add(&mut self, resource: Resource, loading: &mut Loading) -> Result<(), ResourceFault> {
        let id: Arc<str> = Arc::from(resource.id().ok_or(ResourceFault::NoId)?);
        let kind = loading.intern(resource.resource_type());
        let no = RecordNo::try_from(self.records.len()).map_err(|_| ResourceFault::TooMany)?;
        let value: Value = resource.read().map_err(ResourceFault::Invalid)?;
        let of_type = self.by_id.entry(Arc::clone(&kind)).or_default();
        if of_type.insert(Arc::clone(&id), no).is_some() {
            return Err(ResourceFault::TwiceId);
        }
        let mut references = Vec::new();
        collect_references(&value, &mut references);
        loading.references.push(references);
        self.by_type.entry(Arc::clone(&kind)).or_default().push(no);

        let values = index_values(&kind, resource.head(), loading);
        if &*kind == "Patient" {
            for code in values.iter().filter_map(identifier_value) {
                let known = self.patients_by_identifier.entry(Arc::clone(code)).or_default();
                if known.last() != Some(&no) {
                    known.push(no);
                }
            }
        }
        let meta = |key: &str| value.get("meta")?.get(key)?.as_str();
        let last_updated =
            meta("lastUpdated").and_then(|t| OffsetDateTime::parse(t, &Rfc3339).ok());
        self.records.push(Record {
            id,
            version: meta("versionId").unwrap_or("1").to_owned(),
            last_updated: last_updated.unwrap_or(self.loaded_at),
            patients: Vec::new(),
            refers_to: Vec::new(),
            values,
            resource,
        });
        Ok(())
    }

    /// Ties records to their patients and to one another, once all are there.
    fn link(&mut self, loading: &Loading) {
        for no in self.all() {
            let refers_to: BTreeSet<_> = loading.references[no as usize]
                .iter()
                .filter_map(|(kind, id)| self.find(kind, id))
                .filter(|other| *other != no)
                .collect();
            let patients = self.told_patients(no);
            let record = &mut self.records[no as usize];
            record.refers_to = refers_to.into_iter().collect();
            record.patients = patients.into_iter().collect();
        }
        // A Provenance is about whom its targets are about.
        for no in self.of_type("Provenance").to_vec() {
            for target in &self.records[no as usize].refers_to {
                self.provenances_of.entry(*target).or_default().push(no);
            }
            let targets = self.record(no).refers_to.iter();
            let patients: BTreeSet<_> =
                targets.flat_map(|target| self.record(*target).patients.iter().copied()).collect();
            self.records[no as usize].patients = patients.into_iter().collect();
        }
        for no in self.of_type("Patient").to_vec() {
            self.by_patient.insert(no, vec![no]);
        }
        for no in self.all() {
            for patient in self.records[no as usize].patients.iter().filter(|p| **p != no) {
                self.by_patient.entry(*patient).or_default().push(no);
            }
        }
    }

    fn told_patients(&self, no: RecordNo) -> BTreeSet<RecordNo> {
        let resource = &self.record(no).resource;
        if resource.resource_type() == "Patient" {
            return BTreeSet::from([no]);
        }
        // What has another shape than FHIR's is about nobody.
        let told = subject_references(resource);
        told.iter()
            .filter_map(|reference| match Reference::parse(reference) {
                Reference::Relative { resource_type: "Patient", id } => self.find("Patient", id),
                _ => None,
            })
            .collect()
    }
}

impl fmt::Debug for MemberData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberData({}, {} resources)", self.code, self.records.len())
    }
}

/// What is needed only until all is linked.
#[derive(Default)]
struct Loading {
    interned: HashSet<Arc<str>>,
    /// Per record, the type and id of each relative reference in it.
    references: Vec<Vec<(String, String)>>,
}

impl Loading {
    /// One allocation for the many codes and systems that repeat.
    fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.interned.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.interned.insert(Arc::clone(&new));
        new
    }
}

fn index_values(
    resource_type: &str,
    resource: Head<'_>,
    loading: &mut Loading,
) -> Vec<(&'static str, IndexedValue)> {
    let mut values = Vec::new();
    for parameter in served_parameters(resource_type) {
        for read in parameter.read(resource) {
            let indexed = match read {
                ReadValue::Token { system, code } => IndexedValue::Token {
                    system: system.map(|system| loading.intern(&system)),
                    code: loading.intern(&code),
                },
                ReadValue::Date(date) => IndexedValue::Date(date),
                ReadValue::Text(text) => IndexedValue::Text {
                    folded: loading.intern(&fold(&text)),
                    exact: loading.intern(&text),
                },
                ReadValue::Reference(_) => continue,
            };
            values.push((parameter.name, indexed));
        }
    }
    values
}

fn identifier_value<'a>((name, value): &'a (&'static str, IndexedValue)) -> Option<&'a Arc<str>> {
    match value {
        IndexedValue::Token { code, .. } if *name == "identifier" => Some(code),
        _ => None,
    }
}

fn collect_references(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        Value::Object(fields) => {
            for (key, inner) in fields {
                match inner {
                    Value::String(text) if key == "reference" => {
                        if let Reference::Relative { resource_type, id } = Reference::parse(text) {
                            found.push((resource_type.to_owned(), id.to_owned()));
                        }
                    }
                    _ => collect_references(inner, found),
                }
            }
        }
        _ => {}
    }
}

fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, InvalidData> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut paths: Vec<_> =
            fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(|source| unreadable(dir, source))
}

fn unreadable(path: &Path, source: io::Error) -> InvalidData {
    InvalidData::File { path: path.to_owned(), source }
}

/// Why data cannot be served.
#[derive(Debug, Error)]
pub enum InvalidData {
    /// A file or folder that cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is no resource, or not one that can be served.
    #[error("{}, line {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        #[source]
        fault: ResourceFault,
    },
    /// The same of a resource that did not come from a file.
    #[error(transparent)]
    Resource(ResourceFault),
    /// A folder whose name is no member code.
    #[error("the name of folder {} is no member code (1 to 20 of a-z, 0-9 and hyphen)", .0.display())]
    Code(PathBuf),
    /// A folder without members.
    #[error("{} has no sub-folder, and so no member", .0.display())]
    NoMembers(PathBuf),
}

/// Why a resource cannot be served.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ResourceFault {
    /// Not a resource.
    #[error(transparent)]
    Invalid(InvalidResource),
    /// Without a logical id.
    #[error("the resource has no id")]
    NoId,
    /// The same type and id as an earlier one.
    #[error("an earlier resource has the same type and id")]
    TwiceId,
    /// More than 2^32 resources.
    #[error("too many resources for one member")]
    TooMany,
}
