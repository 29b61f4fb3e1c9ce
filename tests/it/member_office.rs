//! Bringing members on as an operator does: `tessera member`, and what its check says.

use std::process::Output;

use serde_json::json;
use tessera::simulator::{
    AnswerFault, CertificateFault, CompartmentFault, Faults, IdentifierFault, PagingFault,
};

use crate::{
    people::{anne, lake},
    process::{apply_members, tessera},
    world::{Site, Stage, record_numbers},
};

fn stage(lake: Site) -> Stage {
    let stage = Stage::set(vec![anne(), lake.told("status", json!("testing"))], |_| {});
    let applied = apply_members(&stage);
    assert!(applied.status.success(), "{}", said(&applied));
    stage
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn member(stage: &Stage, words: &[&str]) -> Output {
    tessera(stage, &[&["member", "--config", "tessera.toml"], words].concat())
}

/// Ruth's record number at Lake, as the patient to try with.
fn ruth_at_lake() -> String {
    format!("{}|lake-ruth", record_numbers("lake"))
}

fn status(stage: &Stage) -> String {
    let list = said(&member(stage, &["list"]));
    let line = list.lines().find(|line| line.trim_start().starts_with("lake")).expect("listed");
    line.split_whitespace().nth(1).expect("a status").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_works_passes_every_step_and_is_activated() {
    let stage = stage(lake());
    let patient = ruth_at_lake();
    let checked = member(&stage, &["test", "lake", "--patient", &patient]);
    let told = said(&checked);
    assert!(checked.status.success(), "{told}");
    for step in
        ["address", "connection", "TLS", "capabilities", "search", "read", "record", "paging"]
    {
        assert!(
            told.lines().any(|line| line.starts_with(&format!("ok    {step}"))),
            "{step}: {told}"
        );
    }
    assert!(!told.contains("Calloway") && !told.contains("lake-ruth"), "patient data in {told}");
    let activated = member(&stage, &["activate", "lake"]);
    assert!(activated.status.success(), "{}", said(&activated));
    assert!(said(&activated).contains("status: testing -> active"), "{}", said(&activated));
    assert_eq!(status(&stage), "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_tls_is_told_in_plain_words_and_keeps_the_member_out() {
    let stage = stage(lake());
    for (certificate, words) in [
        (CertificateFault::Expired, "the server's certificate has expired"),
        (CertificateFault::AnotherName, "is not made out to 127.0.0.1"),
        (CertificateFault::UnknownAuthority, "of an authority that is not trusted here"),
        (CertificateFault::RefusesClients, "the server refused our certificate"),
    ] {
        stage.member("lake").set_faults(Faults { certificate, ..Faults::default() });
        let refused = member(&stage, &["activate", "lake"]);
        let told = said(&refused);
        assert!(!refused.status.success(), "{certificate:?}: {told}");
        assert!(told.contains("FAIL  TLS") && told.contains(words), "{certificate:?}: {told}");
        assert_eq!(status(&stage), "testing", "{certificate:?}");
    }
    stage.member("lake").set_faults(Faults::default());
    assert!(member(&stage, &["activate", "lake"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_fhir_is_told_by_step() {
    let stage = stage(lake());
    let fails = |answer: AnswerFault, step: &str, words: &str| {
        stage.member("lake").set_faults(Faults { answer, ..Faults::default() });
        let checked = member(&stage, &["test", "lake"]);
        let told = said(&checked);
        assert!(!checked.status.success(), "{told}");
        assert!(told.contains(&format!("FAIL  {step}")) && told.contains(words), "{told}");
    };
    fails(AnswerFault::Html, "capabilities", "something else than a CapabilityStatement");
    let forbidden = AnswerFault::Status { status: 403, retry_after_s: None };
    fails(forbidden, "capabilities", "must give the gateway the right to read (HTTP 403)");
    fails(AnswerFault::Malformed, "capabilities", "something else");

    let nowhere = json!({"member": [{
        "code": "lake", "name": "Hospital lake", "organization": "https://lake.example",
        "identifier_systems": [record_numbers("lake")], "status": "active",
        "fhir_base": "https://127.0.0.1:1/fhir",
    }]});
    stage.write("members.toml", &nowhere);
    let refused = apply_members(&stage);
    let told = said(&refused);
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("FAIL  connection") && told.contains("nobody listens there"), "{told}");
    assert_eq!(status(&stage), "testing", "nothing of the file was applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn oddities_are_noticed_and_saved_where_that_is_wanted() {
    let patient = ruth_at_lake();
    let (whole, paged) = (stage(lake()), stage(lake().paged(1)));
    let check = |stage: &Stage, faults: Faults, words: &str| {
        stage.member("lake").set_faults(faults);
        let told = said(&member(stage, &["test", "lake", "--patient", &patient]));
        assert!(told.contains(words), "{words}: {told}");
    };
    let noticed = |faults: Faults, words: &str| check(&paged, faults, words);
    let refused_parameters = vec!["_count".to_owned()];
    noticed(Faults { refused_parameters, ..Faults::default() }, "noticed: quirks = [\"no_count\"]");
    noticed(Faults { count_max: Some(60), ..Faults::default() }, "noticed: page_matches = 50");
    let unserved_types = vec!["Immunization".to_owned()];
    let unserved = "noticed: unserved_types = [\"Immunization\"]";
    noticed(Faults { unserved_types, ..Faults::default() }, unserved);
    let identifier = IdentifierFault::Ignored;
    noticed(Faults { identifier, ..Faults::default() }, "it ignores the identifier");
    let compartment = CompartmentFault::Ignored;
    check(&whole, Faults { compartment, ..Faults::default() }, "are not the patient's");
    let paging = PagingFault::AnotherOrigin("https://elsewhere.example".to_owned());
    noticed(Faults { paging, ..Faults::default() }, "leads away from fhir_base");
    let lost = Faults { paging: PagingFault::LosesCriteria, ..Faults::default() };
    noticed(lost, "\"loses_criteria\"");
    assert!(!said(&member(&paged, &["show", "lake"])).contains("loses_criteria"));
    member(&paged, &["test", "lake", "--patient", &patient, "--learn"]);
    assert!(said(&member(&paged, &["show", "lake"])).contains("loses_criteria"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_in_which_patients_are_looked_for_is_tried() {
    let patient = ruth_at_lake();
    let check = |site: Site, mode: &str, lines: &[&str]| {
        let stage = stage(site.told("discovery", json!(mode)));
        let told = said(&member(&stage, &["test", "lake", "--patient", &patient]));
        for line in lines {
            assert!(told.contains(line), "{mode}: {line}: {told}");
        }
        let failed = told.contains("FAIL");
        let activated = member(&stage, &["activate", "lake", "--patient", &patient]);
        assert_eq!(activated.status.success(), !failed, "{mode}: {}", said(&activated));
    };
    let found = ["ok    discovery", "the patient to try with is found, and nobody else"];
    check(lake(), "match", &found);
    check(lake(), "search", &found);
    check(lake().without_match(), "match", &["FAIL  discovery", "`discovery` may have to be"]);
    let get = ["ok    discovery", "noticed: quirks = [\"get_only\"]"];
    check(lake().without_posted_searches(), "search", &get);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_reached_by_its_address_is_known_by_its_name() {
    let elsewhere = || Faults { certificate: CertificateFault::AnotherName, ..Faults::default() };
    let named = stage(lake().told("server_name", json!("elsewhere.example")));
    let told = said(&member(&named, &["test", "lake"]));
    assert!(told.contains("is not made out to elsewhere.example"), "{told}");
    named.member("lake").set_faults(elsewhere());
    let activated = member(&named, &["activate", "lake"]);
    assert!(activated.status.success(), "{}", said(&activated));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_a_version_and_can_be_taken_back() {
    let stage = stage(lake());
    assert!(member(&stage, &["suspend", "lake"]).status.success());
    assert_eq!(status(&stage), "suspended");
    let reverted = said(&member(&stage, &["revert", "lake", "--to", "1"]));
    assert!(reverted.contains("status: suspended -> testing"), "{reverted}");
    assert!(member(&stage, &["activate", "lake"]).status.success());
    assert!(member(&stage, &["drain", "lake"]).status.success());
    assert_eq!(status(&stage), "draining");
    let history = said(&member(&stage, &["history", "lake"]));
    assert_eq!(history.lines().count(), 5, "{history}");
    let missing = member(&stage, &["revert", "lake", "--to", "9"]);
    assert!(!missing.status.success() && said(&missing).contains("no such version"));
    let database = stage.database_argument();
    let verified = tessera(&stage, &["audit", "verify", "--database", database]);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_leaves_the_status_out_keeps_it() {
    let stage = stage(lake());
    assert!(member(&stage, &["activate", "lake"]).status.success());
    let text = std::fs::read_to_string(stage.members_file()).expect("written");
    let without = text.replace("status = \"testing\"\n", "").replace("Hospital lake", "Lakeside");
    std::fs::write(stage.members_file(), without).expect("written");
    let applied = apply_members(&stage);
    assert!(said(&applied).contains("name: Hospital lake -> Lakeside"), "{}", said(&applied));
    assert_eq!(status(&stage), "active");
}
