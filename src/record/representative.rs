//! Which of several tellings of one fact is shown first.

use std::cmp::Reverse;

use super::intake::{Intake, Told, last_updated};
use crate::fhir::{Element, Head};

/// The place of each group's representative.
///
/// What was corrected outranks what is final, final what is preliminary, and an error comes last:
/// a correction must never hide behind a fuller first telling. Then the one that states more
/// elements, then the one updated last, then members in order of their codes.
pub(super) fn choose(intake: &Intake, groups: &[Vec<u32>]) -> Vec<u32> {
    let best = |group: &Vec<u32>| {
        group
            .iter()
            .filter_map(|place| Some((*place, intake.told.get(*place as usize)?)))
            .min_by_key(|(place, told)| {
                let standing = standing(told);
                let updated = last_updated(&told.resource);
                (standing, Reverse(told.resource.elements()), Reverse(updated), told.member, *place)
            })
            .map_or(0, |(place, _)| place)
    };
    groups.iter().map(best).collect()
}

/// Rank of a telling by its status, best first (FHIR R4 `observation-status`,
/// `diagnostic-report-status`, `condition-ver-status`, and the statuses of other types).
fn standing(told: &Told) -> u8 {
    let resource = told.resource.head();
    if is_entered_in_error(resource) {
        return 3;
    }
    match resource.text_of("status").as_deref() {
        Some("corrected" | "amended" | "appended") => 0,
        Some("registered" | "partial" | "preliminary" | "draft" | "unknown") => 2,
        _ => 1,
    }
}

/// Whether its source withdrew it.
pub(super) fn is_entered_in_error(resource: Head<'_>) -> bool {
    const WITHDRAWN: &str = "entered-in-error";
    let status = resource.text_of("status");
    status.as_deref() == Some(WITHDRAWN)
        || resource
            .at("verificationStatus.coding")
            .into_iter()
            .flat_map(Element::items)
            .any(|coding| coding.text_of("code").as_deref() == Some(WITHDRAWN))
}
