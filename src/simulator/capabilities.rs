//! The CapabilityStatement: what this server does, and nothing that it does not.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{
    data::MemberData,
    running::SimulatorOptions,
    search::{WITH_MEDICATION, served_parameters},
};

/// FHIR R4 `CapabilityStatement` of kind `instance`.
pub(super) fn capability_statement(
    data: &MemberData,
    base: &str,
    options: &SimulatorOptions,
) -> Value {
    let types = data.served_types();
    let resources: Vec<_> = types.iter().map(|kind| served(kind, options)).collect();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": data.loaded_at().format(&Rfc3339).unwrap_or_default(),
        "kind": "instance",
        "software": { "name": "Tessera member simulator", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": format!("Simulated member {}", data.code()), "url": base },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{
            "mode": "server",
            "security": {
                "service": [{ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "Certificates",
                }] }],
                "description": "TLS 1.3 with a client certificate",
            },
            "resource": resources,
        }],
    })
}

fn served(resource_type: &str, options: &SimulatorOptions) -> Value {
    let common = [("_id", "token"), ("_lastUpdated", "date")];
    let own = served_parameters(resource_type).map(|own| (own.name, own.kind.code()));
    let parameters: Vec<_> = common
        .into_iter()
        .chain(own)
        .map(|(name, kind)| json!({ "name": name, "type": kind }))
        .collect();
    let mut resource = json!({
        "type": resource_type,
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "searchRevInclude": ["Provenance:target"],
        "searchParam": parameters,
    });
    if WITH_MEDICATION.contains(&resource_type) {
        resource["searchInclude"] = json!([format!("{resource_type}:medication")]);
    }
    let operations = [(options.everything, "everything"), (options.matching, "match")];
    let operations = operations.iter().filter(|(there, _)| *there && resource_type == "Patient");
    let operations: Vec<_> = operations
        .map(|(_, name)| {
            let canonical = format!("http://hl7.org/fhir/OperationDefinition/Patient-{name}");
            json!({ "name": name, "definition": canonical })
        })
        .collect();
    if !operations.is_empty() {
        resource["operation"] = Value::Array(operations);
    }
    resource
}
