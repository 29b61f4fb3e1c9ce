//! What a search of clinical resources asks, read from its parameters.

use uuid::Uuid;

use super::error::ApiError;
use crate::{
    domain::{EnterpriseId, InvalidLocalId, LocalId},
    exchange::{RecordSearch, SoughtPatient},
    fhir::{
        Criteria, InvalidSearch, Issue, IssueSeverity, IssueType, Modifier, Reference,
        SearchParameter, SearchQuery, TokenSystem,
        search_parameters::{ParameterKind, described_types, parameter, parameters_of},
    },
    record::{Include, REVERSE, Selecting, SortBy, SortKey},
};

/// Matches on one page where `_count` is given, at the most.
pub(super) const COUNT_MAX: usize = 1_000;
/// Where a page link says which snapshot and how far into it.
pub(super) const SNAPSHOT: &str = "_snapshot";
pub(super) const OFFSET: &str = "_offset";

/// Parameters that say how an answer looks, not what is in it.
const PRESENTATION: [&str; 11] = [
    "_count",
    "_elements",
    "_format",
    "_include",
    "_pretty",
    "_revinclude",
    "_sort",
    "_summary",
    "_total",
    SNAPSHOT,
    OFFSET,
];

/// A search as it was asked.
pub(super) struct SearchInput {
    /// Absent where another page of an earlier one is asked for, or no patient is named.
    pub(super) search: Option<RecordSearch>,
    /// The one id that is asked for where no patient is named.
    pub(super) by_id: Option<String>,
    pub(super) page: Option<(Uuid, usize)>,
    pub(super) count: Option<usize>,
    pub(super) count_only: bool,
    /// What was understood, for the self link.
    pub(super) used: SearchQuery,
    /// What was not, for the statement.
    pub(super) notes: Vec<Issue>,
}

/// Whether resources of this type are found by search: those that are searched by patient.
pub(super) fn is_searched(resource_type: &str) -> bool {
    // Provenance comes with what it is about; persons are searched on their own, and a Consent is what
    // was recorded here.
    !["Consent", "Patient", "Provenance"].contains(&resource_type)
        && described_types().any(|known| known == resource_type)
        && parameters_of(resource_type).any(|known| known.kind == ParameterKind::Patient)
}

impl SearchInput {
    /// Reads the parameters of a search for a type. `is_strict`: what is not known is an error.
    pub(super) fn read(
        resource_type: &str,
        query: SearchQuery,
        base_url: &str,
        is_strict: bool,
    ) -> Result<Self, ApiError> {
        if !is_searched(resource_type) {
            return Err(ApiError::NotSupported("resources of this type are not searched here"));
        }
        let of_patient = |told: &SearchParameter| is_of_patient(resource_type, told);
        let (criteria, mut unknown) = Criteria::understand(resource_type, &query, |told| {
            PRESENTATION.contains(&told.name()) || of_patient(told)
        })?;
        let includes = includes(resource_type, &query, &mut unknown)?;
        if is_strict && !unknown.is_empty() {
            return Err(ApiError::NotSupported("a parameter is not known here (handling=strict)"));
        }
        let patients: Vec<&SearchParameter> =
            query.parameters().iter().filter(|told| of_patient(told)).collect();
        let patient = match patients.as_slice() {
            [] => None,
            [one] => Some(sought(one, base_url)?),
            _ => return Err(InvalidSearch::Repeated("patient".to_owned()).into()),
        };
        let count = query.count()?.map(|count| count as usize);
        let selecting = Selecting {
            resource_type: resource_type.to_owned(),
            criteria,
            order: order(resource_type, &query)?,
            includes,
            latest_of_each: None,
        };
        Ok(Self {
            by_id: by_id(&query),
            search: patient.map(|patient| RecordSearch { patient, selecting }),
            page: page(&query)?,
            count: count.filter(|count| *count > 0).map(|count| count.min(COUNT_MAX)),
            count_only: count == Some(0) || query.single("_summary")? == Some("count"),
            notes: unknown.iter().map(|name| not_applied(name)).collect(),
            used: query.only(|told| is_used(resource_type, told, &unknown)),
        })
    }
}

/// `_id` with one value, where nothing else is asked: an id leads to its patient.
fn by_id(query: &SearchQuery) -> Option<String> {
    let looks = ["_count", "_elements", "_format", "_pretty", "_total"];
    let mut asked = query.parameters().iter().filter(|told| !looks.contains(&told.name()));
    let (told, None) = (asked.next()?, asked.next()) else { return None };
    let mut values = told.values();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let is_one = told.name() == "_id" && told.plain().is_ok();
    is_one.then(|| value.text().into_owned())
}

/// Whether a parameter was understood.
fn is_used(resource_type: &str, told: &SearchParameter, unknown: &[String]) -> bool {
    match told.name() {
        "_include" | "_revinclude" => {
            let iterate = told.modifier().is_some();
            told.values()
                .all(|value| include(resource_type, told, &value.text(), iterate).is_some())
        }
        name => !unknown.iter().any(|unknown| unknown == name),
    }
}

/// That a parameter did not narrow the answer.
fn not_applied(name: &str) -> Issue {
    let text = format!("parameter {name} is not known here and was not applied");
    Issue::new(IssueSeverity::Warning, IssueType::NotSupported, text)
}

/// That a number of matches is not the whole.
pub(super) fn at_least(total: usize) -> Issue {
    let text = format!("at least {total} matches; not every member answered in full");
    Issue::new(IssueSeverity::Warning, IssueType::Incomplete, text)
}

fn is_of_patient(resource_type: &str, told: &SearchParameter) -> bool {
    told.name() == "beneficiary"
        || parameter(resource_type, told.name())
            .is_some_and(|known| known.kind == ParameterKind::Patient)
}

/// `patient=id`, `patient=Patient/id`, the URL here, `subject:Patient=id`, or
/// `patient.identifier=system|value`.
fn sought(told: &SearchParameter, base_url: &str) -> Result<SoughtPatient, ApiError> {
    let unsupported = || InvalidSearch::Modifier(told.name().to_owned());
    let is_plain = match told.modifier() {
        None => true,
        Some(Modifier::Type(kind)) => kind == "Patient",
        Some(_) => false,
    };
    if !is_plain {
        return Err(unsupported().into());
    }
    let mut values = told.values();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::NotSupported("one patient at a time"));
    };
    match told.chain() {
        None => {
            let text = value.text();
            let id = match Reference::parse(&text).on_server(base_url) {
                Some(("Patient", id)) => id,
                Some(_) => return Ok(SoughtPatient::Nobody),
                None => &text,
            };
            let known = EnterpriseId::parse(id);
            Ok(known.map_or(SoughtPatient::Nobody, SoughtPatient::Person))
        }
        Some("identifier") => {
            let token = value.token();
            let (TokenSystem::Is(system), Some(code)) = (&token.system, &token.code) else {
                return Err(ApiError::invalid(
                    "patient.identifier",
                    "needs both parts: system|value",
                ));
            };
            match LocalId::parse(system, code) {
                Err(problem @ InvalidLocalId::ControlCharacter) => {
                    Err(ApiError::BadIdentifier { place: "patient.identifier", problem })
                }
                told => Ok(told.map_or(SoughtPatient::Nobody, SoughtPatient::Record)),
            }
        }
        Some(_) => Err(unsupported().into()),
    }
}

fn page(query: &SearchQuery) -> Result<Option<(Uuid, usize)>, ApiError> {
    let Some(token) = query.single(SNAPSHOT)? else { return Ok(None) };
    let token = Uuid::parse_str(token).map_err(|_| ApiError::invalid(SNAPSHOT, "not a page"))?;
    let offset = match query.single(OFFSET)? {
        Some(told) => told.parse().map_err(|_| ApiError::invalid(OFFSET, "not a page"))?,
        None => 0,
    };
    Ok(Some((token, offset)))
}

fn order(resource_type: &str, query: &SearchQuery) -> Result<Vec<SortKey>, ApiError> {
    let keys = query.named("_sort").flat_map(|told| told.text().split(','));
    keys.filter(|key| !key.is_empty())
        .map(|key| {
            let (descending, name) =
                key.strip_prefix('-').map_or((false, key), |name| (true, name));
            let by = match name {
                "_id" => SortBy::Id,
                "_lastUpdated" => SortBy::LastUpdated,
                name => {
                    let known = parameter(resource_type, name);
                    SortBy::Parameter(
                        known.ok_or(ApiError::invalid("_sort", "cannot sort by that"))?,
                    )
                }
            };
            Ok(SortKey { by, descending })
        })
        .collect()
}

fn includes(
    resource_type: &str,
    query: &SearchQuery,
    unknown: &mut Vec<String>,
) -> Result<Vec<Include>, ApiError> {
    let mut includes = Vec::new();
    for told in query.parameters() {
        if !["_include", "_revinclude"].contains(&told.name()) {
            continue;
        }
        let iterate = match told.modifier() {
            None => false,
            Some(Modifier::Iterate) => true,
            Some(_) => return Err(InvalidSearch::Modifier(told.name().to_owned()).into()),
        };
        for value in told.values() {
            match include(resource_type, told, &value.text(), iterate) {
                Some(include) => includes.push(include),
                None => unknown.push(told.name().to_owned()),
            }
        }
    }
    Ok(includes)
}

fn include(
    resource_type: &str,
    told: &SearchParameter,
    text: &str,
    iterate: bool,
) -> Option<Include> {
    match told.name() {
        "_include" => forward(resource_type, text, iterate),
        _ => REVERSE.into_iter().find(|known| *known == text).map(Include::Reverse),
    }
}

/// `Source:parameter`, `Source:parameter:Target` or `Source:*`.
fn forward(resource_type: &str, text: &str, iterate: bool) -> Option<Include> {
    let mut parts = text.splitn(3, ':');
    let (source, name) = (parts.next()?, parts.next()?);
    let target = parts.next().map(str::to_owned);
    let parameter = match name {
        "*" => None,
        name => Some(parameter(source, name).filter(|known| {
            matches!(known.kind, ParameterKind::Patient | ParameterKind::Reference { .. })
        })?),
    };
    (source == resource_type || iterate).then(|| Include::Forward {
        source: source.to_owned(),
        parameter,
        target,
        iterate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://gw.example/fhir";
    const RUTH: &str = "0190a1b2-0000-7000-8000-000000000001";

    fn read(kind: &str, query: &str) -> Result<SearchInput, ApiError> {
        SearchInput::read(kind, SearchQuery::parse(query)?, BASE, false)
    }

    #[test]
    fn a_patient_is_named_in_several_ways() {
        for query in [
            format!("patient={RUTH}"),
            format!("patient=Patient/{RUTH}"),
            format!("subject:Patient={RUTH}"),
            format!("patient={BASE}/Patient/{RUTH}"),
        ] {
            let input = read("Condition", &query).expect("understood");
            let search = input.search.expect("a search");
            assert!(matches!(search.patient, SoughtPatient::Person(_)), "{query}");
        }
        let by_number = read("Condition", "patient.identifier=urn:mrn|7").expect("understood");
        let patient = by_number.search.expect("a search").patient;
        assert!(matches!(patient, SoughtPatient::Record(_)));
        let odd = read("Condition", "patient=7").expect("understood").search.expect("a search");
        assert!(matches!(odd.patient, SoughtPatient::Nobody));
        assert!(read("Condition", "code=1").expect("understood").search.is_none());
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let both = format!("patient={RUTH}&subject={RUTH}");
        let two = format!("patient={RUTH},{RUTH}");
        for (kind, query) in [
            ("Condition", both.as_str()),
            ("Condition", two.as_str()),
            ("Condition", "patient:exact=1"),
            ("Condition", "patient.name=x"),
            ("Condition", "patient.identifier=7"),
            ("Condition", "_sort=nothing"),
            ("Condition", "code:above=1"),
            ("Condition", "_include:exact=Condition:encounter"),
            ("Condition", "onset-date=yesterday"),
            ("Practitioner", "name=x"),
            ("Patient", "name=x"),
            ("Nothing", "x=1"),
        ] {
            assert!(read(kind, query).is_err(), "{kind}?{query}");
        }
    }

    #[test]
    fn what_is_not_known_is_named_and_left_out_of_the_self_link() {
        let query = format!("patient={RUTH}&colour=red&_include=Condition:nothing&_count=5");
        let input = read("Condition", &query).expect("understood");
        assert_eq!((input.notes.len(), input.count), (2, Some(5)));
        assert_eq!(input.used.encode(), format!("patient={RUTH}&_count=5"));
        let strict = SearchQuery::parse(&query).expect("a query");
        assert!(SearchInput::read("Condition", strict, BASE, true).is_err());
    }

    #[test]
    fn an_id_alone_needs_no_patient() {
        let by_id = |query: &str| read("Encounter", query).expect("understood").by_id;
        assert_eq!(by_id("_id=anne.7&_format=json").as_deref(), Some("anne.7"));
        for query in ["_id=anne.7,anne.8", "_id=anne.7&_id=anne.8", "_id=a.7&status=x", "status=x"]
        {
            assert_eq!(by_id(query), None, "{query}");
        }
    }

    #[test]
    fn a_count_of_zero_asks_for_the_number_alone() {
        for query in ["_count=0", "_summary=count"] {
            assert!(read("Condition", query).expect("understood").count_only, "{query}");
        }
    }
}
