//! Contradictions between the tellings of one fact.

use super::ConflictKind;
use crate::{
    fhir::{Element, Head},
    record::{intake::Intake, representative::is_entered_in_error, same_fact::value::Value},
};

/// What the resources of one group contradict each other in.
pub(super) fn conflicts(intake: &Intake, group: &[u32]) -> impl Iterator<Item = ConflictKind> {
    let told = group.iter().filter_map(|place| intake.told.get(*place as usize));
    let all: Vec<Head<'_>> = told.map(|told| told.resource.head()).collect();
    let kind = group.first().and_then(|place| intake.told.get(*place as usize));
    let kind = kind.map_or("", |told| told.resource.resource_type());
    let (withdrawn, standing): (Vec<_>, Vec<_>) =
        all.iter().copied().partition(|resource| is_entered_in_error(*resource));
    let error =
        (!withdrawn.is_empty() && !standing.is_empty()).then_some(ConflictKind::EnteredInError);
    let status = statuses_differ(kind, &standing).then_some(ConflictKind::Status);
    let dose = dose_path(kind)
        .is_some_and(|path| differ(&standing, path, true))
        .then_some(ConflictKind::Dose);
    let value = VALUES.iter().any(|path| kind == "Observation" && differ(&standing, path, false));
    [error, status, dose, value.then_some(ConflictKind::Value)].into_iter().flatten()
}

/// Where a medication's dose is told.
pub(super) fn dose_path(resource_type: &str) -> Option<&'static str> {
    match resource_type {
        "MedicationRequest" | "MedicationDispense" => Some("dosageInstruction"),
        "MedicationStatement" | "MedicationAdministration" => Some("dosage"),
        _ => None,
    }
}

const VALUES: &[&str] = &[
    "valueQuantity",
    "valueCodeableConcept",
    "valueString",
    "valueBoolean",
    "valueInteger",
    "component",
];

/// Whether any two say different things at a path; `or_nothing`: also if one says nothing.
pub(super) fn differ(all: &[Head<'_>], path: &str, or_nothing: bool) -> bool {
    let told: Vec<Vec<Element<'_>>> = all.iter().map(|resource| resource.at(path)).collect();
    // Byte for byte the same is the same, and most are.
    let is_same = |one: &[Element<'_>], other: &[Element<'_>]| {
        one.iter().map(|element| element.raw()).eq(other.iter().map(|element| element.raw()))
    };
    if told.windows(2).all(|two| is_same(&two[0], &two[1])) {
        return false;
    }
    let values: Vec<Option<Value<'_>>> = told
        .iter()
        .map(|elements| Value::of_all(elements))
        .filter(|value| or_nothing || value.is_some())
        .collect();
    values.iter().enumerate().any(|(i, a)| {
        values.iter().skip(i + 1).any(|b| match (a, b) {
            (Some(a), Some(b)) => !a.agrees(b),
            (None, None) => false,
            _ => true,
        })
    })
}

fn statuses_differ(kind: &str, all: &[Head<'_>]) -> bool {
    let mut told: Vec<String> = all
        .iter()
        .filter_map(|resource| match kind {
            // Between preliminary, final and corrected a result moves by design.
            "Observation" | "DiagnosticReport" => None,
            "Condition" | "AllergyIntolerance" => clinical_status(*resource).map(str::to_owned),
            _ => resource.text_of("status").map(std::borrow::Cow::into_owned),
        })
        .filter(|status| status != "unknown")
        .collect();
    told.sort_unstable();
    told.dedup();
    told.len() > 1
}

/// `active` or `resolved`, the finer shades taken with them (FHIR R4 `condition-clinical`).
pub(super) fn clinical_status(resource: Head<'_>) -> Option<&'static str> {
    let codings = resource.at("clinicalStatus.coding");
    codings.into_iter().flat_map(Element::items).find_map(|coding| {
        match coding.text_of("code")?.as_ref() {
            "active" | "recurrence" | "relapse" => Some("active"),
            "inactive" | "remission" | "resolved" => Some("resolved"),
            _ => None,
        }
    })
}
