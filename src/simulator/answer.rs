//! One question, one answer: what is asked of the server, and what it says, HTTP aside.

use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    capabilities::capability_statement,
    data::{MemberData, RecordNo},
    everything::Everything,
    faults::{Faults, PagingFault},
    matching::{Matched, match_patients},
    pages::{PageToken, Snapshot, Snapshots},
    running::SimulatorOptions,
    search::{Handling, Search, Selection},
};
use crate::fhir::{
    Resource,
    search::{InvalidSearch, SearchQuery},
};

/// What is asked.
#[derive(Debug)]
pub(super) enum Question {
    Capabilities,
    Page(PageToken),
    Read {
        resource_type: String,
        id: String,
    },
    Search {
        resource_type: String,
        query: SearchQuery,
    },
    Everything {
        id: String,
        query: SearchQuery,
    },
    /// `Patient/$match`, with its Parameters or bare Patient.
    Match(Resource),
}

/// How it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The FHIR base as the client sees it.
    pub(super) base: &'a str,
    pub(super) handling: Handling,
}

/// What is said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) json: Vec<u8>,
    /// Of one resource that was read.
    pub(super) version: Option<ResourceVersion>,
}

#[derive(Debug)]
pub(super) struct ResourceVersion {
    pub(super) etag: String,
    pub(super) last_modified: OffsetDateTime,
}

/// Why nothing is said. Never names a value.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Search(#[from] InvalidSearch),
    #[error("parameter {0} is not known here")]
    UnknownParameter(String),
    #[error("there is no such resource")]
    UnknownResource,
    #[error("this server has no such type, operation or address")]
    UnknownAddress,
    #[error("this server takes no such method there")]
    Method,
    #[error("these pages are forgotten; ask again")]
    ForgottenPage,
    #[error("this server answers in application/fhir+json only")]
    NotAcceptable,
    #[error("a search is posted as application/x-www-form-urlencoded, an operation as JSON")]
    MediaType,
    #[error("this server takes no search by POST")]
    PostedSearch,
    #[error("there is no Patient to match")]
    NoPatient,
    #[error("the body is too large")]
    TooLarge,
    #[error("the answer could not be written")]
    Unwritten(#[from] serde_json::Error),
}

/// A member's server, HTTP aside.
#[derive(Debug)]
pub(super) struct Answerer {
    pub(super) data: Arc<MemberData>,
    pub(super) options: SimulatorOptions,
    snapshots: Snapshots,
}

impl Answerer {
    pub(super) fn new(data: Arc<MemberData>, options: SimulatorOptions) -> Self {
        Self { data, options, snapshots: Snapshots::default() }
    }

    pub(super) fn answer(
        &self,
        question: Question,
        asked: Asked<'_>,
        faults: &Faults,
    ) -> Result<Answer, Refusal> {
        if let Question::Search { query, .. } | Question::Everything { query, .. } = &question
            && let Some(refused) = query
                .parameters()
                .iter()
                .find(|told| faults.refused_parameters.iter().any(|name| name == told.name()))
        {
            return Err(Refusal::UnknownParameter(refused.name().to_owned()));
        }
        if let Question::Search { query, .. } | Question::Everything { query, .. } = &question
            && let (Some(told), Some(max)) = (query.count()?, faults.count_max)
            && told > max
        {
            return Err(Refusal::UnknownParameter("_count".to_owned()));
        }
        if let Question::Search { resource_type, .. } = &question
            && faults.unserved_types.contains(resource_type)
        {
            return Err(Refusal::UnknownAddress);
        }
        let json = match question {
            Question::Capabilities => {
                let statement = capability_statement(&self.data, asked.base, &self.options);
                serde_json::to_vec(&statement)?
            }
            Question::Read { resource_type, id } => return self.read(&resource_type, &id),
            Question::Search { resource_type, query } => {
                self.search(&resource_type, query, asked, faults)?
            }
            Question::Everything { id, query } => self.everything(&id, query, asked, faults)?,
            Question::Match(input) => self.matching(&input, asked, faults)?,
            Question::Page(token) => self.page(token, asked, faults)?,
        };
        Ok(Answer { json, version: None })
    }

    fn read(&self, resource_type: &str, id: &str) -> Result<Answer, Refusal> {
        let no = self.data.find(resource_type, id).ok_or(Refusal::UnknownResource)?;
        let record = self.data.record(no);
        let version = ResourceVersion {
            etag: format!("W/\"{}\"", record.version),
            last_modified: record.last_updated,
        };
        let json = record.resource.json().as_bytes().to_vec();
        Ok(Answer { json, version: Some(version) })
    }

    fn search(
        &self,
        resource_type: &str,
        query: SearchQuery,
        asked: Asked<'_>,
        faults: &Faults,
    ) -> Result<Vec<u8>, Refusal> {
        if !self.data.served_types().contains(resource_type) {
            return Err(Refusal::UnknownAddress);
        }
        let data = &self.data;
        let search = Search::understand(data, resource_type, query, asked.handling, asked.base)?;
        let selection = search.select(data, resource_type, faults);
        let everybody = || data.of_type(resource_type).to_vec();
        let path = format!("/{resource_type}");
        self.first_page(selection, &path, &search.used, asked, faults, everybody)
    }

    fn everything(
        &self,
        id: &str,
        query: SearchQuery,
        asked: Asked<'_>,
        faults: &Faults,
    ) -> Result<Vec<u8>, Refusal> {
        if !self.options.everything {
            return Err(Refusal::UnknownAddress);
        }
        let data = &self.data;
        let patient = data.find("Patient", id).ok_or(Refusal::UnknownResource)?;
        let everything = Everything::understand(patient, query, asked.handling)?;
        let selection = everything.select(data, faults);
        let everybody = || data.all().filter(|no| !data.record(*no).patients.is_empty()).collect();
        let path = format!("/Patient/{id}/$everything");
        self.first_page(selection, &path, &everything.used, asked, faults, everybody)
    }

    fn matching(
        &self,
        input: &Resource,
        asked: Asked<'_>,
        faults: &Faults,
    ) -> Result<Vec<u8>, Refusal> {
        if !self.options.matching {
            return Err(Refusal::UnknownAddress);
        }
        let matched = match_patients(&self.data, input, faults.matching)?;
        let entry = matched.iter().map(|Matched { no, score, grade }| {
            let record = self.data.record(*no);
            let full_url = format!("{}/Patient/{}", asked.base, record.id);
            let grade = [MatchGrade { url: MATCH_GRADE, value: grade }];
            let search = SearchMode { mode: "match", score: Some(*score), extension: Some(grade) };
            Entry { full_url, resource: &record.resource, search }
        });
        Ok(serde_json::to_vec(&SearchSet {
            resource_type: "Bundle",
            id: Uuid::new_v4(),
            kind: "searchset",
            total: matched.len(),
            link: Vec::new(),
            entry: entry.collect(),
        })?)
    }

    fn first_page(
        &self,
        selection: Selection,
        path: &str,
        used: &SearchQuery,
        asked: Asked<'_>,
        faults: &Faults,
        everybody: impl FnOnce() -> Vec<RecordNo>,
    ) -> Result<Vec<u8>, Refusal> {
        let told = used.count()?.unwrap_or(self.options.page_size);
        let page_size = told.min(self.options.page_size_max) as usize;
        let total = selection.matches.len();
        let mut snapshot = Snapshot {
            matches: total,
            total,
            page_size,
            entries: selection.matches.into_iter().chain(selection.included).collect(),
        };
        if faults.paging == PagingFault::LosesCriteria && snapshot.has_after(0) {
            snapshot.entries.truncate(page_size);
            snapshot.entries.extend(everybody().into_iter().skip(page_size));
            snapshot.matches = snapshot.entries.len();
        }
        let query = used.encode();
        let mark = if query.is_empty() { "" } else { "?" };
        let own_url = format!("{}{path}{mark}{query}", asked.base);
        self.write_page(&Arc::new(snapshot), None, 0, own_url, asked, faults)
    }

    fn page(
        &self,
        token: PageToken,
        asked: Asked<'_>,
        faults: &Faults,
    ) -> Result<Vec<u8>, Refusal> {
        let snapshot = self.snapshots.find(token.snapshot).ok_or(Refusal::ForgottenPage)?;
        let own_url = page_url(asked.base, token);
        self.write_page(&snapshot, Some(token.snapshot), token.offset, own_url, asked, faults)
    }

    fn write_page(
        &self,
        snapshot: &Arc<Snapshot>,
        kept: Option<Uuid>,
        offset: usize,
        own_url: String,
        asked: Asked<'_>,
        faults: &Faults,
    ) -> Result<Vec<u8>, Refusal> {
        let mut link = vec![Link { relation: "self", url: own_url }];
        let endless = faults.paging == PagingFault::Endless;
        // A page of no entries (`_count=0`) asks for the total alone.
        if snapshot.page_size > 0 && (endless || snapshot.has_after(offset)) {
            let id = kept.unwrap_or_else(|| self.snapshots.keep(Arc::clone(snapshot)));
            let offset = offset.saturating_add(snapshot.page_size);
            let elsewhere = match &faults.paging {
                PagingFault::AnotherOrigin(origin) => Some(format!("{origin}/fhir")),
                _ => None,
            };
            let base = elsewhere.as_deref().unwrap_or(asked.base);
            let url = page_url(base, PageToken { snapshot: id, offset });
            link.push(Link { relation: "next", url });
        }
        let entry = snapshot.page(offset).map(|(no, mode)| {
            let record = self.data.record(no);
            let resource = &record.resource;
            let full_url = format!("{}/{}/{}", asked.base, resource.resource_type(), record.id);
            Entry { full_url, resource, search: SearchMode { mode, score: None, extension: None } }
        });
        Ok(serde_json::to_vec(&SearchSet {
            resource_type: "Bundle",
            id: Uuid::new_v4(),
            kind: "searchset",
            total: snapshot.total,
            link,
            entry: entry.collect(),
        })?)
    }
}

fn page_url(base: &str, token: PageToken) -> String {
    format!("{base}?_page={}", token.encode())
}

#[derive(Serialize)]
struct SearchSet<'a> {
    #[serde(rename = "resourceType")]
    resource_type: &'static str,
    id: Uuid,
    #[serde(rename = "type")]
    kind: &'static str,
    total: usize,
    link: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Link {
    relation: &'static str,
    url: String,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(rename = "fullUrl")]
    full_url: String,
    resource: &'a Resource,
    search: SearchMode,
}

#[derive(Serialize)]
struct SearchMode {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension: Option<[MatchGrade; 1]>,
}

const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

#[derive(Serialize)]
struct MatchGrade {
    url: &'static str,
    #[serde(rename = "valueCode")]
    value: &'static str,
}
