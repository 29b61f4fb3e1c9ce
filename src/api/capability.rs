//! `GET /fhir/metadata`: what this gateway does, and nothing that it does not.

use serde_json::{Value, json};

use super::search_input::is_searched;
use crate::{
    fhir::{
        FHIR_JSON,
        search_parameters::{described_types, parameters_of},
    },
    record::REVERSE,
};

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
            "resource": resources(base_url),
        }]
    })
}

fn resources(base_url: &str) -> Vec<Value> {
    let mut all = vec![
        patient(base_url),
        consent(),
        definitions("OperationDefinition"),
        definitions("SearchParameter"),
    ];
    all.extend(described_types().filter(|kind| is_searched(kind)).map(searched));
    all.push(readable());
    all
}

/// A type that is searched by patient over the whole exchange.
fn searched(resource_type: &str) -> Value {
    let own = parameters_of(resource_type).map(|known| (known.name, known.kind.code()));
    let all = [("_id", "token"), ("_lastUpdated", "date")].into_iter().chain(own);
    let parameters: Vec<Value> =
        all.map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    let includes = parameters_of(resource_type)
        .filter(|known| known.kind.code() == "reference")
        .map(|known| format!("{resource_type}:{}", known.name));
    json!({
        "type": resource_type,
        "documentation": "Searched for one patient (patient, or patient.identifier), over all members.",
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "versioning": "no-version",
        "searchInclude": includes.collect::<Vec<String>>(),
        "searchRevInclude": REVERSE,
        "searchParam": parameters,
    })
}

fn patient(base_url: &str) -> Value {
    let operation =
        |name: &str, definition: &str| json!({ "name": name, "definition": definition });
    let own = |id: &str| format!("{base_url}/OperationDefinition/{id}");
    json!({
        "type": "Patient",
        "interaction": [
            { "code": "read" },
            {
                "code": "update",
                "documentation": "Conditional only (IHE PIXm ITI-104); with active = false and a link replaced-by to an identifier, a merge."
            },
            { "code": "delete", "documentation": "Conditional only (IHE PIXm ITI-104)." },
            {
                "code": "search-type",
                "documentation": "IHE PDQm ITI-78, by GET and by POST to _search."
            }
        ],
        "versioning": "no-version",
        "updateCreate": false,
        "conditionalUpdate": true,
        "conditionalDelete": "single",
        "searchParam": patient_parameters(base_url),
        "operation": [
            operation("match", "http://hl7.org/fhir/OperationDefinition/Patient-match"),
            operation("everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"),
            operation("summary", "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"),
            operation("ed-brief", &own("patient-ed-brief")),
            operation(
                "ihe-pix",
                "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
            ),
            operation("locate-records", &own("patient-locate-records")),
        ]
    })
}

/// The parameters of a search of patients: name, type, and the end of the definition's URL.
const PATIENT_PARAMETERS: [(&str, &str, &str); 16] = [
    ("_id", "token", "Resource-id"),
    ("active", "token", "Patient-active"),
    ("address", "string", "individual-address"),
    ("address-city", "string", "individual-address-city"),
    ("address-country", "string", "individual-address-country"),
    ("address-postalcode", "string", "individual-address-postalcode"),
    ("address-state", "string", "individual-address-state"),
    ("birthdate", "date", "individual-birthdate"),
    ("email", "token", "individual-email"),
    ("family", "string", "individual-family"),
    ("gender", "token", "individual-gender"),
    ("given", "string", "individual-given"),
    ("identifier", "token", "Patient-identifier"),
    ("name", "string", "Patient-name"),
    ("phone", "token", "individual-phone"),
    ("telecom", "token", "individual-telecom"),
];

fn patient_parameters(base_url: &str) -> Value {
    let parameters = PATIENT_PARAMETERS.iter().map(|(name, kind, definition)| {
        let mut parameter = json!({
            "name": name,
            "definition": format!("http://hl7.org/fhir/SearchParameter/{definition}"),
            "type": kind,
        });
        if *name == "identifier" {
            parameter["documentation"] = json!(
                "system|value, value, or system| to show identifiers of these systems only; in \
                 conditional update, system|value under a namespace of the feeding member."
            );
        }
        parameter
    });
    let mothers_maiden_name = json!({
        "name": "mothersMaidenName",
        "definition": format!("{base_url}/SearchParameter/patient-mothers-maiden-name"),
        "type": "string",
    });
    parameters.chain([mothers_maiden_name]).collect()
}

fn consent() -> Value {
    json!({
        "type": "Consent",
        "interaction": [{ "code": "update" }],
        "versioning": "no-version",
        "updateCreate": true
    })
}

/// What this gateway defines itself.
fn definitions(kind: &str) -> Value {
    json!({
        "type": kind,
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "versioning": "no-version"
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_type_is_described_once() {
        let all = resources("https://gw.example/fhir");
        let types: BTreeSet<&str> =
            all.iter().map(|one| one["type"].as_str().expect("a type")).collect();
        assert_eq!(types.len(), all.len());
    }
}
