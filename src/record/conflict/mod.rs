//! Contradictions between sources: shown, never averaged away.

mod across;
mod medications;
mod within;

use std::collections::BTreeSet;

use super::{facts::Facts, intake::Intake, own_resources::reference, targets::Targets};

/// Sources contradict one another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// How dangerous it is; the most dangerous sorts first.
    pub danger: Danger,
    /// What they contradict each other in.
    pub kind: ConflictKind,
    /// Everything that takes part, as `Type/<gateway id>`, sorted.
    pub implicated: Vec<String>,
}

/// How dangerous a contradiction is to the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// May do serious harm if missed.
    High,
    /// May mislead.
    Moderate,
    /// Good to know.
    Low,
}

/// What sources contradict each other in, most dangerous first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// An allergy here, no known allergies there.
    AllergyAgainstNone,
    /// Two blood groups.
    BloodGroup,
    /// One states what another denies: an allergy refuted, a vaccine not given.
    Denied,
    /// Deceased at one source and not at another.
    Deceased,
    /// One prescription or one drug with two doses, or a dose known to one source only.
    Dose,
    /// One result with two values.
    Value,
    /// Entered in error at one source, standing at another.
    EnteredInError,
    /// Active here, resolved or stopped there.
    Status,
    /// Birth date or sex differ.
    Demographics,
}

impl Danger {
    /// FHIR R4 `detectedissue-severity`.
    pub const fn severity(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Moderate => "moderate",
            Self::Low => "low",
        }
    }
}

impl ConflictKind {
    /// Its code in the record's own code system.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AllergyAgainstNone => "allergy-against-none",
            Self::BloodGroup => "blood-group",
            Self::Denied => "denied",
            Self::Deceased => "deceased",
            Self::Dose => "dose",
            Self::Value => "value",
            Self::EnteredInError => "entered-in-error",
            Self::Status => "status",
            Self::Demographics => "demographics",
        }
    }

    /// What a clinician reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::AllergyAgainstNone => {
                "One source knows an allergy, another states that none is known"
            }
            Self::BloodGroup => "Sources state different blood groups",
            Self::Denied => "One source states what another denies",
            Self::Deceased => "Deceased according to one source, not according to another",
            Self::Dose => "Sources state different doses of one medication",
            Self::Value => "Sources state different values of one result",
            Self::EnteredInError => "Entered in error at one source, standing at another",
            Self::Status => "Sources state different statuses of one fact or medication",
            Self::Demographics => "Sources state different birth dates or sexes",
        }
    }

    const fn danger(self) -> Danger {
        match self {
            Self::AllergyAgainstNone
            | Self::BloodGroup
            | Self::Denied
            | Self::Deceased
            | Self::Dose
            | Self::Value => Danger::High,
            Self::EnteredInError | Self::Status => Danger::Moderate,
            Self::Demographics => Danger::Low,
        }
    }
}

/// Finds every contradiction, most dangerous first.
pub(super) fn find_conflicts(
    intake: &Intake,
    facts: &Facts,
    targets: &Targets<'_>,
) -> Vec<Conflict> {
    let mut found: BTreeSet<(ConflictKind, Vec<u32>)> = BTreeSet::new();
    for group in &facts.groups {
        found.extend(within::conflicts(intake, group).map(|kind| (kind, group.clone())));
    }
    found.extend(across::conflicts(intake, facts, targets));
    let mut conflicts: Vec<Conflict> = found
        .into_iter()
        .map(|(kind, places)| {
            let told = places.iter().filter_map(|place| intake.told.get(*place as usize));
            let mut implicated: Vec<String> = told.map(reference).collect();
            implicated.sort_unstable();
            Conflict { danger: kind.danger(), kind, implicated }
        })
        .collect();
    conflicts.sort();
    conflicts
}
