//! The merge as a whole: what is one fact, what is shown, and that order never matters.

mod medications;
mod odd_input;

use proptest::prelude::*;

use super::*;

fn context() -> MergeContext {
    MergeContext {
        person: EnterpriseId::from_u128(1),
        recorded: OffsetDateTime::UNIX_EPOCH,
        exchange_name: "Exchange".to_owned(),
        exchange_id: Some("urn:oid:1.2.3".to_owned()),
    }
}

fn answer(member: &str, resources: &[&str]) -> MemberAnswer {
    MemberAnswer {
        member: MemberCode::parse(member).expect("a code"),
        base_url: format!("https://{member}.example/fhir"),
        name: None,
        organization_id: None,
        patient_ids: vec!["p".to_owned()],
        resources: resources
            .iter()
            .map(|json| Resource::parse(json.as_bytes()).expect("a resource"))
            .collect(),
    }
}

fn merged(answers: &[(&str, &[&str])]) -> MergedRecord {
    merge(&context(), answers.iter().map(|(member, resources)| answer(member, resources)).collect())
}

/// Gateway ids of each group, the representative first.
fn groups(record: &MergedRecord) -> Vec<Vec<String>> {
    record
        .groups()
        .map(|group| group.into_iter().map(|original| original.gateway_id.clone()).collect())
        .collect()
}

fn kinds(record: &MergedRecord) -> Vec<ConflictKind> {
    record.conflicts().iter().map(|conflict| conflict.kind).collect()
}

/// A resource from its type, id and the rest of its members.
fn resource(kind: &str, id: &str, rest: &str) -> String {
    format!(r#"{{"resourceType":"{kind}","id":"{id}",{rest}}}"#)
}

fn check(kind: &str, a: &str, b: &str, is_one: bool) {
    let (left, right) = (resource(kind, "1", a), resource(kind, "2", b));
    for (first, second) in [(&left, &right), (&right, &left)] {
        let record = merged(&[("a", &[first]), ("b", &[second])]);
        assert_eq!(record.groups().count() == 1, is_one, "{kind}\n{a}\n{b}");
    }
}

fn one_fact(kind: &str, a: &str, b: &str) {
    check(kind, a, b, true);
}

fn two_facts(kind: &str, a: &str, b: &str) {
    check(kind, a, b, false);
}

fn concept(system: &str, code: &str) -> String {
    format!(r#"{{"coding":[{{"system":"{system}","code":"{code}","display":"{system} {code}"}}]}}"#)
}

fn loinc(code: &str) -> String {
    format!(r#""code":{}"#, concept("http://loinc.org", code))
}

#[test]
fn an_observation_is_its_code_minute_and_value() {
    let told = |when: &str, value: &str| {
        format!(
            r#"{},"effectiveDateTime":"{when}","valueQuantity":{{"value":{value},"code":"mg/dL"}}"#,
            loinc("1")
        )
    };
    let first = told("2020-02-28T10:00:12-05:00", "3.10");
    one_fact("Observation", &first, &told("2020-02-28T15:00:12Z", "3.1"));
    one_fact("Observation", &first, &told("2020-02-28T15:00:00Z", "3.1"));
    one_fact("Observation", &first, &told("2020-02-28", "3.1"));
    two_facts("Observation", &first, &told("2020-02-28T15:01:12Z", "3.1"));
    two_facts("Observation", &first, &told("2020-02-28T15:00:12Z", "3.11"));
    two_facts("Observation", &first, &told("2020-02-28T15:00:12Z", "0"));
    let oid = first.replace("http://loinc.org", "urn:oid:2.16.840.1.113883.6.1");
    one_fact("Observation", &first, &oid);
    two_facts("Observation", &first, &first.replace(r#""code":"1""#, r#""code":"2""#));
    // Equal displays, and no code that both know.
    two_facts("Observation", &first.replace("http://loinc.org", "l"), &first);
    let undated = format!(r#"{},"valueQuantity":{{"value":1}}"#, loinc("1"));
    two_facts("Observation", &undated, &undated);
}

#[test]
fn a_panel_is_its_components_and_false_and_zero_are_values() {
    let pressure = |high: u8, low: u8| {
        let part = |code: &str, value: u8| {
            format!(r#"{{{},"valueQuantity":{{"value":{value},"code":"mm[Hg]"}}}}"#, loinc(code))
        };
        let (high, low) = (part("8480-6", high), part("8462-4", low));
        (
            format!(
                r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","component":[{high},{low}]"#,
                loinc("85354-9")
            ),
            format!(
                r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","component":[{low},{high}]"#,
                loinc("85354-9")
            ),
        )
    };
    one_fact("Observation", &pressure(120, 80).0, &pressure(120, 80).1);
    two_facts("Observation", &pressure(120, 80).0, &pressure(120, 81).0);
    let flag = |value: &str| {
        format!(
            r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","valueBoolean":{value}"#,
            loinc("1")
        )
    };
    one_fact("Observation", &flag("false"), &flag("false"));
    two_facts("Observation", &flag("false"), &flag("true"));
}

#[test]
fn an_accession_shared_by_a_panel_ties_only_what_has_one_code() {
    let told = |code: &str, value: u8, status: &str| {
        format!(
            r#"{},"status":"{status}","effectiveDateTime":"2020-01-01T10:00:00Z","identifier":[{{"system":"urn:lab","value":"A17"}}],"valueQuantity":{{"value":{value}}}"#,
            loinc(code)
        )
    };
    one_fact("Observation", &told("1", 5, "final"), &told("1", 5, "final"));
    two_facts("Observation", &told("1", 5, "final"), &told("2", 5, "final"));
    two_facts("Observation", &told("1", 5, "final"), &told("1", 6, "final"));
    // A correction is the same result with another value, and shown as such.
    let (first, second) = (told("1", 5, "final"), told("1", 6, "corrected"));
    one_fact("Observation", &first, &second);
    let record = merged(&[
        ("a", &[&resource("Observation", "1", &first)]),
        ("b", &[&resource("Observation", "2", &second)]),
    ]);
    assert_eq!(groups(&record), [["b.2", "a.1"]]);
    assert_eq!(kinds(&record), [ConflictKind::Value]);
    // Two numbers in one namespace are two facts, whatever else agrees.
    let other = told("1", 5, "final").replace("A17", "A18");
    two_facts("Observation", &told("1", 5, "final"), &other);
    // 9999999 is no number at all.
    let dummy = |value: u8| told("1", value, "corrected").replace("A17", "9999999");
    two_facts("Observation", &dummy(5), &dummy(6));
}

#[test]
fn a_condition_is_its_code_and_onset() {
    let told = |status: &str, onset: &str| {
        format!(
            r#""code":{},"clinicalStatus":{},"onsetDateTime":"{onset}""#,
            concept("http://snomed.info/sct", "1"),
            concept("http://terminology.hl7.org/CodeSystem/condition-clinical", status),
        )
    };
    one_fact("Condition", &told("active", "2019-01-01"), &told("resolved", "2019-01-01"));
    one_fact("Condition", &told("active", "2019-01-01"), &told("active", "2019"));
    two_facts("Condition", &told("active", "2019-01-01"), &told("active", "2020-01-01"));
    let undated = format!(r#""code":{}"#, concept("http://snomed.info/sct", "1"));
    two_facts("Condition", &undated, &undated);
    let record = merged(&[
        ("a", &[&resource("Condition", "1", &told("active", "2019-01-01"))]),
        ("b", &[&resource("Condition", "2", &told("resolved", "2019-01-01"))]),
    ]);
    assert_eq!(kinds(&record), [ConflictKind::Status]);
}

#[test]
fn a_vaccine_given_and_not_given_are_two_facts_and_a_contradiction() {
    let told = |status: &str, when: &str| {
        format!(
            r#""status":"{status}","occurrenceDateTime":"{when}","vaccineCode":{}"#,
            concept("http://hl7.org/fhir/sid/cvx", "140")
        )
    };
    let given = told("completed", "2020-01-01T10:00:00Z");
    one_fact("Immunization", &given, &told("completed", "2020-01-01T17:00:00Z"));
    one_fact("Immunization", &given, &told("completed", "2020-01-01"));
    let refused = told("not-done", "2020-01-01");
    two_facts("Immunization", &given, &refused);
    let record = merged(&[
        ("a", &[&resource("Immunization", "1", &given)]),
        ("b", &[&resource("Immunization", "2", &refused)]),
    ]);
    assert_eq!(kinds(&record), [ConflictKind::Denied]);
}

#[test]
fn no_known_allergies_stands_against_an_allergy() {
    let told = |code: &str| {
        format!(
            r#""clinicalStatus":{},"code":{}"#,
            concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"),
            concept("http://snomed.info/sct", code)
        )
    };
    let (none, penicillin) = (told("716186003"), told("91936005"));
    one_fact("AllergyIntolerance", &penicillin, &penicillin);
    two_facts("AllergyIntolerance", &penicillin, &none);
    let record = merged(&[
        ("a", &[&resource("AllergyIntolerance", "1", &penicillin)]),
        ("b", &[&resource("AllergyIntolerance", "2", &none)]),
    ]);
    assert_eq!(kinds(&record), [ConflictKind::AllergyAgainstNone]);
    assert_eq!(
        record.conflicts()[0].implicated,
        ["AllergyIntolerance/a.1", "AllergyIntolerance/b.2"]
    );
    let issue = record.own().next().expect("the issue comes first");
    assert!(issue.is_own && issue.json.contains(r#""severity":"high""#), "{}", issue.json);
    // A food allergy does not contradict "no known drug allergy".
    let food = format!(r#"{penicillin},"category":["food"]"#);
    let no_drug = told("409137002");
    let record = merged(&[
        ("a", &[&resource("AllergyIntolerance", "1", &food)]),
        ("b", &[&resource("AllergyIntolerance", "2", &no_drug)]),
    ]);
    assert!(record.conflicts().is_empty());
}

#[test]
fn what_one_withdrew_and_another_keeps_is_shown() {
    let told = |status: &str| {
        format!(
            r#"{},"status":"{status}","effectiveDateTime":"2020-01-01T10:00:00Z","valueInteger":5"#,
            loinc("1")
        )
    };
    let record = merged(&[
        ("a", &[&resource("Observation", "1", &told("entered-in-error"))]),
        ("b", &[&resource("Observation", "2", &told("final"))]),
    ]);
    assert_eq!(groups(&record), [["b.2", "a.1"]]);
    assert_eq!(kinds(&record), [ConflictKind::EnteredInError]);
}

#[test]
fn blood_groups_and_deaths_that_differ_are_shown() {
    let group = |code: &str, day: u8| {
        format!(
            r#"{},"effectiveDateTime":"2020-01-0{day}T10:00:00Z","valueCodeableConcept":{}"#,
            loinc("882-1"),
            concept("http://snomed.info/sct", code)
        )
    };
    let record = merged(&[
        (
            "a",
            &[
                &resource("Observation", "1", &group("278149003", 1)),
                &resource("Patient", "p", r#""birthDate":"1950-01-01","deceasedBoolean":true"#),
            ],
        ),
        (
            "b",
            &[
                &resource("Observation", "2", &group("278147001", 2)),
                &resource("Patient", "p", r#""birthDate":"1950-01""#),
            ],
        ),
    ]);
    assert_eq!(kinds(&record), [ConflictKind::BloodGroup, ConflictKind::Deceased]);
}

#[test]
fn two_resources_of_one_member_are_one_only_where_identical() {
    let told =
        format!(r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","valueInteger":5"#, loinc("1"));
    let noted = format!(r#"{told},"note":[{{"text":"x"}}]"#);
    let versioned = format!(r#"{told},"meta":{{"versionId":"2"}}"#);
    let record = merged(&[(
        "a",
        &[
            &resource("Observation", "1", &told),
            &resource("Observation", "2", &noted),
            &resource("Observation", "3", &versioned),
        ],
    )]);
    assert_eq!(groups(&record), [["a.3", "a.1"]]);
}

#[test]
fn other_types_are_tied_by_identifier_and_code_alone() {
    let told = |value: &str| {
        format!(r#""authored":"2020-01-01","identifier":{{"system":"urn:q","value":"{value}"}}"#)
    };
    one_fact("QuestionnaireResponse", &told("17"), &told("17"));
    two_facts("QuestionnaireResponse", &told("17"), &told("18"));
    two_facts("QuestionnaireResponse", r#""authored":"2020-01-01""#, r#""authored":"2020-01-01""#);
    two_facts(
        "Patient",
        r#""identifier":[{"system":"s","value":"17"}]"#,
        r#""identifier":[{"system":"s","value":"17"}]"#,
    );
}

#[test]
fn an_encounter_needs_its_organization() {
    let visit = format!(
        r#""class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"EMER"}},"type":[{}],"period":{{"start":"2020-01-01T10:00:00Z"}},"serviceProvider":{{"reference":"Organization/o"}}"#,
        concept("http://snomed.info/sct", "1")
    );
    two_facts("Encounter", &visit, &visit);
    let organization = |npi: &str| {
        resource(
            "Organization",
            "o",
            &format!(
                r#""identifier":[{{"system":"http://hl7.org/fhir/sid/us-npi","value":"{npi}"}}]"#
            ),
        )
    };
    let count = |npi: &str| {
        let record = merged(&[
            ("a", &[&resource("Encounter", "1", &visit), &organization("1234567893")]),
            ("b", &[&resource("Encounter", "2", &visit), &organization(npi)]),
        ]);
        record.groups().count()
    };
    assert_eq!((count("1234567893"), count("1987654325")), (2, 0));
}

#[test]
fn nothing_is_dropped_and_everything_can_be_read() {
    let told =
        format!(r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","valueInteger":5"#, loinc("1"));
    let (first, second) =
        (resource("Observation", "1", &told), resource("Observation", "2", &told));
    let other = first.replace("5}", "6}");
    let idless = r#"{"resourceType":"Basic","code":{"text":"x"}}"#;
    let odd = resource("Basic", "a_b", r#""subject":{"reference":"Patient/p"}"#);
    let record =
        merged(&[("a", &[&first, &first, &other, idless, idless, &odd]), ("b", &[&second])]);
    assert_eq!(record.originals().len(), 5);
    for count in record.counts() {
        assert_eq!(count.received, count.repeated + count.single + count.grouped);
    }
    let received: u64 = record.counts().iter().map(|count| count.received).sum();
    let repeated: u64 = record.counts().iter().map(|count| count.repeated).sum();
    assert_eq!((received, repeated), (7, 2));
    for original in record.originals() {
        let found = record.original(&original.resource_type, &original.gateway_id);
        assert_eq!(found.map(|found| &found.json), Some(&original.json));
        assert!(original.gateway_id.len() <= 64);
        let head = Resource::parse(original.json.as_bytes()).expect("a resource");
        assert_eq!(head.id(), Some(&*original.gateway_id));
    }
    let issues: Vec<RecordIssueKind> = record.issues().iter().map(|issue| issue.kind).collect();
    assert_eq!(issues, [RecordIssueKind::NoId, RecordIssueKind::IdUsedTwice]);
    let mut sources: Vec<Option<&str>> =
        record.id_mappings().iter().map(|mapping| mapping.source_id.as_deref()).collect();
    sources.sort_unstable();
    assert_eq!(sources, [None, None, Some("a_b")]);
    let links: Vec<&str> = record.own().map(|own| own.resource_type).collect();
    assert_eq!(links, ["Linkage", "Provenance", "Provenance"]);
}

#[test]
fn a_resource_rewritten_alone_has_the_bytes_of_the_merge() {
    let json = resource("Basic", "1", r#""x":1.10,"subject":{"reference":"Patient/p"}"#);
    let answer = answer("a", &[&json]);
    let alone = rewrite_one(context().person, &answer, &answer.resources[0]);
    let record = merge(&context(), vec![answer]);
    assert_eq!(record.originals()[0].json, alone.json);
    assert!(alone.json.contains("1.10"));
}

/// Small worlds in which much can be mistaken for much.
fn small_world() -> impl Strategy<Value = Vec<(u8, String)>> {
    let observation = (0_u8..3, 0_u8..4, 0_u8..3, 0_u8..2, 0_u8..5).prop_map(
        |(code, when, value, status, identifier)| {
            let when = ["2020-01-01T10:00:00Z", "2020-01-01T05:00:00-05:00", "2020-01-01", "2020-01-01T11:30:00Z"]
                [usize::from(when)];
            let value = ["5", "5.0", "6"][usize::from(value)];
            let status = ["final", "corrected"][usize::from(status)];
            let code = [loinc("1"), loinc("2"), r#""code":{"coding":[{"system":"http://loinc.org","code":"1"},{"system":"http://snomed.info/sct","code":"7"}]}"#.to_string()]
                [usize::from(code)].clone();
            let identifier = match identifier {
                0 | 1 => format!(r#","identifier":[{{"system":"urn:i","value":"N{identifier}"}}]"#),
                _ => String::new(),
            };
            ("Observation", format!(r#"{code},"status":"{status}","effectiveDateTime":"{when}","valueQuantity":{{"value":{value},"unit":"mg"}}{identifier}"#))
        },
    );
    let condition = (0_u8..2, 0_u8..3, 0_u8..2).prop_map(|(code, onset, status)| {
        let onset = ["2019", "2019-05", "2019-05-03"][usize::from(onset)];
        let status = ["active", "resolved"][usize::from(status)];
        let code = concept("http://snomed.info/sct", ["1", "2"][usize::from(code)]);
        let status = concept("http://terminology.hl7.org/CodeSystem/condition-clinical", status);
        (
            "Condition",
            format!(r#""code":{code},"clinicalStatus":{status},"onsetDateTime":"{onset}""#),
        )
    });
    let report = (0_u8..6).prop_map(|result| {
        ("DiagnosticReport", format!(r#"{},"effectiveDateTime":"2020-01-01T10:00:00Z","result":[{{"reference":"Observation/{result}"}}]"#, loinc("9")))
    });
    let one = (0_u8..3, 0_u8..6, prop_oneof![4 => observation, 2 => condition, 1 => report]);
    prop::collection::vec(one, 1..14).prop_map(|all| {
        all.into_iter()
            .map(|(member, id, (kind, rest))| (member, resource(kind, &id.to_string(), &rest)))
            .collect()
    })
}

/// All bytes of a record but how often something came again.
fn bytes(record: &MergedRecord) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for entry in record.entries() {
        text.extend([entry.resource_type, "/", entry.id, " ", entry.json, "\n"]);
    }
    for original in record.originals() {
        text.extend([&*original.json, "\n"]);
    }
    for issue in record.issues() {
        writeln!(text, "{issue:?} {}", issue.gateway_id).expect("a string takes it");
    }
    write!(text, "{:?}", groups(record)).expect("a string takes it");
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_record_is_a_function_of_the_set(
        world in small_world(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 20),
        splits in prop::collection::vec(any::<bool>(), 14),
    ) {
        let together = |world: &[(u8, String)]| {
            let of = |member: u8| -> Vec<&str> {
                world.iter().filter(|(m, _)| *m == member).map(|(_, json)| json.as_str()).collect()
            };
            merge(&context(), vec![answer("a", &of(0)), answer("b", &of(1)), answer("c", &of(2))])
        };
        let record = together(&world);
        let received: u64 = record.counts().iter().map(|count| count.received).sum();
        let stayed: u64 =
            record.counts().iter().map(|count| count.repeated + count.single + count.grouped).sum();
        prop_assert_eq!((received, stayed), (world.len() as u64, world.len() as u64));

        // Any order, any split into answers.
        let mut shuffled = world.clone();
        for (i, index) in order.iter().enumerate() {
            let length = shuffled.len();
            shuffled.swap(i % length, index.index(length));
        }
        prop_assert_eq!(bytes(&record), bytes(&together(&shuffled)));
        let mut answers: Vec<MemberAnswer> = Vec::new();
        for ((member, json), alone) in shuffled.iter().zip(splits.iter().cycle()) {
            let code = ["a", "b", "c"][usize::from(*member)];
            match answers.last_mut().filter(|last| last.member.as_str() == code && !alone) {
                Some(last) => last.resources.extend(answer(code, &[json]).resources),
                None => answers.push(answer(code, &[json])),
            }
        }
        prop_assert_eq!(bytes(&record), bytes(&merge(&context(), answers)));

        // Told twice is told once.
        let twice: Vec<(u8, String)> = world.iter().chain(&shuffled).cloned().collect();
        prop_assert_eq!(bytes(&record), bytes(&together(&twice)));
    }
}
