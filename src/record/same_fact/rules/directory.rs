//! People, places and organizations that care: by identifier alone. Names are shared by many.

use crate::record::same_fact::rule::{Link, Rule};

pub(super) const RULES: &[Rule] = &[
    // NPI and other registry numbers (http://hl7.org/fhir/sid/us-npi).
    Rule { what: &[], stage: 0, ..Rule::cautious("Organization") },
    Rule { what: &[], stage: 0, ..Rule::cautious("Practitioner") },
    Rule { what: &[], stage: 0, ..Rule::cautious("Location") },
    // A role has no name of its own: the person, the organization and the role make it.
    Rule {
        by_content: true,
        same: &["specialty"],
        compatible: &["period"],
        links: &[("practitioner", Link::Needed), ("organization", Link::Needed)],
        stage: 1,
        ..Rule::cautious("PractitionerRole")
    },
    // Mother and aunt share an address and a telephone: only an identifier tells.
    Rule { what: &["relationship"], stage: 0, ..Rule::cautious("RelatedPerson") },
    // Source records of one person are tied by the index and its golden view, never here: a
    // Patient at two members is two records by design.
    Rule { identifiers: &[], what: &[], stage: 0, ..Rule::cautious("Patient") },
];
