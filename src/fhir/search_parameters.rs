//! Which search parameters each resource type has, and what they read (FHIR R4, US Core 6.1.0).

use std::borrow::Cow;

use super::{
    Element, Head,
    code_system::{canonical_code, known_system},
    dates::TimeRange,
    search::{Token, TokenSystem},
    subject::is_patient_data,
};

/// A search parameter on one resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// As FHIR names it.
    pub name: &'static str,
    /// How it compares.
    pub kind: ParameterKind,
    /// Elements that it reads, dots between them. Choices (`effective[x]`) are spelled out; an
    /// extension is named by its URL.
    paths: &'static [&'static str],
}

/// FHIR's type of a search parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types of FHIR R4 search-param-type")]
pub enum ParameterKind {
    Token,
    Date,
    Text,
    /// A reference to a Patient.
    Patient,
    /// A reference to resources of these types.
    Reference {
        targets: &'static [&'static str],
    },
}

impl ParameterKind {
    /// `CapabilityStatement.rest.resource.searchParam.type`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Date => "date",
            Self::Text => "string",
            Self::Patient | Self::Reference { .. } => "reference",
        }
    }
}

/// What a parameter finds in one resource.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the parts of a Coding or Identifier")]
pub enum ReadValue<'a> {
    Token { system: Option<Cow<'a, str>>, code: Cow<'a, str> },
    Date(TimeRange),
    Text(Cow<'a, str>),
    Reference(Cow<'a, str>),
}

impl ReadValue<'_> {
    /// Whether a token means this value, however its code system is spelled.
    pub fn is_token(&self, token: &Token<'_>) -> bool {
        let Self::Token { system, code } = self else { return false };
        if token.matches(system.as_deref(), code) {
            return true;
        }
        let Some(known) = system.as_deref().and_then(known_system) else { return false };
        let in_system = match &token.system {
            TokenSystem::Any => true,
            TokenSystem::None => false,
            TokenSystem::Is(told) => known_system(told).is_some_and(|told| told == known),
        };
        let spelled = |code: &str| canonical_code(&known, Cow::Borrowed(code)).into_owned();
        in_system && token.code.as_ref().is_none_or(|told| spelled(told) == spelled(code))
    }
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

    const fn reference(
        name: &'static str,
        paths: &'static [&'static str],
        targets: &'static [&'static str],
    ) -> Self {
        Self { name, kind: ParameterKind::Reference { targets }, paths }
    }

    /// The types of resources that it may refer to.
    pub const fn targets(&self) -> &'static [&'static str] {
        match self.kind {
            ParameterKind::Reference { targets } => targets,
            _ => &[],
        }
    }

    /// Reads its values out of a resource. What has another shape than FHIR's is not found.
    pub fn read<'a>(&self, resource: Head<'a>) -> Vec<ReadValue<'a>> {
        let mut values = Vec::new();
        for element in self.elements(resource) {
            match self.kind {
                ParameterKind::Token => read_tokens(element, &mut values),
                ParameterKind::Date => values.extend(read_date(element).map(ReadValue::Date)),
                ParameterKind::Text => values.extend(element.text().map(ReadValue::Text)),
                ParameterKind::Patient | ParameterKind::Reference { .. } => {
                    // A canonical URL, or a Reference.
                    let told = element.text().or_else(|| element.text_of("reference"));
                    values.extend(told.map(ReadValue::Reference));
                }
            }
        }
        values
    }

    fn elements<'a>(&self, resource: Head<'a>) -> Vec<Element<'a>> {
        let mut found = Vec::new();
        for path in self.paths {
            if path.contains("://") {
                let extensions = resource.field("extension").into_iter().flat_map(Element::items);
                let named = extensions.filter(|one| one.text_of("url").as_deref() == Some(path));
                found.extend(named.filter_map(|one| one.field("valueDateTime")));
                continue;
            }
            for element in resource.at(path) {
                if element.is_array() {
                    found.extend(element.items());
                } else {
                    found.push(element);
                }
            }
        }
        found
    }
}

fn read_tokens<'a>(element: Element<'a>, values: &mut Vec<ReadValue<'a>>) {
    if let Some(code) = element.text() {
        values.push(ReadValue::Token { system: None, code });
    } else if matches!(element.raw(), "true" | "false") {
        values.push(ReadValue::Token { system: None, code: Cow::Borrowed(element.raw()) });
    } else if element.is_object() {
        for coding in element.field("coding").into_iter().flat_map(Element::items) {
            read_tokens(coding, values);
        }
        // A Coding has a code, an Identifier or ContactPoint a value.
        if let Some(code) = element.text_of("code").or_else(|| element.text_of("value")) {
            values.push(ReadValue::Token { system: element.text_of("system"), code });
        }
    }
}

fn read_date(element: Element<'_>) -> Option<TimeRange> {
    if let Some(text) = element.text() {
        return TimeRange::parse(&text).ok();
    }
    let (start, end) = (element.text_of("start"), element.text_of("end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    TimeRange::period(start.as_deref(), end.as_deref()).ok()
}

/// Without case and accents, as string parameters compare.
pub fn fold(text: &str) -> String {
    any_ascii::any_ascii(text).to_ascii_lowercase()
}

/// `patient`: on every type that belongs to one.
pub const PATIENT: Parameter = Parameter {
    name: "patient",
    kind: ParameterKind::Patient,
    paths: &["patient", "subject", "beneficiary"],
};
const SUBJECT: Parameter =
    Parameter { name: "subject", kind: ParameterKind::Patient, paths: &["subject"] };

/// The parameters of a type beside `_id` and `_lastUpdated`, as R4 names them.
pub fn parameters_of(resource_type: &str) -> impl Iterator<Item = Parameter> + use<> {
    let patient = is_patient_data(resource_type).then_some(PATIENT);
    let subject = WITH_SUBJECT.contains(&resource_type).then_some(SUBJECT);
    patient.into_iter().chain(subject).chain(own_parameters(resource_type).iter().copied())
}

/// The parameter of a type by its name.
pub fn parameter(resource_type: &str, name: &str) -> Option<Parameter> {
    parameters_of(resource_type).find(|parameter| parameter.name == name)
}

/// The date by which resources of a type are told in order: when it was, or was written.
pub fn main_date(resource_type: &str) -> Option<Parameter> {
    parameters_of(resource_type).find(|parameter| parameter.kind == ParameterKind::Date)
}

/// The types that have parameters of their own here.
pub fn described_types() -> impl Iterator<Item = &'static str> {
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

const ENCOUNTER: Parameter = Parameter::reference("encounter", &["encounter"], &["Encounter"]);
const ENCOUNTER_OF_ITEM: Parameter =
    Parameter::reference("encounter", &["item.encounter"], &["Encounter"]);
const MEDICATION_OF: Parameter =
    Parameter::reference("medication", &["medicationReference"], &["Medication"]);

const OWN: &[(&str, &[Parameter])] = &[
    (
        "AllergyIntolerance",
        &[
            IDENTIFIER,
            CATEGORY,
            Parameter::token("clinical-status", &["clinicalStatus"]),
            Parameter::token("code", &["code", "reaction.substance"]),
            Parameter::date("date", &["recordedDate"]),
            Parameter::token("criticality", &["criticality"]),
            Parameter::token("type", &["type"]),
            Parameter::token("verification-status", &["verificationStatus"]),
            Parameter::token("severity", &["reaction.severity"]),
            Parameter::token("manifestation", &["reaction.manifestation"]),
            Parameter::date("last-date", &["lastOccurrence"]),
            Parameter::reference("recorder", &["recorder"], &["Practitioner", "PractitionerRole"]),
        ],
    ),
    (
        "CarePlan",
        &[
            IDENTIFIER,
            STATUS,
            INTENT,
            CATEGORY,
            PERIOD,
            ENCOUNTER,
            Parameter::reference("condition", &["addresses"], &["Condition"]),
            Parameter::reference("goal", &["goal"], &["Goal"]),
            Parameter::reference("care-team", &["careTeam"], &["CareTeam"]),
        ],
    ),
    (
        "CareTeam",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            PERIOD,
            Parameter::token("role", &["participant.role"]),
            Parameter::reference(
                "participant",
                &["participant.member"],
                &["Practitioner", "PractitionerRole", "RelatedPerson", "Organization", "CareTeam"],
            ),
            ENCOUNTER,
        ],
    ),
    (
        "Claim",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::token("use", &["use"]),
            CREATED,
            ENCOUNTER_OF_ITEM,
            Parameter::reference(
                "provider",
                &["provider"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
            Parameter::reference("insurer", &["insurer"], &["Organization"]),
        ],
    ),
    (
        "Composition",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            TYPE,
            Parameter::date("date", &["date"]),
            ENCOUNTER,
            Parameter::reference(
                "author",
                &["author"],
                &["Practitioner", "PractitionerRole", "Device", "Organization"],
            ),
        ],
    ),
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
            Parameter::token("severity", &["severity"]),
            Parameter::token("body-site", &["bodySite"]),
            Parameter::date(
                "asserted-date",
                &["http://hl7.org/fhir/StructureDefinition/condition-assertedDate"],
            ),
            ENCOUNTER,
            Parameter::reference(
                "asserter",
                &["asserter"],
                &["Practitioner", "PractitionerRole", "RelatedPerson"],
            ),
        ],
    ),
    (
        "Coverage",
        &[
            IDENTIFIER,
            STATUS,
            TYPE,
            Parameter::reference("payor", &["payor"], &["Organization", "RelatedPerson"]),
            Parameter::token("class-value", &["class.value"]),
            Parameter::token("class-type", &["class.type"]),
        ],
    ),
    (
        "Device",
        &[
            IDENTIFIER,
            STATUS,
            TYPE,
            PATIENT,
            Parameter::text("device-name", &["deviceName.name"]),
            Parameter::text("manufacturer", &["manufacturer"]),
            Parameter::text("udi-carrier", &["udiCarrier.carrierHRF"]),
            Parameter::text("udi-di", &["udiCarrier.deviceIdentifier"]),
        ],
    ),
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
            ENCOUNTER,
            Parameter::token("conclusion", &["conclusionCode"]),
            Parameter::reference("result", &["result"], &["Observation"]),
            Parameter::reference("specimen", &["specimen"], &["Specimen"]),
            Parameter::reference(
                "performer",
                &["performer"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
            Parameter::reference("media", &["media.link"], &["Media"]),
        ],
    ),
    (
        "DocumentReference",
        &[
            Parameter::token("identifier", &["masterIdentifier", "identifier"]),
            STATUS,
            CATEGORY,
            TYPE,
            Parameter::date("date", &["date"]),
            Parameter::date("period", &["context.period"]),
            Parameter::date("creation", &["content.attachment.creation"]),
            Parameter::token("event", &["context.event"]),
            Parameter::token("facility", &["context.facilityType"]),
            Parameter::token("setting", &["context.practiceSetting"]),
            Parameter::token("format", &["content.format"]),
            Parameter::token("contenttype", &["content.attachment.contentType"]),
            Parameter::token("security-label", &["securityLabel"]),
            Parameter::reference("encounter", &["context.encounter"], &["Encounter"]),
            Parameter::reference(
                "author",
                &["author"],
                &["Practitioner", "PractitionerRole", "Organization", "Device"],
            ),
            Parameter::reference("custodian", &["custodian"], &["Organization"]),
            Parameter::reference("related", &["context.related"], &["DocumentReference"]),
        ],
    ),
    (
        "Encounter",
        &[
            IDENTIFIER,
            STATUS,
            TYPE,
            Parameter::token("class", &["class"]),
            PERIOD,
            Parameter::token("discharge-disposition", &["hospitalization.dischargeDisposition"]),
            Parameter::token("reason-code", &["reasonCode"]),
            Parameter::reference("location", &["location.location"], &["Location"]),
            Parameter::reference(
                "participant",
                &["participant.individual"],
                &["Practitioner", "PractitionerRole", "RelatedPerson"],
            ),
            Parameter::reference("service-provider", &["serviceProvider"], &["Organization"]),
            Parameter::reference(
                "diagnosis",
                &["diagnosis.condition"],
                &["Condition", "Procedure"],
            ),
        ],
    ),
    (
        "ExplanationOfBenefit",
        &[
            IDENTIFIER,
            STATUS,
            CREATED,
            Parameter::token("type", &["type"]),
            Parameter::date("service-date", &["billablePeriod"]),
            Parameter::reference(
                "provider",
                &["provider"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
            Parameter::reference("coverage", &["insurance.coverage"], &["Coverage"]),
            Parameter::reference("claim", &["claim"], &["Claim"]),
            Parameter::reference("insurer", &["insurer"], &["Organization"]),
            Parameter::reference(
                "care-team",
                &["careTeam.provider"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
        ],
    ),
    (
        "FamilyMemberHistory",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::token("code", &["condition.code"]),
            Parameter::date("date", &["date"]),
            Parameter::token("relationship", &["relationship"]),
            Parameter::token("sex", &["sex"]),
        ],
    ),
    ("Flag", &[IDENTIFIER, PERIOD, STATUS, Parameter::token("code", &["code"]), ENCOUNTER]),
    (
        "Goal",
        &[
            IDENTIFIER,
            CATEGORY,
            Parameter::token("lifecycle-status", &["lifecycleStatus"]),
            Parameter::date("start-date", &["startDate"]),
            Parameter::date("target-date", &["target.dueDate"]),
            Parameter::token("description", &["description"]),
            Parameter::token("achievement-status", &["achievementStatus"]),
        ],
    ),
    (
        "ImagingStudy",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::date("started", &["started"]),
            Parameter::token("modality", &["modality", "series.modality"]),
            Parameter::token("bodysite", &["series.bodySite"]),
            ENCOUNTER,
            Parameter::reference("endpoint", &["endpoint"], &["Endpoint"]),
        ],
    ),
    (
        "Immunization",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::token("vaccine-code", &["vaccineCode"]),
            Parameter::date("date", &["occurrenceDateTime"]),
            Parameter::text("lot-number", &["lotNumber"]),
            Parameter::token("status-reason", &["statusReason"]),
            Parameter::reference("location", &["location"], &["Location"]),
            Parameter::reference(
                "performer",
                &["performer.actor"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
        ],
    ),
    (
        "Location",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::text("name", &["name", "alias"]),
            Parameter::token("type", &["type"]),
        ],
    ),
    (
        "Media",
        &[
            IDENTIFIER,
            STATUS,
            TYPE,
            Parameter::date("created", &["createdDateTime", "createdPeriod"]),
            ENCOUNTER,
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
            Parameter::reference("context", &["context"], &["Encounter"]),
            MEDICATION_OF,
            Parameter::reference("request", &["request"], &["MedicationRequest"]),
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
            MEDICATION_OF,
            Parameter::reference(
                "prescription",
                &["authorizingPrescription"],
                &["MedicationRequest"],
            ),
            Parameter::reference("context", &["context"], &["Encounter"]),
            Parameter::reference(
                "performer",
                &["performer.actor"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
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
            ENCOUNTER,
            MEDICATION_OF,
            Parameter::reference(
                "requester",
                &["requester"],
                &["Practitioner", "PractitionerRole", "Organization", "RelatedPerson", "Device"],
            ),
            Parameter::token("priority", &["priority"]),
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
            MEDICATION_OF,
            Parameter::reference("context", &["context"], &["Encounter"]),
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
            Parameter::token("value-concept", &["valueCodeableConcept"]),
            Parameter::token("component-code", &["component.code"]),
            Parameter::token("combo-code", &["code", "component.code"]),
            Parameter::token("data-absent-reason", &["dataAbsentReason"]),
            ENCOUNTER,
            Parameter::reference("specimen", &["specimen"], &["Specimen"]),
            Parameter::reference(
                "performer",
                &["performer"],
                &["Practitioner", "PractitionerRole", "Organization", "RelatedPerson"],
            ),
            Parameter::reference("has-member", &["hasMember"], &["Observation"]),
            Parameter::reference(
                "derived-from",
                &["derivedFrom"],
                &["Observation", "DocumentReference", "Media", "ImagingStudy"],
            ),
            Parameter::reference("device", &["device"], &["Device"]),
        ],
    ),
    (
        "Organization",
        &[
            IDENTIFIER,
            Parameter::text("name", &["name", "alias"]),
            Parameter::token("type", &["type"]),
        ],
    ),
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
    (
        "Practitioner",
        &[IDENTIFIER, Parameter::text("name", &["name.family", "name.given", "name.text"])],
    ),
    (
        "PractitionerRole",
        &[
            IDENTIFIER,
            Parameter::token("role", &["code"]),
            Parameter::token("specialty", &["specialty"]),
            Parameter::reference("practitioner", &["practitioner"], &["Practitioner"]),
            Parameter::reference("organization", &["organization"], &["Organization"]),
            Parameter::reference("location", &["location"], &["Location"]),
            Parameter::reference("endpoint", &["endpoint"], &["Endpoint"]),
        ],
    ),
    (
        "Procedure",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            CODE,
            Parameter::date("date", &["performedDateTime", "performedPeriod"]),
            ENCOUNTER,
            Parameter::reference(
                "performer",
                &["performer.actor"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
            Parameter::reference("location", &["location"], &["Location"]),
            Parameter::reference("based-on", &["basedOn"], &["ServiceRequest"]),
        ],
    ),
    (
        "Provenance",
        &[
            PATIENT,
            Parameter::date("recorded", &["recorded"]),
            Parameter::reference("target", &["target"], &[]),
            Parameter::reference(
                "agent",
                &["agent.who"],
                &["Practitioner", "PractitionerRole", "Organization", "Device"],
            ),
        ],
    ),
    (
        "QuestionnaireResponse",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::date("authored", &["authored"]),
            Parameter::reference("questionnaire", &["questionnaire"], &["Questionnaire"]),
            ENCOUNTER,
        ],
    ),
    (
        "RelatedPerson",
        &[
            IDENTIFIER,
            Parameter::text("name", &["name.family", "name.given", "name.text"]),
            Parameter::token("relationship", &["relationship"]),
            Parameter::date("birthdate", &["birthDate"]),
        ],
    ),
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
            ENCOUNTER,
            Parameter::reference(
                "requester",
                &["requester"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
            Parameter::reference(
                "performer",
                &["performer"],
                &["Practitioner", "PractitionerRole", "Organization"],
            ),
            Parameter::reference("specimen", &["specimen"], &["Specimen"]),
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
            Parameter::reference(
                "collector",
                &["collection.collector"],
                &["Practitioner", "PractitionerRole"],
            ),
        ],
    ),
    (
        "Consent",
        &[
            IDENTIFIER,
            STATUS,
            CATEGORY,
            Parameter::token("scope", &["scope"]),
            Parameter::date("date", &["dateTime"]),
        ],
    ),
    (
        "DeviceUseStatement",
        &[
            IDENTIFIER,
            STATUS,
            Parameter::date("recorded-on", &["recordedOn"]),
            Parameter::reference("device", &["device"], &["Device"]),
        ],
    ),
    (
        "List",
        &[
            IDENTIFIER,
            STATUS,
            CODE,
            Parameter::date("date", &["date"]),
            ENCOUNTER,
            PATIENT,
            SUBJECT,
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::Resource;

    fn check(json: &str, name: &str, expected: &[ReadValue<'_>]) {
        let resource = Resource::parse(json.as_bytes()).expect("a resource");
        let parameter = parameter(resource.resource_type(), name).expect("defined");
        assert_eq!(parameter.read(resource.head()), expected, "{name}");
    }

    fn token<'a>(system: Option<&'a str>, code: &'a str) -> ReadValue<'a> {
        ReadValue::Token { system: system.map(Cow::Borrowed), code: Cow::Borrowed(code) }
    }

    #[test]
    fn tokens_are_read_from_codes_concepts_and_identifiers() {
        let observation = r#"{"resourceType":"Observation","status":"final",
            "identifier":[{"system":"urn:x","value":"1"}],
            "code":{"coding":[{"system":"http://loinc.org","code":"8480-6"},{"code":"BP"}]}}"#;
        check(observation, "status", &[token(None, "final")]);
        check(observation, "identifier", &[token(Some("urn:x"), "1")]);
        let loinc = token(Some("http://loinc.org"), "8480-6");
        check(observation, "code", &[loinc, token(None, "BP")]);
        check(r#"{"resourceType":"Patient","active":true}"#, "active", &[token(None, "true")]);
    }

    #[test]
    fn dates_are_read_from_each_choice() {
        let at = |more: &str, found: bool| {
            let day = ReadValue::Date(TimeRange::parse("2024-03-01").expect("a date"));
            let expected = if found { vec![day] } else { vec![] };
            check(&format!(r#"{{"resourceType":"Procedure",{more}}}"#), "date", &expected);
        };
        at(r#""performedDateTime":"2024-03-01""#, true);
        at(r#""performedPeriod":{"start":"2024-03-01","end":"2024-03-01"}"#, true);
        at(r#""performedPeriod":{}"#, false);
        at(r#""performedDateTime":7"#, false);
        at(r#""performedDateTime":"2019-02-30""#, false);
    }

    #[test]
    fn a_date_is_read_from_its_extension() {
        let condition = r#"{"resourceType":"Condition","extension":[{"url":"http://x","valueDateTime":"2020"},
            {"url":"http://hl7.org/fhir/StructureDefinition/condition-assertedDate","valueDateTime":"2024"}]}"#;
        let year = TimeRange::parse("2024").expect("a date");
        check(condition, "asserted-date", &[ReadValue::Date(year)]);
    }

    #[test]
    fn no_type_names_a_parameter_twice() {
        for resource_type in described_types() {
            let mut names: Vec<_> = parameters_of(resource_type).map(|p| p.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{resource_type}");
        }
    }
}
