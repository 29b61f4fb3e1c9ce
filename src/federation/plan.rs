//! What to ask at a member for one patient: `$everything` where declared, and the searches by type.

use url::Url;

use super::{
    capability::{Capabilities, ServedType},
    member_base::MemberBase,
    query::RecordQuery,
};
use crate::{directory::Quirk, fhir::subject::is_patient_data};

/// The requests for one patient.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// `Patient/{id}/$everything`, tried first where the member declares it.
    pub(super) everything: Option<Url>,
    /// Searches by type, for a member without `$everything` or whose `$everything` fails.
    pub(super) searches: Vec<TypeSearch>,
}

/// How one resource type is searched for.
#[derive(Clone, Debug)]
pub(super) struct TypeSearch {
    pub(super) resource_type: String,
    /// By patient alone.
    pub(super) whole: Url,
    /// By patient and each value of a second parameter: for members that refuse `whole`, or need
    /// not support it and gave nothing.
    pub(super) parts: Vec<Url>,
    /// Whether an empty answer to `whole` is doubted, and the parts asked too.
    pub(super) doubt_empty: bool,
}

/// The setting of a plan.
#[derive(Clone, Copy)]
pub(super) struct PlanOf<'a> {
    pub(super) base: &'a MemberBase,
    pub(super) capabilities: &'a Capabilities,
    pub(super) quirks: &'a [Quirk],
    pub(super) query: &'a RecordQuery,
    pub(super) page_matches: usize,
    /// Types that the member lists and does not serve.
    pub(super) unserved_types: &'a [String],
}

impl PlanOf<'_> {
    /// Plans the requests for the patient of this id.
    pub(super) fn patient(self, patient_id: &str) -> Plan {
        let declared = self.capabilities.everything && !self.has(Quirk::NoEverything);
        let searches = self
            .capabilities
            .types
            .iter()
            .filter(|(kind, _)| {
                is_planned(kind)
                    && self.query.wants_type(kind)
                    && !self.unserved_types.contains(kind)
            })
            .filter_map(|(kind, served)| self.type_search(kind, served, patient_id))
            .collect();
        Plan { everything: declared.then(|| self.everything(patient_id)), searches }
    }

    fn everything(self, patient_id: &str) -> Url {
        let mut url = self.base.below(&["Patient", patient_id, "$everything"]);
        {
            let mut pairs = url.query_pairs_mut();
            if !self.query.types.is_empty() {
                let types: Vec<&str> = self.query.types.iter().map(String::as_str).collect();
                pairs.append_pair("_type", &types.join(","));
            }
            if let Some(since) = self.since().filter(|_| !self.has(Quirk::NoSince)) {
                pairs.append_pair("_since", &since);
            }
            for (name, date) in [("start", self.query.start), ("end", self.query.end)] {
                if let Some(date) = date {
                    pairs.append_pair(name, &date.to_string());
                }
            }
            if !self.has(Quirk::NoCount) {
                pairs.append_pair("_count", &self.page_matches.to_string());
            }
        }
        without_empty_query(url)
    }

    fn type_search(self, kind: &str, served: &ServedType, patient_id: &str) -> Option<TypeSearch> {
        let parameter =
            PATIENT_PARAMETERS.iter().find(|parameter| served.searches.contains(**parameter))?;
        // US Core asks servers for the bare id in `patient`; the others may lead to several types.
        let value = match *parameter {
            "patient" => patient_id.to_owned(),
            _ => format!("Patient/{patient_id}"),
        };
        let mut whole = self.base.below(&[kind]);
        whole.query_pairs_mut().append_pair(parameter, &value);
        self.narrow(&mut whole, kind, served);
        let split = SPLITS
            .iter()
            .find(|split| split.resource_type == kind && served.searches.contains(split.parameter));
        let parts = split.into_iter().flat_map(|split| {
            split.values.iter().map(|value| {
                let mut part = whole.clone();
                part.query_pairs_mut().append_pair(split.parameter, value);
                part
            })
        });
        Some(TypeSearch {
            resource_type: kind.to_owned(),
            parts: parts.collect(),
            doubt_empty: split.is_some_and(|split| split.doubt_empty),
            whole,
        })
    }

    fn narrow(self, url: &mut Url, kind: &str, served: &ServedType) {
        let mut pairs = url.query_pairs_mut();
        if served.searches.contains("_lastUpdated")
            && !self.has(Quirk::NoSince)
            && let Some(since) = self.since()
        {
            pairs.append_pair("_lastUpdated", &format!("ge{since}"));
        }
        if served.searches.contains("date") && DATED_ONCE.contains(&kind) {
            for (prefix, date) in [("ge", self.query.start), ("le", self.query.end)] {
                if let Some(date) = date {
                    pairs.append_pair("date", &format!("{prefix}{date}"));
                }
            }
        }
        for include in INCLUDES.iter().filter(|include| served.includes.contains(**include)) {
            pairs.append_pair("_include", include);
        }
        if served.reverse_includes.contains(PROVENANCE) {
            pairs.append_pair("_revinclude", PROVENANCE);
        }
        if !self.has(Quirk::NoCount) {
            pairs.append_pair("_count", &self.page_matches.to_string());
        }
    }

    fn since(self) -> Option<String> {
        self.query.since?.format(&time::format_description::well_known::Rfc3339).ok()
    }

    fn has(self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

impl Capabilities {
    /// What a US Core server must serve, for a member whose CapabilityStatement cannot be read:
    /// a broken `/metadata` must not hide an allergy. What it refuses is then no gap.
    pub(super) fn assumed() -> Self {
        let searched = US_CORE_TYPES.iter().map(|kind| {
            let split = SPLITS.iter().find(|split| split.resource_type == *kind);
            let parameters = split.map(|split| split.parameter).into_iter().chain(["patient"]);
            let searches = parameters.map(str::to_owned).collect();
            ((*kind).to_owned(), ServedType { reads: true, searches, ..ServedType::default() })
        });
        let read = US_CORE_READ
            .iter()
            .map(|kind| ((*kind).to_owned(), ServedType { reads: true, ..ServedType::default() }));
        let types = searched.chain(read).collect();
        Self { everything: true, types, ..Self::default() }
    }
}

/// Patient data, and what else is searched by patient. A log of accesses, a group or a person is
/// no part of a record.
fn is_planned(resource_type: &str) -> bool {
    is_patient_data(resource_type) || ALSO_SEARCHED.contains(&resource_type)
}

fn without_empty_query(mut url: Url) -> Url {
    if url.query() == Some("") {
        url.set_query(None);
    }
    url
}

const PROVENANCE: &str = "Provenance:target";

/// Parameters by which a type is searched for a patient, the most exact first.
const PATIENT_PARAMETERS: [&str; 4] = ["patient", "subject", "beneficiary", "individual"];

/// Not always about a patient, but searched by patient all the same.
const ALSO_SEARCHED: [&str; 5] = ["Appointment", "Basic", "Device", "List", "Provenance"];

/// Without these a record names a medication that nobody can read.
const INCLUDES: [&str; 4] = [
    "MedicationAdministration:medication",
    "MedicationDispense:medication",
    "MedicationRequest:medication",
    "MedicationStatement:medication",
];

/// Types of care that happens once, on the date that `date` searches. Types of what goes on, such
/// as conditions and allergies, are never narrowed by date at the member: they still hold.
const DATED_ONCE: [&str; 6] = [
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "Observation",
    "Procedure",
];

/// A type that servers may refuse to search by patient alone, and the second parameter they want.
struct Split {
    resource_type: &'static str,
    parameter: &'static str,
    values: &'static [&'static str],
    /// US Core does not ask servers for a search by patient alone: then an empty answer means
    /// nothing.
    doubt_empty: bool,
}

/// US Core 6.1.0 CapabilityStatement, and the categories that its profiles name.
const SPLITS: [Split; 9] = [
    // SHALL patient+category; patient alone is not asked for.
    Split {
        resource_type: "Observation",
        parameter: "category",
        values: &[
            "laboratory",
            "vital-signs",
            "social-history",
            "survey",
            "imaging",
            "procedure",
            "exam",
            "therapy",
            "activity",
            "sdoh",
            "functional-status",
            "disability-status",
            "cognitive-status",
            "clinical-test",
        ],
        doubt_empty: true,
    },
    // SHALL patient+intent; patient alone is not asked for.
    Split {
        resource_type: "MedicationRequest",
        parameter: "intent",
        values: &[
            "order",
            "plan",
            "proposal",
            "original-order",
            "reflex-order",
            "filler-order",
            "instance-order",
            "option",
        ],
        doubt_empty: true,
    },
    // SHALL patient+category; patient alone is not asked for.
    Split {
        resource_type: "CarePlan",
        parameter: "category",
        values: &["assess-plan"],
        doubt_empty: true,
    },
    // SHALL patient+status; patient alone is not asked for.
    Split {
        resource_type: "CareTeam",
        parameter: "status",
        values: &["active", "proposed", "suspended", "inactive"],
        doubt_empty: true,
    },
    // The rest SHALL patient alone; servers are met that want the category too.
    Split {
        resource_type: "Condition",
        parameter: "category",
        values: &["problem-list-item", "encounter-diagnosis", "health-concern"],
        doubt_empty: false,
    },
    Split {
        resource_type: "DiagnosticReport",
        parameter: "category",
        values: &["LAB", "RAD", "LP29684-5", "LP29708-2", "LP7839-6"],
        doubt_empty: false,
    },
    Split {
        resource_type: "DocumentReference",
        parameter: "category",
        values: &["clinical-note"],
        doubt_empty: false,
    },
    Split {
        resource_type: "MedicationDispense",
        parameter: "status",
        values: &["completed", "in-progress", "on-hold", "preparation", "cancelled", "declined"],
        doubt_empty: false,
    },
    Split {
        resource_type: "Encounter",
        parameter: "status",
        values: &["finished", "in-progress", "arrived", "triaged", "onleave", "planned"],
        doubt_empty: false,
    },
];

/// Types that US Core 6.1.0 asks servers to search by patient.
const US_CORE_TYPES: [&str; 18] = [
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Coverage",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Immunization",
    "MedicationDispense",
    "MedicationRequest",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "RelatedPerson",
    "ServiceRequest",
];

/// Types that US Core 6.1.0 asks servers to give by id alone, as far as records refer to them.
const US_CORE_READ: [&str; 6] =
    ["Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Specimen"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn base() -> MemberBase {
        MemberBase::parse("https://a.example/fhir").expect("a base")
    }

    fn capabilities(everything: bool, types: &[(&str, &[&str])]) -> Capabilities {
        let served = |searches: &[&str]| ServedType {
            reads: true,
            searches: searches.iter().map(|name| (*name).to_owned()).collect(),
            ..ServedType::default()
        };
        let types = types.iter().map(|(kind, searches)| ((*kind).to_owned(), served(searches)));
        Capabilities { everything, types: types.collect(), ..Capabilities::default() }
    }

    fn plan(capabilities: &Capabilities, quirks: &[Quirk], query: &RecordQuery) -> Plan {
        let base = base();
        let unserved_types = &["Flag".to_owned()];
        PlanOf { base: &base, capabilities, quirks, query, page_matches: 100, unserved_types }
            .patient("p 1")
    }

    fn whole_record() -> RecordQuery {
        RecordQuery::everything(Duration::from_secs(1))
    }

    #[test]
    fn everything_carries_what_was_asked() {
        let mut query = whole_record();
        query.types.extend(["Observation".to_owned(), "Condition".to_owned()]);
        query.since = Some(time::macros::datetime!(2024-01-02 03:04:05 UTC));
        query.start = crate::domain::PartialDate::parse("2023-05").ok();
        let told = capabilities(true, &[]);
        let url = |quirks: &[Quirk]| plan(&told, quirks, &query).everything.map(String::from);
        assert_eq!(
            url(&[]).as_deref(),
            Some(
                "https://a.example/fhir/Patient/p%201/$everything?_type=Condition%2CObservation\
                 &_since=2024-01-02T03%3A04%3A05Z&start=2023-05&_count=100"
            )
        );
        assert_eq!(url(&[Quirk::NoEverything]), None);
        let plain = plan(&told, &[Quirk::NoCount], &whole_record()).everything;
        let plain = plain.map(String::from);
        assert_eq!(plain.as_deref(), Some("https://a.example/fhir/Patient/p%201/$everything"));
    }

    #[test]
    fn only_listed_types_with_a_patient_parameter_are_searched() {
        let told = capabilities(
            false,
            &[
                ("AllergyIntolerance", &["patient"]),
                ("AuditEvent", &["patient"]),
                ("Coverage", &["beneficiary"]),
                ("Flag", &["patient"]),
                ("Goal", &["lifecycle-status"]),
                ("Practitioner", &["name"]),
                ("Patient", &["identifier"]),
            ],
        );
        let planned = plan(&told, &[], &whole_record());
        let urls: Vec<_> = planned.searches.iter().map(|search| search.whole.as_str()).collect();
        assert_eq!(
            urls,
            [
                "https://a.example/fhir/AllergyIntolerance?patient=p+1&_count=100",
                "https://a.example/fhir/Coverage?beneficiary=Patient%2Fp+1&_count=100",
            ]
        );
        assert!(planned.everything.is_none());
    }

    #[test]
    fn types_are_split_by_the_parameter_that_servers_want() {
        let told = capabilities(
            false,
            &[("CarePlan", &["patient", "category"]), ("Observation", &["patient"])],
        );
        let planned = plan(&told, &[], &whole_record());
        let parts: Vec<_> = planned.searches[0].parts.iter().map(Url::as_str).collect();
        assert_eq!(
            parts,
            ["https://a.example/fhir/CarePlan?patient=p+1&_count=100&category=assess-plan"]
        );
        assert!(planned.searches[0].doubt_empty);
        assert!(planned.searches[1].parts.is_empty(), "it lists no category to split by");
    }

    #[test]
    fn what_still_holds_is_never_narrowed_by_date() {
        let mut query = whole_record();
        query.start = crate::domain::PartialDate::parse("2024-01-01").ok();
        let told = capabilities(
            false,
            &[("AllergyIntolerance", &["patient", "date"]), ("Procedure", &["patient", "date"])],
        );
        let planned = plan(&told, &[Quirk::NoCount], &query);
        assert_eq!(planned.searches[0].whole.query(), Some("patient=p+1"));
        assert_eq!(planned.searches[1].whole.query(), Some("patient=p+1&date=ge2024-01-01"));
    }

    #[test]
    fn an_unknown_server_is_taken_for_a_us_core_server() {
        let planned = plan(&Capabilities::assumed(), &[], &whole_record());
        assert!(planned.everything.is_some());
        let kinds: Vec<_> = planned.searches.iter().map(|s| s.resource_type.as_str()).collect();
        assert_eq!(kinds, US_CORE_TYPES);
    }
}
