use super::*;
use crate::domain::{Address, Demographics, Identifier, IdentifierKind, Name, PartialDate};

/// The table once more, as one reads it: a star where one edit, or one day, is allowed.
const COMBINATIONS: [&str; 37] = [
    "given* family* birth* street*",
    "given family* birth* phone",
    "given* family* birth* email",
    "given* family birth ssn",
    "given family* birth ssn",
    "given* family birth itin",
    "given family* birth itin",
    "given birth mbi",
    "given birth license",
    "family* birth* license",
    "given birth phone",
    "given birth email",
    "family phone ssn",
    "family phone itin",
    "family* email ssn",
    "family* email itin",
    "given phone ssn",
    "given phone itin",
    "given email ssn",
    "given email itin",
    "phone mbi",
    "phone license",
    "email mbi",
    "email license",
    "license mbi",
    "person",
    "given birth member",
    "family* birth* member",
    "phone member",
    "email member",
    "given* family birth subscriber",
    "given family* birth subscriber",
    "given* family* phone zip",
    "family phone zip",
    "family email zip",
    "family* birth phone",
    "family* street phone",
];

/// Each attribute's value, the same with one slip, and quite another.
const VALUES: [(&str, &str, &str, &str); 14] = [
    ("given", "Margaret", "Margraet", "Ottilie"),
    ("family", "Lindqvist", "Lindqvits", "Okafor"),
    ("birth", "1984-03-01", "1984-02-29", "1991-07-19"),
    ("street", "217 Forest St", "217 Forst St", "9 Harbor Rd"),
    ("zip", "55101", "55110", "10002"),
    ("phone", "651-234-4719", "651-234-4791", "212-867-5309"),
    ("email", "ml@mail.org", "mll@mail.org", "oo@mail.org"),
    ("ssn", "219-45-8812", "219-45-8821", "541-22-7306"),
    ("itin", "912-75-8812", "912-75-8821", "955-80-7306"),
    ("license", "D4471102", "D4471120", "K0093317"),
    ("mbi", "1EG4TE5MK73", "1EG4TE5MK37", "9AA0AA0AA00"),
    ("person", "E100200", "E100020", "E999111"),
    ("member", "W11223301", "W11223310", "X99887702"),
    ("subscriber", "W112233", "W112323", "X998877"),
];

fn value(attribute: &str, column: usize) -> &'static str {
    let row = VALUES.iter().find(|row| row.0 == attribute).expect("every attribute has values");
    [row.1, row.2, row.3][column]
}

fn told(values: &[(&str, &str)]) -> Demographics {
    let mut told = Demographics::default();
    let mut name = Name::default();
    let mut address = Address::default();
    for &(attribute, value) in values {
        let number = |kind, system: &str| Identifier {
            kind,
            system: system.to_owned(),
            value: value.to_owned(),
            identifier_use: crate::domain::IdentifierUse::Current,
        };
        match attribute {
            "given" => name.given.push(value.to_owned()),
            "family" => value.clone_into(&mut name.family),
            "suffix" => name.suffixes.push(value.to_owned()),
            "birth" => told.birth_date = PartialDate::parse(value).ok(),
            "street" => address.lines.push(value.to_owned()),
            "city" => value.clone_into(&mut address.city),
            "zip" => value.clone_into(&mut address.postal_code),
            "phone" => told.phones.push(value.to_owned()),
            "email" => told.emails.push(value.to_owned()),
            "ssn" => told.identifiers.push(number(IdentifierKind::SocialSecurity, "")),
            "itin" => told.identifiers.push(number(IdentifierKind::TaxpayerId, "")),
            "license" => told.identifiers.push(number(IdentifierKind::DriversLicense, "urn:mn")),
            "mbi" => told.identifiers.push(number(IdentifierKind::MedicareBeneficiary, "")),
            "person" => told.identifiers.push(number(IdentifierKind::PersonId, "urn:hie")),
            "member" => told.identifiers.push(number(IdentifierKind::Member, "urn:payer")),
            "subscriber" => told.identifiers.push(number(IdentifierKind::Subscriber, "urn:payer")),
            other => panic!("no attribute {other}"),
        }
    }
    told.names.push(name);
    told.addresses.push(address);
    told
}

fn record(values: &[(&str, &str)]) -> PolicyRecord {
    PolicyRecord::new(&told(values), PartialDate::parse("2026-11-23").expect("a date"))
}

fn everything() -> Policy {
    [33, 34, 35, 37].into_iter().fold(Policy::default(), |policy, id| policy.with(RuleId(id)))
}

fn fires(policy: Policy, rule: u8, a: &[(&str, &str)], b: &[(&str, &str)]) -> bool {
    let (a, b) = (record(a), record(b));
    let verdict = policy.judge(&a, &b);
    assert_eq!(verdict, policy.judge(&b, &a), "the order of the two must not matter");
    verdict.fired.iter().any(|fired| fired.id == RuleId(rule))
}

/// The attributes of a combination, without stars, and which are starred.
fn fields(combination: &'static str) -> Vec<(&'static str, bool)> {
    combination.split(' ').map(|f| (f.trim_end_matches('*'), f.ends_with('*'))).collect()
}

fn base(fields: &[(&'static str, bool)]) -> Vec<(&'static str, &'static str)> {
    fields.iter().map(|(attribute, _)| (*attribute, value(attribute, 0))).collect()
}

#[test]
fn each_rule_fires_where_all_its_attributes_agree_and_on_nothing_less() {
    for (id, combination) in (1..).zip(COMBINATIONS) {
        let fields = fields(combination);
        let all = base(&fields);
        assert!(fires(everything(), id, &all, &all), "rule {id}");
        for left_out in 0..all.len() {
            let mut fewer = all.clone();
            fewer.remove(left_out);
            assert!(!fires(everything(), id, &all, &fewer), "rule {id} without {left_out}");
            let mut other = all.clone();
            other[left_out].1 = value(all[left_out].0, 2);
            assert!(!fires(everything(), id, &all, &other), "rule {id}, other {left_out}");
        }
    }
}

#[test]
fn a_slip_is_forgiven_where_the_table_stars_the_attribute_only() {
    for (id, combination) in (1..).zip(COMBINATIONS) {
        let fields = fields(combination);
        let all = base(&fields);
        for (at, (attribute, starred)) in fields.iter().enumerate() {
            let mut slipped = all.clone();
            slipped[at].1 = value(attribute, 1);
            assert_eq!(fires(everything(), id, &all, &slipped), *starred, "rule {id} {attribute}");
        }
    }
}

#[test]
fn two_names_may_slip_at_once_in_rules_1_3_and_33_only_and_a_day_does_not_count() {
    for (id, combination) in (1..).zip(COMBINATIONS) {
        let fields = fields(combination);
        let all = base(&fields);
        let starred = |name: &str| fields.contains(&(name, true));
        let slip = |names: &[&str]| -> Vec<(&'static str, &'static str)> {
            all.iter()
                .map(|&(a, v)| (a, if names.contains(&a) { value(a, 1) } else { v }))
                .collect()
        };
        if starred("given") && starred("family") {
            assert!(fires(everything(), id, &all, &slip(&["given", "family"])), "rule {id}");
            assert!(matches!(id, 1 | 3 | 33));
        }
        if starred("family") && starred("birth") {
            assert!(fires(everything(), id, &all, &slip(&["family", "birth"])), "rule {id}");
        }
        if id == 1 {
            let three = slip(&["given", "family", "street"]);
            assert!(!fires(everything(), id, &all, &three));
        }
        if id == 37 {
            assert!(!fires(everything(), id, &all, &slip(&["family", "street"])));
        }
    }
}

#[test]
fn households_do_not_satisfy_the_default_policy() {
    let parent = [
        ("given", "Sven"),
        ("family", "Lindqvist"),
        ("birth", "1960-01-02"),
        ("phone", "651-234-4719"),
        ("street", "217 Forest St"),
        ("zip", "55101"),
        ("email", "home@mail.org"),
    ];
    let mut child = parent;
    (child[0].1, child[2].1) = ("Astrid", "1990-05-06");
    let (a, b) = (record(&parent), record(&child));
    assert!(!Policy::default().judge(&a, &b).is_satisfied());
    let all = everything().judge(&a, &b);
    let ids: Vec<u8> = all.fired.iter().map(|fired| fired.id.0).collect();
    assert_eq!(ids, [34, 35, 37]);
}

#[test]
fn rule_36_asks_whether_the_first_names_may_be_those_of_twins() {
    let of = |given| {
        vec![("given", given), ("family", "Poe"), ("birth", "1984-03-05"), ("phone", "6512344719")]
    };
    let check = |a, b, fired| {
        assert_eq!(fires(Policy::default(), 36, &of(a), &of(b)), fired, "{a} {b}");
    };
    check("Anna", "Anna", true);
    check("William", "Bill", true);
    check("W", "William", true);
    check("", "William", true);
    check("Anna", "Otto", false);
    check("W", "Otto", false);
    check("Marlon", "Marlow", false);
    check("Baby Girl", "Anna", false);
    check("BABYBOY A", "BABYBOY B", false);
    check("BABYBOY", "BABYBOY", false);
    let verdict = Policy::default().judge(&record(&of("Anna")), &record(&of("Otto")));
    assert_eq!(verdict.guarded, [RuleId(36)]);
}

#[test]
fn two_different_suffixes_negate_every_rule_and_one_alone_none() {
    let of = |suffix: &'static str| {
        let mut values =
            vec![("given", "John"), ("family", "Poe"), ("person", "E1"), ("birth", "1984-03-05")];
        if !suffix.is_empty() {
            values.push(("suffix", suffix));
        }
        record(&values)
    };
    let satisfied = |a, b| Policy::default().judge(&of(a), &of(b)).is_satisfied();
    assert!(!satisfied("Jr", "Sr") && !satisfied("Jr.", "III"));
    assert!(satisfied("Jr", "") && satisfied("Jr", "junior") && satisfied("", ""));
    let verdict = Policy::default().judge(&of("Jr"), &of("Sr"));
    assert_eq!(verdict.refusal, Some(PolicyRefusal::SuffixConflict));
    assert!(!verdict.fired.is_empty(), "what fired is still told");
}

#[test]
fn placeholders_neither_agree_nor_conflict() {
    let check = |attribute: &str, value: &str, in_table: PolicyAttribute| {
        let one = record(&[(attribute, value)]);
        let verdict = Policy::default().judge(&one, &one);
        let agreement = verdict.attributes[in_table as usize];
        assert_eq!(agreement, (in_table, Agreement::Suppressed), "{attribute} {value}");
    };
    check("given", "BABYBOY", PolicyAttribute::First);
    check("given", "Unknown", PolicyAttribute::First);
    check("birth", "1900-01-01", PolicyAttribute::BirthDate);
    check("birth", "1984-03", PolicyAttribute::BirthDate);
    check("birth", "1899-12-31", PolicyAttribute::BirthDate);
    check("birth", "2026-11-26", PolicyAttribute::BirthDate);
    check("street", "HOMELESS", PolicyAttribute::Street);
    check("zip", "00000", PolicyAttribute::Zip);
    check("phone", "555-555-5555", PolicyAttribute::Phone);
    check("phone", "123-456-7890", PolicyAttribute::Phone);
    check("email", "noreply@mail.org", PolicyAttribute::Email);
    check("email", "someone@example.com", PolicyAttribute::Email);
    check("ssn", "123-45-6789", PolicyAttribute::SsnLast4);
    check("itin", "123456789", PolicyAttribute::ItinLast4);
    check("mbi", "12345", PolicyAttribute::Mbi);
    check("member", "PENDING", PolicyAttribute::MemberId);
}

#[test]
fn insurance_numbers_need_their_payer() {
    let mut told = told(&[("member", "W1"), ("subscriber", "W"), ("phone", "651-234-4719")]);
    for identifier in &mut told.identifiers {
        identifier.system.clear();
    }
    let one = PolicyRecord::new(&told, PartialDate::parse("2026-11-23").expect("a date"));
    assert!(!everything().judge(&one, &one).is_satisfied());
}

#[test]
fn every_known_name_counts_and_either_part_of_a_double_surname() {
    let married = {
        let mut told = told(&[
            ("given", "Ann"),
            ("family", "Okafor"),
            ("birth", "1984-03-05"),
            ("ssn", "219-45-8812"),
        ]);
        told.names.push(Name { family: "Lindqvist".into(), ..Name::default() });
        PolicyRecord::new(&told, PartialDate::parse("2026-11-23").expect("a date"))
    };
    let of = |family| {
        record(&[("given", "Ann"), ("family", family), ("birth", "1984-03-05"), ("ssn", "8812")])
    };
    for (family, satisfied) in
        [("Okafor", true), ("LINDQVIST", true), ("Lindqvist-Berg", true), ("Berg", false)]
    {
        assert_eq!(
            Policy::default().judge(&married, &of(family)).is_satisfied(),
            satisfied,
            "{family}"
        );
    }
}

#[test]
fn a_street_of_another_town_is_another_street() {
    let of = |zip, city| {
        let mut values = base(&fields(COMBINATIONS[0]));
        values.extend([("zip", zip), ("city", city)]);
        values
    };
    let here = of("55101", "Saint Paul");
    assert!(fires(Policy::default(), 1, &here, &of("55110", "Saint Paul")));
    assert!(fires(Policy::default(), 1, &here, &of("55101", "St Poul")));
    assert!(fires(Policy::default(), 1, &here, &of("", "")));
    assert!(!fires(Policy::default(), 1, &here, &of("10002", "New York")));
}

#[test]
fn a_rule_can_be_suspended() {
    let values = base(&fields(COMBINATIONS[10]));
    assert!(fires(Policy::default(), 11, &values, &values));
    assert!(!fires(Policy::default().without(RuleId(11)), 11, &values, &values));
}

#[test]
fn a_person_is_accepted_by_one_record_and_refused_by_one_suffix() {
    let query = record(&[
        ("given", "John"),
        ("family", "Poe"),
        ("birth", "1984-03-05"),
        ("phone", "6512344719"),
        ("suffix", "Jr"),
    ]);
    let same = record(&[("given", "John"), ("birth", "1984-03-05"), ("phone", "6512344719")]);
    let father = record(&[("given", "John"), ("family", "Poe"), ("suffix", "Sr")]);
    // What two records tell together is no combination.
    let (half, rest) =
        (record(&[("given", "John"), ("birth", "1984-03-05")]), record(&[("phone", "6512344719")]));
    let policy = Policy::default();
    assert!(policy.accepts_person(&query, [&half, &same]));
    assert!(!policy.accepts_person(&query, [&half, &rest]));
    assert!(!policy.accepts_person(&query, [&same, &father]));
    assert!(!policy.accepts_person(&query, []));
}

#[test]
fn only_one_person_is_released() {
    assert_eq!(Determination::of(0), Determination::NoMatch);
    assert_eq!(Determination::of(1), Determination::Release);
    assert_eq!(Determination::of(2), Determination::Escalate);
    assert_eq!(Determination::of(3), Determination::Decline);
    assert_eq!(Determination::of(40), Determination::Decline);
}
