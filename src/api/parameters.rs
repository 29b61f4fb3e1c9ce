//! `Parameters` resources: read as names and values, and written.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use crate::fhir::Resource;

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    parameter: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    name: String,
    value_string: Option<String>,
    value_uri: Option<String>,
    value_code: Option<String>,
    value_identifier: Option<Identifier>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(default)]
    system: String,
    #[serde(default)]
    value: String,
}

/// The parameters of an operation as names and values; an Identifier as `system|value`.
pub(super) fn read_pairs(body: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let resource = Resource::parse(body)?;
    if resource.resource_type() != "Parameters" {
        return Err(ApiError::invalid("resourceType", "must be Parameters"));
    }
    let told: Parameters = resource.read()?;
    let pair = |parameter: Parameter| {
        let identifier = parameter.value_identifier;
        let identifier = identifier.map(|told| format!("{}|{}", told.system, told.value));
        let texts = [parameter.value_string, parameter.value_uri, parameter.value_code, identifier];
        let value = texts.into_iter().flatten().next();
        let value = value.ok_or(ApiError::invalid(
            "Parameters.parameter",
            "needs a valueString, valueUri, valueCode or valueIdentifier",
        ))?;
        Ok((parameter.name, value))
    };
    told.parameter.into_iter().map(pair).collect()
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
        let pairs = read_pairs(
            br#"{"resourceType":"Parameters","parameter":[
            {"name":"sourceIdentifier","valueIdentifier":{"system":"urn:a","value":"1"}},
            {"name":"targetSystem","valueUri":"urn:b"}]}"#,
        )
        .expect("read");
        let told: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(told, [("sourceIdentifier", "urn:a|1"), ("targetSystem", "urn:b")]);
        assert!(
            read_pairs(br#"{"resourceType":"Parameters","parameter":[{"name":"x"}]}"#).is_err()
        );
        assert!(read_pairs(br#"{"resourceType":"Patient"}"#).is_err());
    }
}
