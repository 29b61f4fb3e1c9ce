//! Which search parameters each resource type has here, and what they read.

use serde_json::Value;

use crate::fhir::{dates::TimeRange, subject::is_patient_data};

/// A search parameter on one resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: ParameterKind,
    /// Elements that it reads, dots between them. Choices (`effective[x]`) are spelled out.
    paths: &'static [&'static str],
}

/// FHIR's type of a search parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParameterKind {
    Token,
    Date,
    Text,
    /// A reference to a Patient.
    Patient,
}

impl ParameterKind {
    /// `CapabilityStatement.rest.resource.searchParam.type`.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Date => "date",
            Self::Text => "string",
            Self::Patient => "reference",
        }
    }
}

/// What a parameter finds in one resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ReadValue<'a> {
    Token { system: Option<&'a str>, code: &'a str },
    Date(TimeRange),
    Text(&'a str),
}

impl Parameter {
    const fn token(name: &'static str, paths: &'static [&'static str]) -> Self {
        Self { name, kind: ParameterKind::Token, paths }
    }

    const fn date(name: &'static str, paths: &'static [&'static str]) -> Self {
        Self { name, kind: ParameterKind::Date, paths }
    }

    const fn text(name: &'static str, paths: &'static [&'static str]) -> Self {
        Self { name, kind: ParameterKind::Text, paths }
    }

    /// Reads its values out of a resource. What has another shape than FHIR's is not found.
    pub(super) fn read<'v>(&self, resource: &'v Value) -> Vec<ReadValue<'v>> {
        let mut elements = Vec::new();
        for path in self.paths {
            collect(resource, path, &mut elements);
        }
        let mut values = Vec::new();
        for element in elements {
            match self.kind {
                ParameterKind::Token => read_tokens(element, &mut values),
                ParameterKind::Date => values.extend(read_date(element).map(ReadValue::Date)),
                ParameterKind::Text => values.extend(element.as_str().map(ReadValue::Text)),
                ParameterKind::Patient => {}
            }
        }
        values
    }
}

/// All elements at a path; arrays are walked into.
fn collect<'v>(value: &'v Value, path: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, found)),
        _ if path.is_empty() => found.push(value),
        _ => {
            let (head, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(inner) = value.get(head) {
                collect(inner, rest, found);
            }
        }
    }
}

fn read_tokens<'v>(element: &'v Value, values: &mut Vec<ReadValue<'v>>) {
    let text = |key: &str| element.get(key).and_then(Value::as_str);
    match element {
        Value::String(code) => values.push(ReadValue::Token { system: None, code }),
        Value::Bool(flag) => {
            let code = if *flag { "true" } else { "false" };
            values.push(ReadValue::Token { system: None, code });
        }
        Value::Object(_) => {
            if let Some(Value::Array(codings)) = element.get("coding") {
                for coding in codings {
                    read_tokens(coding, values);
                }
            }
            // A Coding has a code, an Identifier or ContactPoint a value.
            if let Some(code) = text("code").or_else(|| text("value")) {
                values.push(ReadValue::Token { system: text("system"), code });
            }
        }
        _ => {}
    }
}

fn read_date(element: &Value) -> Option<TimeRange> {
    if let Some(text) = element.as_str() {
        return TimeRange::parse(text).ok();
    }
    let side = |key: &str| element.get(key).and_then(Value::as_str);
    let (start, end) = (side("start"), side("end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    TimeRange::period(start, end).ok()
}

pub(super) const PATIENT: Parameter =
    Parameter { name: "patient", kind: ParameterKind::Patient, paths: &[] };
const SUBJECT: Parameter = Parameter { name: "subject", kind: ParameterKind::Patient, paths: &[] };

/// The parameters of a type beside `_id` and `_lastUpdated`, as R4 names them.
pub(super) fn parameters_of(resource_type: &str) -> impl Iterator<Item = Parameter> + use<> {
    let patient = is_patient_data(resource_type).then_some(PATIENT);
    let subject = WITH_SUBJECT.contains(&resource_type).then_some(SUBJECT);
    patient.into_iter().chain(subject).chain(own_parameters(resource_type).iter().copied())
}

/// The parameter of a type by its name.
pub(super) fn parameter(resource_type: &str, name: &str) -> Option<Parameter> {
    parameters_of(resource_type).find(|parameter| parameter.name == name)
}

/// The types that are served even where there is nothing of them.
pub(super) fn served_types() -> impl Iterator<Item = &'static str> {
    OWN.iter().map(|(resource_type, _)| *resource_type)
}

fn own_parameters(resource_type: &str) -> &'static [Parameter] {
    let row = OWN.iter().find(|(own, _)| *own == resource_type);
    row.map_or(&[IDENTIFIER], |(_, parameters)| parameters)
}

/// Types whose R4 definition has a `subject` parameter.
const WITH_SUBJECT: &[&str] = &[
    "CarePlan",
    "CareTeam",
    "Composition",
    "Condition",
    "DeviceRequest",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Flag",
    "Goal",
    "ImagingStudy",
    "Media",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
];

const IDENTIFIER: Parameter = Parameter::token("identifier", &["identifier"]);
const STATUS: Parameter = Parameter::token("status", &["status"]);
const INTENT: Parameter = Parameter::token("intent", &["intent"]);
const CATEGORY: Parameter = Parameter::token("category", &["category"]);
const CODE: Parameter = Parameter::token("code", &["code"]);
const MEDICATION: Parameter = Parameter::token("code", &["medicationCodeableConcept"]);
const TYPE: Parameter = Parameter::token("type", &["type"]);
const PERIOD: Parameter = Parameter::date("date", &["period"]);
const AUTHORED: Parameter = Parameter::date("authored", &["authoredOn"]);
const CREATED: Parameter = Parameter::date("created", &["created"]);

const OWN: &[(&str, &[Parameter])] = &[
    (
        "AllergyIntolerance",
        &[
            IDENTIFIER,
            CATEGORY,
            Parameter::token("clinical-status", &["clinicalStatus"]),
            Parameter::token("code", &["code", "reaction.substance"]),
            Parameter::date("date", &["recordedDate"]),
        ],
    ),
    ("CarePlan", &[IDENTIFIER, STATUS, INTENT, CATEGORY, PERIOD]),
    ("CareTeam", &[IDENTIFIER, STATUS, CATEGORY, PERIOD]),
    ("Claim", &[IDENTIFIER, STATUS, Parameter::token("use", &["use"]), CREATED]),
    ("Composition", &[IDENTIFIER, STATUS, CATEGORY, TYPE, Parameter::date("date", &["date"])]),
    (
        "Condition",
        &[
            IDENTIFIER,
            CATEGORY,
            CODE,
            Parameter::token("clinical-status", &["clinicalStatus"]),
            Parameter::token("verification-status", &["verificationStatus"]),
            Parameter::date("onset-date", &["onsetDateTime", "onsetPeriod"]),
            Parameter::date("abatement-date", &["abatementDateTime", "abatementPeriod"]),
            Parameter::date("recorded-date", &["recordedDate"]),
        ],
    ),
    ("Coverage", &[IDENTIFIER, STATUS, TYPE]),
    ("Device", &[IDENTIFIER, STATUS, TYPE, PATIENT]),
    (
        "DeviceRequest",
        &[IDENTIFIER, STATUS, INTENT, Parameter::date("authored-on", &["authoredOn"])],
    ),
    (
        "DiagnosticReport",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            CODE,
            Parameter::date("date", &["effectiveDateTime", "effectivePeriod"]),
            Parameter::date("issued", &["issued"]),
        ],
    ),
    (
        "DocumentReference",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            TYPE,
            Parameter::date("date", &["date"]),
            Parameter::date("period", &["context.period"]),
        ],
    ),
    ("Encounter", &[IDENTIFIER, STATUS, TYPE, Parameter::token("class", &["class"]), PERIOD]),
    ("ExplanationOfBenefit", &[IDENTIFIER, STATUS, CREATED]),
    (
        "FamilyMemberHistory",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::token("code", &["condition.code"]),
            Parameter::date("date", &["date"]),
        ],
    ),
    ("Flag", &[IDENTIFIER, PERIOD]),
    (
        "Goal",
        &[
            IDENTIFIER,
            CATEGORY,
            Parameter::token("lifecycle-status", &["lifecycleStatus"]),
            Parameter::date("start-date", &["startDate"]),
            Parameter::date("target-date", &["target.dueDate"]),
        ],
    ),
    ("ImagingStudy", &[IDENTIFIER, STATUS, Parameter::date("started", &["started"])]),
    (
        "Immunization",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::token("vaccine-code", &["vaccineCode"]),
            Parameter::date("date", &["occurrenceDateTime"]),
        ],
    ),
    ("Location", &[IDENTIFIER, STATUS]),
    (
        "Media",
        &[
            IDENTIFIER,
            STATUS,
            TYPE,
            Parameter::date("created", &["createdDateTime", "createdPeriod"]),
        ],
    ),
    ("Medication", &[IDENTIFIER, STATUS, CODE]),
    (
        "MedicationAdministration",
        &[
            IDENTIFIER,
            STATUS,
            MEDICATION,
            Parameter::date("effective-time", &["effectiveDateTime", "effectivePeriod"]),
        ],
    ),
    (
        "MedicationDispense",
        &[
            IDENTIFIER,
            STATUS,
            TYPE,
            MEDICATION,
            Parameter::date("whenhandedover", &["whenHandedOver"]),
            Parameter::date("whenprepared", &["whenPrepared"]),
        ],
    ),
    (
        "MedicationRequest",
        &[
            IDENTIFIER,
            STATUS,
            INTENT,
            CATEGORY,
            MEDICATION,
            Parameter::date("authoredon", &["authoredOn"]),
        ],
    ),
    (
        "MedicationStatement",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            MEDICATION,
            Parameter::date("effective", &["effectiveDateTime", "effectivePeriod"]),
        ],
    ),
    (
        "Observation",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            CODE,
            Parameter::date("date", &["effectiveDateTime", "effectivePeriod", "effectiveInstant"]),
        ],
    ),
    ("Organization", &[IDENTIFIER]),
    (
        "Patient",
        &[
            IDENTIFIER,
            Parameter::token("active", &["active"]),
            Parameter::token("gender", &["gender"]),
            Parameter::date("birthdate", &["birthDate"]),
            Parameter::text("family", &["name.family"]),
            Parameter::text("given", &["name.given"]),
            Parameter::text(
                "name",
                &["name.family", "name.given", "name.text", "name.prefix", "name.suffix"],
            ),
        ],
    ),
    ("Practitioner", &[IDENTIFIER]),
    ("PractitionerRole", &[IDENTIFIER]),
    (
        "Procedure",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            CODE,
            Parameter::date("date", &["performedDateTime", "performedPeriod"]),
        ],
    ),
    ("Provenance", &[PATIENT, Parameter::date("recorded", &["recorded"])]),
    ("QuestionnaireResponse", &[IDENTIFIER, STATUS, Parameter::date("authored", &["authored"])]),
    ("RelatedPerson", &[IDENTIFIER]),
    (
        "RiskAssessment",
        &[IDENTIFIER, Parameter::date("date", &["occurrenceDateTime", "occurrencePeriod"])],
    ),
    (
        "ServiceRequest",
        &[
            IDENTIFIER,
            STATUS,
            INTENT,
            CATEGORY,
            CODE,
            AUTHORED,
            Parameter::date("occurrence", &["occurrenceDateTime", "occurrencePeriod"]),
        ],
    ),
    (
        "Specimen",
        &[
            IDENTIFIER,
            STATUS,
            TYPE,
            Parameter::date(
                "collected",
                &["collection.collectedDateTime", "collection.collectedPeriod"],
            ),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<'v>(resource: &'v Value, name: &str) -> Vec<ReadValue<'v>> {
        let kind = resource["resourceType"].as_str().expect("a type");
        parameter(kind, name).expect("defined").read(resource)
    }

    #[test]
    fn tokens_are_read_from_codes_concepts_and_identifiers() {
        let observation = json!({"resourceType": "Observation", "status": "final",
            "identifier": [{"system": "urn:x", "value": "1"}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}, {"code": "BP"}]}});
        let token = |system, code| ReadValue::Token { system, code };
        assert_eq!(read(&observation, "status"), [token(None, "final")]);
        assert_eq!(read(&observation, "identifier"), [token(Some("urn:x"), "1")]);
        let loinc = token(Some("http://loinc.org"), "8480-6");
        assert_eq!(read(&observation, "code"), [loinc, token(None, "BP")]);
    }

    #[test]
    fn dates_are_read_from_each_choice() {
        let at = |value: Value| match read(&value, "date").first() {
            Some(ReadValue::Date(date)) => Some(*date),
            _ => None,
        };
        let day = TimeRange::parse("2024-03-01").expect("a date");
        assert_eq!(
            at(json!({"resourceType": "Procedure", "performedDateTime": "2024-03-01"})),
            Some(day)
        );
        let period = json!({"start": "2024-03-01", "end": "2024-03-01"});
        assert_eq!(at(json!({"resourceType": "Procedure", "performedPeriod": period})), Some(day));
        assert_eq!(at(json!({"resourceType": "Procedure", "performedPeriod": {}})), None);
        assert_eq!(at(json!({"resourceType": "Procedure", "performedDateTime": 7})), None);
    }

    #[test]
    fn no_type_names_a_parameter_twice() {
        for resource_type in served_types() {
            let mut names: Vec<_> = parameters_of(resource_type).map(|p| p.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{resource_type}");
        }
    }
}
