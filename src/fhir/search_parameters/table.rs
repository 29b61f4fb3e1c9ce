//! The table: each type's search parameters beside `_id`, `_lastUpdated` and `patient`.

use super::{Parameter, ParameterKind};

/// `patient`: on every type that belongs to one.
pub(super) const PATIENT: Parameter = Parameter {
    name: "patient",
    kind: ParameterKind::Patient,
    paths: &["patient", "subject", "beneficiary"],
};
pub(super) const SUBJECT: Parameter =
    Parameter { name: "subject", kind: ParameterKind::Patient, paths: &["subject"] };

/// Types whose R4 definition has a `subject` parameter.
pub(super) const WITH_SUBJECT: &[&str] = &[
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

pub(super) const IDENTIFIER: Parameter = Parameter::token("identifier", &["identifier"]);
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

/// The parameters of each type, as R4 names them.
pub(super) const OWN: &[(&str, &[Parameter])] = &[
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
        &[
            IDENTIFIER,
            Parameter::text(
                "name",
                &["name.text", "name.family", "name.given", "name.prefix", "name.suffix"],
            ),
            Parameter::text("family", &["name.family"]),
            Parameter::text("given", &["name.given"]),
        ],
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
