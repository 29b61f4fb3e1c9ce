//! The input of `Patient/$match`: a `Parameters` resource, or a bare `Patient` (IHE PDQm ITI-119).

use serde_json::value::RawValue;

use super::{
    error::ApiError,
    parameters::{Parameter, Parameters},
};
use crate::fhir::Resource;

/// What `$match` was asked.
#[derive(Debug)]
pub(super) struct MatchInput {
    pub(super) patient: Resource,
    pub(super) only_certain: bool,
    pub(super) count: Option<usize>,
    pub(super) only_single: bool,
}

impl MatchInput {
    /// Parses the body; every fault is told by its place.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let resource = Resource::parse(body)?;
        match resource.resource_type() {
            "Patient" => {
                Ok(Self { patient: resource, only_certain: false, count: None, only_single: false })
            }
            "Parameters" => Self::from_parameters(&resource),
            _ => Err(ApiError::invalid(
                "Parameters",
                "$match takes a Parameters resource, or a Patient alone",
            )),
        }
    }

    fn from_parameters(resource: &Resource) -> Result<Self, ApiError> {
        let parameters = Parameters::of(resource)?;
        let (mut patient, mut only_certain, mut count) = (None, false, None);
        let mut only_single = false;
        for parameter in parameters.parameter {
            match parameter.name.as_str() {
                "resource" if patient.is_some() => {
                    return Err(ApiError::invalid(
                        "Parameters.parameter.where(name='resource')",
                        "given more than once",
                    ));
                }
                "resource" => patient = Some(read_patient(parameter.resource)?),
                "onlyCertainMatches" => {
                    let place = "Parameters.parameter.where(name='onlyCertainMatches')";
                    only_certain = boolean(&parameter, place)?;
                }
                // Of FAST Identity and later versions of FHIR.
                "onlySingleMatch" => {
                    let place = "Parameters.parameter.where(name='onlySingleMatch')";
                    only_single = boolean(&parameter, place)?;
                }
                "count" => {
                    let told = parameter.value_integer.or(parameter.value_positive_int);
                    count = Some(told.and_then(positive).ok_or_else(|| {
                        ApiError::invalid(
                            "Parameters.parameter.where(name='count')",
                            "needs a valueInteger above zero",
                        )
                    })?);
                }
                // What is not known is passed over.
                _ => {}
            }
        }
        let patient = patient.ok_or_else(|| {
            ApiError::invalid("Parameters.parameter.where(name='resource')", "is missing")
        })?;
        Ok(Self { patient, only_certain, count, only_single })
    }
}

fn boolean(parameter: &Parameter, place: &'static str) -> Result<bool, ApiError> {
    parameter.value_boolean.ok_or(ApiError::invalid(place, "needs a valueBoolean"))
}

fn positive(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|count| *count > 0)
}

fn read_patient(raw: Option<Box<RawValue>>) -> Result<Resource, ApiError> {
    let place = "Parameters.parameter.where(name='resource').resource";
    let raw = raw.ok_or_else(|| ApiError::invalid(place, "is missing"))?;
    let resource = Resource::from_raw(raw)?;
    if resource.resource_type() != "Patient" {
        return Err(ApiError::invalid(place, "must be a Patient"));
    }
    Ok(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_a_bare_patient_are_taken() {
        let bare = MatchInput::parse(br#"{"resourceType":"Patient"}"#).expect("taken");
        assert!(!bare.only_certain && bare.count.is_none());
        let whole = MatchInput::parse(
            br#"{"resourceType":"Parameters","parameter":[
            {"name":"resource","resource":{"resourceType":"Patient","gender":"male"}},
            {"name":"onlyCertainMatches","valueBoolean":true},{"name":"count","valueInteger":3}]}"#,
        )
        .expect("taken");
        assert!(whole.only_certain && whole.count == Some(3));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for body in [
            r#"{"resourceType":"Observation"}"#,
            r#"{"resourceType":"Parameters"}"#,
            r#"{"resourceType":"Parameters","parameter":[{"name":"resource"}]}"#,
            r#"{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Group"}}]}"#,
            r#"{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient"}},{"name":"count","valueInteger":0}]}"#,
        ] {
            assert!(MatchInput::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
