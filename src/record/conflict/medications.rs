//! Contradictions between the books of two members about one drug.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ConflictKind,
    across::{Found, of_type},
    within::dose_path,
};
use crate::{
    fhir::{Element, Head},
    record::{
        intake::Intake,
        same_fact::{clinical_time::ClinicalTime, code::Code, rule, value::Value, what},
        targets::Targets,
    },
};

/// One telling of a drug that a patient takes, or took.
struct Telling<'a> {
    place: u32,
    member: u16,
    is_active: bool,
    /// Stopped before its time; a course that was completed ended as it should.
    is_stopped: bool,
    /// Seconds since 1970 at which it was ordered or began.
    since: Option<i64>,
    dose: Option<Value<'a>>,
}

/// One drug with two doses, or stopped at one member and active at another.
pub(super) fn conflicts(intake: &Intake, targets: &Targets<'_>) -> Found {
    let mut by_drug: BTreeMap<Code<'_>, Vec<Telling<'_>>> = BTreeMap::new();
    for kind in ["MedicationRequest", "MedicationStatement"] {
        for (place, told, resource) in of_type(intake, kind) {
            let is_wish = resource
                .text_of("intent")
                .is_some_and(|intent| matches!(&*intent, "proposal" | "plan" | "option"));
            if is_wish || resource.field("doNotPerform").is_some_and(Element::is_true) {
                continue;
            }
            for code in what(resource, rule(kind), &targets.seen_by(told.member)) {
                let telling = telling(kind, place, told.member, resource);
                by_drug.entry(code).or_default().push(telling);
            }
        }
    }
    let mut found = Found::new();
    for told in by_drug.into_values() {
        found.extend(doses(&told));
        found.extend(statuses(&told));
    }
    found
}

fn telling<'a>(kind: &str, place: u32, member: u16, resource: Head<'a>) -> Telling<'a> {
    let status = resource.text_of("status").unwrap_or_default();
    let since = ["authoredOn", "effectiveDateTime", "effectivePeriod.start", "dateAsserted"]
        .into_iter()
        .find_map(|path| ClinicalTime::parse(&resource.first_at(path)?.text()?));
    Telling {
        place,
        member,
        is_active: status == "active",
        is_stopped: matches!(&*status, "stopped" | "cancelled"),
        since: since.map(|since| since.window().0),
        dose: dose_path(kind).and_then(|path| Value::of_all(&resource.at(path))),
    }
}

/// Active in the books of two members, with two doses.
fn doses(told: &[Telling<'_>]) -> Option<(ConflictKind, Vec<u32>)> {
    let dosed: Vec<(&Telling<'_>, &Value<'_>)> = told
        .iter()
        .filter(|one| one.is_active)
        .filter_map(|one| Some((one, one.dose.as_ref()?)))
        .collect();
    let contradicted = |one: &Telling<'_>, dose: &Value<'_>| {
        dosed.iter().any(|(other, its)| one.member != other.member && !dose.agrees(its))
    };
    let all: Vec<u32> = dosed
        .iter()
        .filter(|(one, dose)| contradicted(one, dose))
        .map(|(one, _)| one.place)
        .collect();
    (!all.is_empty()).then_some((ConflictKind::Dose, all))
}

/// The last that one member tells of the drug is that it was stopped, and another, whose order is no
/// younger, still has it active.
fn statuses(told: &[Telling<'_>]) -> Option<(ConflictKind, Vec<u32>)> {
    let mut last: BTreeMap<u16, &Telling<'_>> = BTreeMap::new();
    for one in told.iter().filter(|one| one.since.is_some()) {
        let latest = last.entry(one.member).or_insert(one);
        // Of two orders of one moment, the active one is believed.
        if (one.since, one.is_active) > (latest.since, latest.is_active) {
            *latest = one;
        }
    }
    let mut all = BTreeSet::new();
    for stopped in last.values().filter(|one| one.is_stopped) {
        for active in last.values().filter(|one| one.is_active && one.since <= stopped.since) {
            all.extend([stopped.place, active.place]);
        }
    }
    (!all.is_empty()).then(|| (ConflictKind::Status, all.into_iter().collect()))
}
