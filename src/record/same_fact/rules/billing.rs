//! Coverage and claims.

use crate::record::same_fact::rule::{Clock, Link, Rule};

const CLAIM: Rule = Rule {
    what: &["type"],
    by_content: true,
    when: &[&["created"], &["billablePeriod.start"]],
    clock: Clock::Moment,
    same: &["use", "billablePeriod", "total", "item"],
    links: &[("provider", Link::Bar), ("prescription", Link::Bar), ("claim", Link::Bar)],
    ..Rule::cautious("")
};

pub(super) const RULES: &[Rule] = &[
    // One subscriber at one payer.
    Rule {
        what: &["type"],
        by_content: true,
        needs: &["subscriberId"],
        same: &["subscriberId", "dependent", "class"],
        compatible: &["period"],
        links: &[("payor", Link::Needed)],
        ..Rule::cautious("Coverage")
    },
    // A claim number, or one bill in everything: kind, period, lines and total.
    Rule { resource_type: "Claim", stage: 3, ..CLAIM },
    Rule { resource_type: "ExplanationOfBenefit", stage: 4, ..CLAIM },
];
