//! Whom a resource is about.

use std::borrow::Cow;

use super::{Element, Resource};

/// The references by which a resource says whose it is: `subject`, `patient`, `beneficiary`, and
/// what stands for them in a few types (FHIR R4 Patient compartment, primary elements only).
pub fn subject_references(resource: &Resource) -> Vec<Cow<'_, str>> {
    let head = resource.head();
    let person = match resource.resource_type() {
        "Task" => Some("for"),
        "ResearchSubject" => Some("individual"),
        _ => None,
    };
    ["subject", "patient", "beneficiary"]
        .into_iter()
        .chain(person)
        .filter_map(|name| head.field(name))
        .flat_map(Element::items)
        // What is told and cannot be read leads to nobody, rather than going unnoticed.
        .filter_map(|told| Some(told.field("reference")?.text().unwrap_or_default()))
        .collect()
}

/// Whether resources of this type belong to a patient, and so must say whose they are.
pub fn is_patient_data(resource_type: &str) -> bool {
    PATIENT_DATA.binary_search(&resource_type).is_ok()
}

/// Types whose every instance is about one patient. In alphabetical order.
const PATIENT_DATA: &[&str] = &[
    "Account",
    "AdverseEvent",
    "AllergyIntolerance",
    "BodyStructure",
    "CarePlan",
    "CareTeam",
    "ChargeItem",
    "Claim",
    "ClaimResponse",
    "ClinicalImpression",
    "Communication",
    "CommunicationRequest",
    "Composition",
    "Condition",
    "Consent",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "DetectedIssue",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentManifest",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "Media",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "MolecularSequence",
    "NutritionOrder",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RequestGroup",
    "ResearchSubject",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
    "SupplyDelivery",
    "SupplyRequest",
    "Task",
    "VisionPrescription",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &[&str]) {
        let resource = Resource::parse(json.as_bytes()).expect("well-formed");
        assert_eq!(subject_references(&resource), expected);
    }

    #[test]
    fn a_resource_says_whose_it_is() {
        check(
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"}}"#,
            &["Patient/1"],
        );
        check(
            r#"{"resourceType":"Coverage","beneficiary":{"reference":"Patient/1"}}"#,
            &["Patient/1"],
        );
        check(
            r#"{"resourceType":"Account","subject":[{"reference":"Patient/1"},{"reference":"Patient/2"}]}"#,
            &["Patient/1", "Patient/2"],
        );
        check(r#"{"resourceType":"Task","for":{"reference":"Patient/1"}}"#, &["Patient/1"]);
        check(r#"{"resourceType":"Organization","name":"A"}"#, &[]);
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(PATIENT_DATA.is_sorted());
        assert!(is_patient_data("Observation") && !is_patient_data("Practitioner"));
    }
}
