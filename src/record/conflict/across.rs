//! Contradictions between different facts.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ConflictKind,
    within::{clinical_status, differ, dose_path},
};
use crate::record::{
    element::Element,
    facts::Facts,
    intake::{Intake, Told},
    representative::is_entered_in_error,
    same_fact::{
        clinical_time::{ClinicalTime, TimeAgreement},
        code::{Code, LOINC, SNOMED, codes},
        value::Value,
    },
};

type Found = Vec<(ConflictKind, Vec<u32>)>;

/// Every contradiction between facts that are not one.
pub(super) fn conflicts(intake: &Intake, facts: &Facts) -> Found {
    let mut found = denials(facts);
    found.extend(allergies(intake));
    found.extend(blood_groups(intake));
    found.extend(doses(intake));
    found.extend(patients(intake));
    found
}

fn of_type<'a>(intake: &'a Intake, kind: &str) -> Vec<(u32, &'a Told, Element<'a>)> {
    intake
        .told
        .iter()
        .enumerate()
        .filter(|(_, told)| told.resource.resource_type() == kind)
        .map(|(place, told)| (place as u32, told, Element::new(told.resource.json())))
        .filter(|(_, _, resource)| !is_entered_in_error(*resource))
        .collect()
}

/// Facts and their negations, whole groups of them.
fn denials(facts: &Facts) -> Found {
    let group_of: BTreeMap<u32, &Vec<u32>> = facts
        .groups
        .iter()
        .flat_map(|group| group.iter().map(move |place| (*place, group)))
        .collect();
    let both = |a: &u32, b: &u32| {
        let side = |place: &u32| group_of.get(place).map_or(vec![*place], |group| (*group).clone());
        let all: BTreeSet<u32> = side(a).into_iter().chain(side(b)).collect();
        (ConflictKind::Denied, all.into_iter().collect())
    };
    facts.opposed.iter().map(|(a, b)| both(a, b)).collect()
}

/// What a "no known allergy" code denies: one category of allergies, or all.
/// SNOMED CT, and the IPS code system of absent and unknown data.
type NoKnown = (&'static str, Option<&'static str>);

const NO_KNOWN: &[NoKnown] = &[
    ("716186003", None),
    ("160244002", None),
    ("no-known-allergies", None),
    ("409137002", Some("medication")),
    ("no-known-medication-allergies", Some("medication")),
    ("429625007", Some("food")),
    ("no-known-food-allergies", Some("food")),
    ("428607008", Some("environment")),
    ("no-known-environmental-allergies", Some("environment")),
];

/// The entry of [`NO_KNOWN`] that an AllergyIntolerance states.
fn no_known(resource: Element<'_>) -> Option<&'static NoKnown> {
    let told = resource.field("code").map(codes).unwrap_or_default();
    let denied = |code: &Code<'_>| {
        let absent = code.system == SNOMED || code.system.contains("absent-unknown");
        NO_KNOWN.iter().find(|(known, _)| absent && *known == code.code)
    };
    told.iter().find_map(denied)
}

fn allergies(intake: &Intake) -> Found {
    let standing: Vec<_> = of_type(intake, "AllergyIntolerance")
        .into_iter()
        .filter(|(_, _, resource)| {
            let refuted = resource.at("verificationStatus.coding").into_iter();
            let mut refuted = refuted.flat_map(Element::items).filter_map(|c| c.text_of("code"));
            clinical_status(*resource) != Some("resolved") && !refuted.any(|code| code == "refuted")
        })
        .collect();
    let mut found = Found::new();
    for (place, _, denial) in &standing {
        let Some((_, category)) = no_known(*denial) else { continue };
        let denied = standing.iter().filter(|(_, _, other)| {
            no_known(*other).is_none() && category.is_none_or(|category| is_of(*other, category))
        });
        let mut all: Vec<u32> = denied.map(|(other, _, _)| *other).collect();
        if !all.is_empty() {
            all.push(*place);
            all.sort_unstable();
            found.push((ConflictKind::AllergyAgainstNone, all));
        }
    }
    found
}

/// Whether an allergy is of a category; one that tells none may be of any.
fn is_of(allergy: Element<'_>, category: &str) -> bool {
    let Some(told) = allergy.field("category") else { return true };
    told.items().any(|item| item.text().as_deref() == Some(category))
}

/// ABO and Rh, ABO, Rh (LOINC); finding of ABO blood group (SNOMED CT).
const BLOOD_GROUPS: &[(&str, &str)] =
    &[(LOINC, "882-1"), (LOINC, "883-9"), (LOINC, "10331-7"), (SNOMED, "365637002")];

fn blood_groups(intake: &Intake) -> Found {
    let mut told: BTreeMap<&str, Vec<(u32, Element<'_>)>> = BTreeMap::new();
    for (place, _, resource) in of_type(intake, "Observation") {
        let known = resource.field("code").map(codes).unwrap_or_default();
        for (system, code) in BLOOD_GROUPS {
            if known.iter().any(|known| known.system == *system && known.code == *code) {
                told.entry(code).or_default().push((place, resource));
            }
        }
    }
    told.into_values()
        .filter(|all| {
            let resources: Vec<Element<'_>> = all.iter().map(|(_, resource)| *resource).collect();
            ["valueCodeableConcept", "valueString"]
                .iter()
                .any(|path| differ(&resources, path, false))
        })
        .map(|all| (ConflictKind::BloodGroup, all.into_iter().map(|(place, _)| place).collect()))
        .collect()
}

/// One drug, active in the books of two members, with two doses.
fn doses(intake: &Intake) -> Found {
    let mut by_drug: BTreeMap<Code<'_>, Vec<(u32, u16, Value<'_>)>> = BTreeMap::new();
    for kind in ["MedicationRequest", "MedicationStatement"] {
        for (place, told, resource) in of_type(intake, kind) {
            let active = resource.text_of("status").as_deref() == Some("active");
            let dose = dose_path(kind).and_then(|path| Value::of_all(&resource.at(path)));
            let drug = resource.field("medicationCodeableConcept").map(codes).unwrap_or_default();
            let (true, Some(dose)) = (active, dose) else { continue };
            for code in drug {
                by_drug.entry(code).or_default().push((place, told.member, dose.clone()));
            }
        }
    }
    let mut found = Found::new();
    for told in by_drug.into_values() {
        let contradicted = |(_, member, dose): &(u32, u16, Value<'_>)| {
            told.iter().any(|(_, other, its)| member != other && !dose.agrees(its))
        };
        let all: Vec<u32> =
            told.iter().filter(|one| contradicted(one)).map(|(place, _, _)| *place).collect();
        if !all.is_empty() {
            found.push((ConflictKind::Dose, all));
        }
    }
    found
}

/// What the members' own Patient resources disagree in.
fn patients(intake: &Intake) -> Found {
    let all: Vec<(u32, Element<'_>)> = of_type(intake, "Patient")
        .into_iter()
        .filter(|(_, told, _)| {
            let sender = intake.members.get(usize::from(told.member));
            let id = told.resource.id().unwrap_or_default();
            sender.is_some_and(|sender| sender.patient_ids.iter().any(|own| own == id))
        })
        .map(|(place, _, resource)| (place, resource))
        .collect();
    let places = || all.iter().map(|(place, _)| *place).collect::<Vec<u32>>();
    let deceased: BTreeSet<bool> = all.iter().map(|(_, patient)| is_deceased(*patient)).collect();
    let resources: Vec<Element<'_>> = all.iter().map(|(_, patient)| *patient).collect();
    let births: Vec<ClinicalTime> = resources
        .iter()
        .filter_map(|patient| ClinicalTime::parse(&patient.text_of("birthDate")?))
        .collect();
    let two_births =
        births.iter().any(|a| births.iter().any(|b| a.agreement(*b) == TimeAgreement::Different));
    let mut found = Found::new();
    if deceased.len() > 1 {
        found.push((ConflictKind::Deceased, places()));
    }
    if two_births || differ(&resources, "gender", false) {
        found.push((ConflictKind::Demographics, places()));
    }
    found
}

fn is_deceased(patient: Element<'_>) -> bool {
    patient.field("deceasedBoolean").is_some_and(Element::is_true)
        || patient.text_of("deceasedDateTime").is_some()
}
