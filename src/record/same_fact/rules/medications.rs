//! Medications ordered, taken, dispensed, given.
//!
//! The dose is not part of the identity: one prescription told with two doses is one prescription
//! and a dangerous contradiction, which is shown. It only decides between several candidates.

use crate::record::same_fact::rule::{Clock, Link, Rule};

const DRUG: &[&str] = &["medicationCodeableConcept", "medicationReference"];

pub(super) const RULES: &[Rule] = &[
    // The product as such.
    Rule {
        by_content: true,
        same: &["form", "amount", "ingredient", "batch.lotNumber"],
        stage: 1,
        ..Rule::cautious("Medication")
    },
    // Drug, instant of the order, and that it is an order and not a plan.
    Rule {
        what: DRUG,
        by_content: true,
        when: &[&["authoredOn"]],
        clock: Clock::Moment,
        same: &["intent"],
        preferred: &["dosageInstruction", "status"],
        links: &[("requester", Link::Hint)],
        negation: &[("doNotPerform", &["true"])],
        ..Rule::cautious("MedicationRequest")
    },
    Rule {
        what: DRUG,
        by_content: true,
        when: &[&["effectiveDateTime", "effectivePeriod.start"], &["dateAsserted"]],
        clock: Clock::Moment,
        preferred: &["dosage", "status"],
        negation: &[("status", &["not-taken"])],
        ..Rule::cautious("MedicationStatement")
    },
    // The same box handed over twice is two dispenses: the quantity must be the same.
    Rule {
        what: DRUG,
        by_content: true,
        when: &[&["whenHandedOver"], &["whenPrepared"]],
        clock: Clock::Moment,
        same: &["quantity"],
        compatible: &["daysSupply"],
        links: &[("authorizingPrescription", Link::Bar)],
        stage: 3,
        ..Rule::cautious("MedicationDispense")
    },
    Rule {
        what: DRUG,
        by_content: true,
        when: &[&["effectiveDateTime", "effectivePeriod.start"]],
        clock: Clock::Moment,
        same: &["dosage.dose", "dosage.rateQuantity", "dosage.rateRatio"],
        compatible: &["dosage.route", "effectivePeriod.end"],
        links: &[("request", Link::Bar)],
        negation: &[("status", &["not-done"])],
        stage: 3,
        ..Rule::cautious("MedicationAdministration")
    },
];
