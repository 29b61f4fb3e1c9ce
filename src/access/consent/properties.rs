//! Rules of deciding that must hold for any set of consents.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{actor, book, labels, purpose};
use super::{ConsentBook, ConsentSettings, DefaultPolicy};
use crate::access::fixture::{NOW, code, person, requester};
use crate::access::{Confidentiality, SecurityLabel};
use crate::domain::PurposeOfUse;

/// Labels that a resource may have; what is released is compared over these.
const DATA: [&[&str]; 6] = [&[], &["N"], &["R"], &["V"], &["N", "HIV"], &["R", "ETHUD"]];

fn data(codes: &[&str]) -> Vec<SecurityLabel> {
    let labels = labels(codes);
    let text = |label: &Value, key: &str| label[key].as_str().unwrap_or_default().to_owned();
    let one = |label: &Value| SecurityLabel::new(&text(label, "system"), &text(label, "code"));
    labels.as_array().map(|list| list.iter().map(one).collect()).unwrap_or_default()
}

/// Everything that is released: member by label set.
fn released(book: &ConsentBook, asked: PurposeOfUse) -> Vec<bool> {
    let permit = book.decide(&requester("anne-ed"), &person(), asked, NOW).ok();
    let by = |member: &str, codes: &[&str]| {
        let restrictions = permit.as_ref().and_then(|permit| permit.restrictions(&code(member)));
        restrictions.is_some_and(|restrictions| restrictions.releases(&data(codes)))
    };
    ["anne", "lake", "elsewhere"]
        .iter()
        .flat_map(|member| DATA.iter().map(|codes| by(member, codes)).collect::<Vec<_>>())
        .collect()
}

fn no_more(narrow: &[bool], wide: &[bool]) -> bool {
    narrow.iter().zip(wide).all(|(narrow, wide)| *wide || !narrow)
}

fn rule() -> impl Strategy<Value = Value> {
    let purposes = prop::sample::subsequence(vec!["TREAT", "ETREAT", "BTG", "HPAYMT", "COC"], 0..3);
    let actors = prop::sample::subsequence(
        vec![
            ("IRCP", "anne"),
            ("IRCP", "lake"),
            ("CST", "anne"),
            ("CST", "lake"),
            ("IRCP", "nobody"),
        ],
        0..3,
    );
    let codes = prop::sample::subsequence(vec!["N", "R", "HIV", "SUD"], 0..2);
    let effect = prop::sample::select(vec!["permit", "deny"]);
    let unreadable = prop::bool::weighted(0.1);
    (effect, purposes, actors, codes, unreadable).prop_map(
        |(effect, purposes, actors, codes, unreadable)| {
            let mut rule = json!({ "type": effect });
            if !purposes.is_empty() {
                rule["purpose"] = purpose(&purposes);
            }
            if !actors.is_empty() {
                rule["actor"] = actors
                    .iter()
                    .map(|(role, member)| actor(role, &format!("Organization/{member}")))
                    .collect();
            }
            if !codes.is_empty() {
                rule["securityLabel"] = labels(&codes);
            }
            if unreadable {
                rule["class"] = json!([{ "code": "Observation" }]);
            }
            rule
        },
    )
}

fn consents(at_least: usize) -> impl Strategy<Value = Vec<Value>> {
    let consent =
        (rule(), prop::collection::vec(rule(), 0..3)).prop_map(|(mut root, exceptions)| {
            if !exceptions.is_empty() {
                root["provision"] = json!(exceptions);
            }
            root
        });
    prop::collection::vec(consent, at_least..4)
}

/// Gives the base rule of a consent, or one of its exceptions, a criterion that cannot be read.
fn garble(consent: &mut Value, which: prop::sample::Index) {
    let exceptions = consent["provision"].as_array().map_or(0, Vec::len);
    let rule = match which.index(1 + exceptions) {
        0 => consent,
        exception => &mut consent["provision"][exception - 1],
    };
    rule["dataPeriod"] = json!({ "start": "2020" });
}

fn settings() -> impl Strategy<Value = ConsentSettings> {
    let policies = vec![
        DefaultPolicy::PermitTreatment,
        DefaultPolicy::PermitAll,
        DefaultPolicy::EmergencyOnly,
        DefaultPolicy::Deny,
    ];
    (prop::sample::select(policies), any::<bool>()).prop_map(|(default_policy, break_glass)| {
        ConsentSettings { default_policy, break_glass, ..Default::default() }
    })
}

fn asked() -> impl Strategy<Value = PurposeOfUse> {
    prop::sample::select(vec![
        PurposeOfUse::Treatment,
        PurposeOfUse::EmergencyTreatment,
        PurposeOfUse::BreakGlass,
        PurposeOfUse::Payment,
    ])
}

proptest! {
    #[test]
    fn the_order_of_consents_and_exceptions_does_not_matter(
        consents in consents(0), settings in settings(), asked in asked(),
    ) {
        let forward = released(&book(settings, &consents), asked);
        let mut turned: Vec<Value> = consents.into_iter().rev().collect();
        for consent in &mut turned {
            if let Some(exceptions) = consent["provision"].as_array_mut() {
                exceptions.reverse();
            }
        }
        prop_assert_eq!(forward, released(&book(settings, &turned), asked));
    }

    #[test]
    fn another_deny_never_releases_more(
        consents in consents(0), deny in rule(), settings in settings(), asked in asked(),
    ) {
        let before = released(&book(settings, &consents), asked);
        let mut deny = deny;
        deny["type"] = json!("deny");
        let after = released(&book(settings, &[consents, vec![deny]].concat()), asked);
        prop_assert!(no_more(&after, &before));
    }

    #[test]
    fn what_cannot_be_read_never_releases_more(
        consents in consents(1), which in any::<[prop::sample::Index; 2]>(),
        settings in settings(), asked in asked(),
    ) {
        let before = released(&book(settings, &consents), asked);
        let mut garbled = consents.clone();
        garble(&mut garbled[which[0].index(consents.len())], which[1]);
        prop_assert!(no_more(&released(&book(settings, &garbled), asked), &before));
    }

    #[test]
    fn a_record_is_permitted_exactly_where_its_member_is(
        consents in consents(0), settings in settings(), asked in asked(),
    ) {
        let decided = book(settings, &consents).decide(&requester("anne-ed"), &person(), asked, NOW);
        if let Ok(permit) = decided {
            for record in &person().records {
                let excluded = permit.excluded_members().any(|member| *member == record.member);
                prop_assert_eq!(permit.permits_record(record), permit.permits_member(&record.member));
                prop_assert_eq!(permit.permits_record(record), !excluded);
            }
        }
    }
}

#[test]
fn the_sampled_labels_are_told_apart() {
    assert_eq!(data(&["R", "HIV"])[0].confidentiality(), Some(Confidentiality::Restricted));
}
