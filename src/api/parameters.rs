//! `Parameters` resources: read by name and kind, or as names and values, and written.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::error::ApiError;
use crate::fhir::Resource;

/// The parameters of one call (FHIR R4 `Parameters`, flat): those kinds of values that some operation
/// here takes.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    pub(super) parameter: Vec<Parameter>,
}

/// One of them, with the value in the element of its kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value_id: Option<String>,
    pub(super) value_string: Option<String>,
    pub(super) value_uri: Option<String>,
    pub(super) value_code: Option<String>,
    pub(super) value_canonical: Option<String>,
    pub(super) value_date: Option<String>,
    pub(super) value_date_time: Option<String>,
    pub(super) value_instant: Option<String>,
    pub(super) value_boolean: Option<bool>,
    pub(super) value_integer: Option<i64>,
    pub(super) value_positive_int: Option<i64>,
    pub(super) value_coding: Option<Coding>,
    pub(super) value_identifier: Option<Identifier>,
    pub(super) value_reference: Option<Reference>,
    pub(super) resource: Option<Box<RawValue>>,
}

/// A FHIR `Coding`, as far as an operation looks at it.
#[derive(Debug, Deserialize)]
pub(super) struct Coding {
    pub(super) system: Option<String>,
    #[serde(default)]
    pub(super) code: String,
}

/// A FHIR `Identifier`, as far as an operation looks at it.
#[derive(Debug, Deserialize)]
pub(super) struct Identifier {
    #[serde(default)]
    pub(super) system: String,
    #[serde(default)]
    pub(super) value: String,
}

/// A FHIR `Reference`, as far as an operation looks at it.
#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub(super) reference: Option<String>,
}

impl Parameters {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        Self::of(&Resource::parse(body)?)
    }

    /// Reads a resource that must be `Parameters`.
    pub(super) fn of(resource: &Resource) -> Result<Self, ApiError> {
        if resource.resource_type() != "Parameters" {
            return Err(ApiError::invalid("resourceType", "must be Parameters"));
        }
        Ok(resource.read()?)
    }

    /// As names and values; an Identifier as `system|value`, a Coding as `system|code`.
    pub(super) fn into_pairs(self) -> Result<Vec<(String, String)>, ApiError> {
        let pair = |one: Parameter| {
            let identifier = one.value_identifier;
            let identifier = identifier.map(|told| format!("{}|{}", told.system, told.value));
            let coding = one.value_coding.map(|told| match told.system {
                Some(system) => format!("{system}|{}", told.code),
                None => told.code,
            });
            let texts = [one.value_string, one.value_uri, one.value_code, one.value_id];
            let more = [one.value_canonical, one.value_date, one.value_date_time];
            let other = [identifier, coding, one.value_boolean.map(|told| told.to_string())];
            let value = texts.into_iter().chain(more).chain(other).flatten().next();
            let value = value.ok_or(ApiError::invalid(
                "Parameters.parameter",
                "has no value of a kind that this operation takes",
            ))?;
            Ok((one.name, value))
        };
        self.parameter.into_iter().map(pair).collect()
    }
}

/// A `Parameters` resource with these parameters, in order.
pub(super) fn write(parameters: Vec<Value>) -> Value {
    let mut resource = json!({ "resourceType": "Parameters" });
    // An empty list is not FHIR: the element is then left out (R4 §2.6.2).
    if !parameters.is_empty() {
        resource["parameter"] = Value::Array(parameters);
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_read_in_order() {
        let read = |body: &[u8]| Parameters::parse(body)?.into_pairs();
        let pairs = read(
            br#"{"resourceType":"Parameters","parameter":[
            {"name":"sourceIdentifier","valueIdentifier":{"system":"urn:a","value":"1"}},
            {"name":"type","valueCoding":{"system":"urn:c","code":"2"}},
            {"name":"type","valueCoding":{"code":"3"}},
            {"name":"on-demand","valueBoolean":false},
            {"name":"targetSystem","valueUri":"urn:b"}]}"#,
        )
        .expect("read");
        let told: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("sourceIdentifier", "urn:a|1"),
            ("type", "urn:c|2"),
            ("type", "3"),
            ("on-demand", "false"),
            ("targetSystem", "urn:b"),
        ];
        assert_eq!(told, expected);
        assert!(read(br#"{"resourceType":"Parameters","parameter":[{"name":"x"}]}"#).is_err());
        assert!(read(br#"{"resourceType":"Patient"}"#).is_err());
    }
}
