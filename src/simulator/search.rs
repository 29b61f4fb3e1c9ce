//! Which resources a search means.

use std::collections::BTreeSet;

use super::{
    answer::Refusal,
    data::{IndexedValue, MemberData, Record, RecordNo},
    faults::{CompartmentFault, Faults, IdentifierFault},
};
use crate::fhir::{
    Reference,
    dates::{DateCriterion, TimeRange},
    search::{InvalidSearch, Modifier, SearchParameter, SearchQuery, Token},
    search_parameters::{Parameter, ParameterKind, fold, parameters_of},
};

/// What to do with parameters that are not known (`Prefer: handling=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    Lenient,
    Strict,
}

/// The resources that a question means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// What was asked for, in the order of loading.
    pub(super) matches: Vec<RecordNo>,
    /// What only gives them context.
    pub(super) included: Vec<RecordNo>,
}

/// A search as this server understands it.
#[derive(Debug)]
pub(super) struct Search {
    criteria: Vec<Criterion>,
    includes: Vec<Include>,
    /// What was understood, for the self link.
    pub(super) used: SearchQuery,
}

/// What is returned beside the matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Include {
    /// `_include=…:medication`: the Medications that the matches refer to.
    Medications,
    /// `_revinclude=Provenance:target`: each Provenance that refers to a match.
    Provenances,
}

/// Types whose medication may be a reference.
pub(super) const WITH_MEDICATION: &[&str] =
    &["MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"];

/// The parameters that this server has: references to others than the patient it leaves out.
pub(super) fn served_parameters(resource_type: &str) -> impl Iterator<Item = Parameter> + use<> {
    parameters_of(resource_type)
        .filter(|known| !matches!(known.kind, ParameterKind::Reference { .. }))
}

fn served_parameter(resource_type: &str, name: &str) -> Option<Parameter> {
    served_parameters(resource_type).find(|known| known.name == name)
}

/// All of these a resource must meet.
#[derive(Debug)]
struct Criterion {
    name: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Id(BTreeSet<String>),
    LastUpdated(Vec<DateCriterion>),
    Patient(BTreeSet<RecordNo>),
    Token { tokens: Vec<OwnedToken>, negated: bool },
    Date(Vec<DateCriterion>),
    Text { texts: Vec<String>, how: TextTest },
    Missing(bool),
}

type OwnedToken = Token<'static>;

#[derive(Clone, Copy, Debug)]
enum TextTest {
    StartsWith,
    Contains,
    Exact,
}

impl Search {
    /// Understands the parameters of a search for one type.
    pub(super) fn understand(
        data: &MemberData,
        resource_type: &str,
        query: SearchQuery,
        handling: Handling,
        base: &str,
    ) -> Result<Self, Refusal> {
        query.count()?;
        let (mut criteria, mut includes) = (Vec::new(), Vec::new());
        let mut understood = Vec::new();
        for told in query.parameters() {
            let meaning = understand_one(data, resource_type, told, base)?;
            understood.push(!matches!(meaning, Understood::Unknown));
            match meaning {
                Understood::Criterion(test) => {
                    criteria.push(Criterion { name: told.name().to_owned(), test });
                }
                Understood::Include(include) => includes.push(include),
                Understood::Unknown if handling == Handling::Strict => {
                    return Err(Refusal::UnknownParameter(told.name().to_owned()));
                }
                Understood::Presentation | Understood::Unknown => {}
            }
        }
        let mut understood = understood.into_iter();
        let used = query.only(|_| understood.next() == Some(true));
        Ok(Self { criteria, includes, used })
    }

    /// The resources that meet every criterion, faults included.
    pub(super) fn select(
        &self,
        data: &MemberData,
        resource_type: &str,
        faults: &Faults,
    ) -> Selection {
        let criteria: Vec<_> =
            self.criteria.iter().filter(|criterion| !criterion.is_ignored(faults)).collect();
        let mut matches: Vec<_> = self
            .candidates(data, resource_type, faults)
            .into_iter()
            .filter(|no| {
                let record = data.record(*no);
                criteria.iter().all(|criterion| criterion.is_met(record, data, faults))
            })
            .collect();
        if resource_type == "Patient" && self.names("identifier") {
            misresolve(data, faults.identifier, &mut matches);
        }
        let included = self.included(data, &matches);
        Selection { matches, included }
    }

    /// Each once, and none that is a match.
    fn included(&self, data: &MemberData, matches: &[RecordNo]) -> Vec<RecordNo> {
        let mut included = BTreeSet::new();
        for include in &self.includes {
            match include {
                Include::Medications => {
                    let referred = matches.iter().flat_map(|no| &data.record(*no).refers_to);
                    included.extend(
                        referred
                            .copied()
                            .filter(|no| data.record(*no).resource.resource_type() == "Medication"),
                    );
                }
                Include::Provenances => {
                    let of_matches = matches.iter().flat_map(|no| data.provenances_of(*no));
                    included.extend(of_matches.copied());
                }
            }
        }
        included.into_iter().collect()
    }

    fn names(&self, name: &str) -> bool {
        self.criteria.iter().any(|criterion| criterion.name == name)
    }

    /// A small superset of the matches, in the order of loading.
    fn candidates(&self, data: &MemberData, resource_type: &str, faults: &Faults) -> Vec<RecordNo> {
        for criterion in self.criteria.iter().filter(|criterion| !criterion.is_ignored(faults)) {
            let narrowed = match &criterion.test {
                Test::Patient(patients) => of_patients(data, patients, faults),
                Test::Id(ids) => ids.iter().filter_map(|id| data.find(resource_type, id)).collect(),
                Test::Token { tokens, negated: false }
                    if resource_type == "Patient" && criterion.name == "identifier" =>
                {
                    match identified(data, tokens) {
                        Some(patients) => patients,
                        None => continue,
                    }
                }
                _ => continue,
            };
            let of_type =
                |no: &RecordNo| data.record(*no).resource.resource_type() == resource_type;
            return narrowed.into_iter().filter(of_type).collect();
        }
        data.of_type(resource_type).to_vec()
    }
}

fn of_patients(
    data: &MemberData,
    patients: &BTreeSet<RecordNo>,
    faults: &Faults,
) -> BTreeSet<RecordNo> {
    let asked = patients.iter().filter_map(|patient| answered_for(data, *patient, faults));
    asked.flat_map(|patient| data.of_patient(patient).iter().copied()).collect()
}

/// For whom a question about a patient is answered: for that patient, but for a fault.
pub(super) fn answered_for(
    data: &MemberData,
    patient: RecordNo,
    faults: &Faults,
) -> Option<RecordNo> {
    match faults.compartment {
        CompartmentFault::AnotherPatient => data.another_patient(patient),
        CompartmentFault::None | CompartmentFault::Ignored => Some(patient),
    }
}

/// The patients with one of these identifiers; `None` where a token names no value.
fn identified(data: &MemberData, tokens: &[OwnedToken]) -> Option<BTreeSet<RecordNo>> {
    let mut patients = BTreeSet::new();
    for token in tokens {
        let value = token.code.as_deref()?;
        patients.extend(data.patients_identified(value).iter().copied().filter(|no| {
            let mut values = data.record(*no).values("identifier");
            values.any(|value| is_token(value, token))
        }));
    }
    Some(patients)
}

fn misresolve(data: &MemberData, fault: IdentifierFault, matches: &mut Vec<RecordNo>) {
    let other = matches.first().and_then(|first| data.another_patient(*first));
    match fault {
        IdentifierFault::Several => matches.extend(other),
        IdentifierFault::AnotherPatient => {
            matches.clear();
            matches.extend(other);
        }
        IdentifierFault::None | IdentifierFault::Ignored => {}
    }
}

enum Understood {
    Criterion(Test),
    Include(Include),
    /// How the answer is to look; no criterion.
    Presentation,
    Unknown,
}

fn understand_one(
    data: &MemberData,
    resource_type: &str,
    told: &SearchParameter,
    base: &str,
) -> Result<Understood, Refusal> {
    let test = match told.name() {
        "_count" | "_format" => return Ok(Understood::Presentation),
        "_include" | "_revinclude" => {
            told.plain()?;
            let include = include(resource_type, told);
            return Ok(include.map_or(Understood::Unknown, Understood::Include));
        }
        "_id" => {
            told.plain()?;
            Test::Id(told.values().map(|value| value.text().into_owned()).collect())
        }
        "_lastUpdated" => {
            told.plain()?;
            Test::LastUpdated(dates(told)?)
        }
        name => match served_parameter(resource_type, name) {
            None => return Ok(Understood::Unknown),
            Some(_) if told.modifier() == Some(&Modifier::Missing) => missing(told)?,
            Some(Parameter { kind: ParameterKind::Patient, .. }) => patients(data, told, base)?,
            Some(Parameter { kind: ParameterKind::Token, .. }) => tokens(told)?,
            Some(Parameter { kind: ParameterKind::Date, .. }) => {
                told.plain()?;
                Test::Date(dates(told)?)
            }
            Some(Parameter { kind: ParameterKind::Text, .. }) => texts(told)?,
            Some(Parameter { kind: ParameterKind::Reference { .. }, .. }) => {
                return Ok(Understood::Unknown);
            }
        },
    };
    Ok(Understood::Criterion(test))
}

fn include(resource_type: &str, told: &SearchParameter) -> Option<Include> {
    let medication = || format!("{resource_type}:medication");
    match (told.name(), told.text()) {
        ("_revinclude", "Provenance:target") => Some(Include::Provenances),
        ("_include", text) if WITH_MEDICATION.contains(&resource_type) && text == medication() => {
            Some(Include::Medications)
        }
        _ => None,
    }
}

fn unsupported(told: &SearchParameter) -> InvalidSearch {
    InvalidSearch::Modifier(told.name().to_owned())
}

fn missing(told: &SearchParameter) -> Result<Test, InvalidSearch> {
    match told.text() {
        "true" => Ok(Test::Missing(true)),
        "false" => Ok(Test::Missing(false)),
        _ => Err(told.bad_value()),
    }
}

fn dates(told: &SearchParameter) -> Result<Vec<DateCriterion>, InvalidSearch> {
    told.values().map(|value| value.date().map_err(|_| told.bad_value())).collect()
}

fn own(told: &SearchParameter) -> Vec<OwnedToken> {
    told.values().map(|value| value.token().into_owned()).collect()
}

fn tokens(told: &SearchParameter) -> Result<Test, InvalidSearch> {
    let negated = match (told.modifier(), told.chain()) {
        (None, None) => false,
        (Some(Modifier::Not), None) => true,
        _ => return Err(unsupported(told)),
    };
    Ok(Test::Token { tokens: own(told), negated })
}

fn texts(told: &SearchParameter) -> Result<Test, InvalidSearch> {
    let how = match (told.modifier(), told.chain()) {
        (None, None) => TextTest::StartsWith,
        (Some(Modifier::Contains), None) => TextTest::Contains,
        (Some(Modifier::Exact), None) => TextTest::Exact,
        _ => return Err(unsupported(told)),
    };
    let text = |text: &str| match how {
        TextTest::Exact => text.to_owned(),
        TextTest::StartsWith | TextTest::Contains => fold(text),
    };
    Ok(Test::Text { texts: told.values().map(|value| text(&value.text())).collect(), how })
}

/// `patient=1`, `patient=Patient/1`, `subject:Patient=1`, the URL on this server, or
/// `patient.identifier=system|value`.
fn patients(data: &MemberData, told: &SearchParameter, base: &str) -> Result<Test, InvalidSearch> {
    let of_patient = match told.modifier() {
        None => true,
        Some(Modifier::Type(resource_type)) => resource_type == "Patient",
        Some(_) => false,
    };
    let patients = match told.chain() {
        _ if !of_patient => return Err(unsupported(told)),
        Some("identifier") => identified(data, &own(told)).ok_or_else(|| told.bad_value())?,
        Some(_) => return Err(unsupported(told)),
        None => told
            .values()
            .filter_map(|value| {
                let text = value.text();
                let id = match Reference::parse(&text).on_server(base) {
                    Some(("Patient", id)) => id,
                    Some(_) => return None,
                    None => &text,
                };
                data.find("Patient", id)
            })
            .collect(),
    };
    Ok(Test::Patient(patients))
}

impl Criterion {
    fn is_ignored(&self, faults: &Faults) -> bool {
        match &self.test {
            Test::Patient(_) => faults.compartment == CompartmentFault::Ignored,
            Test::Token { .. } if self.name == "identifier" => {
                faults.identifier == IdentifierFault::Ignored
            }
            _ => false,
        }
    }

    fn is_met(&self, record: &Record, data: &MemberData, faults: &Faults) -> bool {
        let mut values = record.values(&self.name);
        match &self.test {
            Test::Id(ids) => ids.contains(&*record.id),
            Test::LastUpdated(dates) => {
                let range = TimeRange::at(record.last_updated);
                dates.iter().any(|date| date.matches(range, data.loaded_at()))
            }
            Test::Patient(patients) => patients
                .iter()
                .filter_map(|patient| answered_for(data, *patient, faults))
                .any(|patient| record.patients.contains(&patient)),
            Test::Token { tokens, negated } => {
                let found = values.any(|value| tokens.iter().any(|token| is_token(value, token)));
                found != *negated
            }
            Test::Date(dates) => values.any(|value| match value {
                IndexedValue::Date(range) => {
                    dates.iter().any(|date| date.matches(*range, data.loaded_at()))
                }
                _ => false,
            }),
            Test::Text { texts, how } => values.any(|value| is_text(value, texts, *how)),
            Test::Missing(missing) => values.next().is_none() == *missing,
        }
    }
}

fn is_token(value: &IndexedValue, token: &OwnedToken) -> bool {
    match value {
        IndexedValue::Token { system, code } => token.matches(system.as_deref(), code),
        IndexedValue::Date(_) | IndexedValue::Text { .. } => false,
    }
}

fn is_text(value: &IndexedValue, texts: &[String], how: TextTest) -> bool {
    let IndexedValue::Text { folded, exact } = value else { return false };
    texts.iter().any(|text| match how {
        TextTest::StartsWith => folded.starts_with(text.as_str()),
        TextTest::Contains => folded.contains(text.as_str()),
        TextTest::Exact => **exact == **text,
    })
}
