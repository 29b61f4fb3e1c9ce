//! Encounters, orders, plans, teams, goals.

use crate::record::same_fact::rule::{Clock, Link, Rule};

pub(super) const RULES: &[Rule] = &[
    // A visit number, or the same kind of visit at the same organization, begun at one instant.
    Rule {
        what: &["type", "class"],
        by_content: true,
        when: &[&["period.start"]],
        clock: Clock::Moment,
        same: &["class"],
        compatible: &["period.end"],
        links: &[("serviceProvider", Link::Needed)],
        ..Rule::cautious("Encounter")
    },
    Rule {
        by_content: true,
        when: &[&["authoredOn"]],
        clock: Clock::Moment,
        same: &["intent", "occurrence[x]", "quantity[x]", "orderDetail"],
        compatible: &["bodySite"],
        links: &[("requester", Link::Hint), ("specimen", Link::Bar)],
        negation: &[("doNotPerform", &["true"])],
        ..Rule::cautious("ServiceRequest")
    },
    // The category is often the same for every plan (US Core: assess-plan), so what is planned
    // must be the same too.
    Rule {
        what: &["category"],
        by_content: true,
        when: &[&["period.start"], &["created"]],
        clock: Clock::Moment,
        same: &["intent", "title", "activity.detail.code"],
        compatible: &["description", "period.end"],
        ..Rule::cautious("CarePlan")
    },
    Rule {
        what: &["category"],
        by_content: true,
        when: &[&["period.start"]],
        clock: Clock::Moment,
        same: &["name", "participant.role"],
        compatible: &["period.end"],
        links: &[("managingOrganization", Link::Bar)],
        ..Rule::cautious("CareTeam")
    },
    // A goal is often words alone; then the words are the statement, and everything else it says
    // must be the same.
    Rule {
        what: &["description"],
        is_statement: true,
        by_content: true,
        same: &[
            "lifecycleStatus",
            "achievementStatus",
            "startDate",
            "startCodeableConcept",
            "target",
            "category",
        ],
        ..Rule::cautious("Goal")
    },
];
