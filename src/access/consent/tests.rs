use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::access::fixture::{NOW, code, directory, person, record, requester};
use crate::access::{Confidentiality, Denial, Permit, Refusal, SecurityLabel};
use crate::domain::{PersonRecords, PurposeOfUse};
use crate::storage::{Database, StorageSettings};

const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

fn consent(provision: &Value) -> Value {
    json!({
        "resourceType": "Consent",
        "status": "active",
        "scope": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/consentscope",
            "code": "patient-privacy",
        }]},
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "identifier": { "system": "urn:oid:1.1.1", "value": "a1" } },
        "dateTime": "2025-01-01",
        "organization": [{ "reference": "Organization/anne" }],
        "policy": [{ "uri": "urn:policy:one" }],
        "provision": provision,
    })
}

pub(super) fn purpose(codes: &[&str]) -> Value {
    codes.iter().map(|code| json!({ "system": ACT_REASON, "code": code })).collect()
}

pub(super) fn actor(role: &str, reference: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
    let role = json!({ "coding": [{ "system": system, "code": role }] });
    json!({ "role": role, "reference": { "reference": reference } })
}

fn organization(role: &str, identifier: &str) -> Value {
    let mut actor = actor(role, "");
    actor["reference"] =
        json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": identifier } });
    actor
}

pub(super) fn labels(codes: &[&str]) -> Value {
    let system = |code: &str| if code.len() == 1 { Confidentiality::SYSTEM } else { ACT_CODE };
    codes.iter().map(|code| json!({ "system": system(code), "code": code })).collect()
}

fn keep(book: &ConsentBook, id: &str, anchor: &str, consent: &Value) {
    let told = ToldConsent::parse(consent.to_string().as_bytes()).expect("the consent is whole");
    let key = record(anchor, if anchor == "anne" { "a1" } else { "l1" });
    let directive = told.anchored(id.to_owned(), 1, key);
    book.keep_for_test(directive);
}

pub(super) fn book(settings: ConsentSettings, provisions: &[Value]) -> ConsentBook {
    let book = ConsentBook::in_memory(settings, directory());
    for (no, provision) in provisions.iter().enumerate() {
        // Each under its own policy, so that none supersedes another.
        let mut consent = consent(provision);
        consent["policy"] = json!([{ "uri": format!("urn:policy:{no}") }]);
        keep(&book, &format!("c{no}"), "anne", &consent);
    }
    book
}

fn decide(book: &ConsentBook, who: &str, purpose: &str) -> Result<Permit, Refusal> {
    let purpose = PurposeOfUse::parse(purpose).expect("a purpose");
    book.decide(&requester(who), &person(), purpose, NOW)
}

/// The members whose records are permitted, or who refused; `!` where the glass was broken.
fn outcome(decided: Result<Permit, Refusal>) -> String {
    match decided {
        Ok(permit) => {
            let members: Vec<&str> =
                permit.records().iter().map(|record| record.member.as_str()).collect();
            format!("{}{}", members.join(" "), if permit.broke_glass() { " !" } else { "" })
        }
        Err(Refusal::NotPermitted(Denial::Directive)) => "denied".to_owned(),
        Err(Refusal::NotPermitted(Denial::DefaultPolicy)) => "default".to_owned(),
        Err(other) => other.to_string(),
    }
}

fn check(provisions: &[Value], who: &str, purpose: &str, expected: &str) {
    let book = book(ConsentSettings::default(), provisions);
    assert_eq!(outcome(decide(&book, who, purpose)), expected, "{purpose} {provisions:?}");
}

#[test]
fn without_a_consent_the_default_policy_decides() {
    let table = [
        (DefaultPolicy::PermitTreatment, "TREAT", "anne lake"),
        (DefaultPolicy::PermitTreatment, "ETREAT", "anne lake"),
        (DefaultPolicy::PermitTreatment, "BTG", "anne lake"),
        (DefaultPolicy::PermitTreatment, "HPAYMT", "default"),
        (DefaultPolicy::PermitAll, "HPAYMT", "anne lake"),
        (DefaultPolicy::EmergencyOnly, "TREAT", "default"),
        (DefaultPolicy::EmergencyOnly, "ETREAT", "anne lake !"),
        (DefaultPolicy::EmergencyOnly, "BTG", "anne lake !"),
        (DefaultPolicy::Deny, "TREAT", "default"),
        (DefaultPolicy::Deny, "BTG", "default"),
    ];
    for (default_policy, purpose, expected) in table {
        let book = book(ConsentSettings { default_policy, ..Default::default() }, &[]);
        assert_eq!(
            outcome(decide(&book, "anne-ed", purpose)),
            expected,
            "{default_policy:?} {purpose}"
        );
    }
}

#[test]
fn a_policy_is_told_by_its_canonical_uri() {
    let parse = |text| toml::from_str::<ConsentSettings>(text);
    assert_eq!(parse("").expect("the defaults"), ConsentSettings::default());
    let told = "default_policy = 'https://profiles.ihe.net/ITI/PCF/Policy-deny'\n\
                break_glass = false\nunlabelled = 'release'";
    let expected = ConsentSettings {
        default_policy: DefaultPolicy::Deny,
        break_glass: false,
        unlabelled: Unlabelled::Release,
    };
    assert_eq!(parse(told).expect("the settings are good"), expected);
    assert!(parse("default_policy = 'permit'").is_err());
    assert!(parse("break_glas = true").is_err());
}

#[test]
fn who_may_not_query_gets_no_permit_whatever_the_patient_says() {
    let all = json!({ "type": "permit" });
    check(std::slice::from_ref(&all), "anne-feed", "TREAT", "the client has no query role");
    check(
        std::slice::from_ref(&all),
        "lake-query",
        "BTG",
        "the client may not act for the purpose BTG",
    );
}

#[test]
fn a_deny_on_file_denies() {
    let deny = json!({ "type": "deny" });
    check(std::slice::from_ref(&deny), "anne-ed", "TREAT", "denied");
    check(std::slice::from_ref(&deny), "anne-ed", "ETREAT", "denied");
    // It follows the person, not the member that recorded it.
    check(std::slice::from_ref(&deny), "lake-query", "TREAT", "denied");
}

#[test]
fn purposes_are_covered_with_their_narrower_ones() {
    let deny = |codes: &[&str]| [json!({ "type": "deny", "purpose": purpose(codes) })];
    check(&deny(&["TREAT"]), "anne-ed", "ETREAT", "denied");
    check(&deny(&["ETREAT"]), "anne-ed", "TREAT", "anne lake");
    check(&deny(&["HRESCH", "HMARKT"]), "anne-ed", "TREAT", "anne lake");
    // Coordination of care is treatment, and a requester tells no finer purpose.
    check(&deny(&["COC"]), "anne-ed", "TREAT", "denied");
    // An unknown purpose could be any.
    check(&deny(&["HRESCH", "NEW"]), "anne-ed", "TREAT", "denied");
    let permit = |codes: &[&str]| [json!({ "type": "permit", "purpose": purpose(codes) })];
    check(&permit(&["HPAYMT"]), "anne-ed", "HPAYMT", "anne lake");
    check(&permit(&["COVERAGE"]), "anne-ed", "HPAYMT", "denied");
    check(&permit(&["HPAYMT", "NEW"]), "anne-ed", "HPAYMT", "denied");
}

#[test]
fn recipients_are_known_by_code_and_by_identifier() {
    let deny = |actor: Value| [json!({ "type": "deny", "actor": [actor] })];
    check(&deny(actor("IRCP", "Organization/anne")), "anne-ed", "TREAT", "denied");
    check(&deny(actor("IRCP", "Organization/anne")), "lake-query", "TREAT", "anne lake");
    check(&deny(organization("IRCP", "urn:oid:1.1")), "anne-ed", "TREAT", "denied");
    // Told by the directory's identifier, though the client's own differs.
    check(&deny(organization("IRCP", "urn:oid:1.2")), "lake-query", "TREAT", "denied");
    check(&deny(organization("IRCP", "urn:oid:1.2.99")), "lake-query", "TREAT", "denied");
    check(&deny(organization("IRCP", "urn:oid:1.2.99")), "anne-ed", "TREAT", "anne lake");
}

#[test]
fn a_custodian_limits_a_rule_to_that_members_data() {
    let deny = |actor: Value| [json!({ "type": "deny", "actor": [actor] })];
    check(&deny(actor("CST", "Organization/lake")), "anne-ed", "TREAT", "anne");
    check(&deny(organization("CST", "urn:oid:1.2")), "anne-ed", "TREAT", "anne");
    check(&deny(actor("CST", "Organization/gone")), "anne-ed", "TREAT", "anne lake");
    let book = book(ConsentSettings::default(), &deny(actor("CST", "Organization/lake")));
    let permit = decide(&book, "anne-ed", "TREAT").expect("St. Anne's record is permitted");
    assert!(permit.permits_member(&code("anne")) && !permit.permits_member(&code("lake")));
    assert!(permit.permits_member(&code("elsewhere")));
    assert!(!permit.permits_record(&record("lake", "l1")));
    assert!(!permit.permits_record(&record("anne", "somebody else's")));
    assert_eq!(permit.excluded_members().collect::<Vec<_>>(), [&code("lake")]);
}

#[test]
fn what_cannot_be_read_fails_closed() {
    for (key, value) in [
        ("action", json!([{ "coding": [{ "code": "collect" }] }])),
        ("class", json!([{ "code": "Observation" }])),
        ("code", json!([{ "coding": [{ "code": "1" }] }])),
        ("dataPeriod", json!({ "start": "2020" })),
        ("data", json!([{ "meaning": "instance" }])),
        ("modifierExtension", json!([{ "url": "urn:x" }])),
        ("actor", json!([actor("IRCP", "Practitioner/1")])),
        ("actor", json!([actor("IRCP", "Organization/nobody")])),
        ("actor", json!([actor("CST", "Organization/nobody")])),
        ("actor", json!([actor("WIT", "Organization/anne")])),
        ("actor", json!([actor("IRCP", "Organization/lake"), actor("IRCP", "Group/1")])),
        ("purpose", json!([{ "code": "HRESCH" }])),
        ("period", json!({ "start": "some day" })),
        ("securityLabel", json!([{ "code": "HIV" }])),
    ] {
        let with = |effect: &str| {
            let mut provision = json!({ "type": effect });
            provision[key] = value.clone();
            [provision]
        };
        check(&with("deny"), "anne-ed", "TREAT", "denied");
        check(&with("permit"), "anne-ed", "TREAT", "denied");
    }
}

#[test]
fn exceptions_go_before_the_base_rule() {
    let ours = actor("IRCP", "Organization/anne");
    let but = |base: &str, exception: Value| [json!({ "type": base, "provision": [exception] })];
    let only_us = but("deny", json!({ "type": "permit", "actor": [ours] }));
    check(&only_us, "anne-ed", "TREAT", "anne lake");
    check(&only_us, "lake-query", "TREAT", "denied");
    let not_us = but("permit", json!({ "type": "deny", "actor": [ours] }));
    check(&not_us, "anne-ed", "TREAT", "denied");
    check(&not_us, "lake-query", "TREAT", "anne lake");
    // PCF allows one level; what lies deeper cannot be read.
    let deep = json!({ "type": "permit", "actor": [ours], "provision": [{ "type": "deny" }] });
    check(&but("deny", deep), "anne-ed", "TREAT", "denied");
    let emergencies = but("deny", json!({ "type": "permit", "purpose": purpose(&["ETREAT"]) }));
    check(&emergencies, "anne-ed", "TREAT", "denied");
    check(&emergencies, "anne-ed", "ETREAT", "anne lake");
    let past = json!({ "type": "permit", "actor": [ours], "period": { "end": "2025-06-14" } });
    check(&but("deny", past), "anne-ed", "TREAT", "denied");
    let conflict = [json!({ "type": "deny", "provision": [
        { "type": "permit", "actor": [ours] }, { "type": "deny", "actor": [ours] },
    ]})];
    check(&conflict, "anne-ed", "TREAT", "denied");
}

#[test]
fn what_an_unreadable_permit_excepts_is_denied() {
    let ours = actor("IRCP", "Organization/anne");
    let base = |exception: Value| {
        [json!({ "type": "permit", "dataPeriod": { "start": "2020" }, "provision": [exception] })]
    };
    check(&base(json!({ "type": "deny", "actor": [ours] })), "anne-ed", "TREAT", "denied");
    check(&base(json!({ "type": "deny", "actor": [ours] })), "lake-query", "TREAT", "denied");
    check(&base(json!({ "type": "permit", "actor": [ours] })), "anne-ed", "TREAT", "denied");
    // Another consent permits, but not what the unreadable one excepts.
    let with_permit = |exception| [base(exception)[0].clone(), json!({ "type": "permit" })];
    let but_us = json!({ "type": "deny", "actor": [ours] });
    check(&with_permit(but_us.clone()), "anne-ed", "TREAT", "denied");
    check(&with_permit(but_us), "lake-query", "TREAT", "anne lake");
}

#[test]
fn deny_wins_unless_a_permit_is_narrower_in_every_way() {
    let ours = actor("IRCP", "Organization/anne");
    let deny = json!({ "type": "deny" });
    let permit = json!({ "type": "permit" });
    let permit_us = json!({ "type": "permit", "actor": [ours] });
    let deny_treatment = json!({ "type": "deny", "purpose": purpose(&["TREAT"]) });
    let deny_us = json!({ "type": "deny", "actor": [ours] });
    let permit_us_treatment =
        json!({ "type": "permit", "actor": [ours], "purpose": purpose(&["TREAT"]) });
    for (one, two, expected) in [
        (&deny, &permit, "denied"),
        (&deny, &permit_us, "anne lake"),
        (&permit, &deny_us, "denied"),
        (&deny_treatment, &permit_us, "denied"),
        (&deny_treatment, &permit_us_treatment, "anne lake"),
        (&deny_us, &permit_us_treatment, "anne lake"),
        (&deny_us, &permit_us, "denied"),
    ] {
        check(&[one.clone(), two.clone()], "anne-ed", "TREAT", expected);
        check(&[two.clone(), one.clone()], "anne-ed", "TREAT", expected);
    }
}

#[test]
fn the_newer_consent_supersedes_under_the_same_policy_and_organization() {
    let at = |date: &str, provision: &Value| {
        let mut consent = consent(provision);
        consent["dateTime"] = json!(date);
        consent
    };
    let (deny, permit) = (json!({ "type": "deny" }), json!({ "type": "permit" }));
    let check = |newer: &Value, anchor: &str, expected: &str| {
        let book = ConsentBook::in_memory(ConsentSettings::default(), directory());
        keep(&book, "newer", anchor, newer);
        keep(&book, "older", "anne", &at("2025-01-01", &deny));
        assert_eq!(outcome(decide(&book, "anne-ed", "TREAT")), expected, "{newer}");
    };
    check(&at("2025-02", &permit), "anne", "anne lake");
    check(&at("2025-02", &permit), "lake", "denied");
    let mut other = at("2025-02", &permit);
    other["policy"] = json!([{ "uri": "urn:policy:two" }]);
    check(&other, "anne", "denied");
    let mut withdrawn = at("2025-02", &permit);
    withdrawn["status"] = json!("inactive");
    check(&withdrawn, "anne", "denied");
    let mut over = at("2025-02", &permit);
    over["provision"]["period"] = json!({ "end": "2025-03" });
    check(&over, "anne", "denied");
    let mut lasting = at("2025-02", &permit);
    lasting["provision"]["period"] = json!({ "start": "2025-03-01", "end": "2025-06-15" });
    check(&lasting, "anne", "anne lake");
}

#[test]
fn breaking_the_glass_overrides_a_consent_only_where_the_exchange_allows_it() {
    let check = |break_glass, default_policy, provision: &Value, purpose, expected: &str| {
        let settings = ConsentSettings { default_policy, break_glass, ..Default::default() };
        let decided = decide(&book(settings, std::slice::from_ref(provision)), "anne-ed", purpose);
        assert_eq!(outcome(decided), expected, "{break_glass} {default_policy:?} {purpose}");
    };
    let (deny, treat) = (json!({ "type": "deny" }), DefaultPolicy::PermitTreatment);
    check(true, treat, &deny, "BTG", "anne lake !");
    check(true, treat, &deny, "ETREAT", "denied");
    check(false, treat, &deny, "BTG", "denied");
    // The default policy is the exchange's own word: nobody overrides it.
    check(true, DefaultPolicy::Deny, &deny, "BTG", "default");
    check(true, treat, &json!({ "type": "permit" }), "BTG", "anne lake");
    let hidden = json!({ "type": "deny", "securityLabel": labels(&["HIV"]) });
    check(true, treat, &hidden, "BTG", "anne lake !");
}

#[test]
fn labels_are_carried_into_the_permit() {
    let released = |provision: &Value, data: &[&str]| {
        let book = book(ConsentSettings::default(), std::slice::from_ref(provision));
        let permit = decide(&book, "anne-ed", "TREAT").expect("permitted");
        let data: Vec<SecurityLabel> = data
            .iter()
            .map(|code| {
                let system = if code.len() == 1 { Confidentiality::SYSTEM } else { ACT_CODE };
                SecurityLabel::new(system, code)
            })
            .collect();
        permit.restrictions(&code("lake")).expect("not excluded").releases(&data)
    };
    let no_hiv = json!({ "type": "deny", "securityLabel": labels(&["HIV"]) });
    assert!(released(&no_hiv, &["N"]) && !released(&no_hiv, &["R", "HIV"]));
    assert!(!released(&no_hiv, &[]), "nobody looked whether it is about HIV");
    let normal = json!({ "type": "permit", "securityLabel": labels(&["N"]) });
    assert!(released(&normal, &[]) && released(&normal, &["N"]) && !released(&normal, &["R"]));
    let but_us = json!({ "type": "permit", "securityLabel": labels(&["N"]), "provision": [
        { "type": "permit", "securityLabel": labels(&["R"]),
          "actor": [actor("IRCP", "Organization/anne")] },
    ]});
    assert!(released(&but_us, &["R"]) && !released(&but_us, &["V"]));
    let not_restricted = json!({ "type": "permit", "provision": [
        { "type": "deny", "securityLabel": labels(&["R", "SUD"]) },
    ]});
    assert!(released(&not_restricted, &["N"]) && !released(&not_restricted, &["V"]));
    assert!(!released(&not_restricted, &["N", "ETH"]));
    let not_from_us = json!({ "type": "deny", "securityLabel": labels(&["HIV"]), "provision": [
        { "type": "permit", "actor": [actor("IRCP", "Organization/anne")] },
    ]});
    assert!(released(&not_from_us, &["R", "HIV"]));
    // What cannot be read restricts no less than what can, beside a consent that permits all.
    for (codes, withheld) in [(["N"], "R"), (["HIV"], "HIV")] {
        let unreadable = json!({ "type": "permit", "securityLabel": labels(&codes), "class": [] });
        let book = book(ConsentSettings::default(), &[unreadable, json!({ "type": "permit" })]);
        let permit = decide(&book, "anne-ed", "TREAT").expect("permitted");
        let restrictions = permit.restrictions(&code("lake")).expect("not excluded");
        let system = if withheld == "R" { Confidentiality::SYSTEM } else { ACT_CODE };
        assert!(!restrictions.releases(&[SecurityLabel::new(system, withheld)]), "{withheld}");
    }
    // Labelled data for some are withheld from all others, and nothing else changes.
    let hiv_for = |organization: &str| {
        json!({
            "type": "permit",
            "securityLabel": labels(&["HIV"]),
            "actor": [actor("IRCP", organization)],
        })
    };
    assert!(released(&hiv_for("Organization/anne"), &["R", "HIV"]));
    let for_others = hiv_for("Organization/lake");
    assert!(!released(&for_others, &["R", "HIV"]) && released(&for_others, &["R"]));
}

#[test]
fn a_permit_on_file_permits_only_what_it_covers() {
    let treatment = [json!({ "type": "permit", "purpose": purpose(&["TREAT"]) })];
    check(&treatment, "anne-ed", "TREAT", "anne lake");
    let research = [json!({ "type": "permit", "purpose": purpose(&["HRESCH"]) })];
    check(&research, "anne-ed", "TREAT", "denied");
    check(&research, "anne-ed", "BTG", "anne lake !");
    let ours = [json!({ "type": "permit", "actor": [actor("IRCP", "Organization/anne")] })];
    check(&ours, "anne-ed", "TREAT", "anne lake");
    check(&ours, "lake-query", "TREAT", "denied");
    // It says nothing of other members' data.
    let of_lake = [json!({ "type": "permit", "purpose": purpose(&["HRESCH"]), "actor":
        [actor("CST", "Organization/lake")] })];
    check(&of_lake, "anne-ed", "TREAT", "anne");
}

#[test]
fn a_consent_follows_its_record_through_separation() {
    let book = book(ConsentSettings::default(), &[json!({ "type": "deny" })]);
    let alone = |member: &str, value: &str| PersonRecords {
        id: person().id,
        records: vec![record(member, value)],
        former: Vec::new(),
    };
    let decide =
        |person| outcome(book.decide(&requester("anne-ed"), &person, PurposeOfUse::Treatment, NOW));
    assert_eq!(decide(person()), "denied");
    assert_eq!(decide(alone("lake", "l1")), "lake");
    assert_eq!(decide(alone("anne", "a1")), "denied");
}

#[test]
fn a_consent_that_is_none_is_refused_with_the_place() {
    let refused = |change: fn(&mut Value)| {
        let mut consent = consent(&json!({ "type": "deny" }));
        change(&mut consent);
        match ToldConsent::parse(consent.to_string().as_bytes()) {
            Ok(_) => "accepted".to_owned(),
            Err(reason) => reason.to_string(),
        }
    };
    assert_eq!(refused(|_| {}), "accepted");
    for (change, place) in [
        ((|c| c["resourceType"] = json!("Patient")) as fn(&mut Value), "no Consent"),
        (|c| c["status"] = json!("fine"), "Consent.status"),
        (|c| c["scope"] = json!({ "coding": [{ "code": "research" }] }), "Consent.scope"),
        (|c| c["dateTime"] = Value::Null, "Consent.dateTime is missing"),
        (|c| c["dateTime"] = json!("2025-02-30"), "Consent.dateTime"),
        (|c| c["provision"] = Value::Null, "Consent.provision is missing"),
        (|c| c["provision"] = json!({}), "Consent.provision.type is missing"),
        (|c| c["provision"]["type"] = json!("maybe"), "Consent.provision.type"),
        (|c| c["provision"]["actor"] = json!({}), "not a list"),
        (|c| c["patient"] = json!({}), "Consent.patient is missing"),
        (|c| c["modifierExtension"] = json!([]), "modifierExtension"),
        (|c| c["implicitRules"] = json!("urn:x"), "implicitRules"),
    ] {
        assert!(refused(change).contains(place), "{place}: {}", refused(change));
    }
}

#[test]
fn a_consent_that_the_patient_did_not_confirm_permits_nothing() {
    let decided = |effect: &str, verified: bool| {
        let mut consent = consent(&json!({ "type": effect }));
        consent["verification"] = json!([{ "verified": verified }]);
        let book = ConsentBook::in_memory(ConsentSettings::default(), directory());
        keep(&book, "c", "anne", &consent);
        outcome(decide(&book, "anne-ed", "TREAT"))
    };
    assert_eq!(decided("permit", true), "anne lake");
    assert_eq!(decided("permit", false), "denied");
    assert_eq!(decided("deny", false), "denied");
}

#[tokio::test]
async fn a_recorded_consent_is_in_force_at_once_and_after_a_restart() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = StorageSettings::at(home.path().join("t.db"));
    let told = |effect: &str| {
        let consent = consent(&json!({ "type": effect })).to_string();
        ToldConsent::parse(consent.as_bytes()).expect("the consent is whole")
    };
    let store = Database::open(&settings).await.expect("the store opens");
    let book = ConsentBook::open(store.clone(), ConsentSettings::default(), directory())
        .await
        .expect("the book opens");
    let feed = requester("anne-feed");
    let anchor = record("anne", "a1");
    let first = book.record(&feed, "c1", told("permit"), anchor.clone(), NOW).await;
    assert_eq!(first.expect("recorded").version, 1);
    let later = NOW + time::Duration::SECOND;
    let second = book.record(&feed, "c1", told("deny"), anchor.clone(), later).await;
    assert_eq!(second.expect("recorded").version, 2);
    assert_eq!(outcome(decide(&book, "anne-ed", "TREAT")), "denied");

    for (who, id, key, complaint) in [
        ("lake-feed", "c2", record("anne", "a1"), "the client has no steward role"),
        ("anne-ed", "c2", record("anne", "a1"), "the client has no steward role"),
        ("steward", "c1", record("lake", "l1"), "was given for another record"),
        ("steward", "a b", record("lake", "l1"), "a Consent id is"),
    ] {
        let refused = book.record(&requester(who), id, told("deny"), key, NOW).await;
        let reason = refused.expect_err("refused").to_string();
        assert!(reason.contains(complaint), "{reason}");
    }
    book.close().await;
    store.close().await;

    let store = Database::open(&settings).await.expect("the store opens again");
    let history = store.reader().consent_history("c1").await.expect("the history");
    assert_eq!(history.len(), 2);
    let book = ConsentBook::open(store.clone(), ConsentSettings::default(), directory())
        .await
        .expect("the book opens");
    assert_eq!(outcome(decide(&book, "anne-ed", "TREAT")), "denied");
    store.close().await;
}

#[tokio::test]
async fn a_stored_consent_that_cannot_be_read_denies_all() {
    let home = tempfile::tempdir().expect("a folder");
    let store = Database::open(&StorageSettings::at(home.path().join("t.db")))
        .await
        .expect("the store opens");
    let row = crate::storage::ConsentRow {
        id: "c1".to_owned(),
        version: 1,
        recorded: datetime!(2025-01-01 0:00 UTC),
        anchor: record("anne", "a1"),
        status: "active".to_owned(),
        body: "{}".to_owned(),
    };
    store.write(vec![crate::storage::Write::Consent(row)]).await.expect("written");
    let book = ConsentBook::open(store.clone(), ConsentSettings::default(), directory())
        .await
        .expect("the book opens");
    assert_eq!(outcome(decide(&book, "anne-ed", "TREAT")), "denied");
    store.close().await;
}
