//! Problems, allergies, immunizations, procedures, family history.

use crate::record::same_fact::rule::{Clock, Link, Rule};

pub(super) const RULES: &[Rule] = &[
    // An allergy is to a substance, whenever it was noted; its status may be told differently
    // (a conflict). Refuted is the negation. "No known allergy" is a code and so a fact of its own.
    Rule {
        what: &["code", "reaction.substance"],
        by_content: true,
        compatible: &["type"],
        negation: &[("verificationStatus.coding.code", &["refuted"])],
        ..Rule::cautious("AllergyIntolerance")
    },
    // A problem comes back: two onsets are two facts, and undated ones cannot be told apart.
    // Clinical and verification status are not looked at; a problem list item and an encounter
    // diagnosis are two statements.
    Rule {
        by_content: true,
        when: &[&["onsetDateTime", "onsetPeriod.start"], &["recordedDate", "assertedDate"]],
        clock: Clock::Moment,
        same: &["onsetAge", "onsetRange", "onsetString"],
        compatible: &["bodySite", "category"],
        preferred: &["clinicalStatus", "abatementDateTime"],
        negation: &[("verificationStatus.coding.code", &["refuted"])],
        ..Rule::cautious("Condition")
    },
    // A vaccine is given once a day at most; registries keep the day alone. Two lots are two shots.
    Rule {
        what: &["vaccineCode"],
        by_content: true,
        when: &[&["occurrenceDateTime"]],
        clock: Clock::Day,
        compatible: &["lotNumber", "doseQuantity", "site"],
        negation: &[("status", &["not-done"])],
        ..Rule::cautious("Immunization")
    },
    // Twice a day is possible (dialysis, physiotherapy), so the instant counts; and a procedure is
    // done in one encounter, so two encounters are two procedures.
    Rule {
        by_content: true,
        when: &[&["performedDateTime", "performedPeriod.start"]],
        clock: Clock::Moment,
        compatible: &["performedPeriod.end", "bodySite"],
        links: &[("encounter", Link::Strict), ("performer.actor", Link::Hint)],
        negation: &[("status", &["not-done"])],
        stage: 3,
        ..Rule::cautious("Procedure")
    },
    // Two brothers with one illness read alike: only an identifier tells.
    Rule { what: &["relationship"], ..Rule::cautious("FamilyMemberHistory") },
];
