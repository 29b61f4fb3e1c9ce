//! `GET /fhir/metadata`: what this gateway does, and nothing that it does not.

use serde_json::{Value, json};

use crate::fhir::FHIR_JSON;

/// The CapabilityStatement (FHIR R4; `date` is when the gateway started, as a FHIR dateTime).
pub(super) fn capability_statement(base_url: &str, exchange_name: &str, date: &str) -> Value {
    json!({
        "resourceType": "CapabilityStatement",
        "id": "tessera",
        "url": format!("{base_url}/metadata"),
        "name": "Tessera",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": { "name": "Tessera", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": exchange_name, "url": base_url },
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON],
        "rest": [{
            "mode": "server",
            "security": {
                "service": [{ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "Certificates"
                }] }],
                "description": "Mutual TLS 1.3. A client's certificate decides its roles and purposes of use; the header Purpose-Of-Use chooses among them."
            },
            "resource": [patient(), consent(), readable()],
        }]
    })
}

fn patient() -> Value {
    json!({
        "type": "Patient",
        "interaction": [{ "code": "read" }, { "code": "update" }],
        "versioning": "no-version",
        "updateCreate": false,
        "conditionalUpdate": true,
        "searchParam": [{
            "name": "identifier",
            "definition": "http://hl7.org/fhir/SearchParameter/Patient-identifier",
            "type": "token",
            "documentation": "In conditional update (IHE ITI-104) only: system|value under a namespace of the feeding member."
        }],
        "operation": [
            { "name": "match", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match" },
            { "name": "everything", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything" }
        ]
    })
}

fn consent() -> Value {
    json!({
        "type": "Consent",
        "interaction": [{ "code": "update" }],
        "versioning": "no-version",
        "updateCreate": true
    })
}

// The list of types is open: whatever a member holds can be read back by its gateway id.
fn readable() -> Value {
    json!({
        "type": "Resource",
        "interaction": [{ "code": "read" }],
        "documentation": "Any resource of an answer, and every original behind a group, is read under its gateway id `<member>.<id>`."
    })
}
