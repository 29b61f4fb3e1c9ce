//! `Patient/$match` as a plain server answers it: whoever shares a family name and a birth date.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::Refusal,
    data::{MemberData, RecordNo},
    faults::MatchFault,
};
use crate::{
    domain::Demographics,
    fhir::{Resource, patient::read_patient, search_parameters::fold},
};

/// Patients given for one question.
const MATCHES_MAX: usize = 100;

/// A patient who may be meant, and how sure this server is.
pub(super) struct Matched {
    pub(super) no: RecordNo,
    pub(super) score: f64,
    pub(super) grade: &'static str,
}

/// The likeliest first.
pub(super) fn match_patients(
    data: &MemberData,
    input: &Resource,
    fault: MatchFault,
) -> Result<Vec<Matched>, Refusal> {
    let (patient, count) = parts(input)?;
    let told = read_patient(&patient).map_err(|_| Refusal::NoPatient)?.demographics;
    let mut matched: Vec<Matched> = data
        .of_type("Patient")
        .iter()
        .filter_map(|no| {
            let own = read_patient(&data.record(*no).resource).ok()?.demographics;
            let likeness = likeness(&told, &own);
            let is_meant = match fault {
                MatchFault::None => likeness.is_some(),
                MatchFault::AnotherPatient => likeness.is_none(),
                MatchFault::Everybody => true,
            };
            let (score, grade) = match fault {
                MatchFault::None => likeness?,
                MatchFault::AnotherPatient | MatchFault::Everybody => (1.0, "certain"),
            };
            is_meant.then_some(Matched { no: *no, score, grade })
        })
        .collect();
    matched.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.no.cmp(&b.no)));
    if fault == MatchFault::AnotherPatient {
        matched.truncate(1);
    }
    matched.truncate(count.min(MATCHES_MAX));
    Ok(matched)
}

/// A score and grade; `None` for somebody else.
fn likeness(told: &Demographics, own: &Demographics) -> Option<(f64, &'static str)> {
    let shares = |part: fn(&crate::domain::Name) -> &str| {
        let own: Vec<String> = own.names.iter().map(|name| fold(part(name))).collect();
        let mut told = told.names.iter().map(|name| fold(part(name)));
        told.any(|name| !name.is_empty() && own.contains(&name))
    };
    let same_date = told.birth_date.is_some() && told.birth_date == own.birth_date;
    if !same_date || !shares(|name| &name.family) {
        return None;
    }
    let given = shares(|name| name.given.first().map_or("", |given| given));
    Some(if given { (0.98, "certain") } else { (0.7, "possible") })
}

/// The Patient and `count` of a question, which may be a bare Patient.
fn parts(input: &Resource) -> Result<(Resource, usize), Refusal> {
    if input.resource_type() == "Patient" {
        return Ok((input.clone(), MATCHES_MAX));
    }
    let told: Parameters<'_> = input.read().map_err(|_| Refusal::NoPatient)?;
    let count = told.parameter.iter().find_map(|one| one.value_integer);
    let patient = told.parameter.iter().find_map(|one| one.resource).ok_or(Refusal::NoPatient)?;
    let patient = Resource::from_raw(patient.to_owned()).map_err(|_| Refusal::NoPatient)?;
    Ok((patient, count.unwrap_or(MATCHES_MAX)))
}

#[derive(Deserialize)]
struct Parameters<'a> {
    #[serde(borrow, default)]
    parameter: Vec<Parameter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    value_integer: Option<usize>,
}
