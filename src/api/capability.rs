//! `GET /fhir/metadata`: what this gateway does, and nothing that it does not.

use serde_json::{Value, json};

use super::{operations, search_input::is_searched};
use crate::{
    fhir::{
        FHIR_JSON,
        search_parameters::{described_types, parameters_of},
        xml::FHIR_XML,
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
        "format": [FHIR_JSON, FHIR_XML],
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
            "operation": [{
                "name": "process-message",
                "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
                "documentation": "Messages of identity changes by a member (IHE PMIR ITI-93), answered at once."
            }]
        }],
        "messaging": [{
            "documentation": "Identity feeds of members (IHE PMIR ITI-93). Nobody is notified: there are no subscriptions.",
            "supportedMessage": [{
                "mode": "receiver",
                "definition": "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition"
            }]
        }]
    })
}

fn resources(base_url: &str) -> Vec<Value> {
    let mut all = vec![
        patient(base_url),
        consent(),
        tasks(base_url),
        definitions("OperationDefinition"),
        definitions("SearchParameter"),
        organization(),
        endpoint(),
        affiliation(),
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
    let mut told = json!({
        "type": resource_type,
        "documentation": "Searched for one patient (patient, or patient.identifier), over all members.",
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "versioning": "no-version",
        "searchParam": parameters,
    });
    if resource_type == "DocumentReference" {
        let docref = "http://hl7.org/fhir/us/core/OperationDefinition/docref";
        told["operation"] = json!([{ "name": "docref", "definition": docref }]);
    }
    with_includes(told, &includes.collect::<Vec<String>>(), &REVERSE)
}

/// Adds what may be included, where there is any: FHIR knows no empty list.
fn with_includes(mut told: Value, include: &[impl serde::Serialize], reverse: &[&str]) -> Value {
    if !include.is_empty() {
        told["searchInclude"] = json!(include);
    }
    if !reverse.is_empty() {
        told["searchRevInclude"] = json!(reverse);
    }
    told
}

fn patient(base_url: &str) -> Value {
    let operation =
        |name: &str, definition: &str| json!({ "name": name, "definition": definition });
    let own = |id: &str| format!("{base_url}/OperationDefinition/{id}");
    let pix = "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix";
    let mut operations = vec![
        operation("match", "http://hl7.org/fhir/OperationDefinition/Patient-match"),
        everything(),
        operation("summary", "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"),
        operation("ed-brief", &own("patient-ed-brief")),
        operation("ihe-pix", pix),
        operation("locate-records", &own("patient-locate-records")),
    ];
    operations.extend(operations::listed(base_url, "Patient"));
    json!({
        "type": "Patient",
        "interaction": [
            { "code": "read" },
            {
                "code": "update",
                "documentation": "By a member: conditional on its own identifier (IHE PIXm ITI-104), or of Patient/{its code}.{its own Patient.id}. With active = false and a link replaced-by to another of its Patients, a merge. If-Match is taken, with the ETag of a feed's answer."
            },
            {
                "code": "delete",
                "documentation": "By a member: conditional on its own identifier (IHE PIXm ITI-104), or of Patient/{its code}.{its own Patient.id}."
            },
            {
                "code": "search-type",
                "documentation": "IHE PDQm ITI-78, by GET and by POST to _search."
            }
        ],
        "versioning": "no-version",
        "updateCreate": true,
        "conditionalUpdate": true,
        "conditionalDelete": "single",
        "searchParam": patient_parameters(base_url),
        "operation": operations
    })
}

fn everything() -> Value {
    json!({
        "name": "everything",
        "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        "documentation": "With Accept: application/fhir+ndjson one resource a line, as members answer; with Prefer: respond-async gathered to be fetched later. Members' answers may have been kept for a short while, which the OperationOutcome tells; Cache-Control: no-cache asks the members."
    })
}

/// Review tasks, for clients with the steward role.
fn tasks(base_url: &str) -> Value {
    let parameter = |name: &str, kind: &str, documentation: &str| json!({ "name": name, "type": kind, "documentation": documentation });
    json!({
        "type": "Task",
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "versioning": "no-version",
        "documentation": "Questions about who is who, for clients with the steward role; the most hazardous kind first, and of that the oldest.",
        "searchParam": [
            parameter("status", "token", "requested, in-progress, completed or cancelled; requested and in-progress where not told"),
            parameter("business-status", "token", "open, claimed, same, different, cannot_tell, settled or withdrawn"),
            parameter("code", "token", "link_in_doubt, possible_duplicate_persons or possible_link"),
            parameter("owner", "string", "the client that has it in hand, by its id"),
            parameter("member", "string", "a member of whom a record is concerned, by its code"),
        ],
        "operation": operations::listed(base_url, "Task")
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

/// The directory of members (IHE mCSD, ITI-90).
fn directory(kind: &str, parameters: &[(&str, &str)], include: &[&str], reverse: &[&str]) -> Value {
    let common = [("_id", "token"), ("_lastUpdated", "date"), ("identifier", "token")];
    let parameters = common.iter().chain(parameters);
    let parameters: Vec<Value> =
        parameters.map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    let told = json!({
        "type": kind,
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "searchParam": parameters,
        "documentation": "The members of the exchange. An id with a dot is a member's own resource."
    });
    with_includes(told, include, reverse)
}

fn organization() -> Value {
    let own = [("active", "token"), ("name", "string"), ("type", "token"), ("partof", "reference")];
    let reverse = [
        "OrganizationAffiliation:participating-organization",
        "OrganizationAffiliation:primary-organization",
    ];
    directory("Organization", &own, &["Organization:endpoint"], &reverse)
}

fn endpoint() -> Value {
    let own = [
        ("status", "token"),
        ("name", "string"),
        ("organization", "reference"),
        ("connection-type", "token"),
        ("payload-type", "token"),
    ];
    directory("Endpoint", &own, &[], &[])
}

fn affiliation() -> Value {
    let own = [
        ("active", "token"),
        ("date", "date"),
        ("role", "token"),
        ("primary-organization", "reference"),
        ("participating-organization", "reference"),
    ];
    directory("OrganizationAffiliation", &own, &["OrganizationAffiliation:endpoint"], &[])
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
