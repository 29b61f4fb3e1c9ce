//! The part of a check that needs a patient to try with: a made-up one whom the member keeps for it.

use std::collections::BTreeSet;

use url::Url;

use super::{
    checkup::{Checkup, asked, words},
    checkup_discovery::look_for_patient,
    connection::Connection,
    member_client::{Ask, AskError},
    settings::FederationSettings,
    visit::carries,
    whose::{Verdict, Whose},
};
use crate::{
    directory::Quirk,
    domain::LocalId,
    fhir::{Bundle, Resource, patient::read_patient, subject::is_patient_data},
};

/// Pages followed to see whether paging works.
const PAGES_TRIED: usize = 8;
/// Matches a page that are tried where the usual number is refused.
const PAGES_OF: [usize; 4] = [100, 50, 20, 10];
/// An instant after which nothing was ever updated.
const FAR_FUTURE: &str = "ge2999-01-01T00:00:00Z";

const LEADS_AWAY: &str = "a next link leads away from fhir_base; it is not followed";
const LOSES_CRITERIA: &str = "the next page forgets whose data were asked for";

/// One patient's record, looked at as a query would.
pub(super) struct RecordWalk<'a> {
    pub(super) connection: &'a Connection,
    pub(super) patient: &'a LocalId,
    pub(super) by_post: bool,
    pub(super) settings: &'a FederationSettings,
    /// Whether people are looked for at the member, and that works.
    pub(super) discovers: bool,
}

/// What some pages held.
#[derive(Default)]
struct Paged {
    pages: usize,
    resources: usize,
    foreign: usize,
    foreign_later: usize,
    leads_away: bool,
}

impl Paged {
    /// Order by which the most telling of several searches is chosen.
    fn tells(&self) -> (bool, bool, bool, usize) {
        (self.leads_away, self.foreign_later > 0, self.foreign > 0, self.pages)
    }
}

impl RecordWalk<'_> {
    /// Read, search, record, paging.
    pub(super) async fn walk(&self, report: &mut Checkup) {
        let Some(id) = self.read(report).await else { return };
        self.record(report, &id).await;
        self.searches(report, &id).await;
    }

    /// Finds the patient by identifier and reads it by id.
    async fn read(&self, report: &mut Checkup) -> Option<String> {
        const NAME: &str = "read";
        let base = &self.connection.base;
        let found = match asked(self.connection, &self.ask(base.patients_with(self.patient))).await
        {
            Ok(body) => Bundle::parse(&body).ok()?,
            Err(error) => {
                report.failed(NAME, format!("Patient?identifier=…: {}", words(error)));
                return None;
            }
        };
        let mut ids: Vec<String> = found
            .entries
            .into_iter()
            .map(|entry| entry.resource)
            .filter(|resource| resource.resource_type() == "Patient")
            .filter(|patient| carries(patient, self.patient))
            .filter_map(|patient| patient.id().map(str::to_owned))
            .collect();
        ids.dedup();
        let (Some(id), true) = (ids.pop(), ids.is_empty()) else {
            report.failed(NAME, "the patient to try with was not found, or not once");
            return None;
        };
        match asked(self.connection, &Ask::get(base.below(&["Patient", &id]))).await {
            Err(error) => report.failed(NAME, format!("Patient/…: {}", words(error))),
            Ok(body) => match Resource::parse(&body) {
                Ok(patient) if carries(&patient, self.patient) => {
                    report.passed_step(NAME, "the patient is found by identifier and read by id");
                    self.discover(report, &patient).await;
                    return Some(id);
                }
                Ok(_) | Err(_) => report.failed(NAME, "another resource came than was read"),
            },
        }
        None
    }

    async fn discover(&self, report: &mut Checkup, patient: &Resource) {
        if self.discovers
            && let Ok(told) = read_patient(patient)
        {
            let sought = (self.patient, &told.demographics);
            look_for_patient(report, self.connection, self.settings, sought).await;
        }
    }

    /// `$everything` where it is declared.
    async fn record(&self, report: &mut Checkup, id: &str) {
        const NAME: &str = "record";
        let declared = report.capabilities.as_ref().is_some_and(|told| told.everything);
        if !declared || self.connection.member.has_quirk(Quirk::NoEverything) {
            report.skipped(NAME, "Patient/$everything is not used; types are searched one by one");
            return;
        }
        let url = self.connection.base.below(&["Patient", id, "$everything"]);
        match self.page_through(Ask::get(url), id).await {
            Err(error) => {
                report.learned.quirk(Quirk::NoEverything);
                let text = format!(
                    "Patient/$everything is declared and does not work ({}); types are searched \
                     one by one",
                    words(error)
                );
                report.warned(NAME, text);
            }
            Ok(seen) if seen.leads_away => report.failed(NAME, LEADS_AWAY),
            Ok(seen) if seen.foreign_later > 0 => {
                report.learned.quirk(Quirk::LosesCriteria);
                report.warned(NAME, LOSES_CRITERIA);
            }
            Ok(seen) if seen.foreign > 0 => report.warned(NAME, foreign_words(&seen)),
            Ok(seen) => {
                report
                    .passed_step(NAME, format!("{} resources, all the patient's", seen.resources));
            }
        }
    }

    /// One search by patient: criteria, paging, and what it refuses.
    async fn searches(&self, report: &mut Checkup, id: &str) {
        const NAME: &str = "paging";
        let Some(told) = report.capabilities.clone() else { return };
        let by_patient = |kind: &str, served: &super::capability::ServedType| {
            is_patient_data(kind) && served.searches.contains("patient")
        };
        let no_count = self.connection.member.has_quirk(Quirk::NoCount)
            || report.learned.quirks.contains(&Quirk::NoCount);
        let (mut limit_tried, mut refused) = (no_count, Vec::new());
        let mut paged: Option<Paged> = None;
        for (kind, served) in told.types.iter().filter(|(kind, served)| by_patient(kind, served)) {
            let mut url = self.connection.base.below(&[kind]);
            url.query_pairs_mut().append_pair("patient", id);
            let whole = url.clone();
            if !no_count {
                url.query_pairs_mut().append_pair("_count", "1");
            }
            match self.page_through(self.ask(url), id).await {
                Ok(seen) if paged.as_ref().is_none_or(|known| known.tells() < seen.tells()) => {
                    paged = Some(seen);
                }
                Err(error) if error.is_not_served() && kind == "Observation" => {
                    if self.narrowed_works(&whole).await {
                        report.learned.quirk(Quirk::CategoryRequired);
                    } else {
                        refused.push(kind.clone());
                    }
                }
                Err(error) if error.is_not_served() => refused.push(kind.clone()),
                // A page that tells less than another; or a failure, which may pass.
                Ok(_) | Err(_) => {}
            }
            if !limit_tried && paged.is_some() {
                limit_tried = true;
                report.learned.page_matches = self.page_limit(&whole).await;
            }
            if served.searches.contains("_lastUpdated") && self.ignores_time(&whole).await {
                report.learned.quirk(Quirk::NoSince);
            }
        }
        if !refused.is_empty() {
            let types = refused.join(", ");
            let text = format!("listed and not served: {types}; see unserved_types");
            report.warned("types", text);
            report.learned.unserved_types = refused;
        }
        match paged {
            None => report.skipped(NAME, "no type can be searched by patient"),
            Some(seen) if seen.leads_away => {
                report.failed(NAME, LEADS_AWAY);
            }
            Some(seen) if seen.foreign_later > 0 => {
                report.learned.quirk(Quirk::LosesCriteria);
                report.warned(NAME, LOSES_CRITERIA);
            }
            Some(seen) if seen.foreign > 0 => report.warned(NAME, foreign_words(&seen)),
            Some(seen) if seen.pages == 1 => {
                report.passed_step(NAME, "everything came on one page; a fuller record says more");
            }
            Some(seen) => report.passed_step(NAME, format!("{} pages followed", seen.pages)),
        }
    }

    /// How many matches a page may be asked for, where it refuses as many as a query asks for.
    async fn page_limit(&self, whole: &Url) -> Option<u16> {
        let usual = self.connection.member.page_matches();
        let usual = usual.map_or(self.settings.page_matches, usize::from);
        let counts = [usual].into_iter().chain(PAGES_OF.into_iter().filter(|few| *few < usual));
        for count in counts {
            let mut url = whole.clone();
            url.query_pairs_mut().append_pair("_count", &count.to_string());
            match asked(self.connection, &self.ask(url)).await {
                Ok(_) => return u16::try_from(count).ok().filter(|_| count != usual),
                Err(error) if error.is_not_served() => {}
                Err(_) => return None,
            }
        }
        None
    }

    async fn narrowed_works(&self, whole: &Url) -> bool {
        let mut url = whole.clone();
        url.query_pairs_mut().append_pair("category", "laboratory");
        asked(self.connection, &self.ask(url)).await.is_ok()
    }

    async fn ignores_time(&self, whole: &Url) -> bool {
        let mut url = whole.clone();
        url.query_pairs_mut().append_pair("_lastUpdated", FAR_FUTURE);
        let answer = asked(self.connection, &self.ask(url)).await;
        let bundle = answer.ok().and_then(|body| Bundle::parse(&body).ok());
        bundle.is_some_and(|bundle| {
            bundle.entries.iter().any(|entry| is_patient_data(entry.resource.resource_type()))
        })
    }

    async fn page_through(&self, first: Ask, id: &str) -> Result<Paged, AskError> {
        let whose = Whose {
            base: self.connection.base.as_str(),
            patient_id: id,
            local_ids: std::slice::from_ref(self.patient),
            full_urls: BTreeSet::new(),
        };
        let mut seen = Paged::default();
        let mut ask = first;
        while seen.pages < PAGES_TRIED {
            let body = asked(self.connection, &ask).await?;
            let Ok(bundle) = Bundle::parse(&body) else {
                return Err(AskError::fault(super::outcome::Fault::NotFhir));
            };
            let foreign = bundle
                .entries
                .iter()
                .filter(|entry| matches!(whose.verdict(&entry.resource), Verdict::Drop(_)))
                .count();
            seen.resources += bundle.entries.len();
            seen.foreign += foreign;
            seen.foreign_later += if seen.pages > 0 { foreign } else { 0 };
            seen.pages += 1;
            match bundle.link("next").map(|link| self.connection.base.follow(&ask.url, link)) {
                None => break,
                Some(Err(_)) => {
                    seen.leads_away = true;
                    break;
                }
                Some(Ok(next)) => ask = Ask::get(next),
            }
        }
        Ok(seen)
    }

    fn ask(&self, url: Url) -> Ask {
        Ask::search(url, self.by_post)
    }
}

fn foreign_words(seen: &Paged) -> String {
    format!(
        "{} of {} resources are not the patient's: it ignores whose data are asked for; they are \
         dropped, and its operator should mend it",
        seen.foreign, seen.resources
    )
}
