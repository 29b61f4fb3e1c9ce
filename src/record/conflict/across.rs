//! Contradictions between different facts.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ConflictKind, medications,
    within::{clinical_status, differ},
};
use crate::fhir::{Element, Head};
use crate::record::{
    facts::Facts,
    intake::{Intake, Told},
    representative::is_entered_in_error,
    same_fact::{
        clinical_time::{ClinicalTime, TimeAgreement},
        code::{Code, LOINC, SNOMED, codes},
    },
    targets::Targets,
};

pub(super) type Found = Vec<(ConflictKind, Vec<u32>)>;

/// Every contradiction between facts that are not one.
pub(super) fn conflicts(intake: &Intake, facts: &Facts, targets: &Targets<'_>) -> Found {
    let mut found = denials(facts);
    found.extend(allergies(intake));
    found.extend(blood_groups(intake));
    found.extend(medications::conflicts(intake, targets));
    found.extend(patients(intake));
    found
}

/// Resources of one type that their sources have not withdrawn, with their places.
pub(super) fn of_type<'a>(intake: &'a Intake, kind: &str) -> Vec<(u32, &'a Told, Head<'a>)> {
    let start = intake.told.partition_point(|told| told.resource.resource_type() < kind);
    intake
        .told
        .iter()
        .enumerate()
        .skip(start)
        .take_while(|(_, told)| told.resource.resource_type() == kind)
        .map(|(place, told)| (place as u32, told, told.resource.head()))
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
fn no_known(resource: Head<'_>) -> Option<&'static NoKnown> {
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
fn is_of(allergy: Head<'_>, category: &str) -> bool {
    let Some(told) = allergy.field("category") else { return true };
    told.items().any(|item| item.text().as_deref() == Some(category))
}

/// ABO and Rh, ABO, Rh (LOINC); finding of ABO blood group (SNOMED CT).
const BLOOD_GROUPS: &[(&str, &str)] =
    &[(LOINC, "882-1"), (LOINC, "883-9"), (LOINC, "10331-7"), (SNOMED, "365637002")];

/// Whether one of their codes stands in the text of a concept, which few do; a code with an escape in
/// it may be any.
fn may_be_blood_group(concept: Element<'_>) -> bool {
    let text = concept.raw();
    text.contains('\\') || BLOOD_GROUPS.iter().any(|(_, code)| text.contains(code))
}

fn blood_groups(intake: &Intake) -> Found {
    let mut told: BTreeMap<&str, Vec<(u32, Head<'_>)>> = BTreeMap::new();
    for (place, _, resource) in of_type(intake, "Observation") {
        let Some(concept) = resource.field("code").filter(|told| may_be_blood_group(*told)) else {
            continue;
        };
        let known = codes(concept);
        for (system, code) in BLOOD_GROUPS {
            if known.iter().any(|known| known.system == *system && known.code == *code) {
                told.entry(code).or_default().push((place, resource));
            }
        }
    }
    told.into_values()
        .filter(|all| {
            let resources: Vec<Head<'_>> = all.iter().map(|(_, resource)| *resource).collect();
            ["valueCodeableConcept", "valueString"]
                .iter()
                .any(|path| differ(&resources, path, false))
        })
        .map(|all| (ConflictKind::BloodGroup, all.into_iter().map(|(place, _)| place).collect()))
        .collect()
}

/// What the members' own Patient resources disagree in.
fn patients(intake: &Intake) -> Found {
    let all: Vec<(u32, Head<'_>)> = of_type(intake, "Patient")
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
    let resources: Vec<Head<'_>> = all.iter().map(|(_, patient)| *patient).collect();
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

fn is_deceased(patient: Head<'_>) -> bool {
    patient.field("deceasedBoolean").is_some_and(Element::is_true)
        || patient.text_of("deceasedDateTime").is_some()
}
