//! What operators type: `import`, `member`, `audit verify`, `link`, and a configuration that is wrong.

use std::{fs, process::Output};

use serde_json::json;

use crate::{
    people::{anne, anybody, lake, patient},
    process::{apply_members, tessera},
    world::Stage,
};

fn stage() -> Stage {
    Stage::set(vec![anne(), lake()], |_| {})
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn import(stage: &Stage, lines: &[String]) -> Output {
    fs::write(stage.home().join("patients.ndjson"), lines.join("\n")).expect("written");
    let args = ["import", "--config", "tessera.toml", "--member", "anne", "patients.ndjson"];
    tessera(stage, &args)
}

fn line(number: usize) -> String {
    patient("anne", &format!("n{number}"), &anybody(number)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_applied_once_and_changes_are_printed() {
    let stage = stage();
    let first = apply_members(&stage);
    assert!(first.status.success(), "{}", err(&first));
    assert!(out(&first).contains("added        anne\nadded        lake\n"), "{}", out(&first));
    let again = apply_members(&stage);
    assert!(again.status.success());
    assert_eq!(out(&again), "unchanged    anne\nunchanged    lake\n");

    let file = stage.members_file();
    let told = fs::read_to_string(&file).expect("written");
    fs::write(&file, told.replace("Hospital lake", "Lakeside Clinic")).expect("written");
    let changed = out(&apply_members(&stage));
    assert!(changed.contains("unchanged    anne"), "{changed}");
    assert!(changed.contains("changed      lake"), "{changed}");
    assert!(changed.contains("Hospital lake") && changed.contains("Lakeside Clinic"), "{changed}");
    let list = out(&tessera(&stage, &["member", "--config", "tessera.toml", "list"]));
    assert!(list.contains("Lakeside Clinic") && list.contains("active"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_takes_good_lines_and_writes_down_the_bad_ones() {
    let stage = stage();
    assert!(apply_members(&stage).status.success());
    let mut no_name = patient("anne", "x", &anybody(3));
    no_name["name"] = json!([]);
    let foreign = patient("lake", "y", &anybody(4)).to_string();
    let lines = [
        line(1),
        "{\"resourceType\": \"Patient\"".to_owned(),
        no_name.to_string(),
        String::new(),
        foreign,
        json!({"resourceType": "Observation"}).to_string(),
        line(2),
        line(4).replace("anne-n4", "anne\\u0000n4"),
    ];
    let output = import(&stage, &lines);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(
        out(&output).contains("2 created, 0 updated, 0 unchanged, 5 rejected"),
        "{}",
        out(&output)
    );
    let rejects = stage.home().join("patients.ndjson.rejects.csv");
    let rejects = fs::read_to_string(rejects).expect("there are rejects");
    let told: Vec<&str> = rejects.lines().collect();
    assert_eq!(told[0], "line,reason");
    for (row, (number, reason)) in told[1..].iter().zip([
        (2, "not well-formed at line 1"),
        (3, "Patient.name"),
        (5, "no identifier of the member's own systems"),
        (6, "resourceType"),
        (8, "Patient.identifier holds a control character"),
    ]) {
        assert!(row.starts_with(&format!("{number},")) && row.contains(reason), "{row}");
    }
    assert!(!rejects.contains("lake-y"), "no patient data: {rejects}");

    let good = import(&stage, &[line(1), line(2), line(5)]);
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    assert!(out(&good).contains("1 created, 0 updated, 2 unchanged, 0 rejected"), "{}", out(&good));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_for_an_unknown_member_is_refused() {
    let stage = stage();
    let output = import(&stage, &[line(1)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("anne is not in the directory"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_trail_is_verified_and_a_broken_one_told() {
    let stage = stage();
    assert!(apply_members(&stage).status.success());
    let database = stage.database_argument();
    let verify = || tessera(&stage, &["audit", "verify", "--database", database]);
    let whole = verify();
    assert_eq!(whole.status.code(), Some(0), "{}", err(&whole));
    assert!(out(&whole).contains("The audit trail is whole: 4 rows."), "{}", out(&whole));

    stage.tamper("UPDATE audit_event SET recorded_at = recorded_at + 1 WHERE seq = 3").await;
    let broken = verify();
    assert_eq!(broken.status.code(), Some(1), "{}", err(&broken));
    assert!(out(&broken).contains("BROKEN at row 3"), "{}", out(&broken));
    assert_eq!(
        tessera(&stage, &["audit", "verify", "--database", "none.db"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_by_name_and_line() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("tessera.toml");
    fs::write(&file, "[server]\ndrain_s = 1\n\n[api]\nbase_uri = \"https://x/fhir\"\n")
        .expect("written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["serve", "--config"])
        .arg(&file)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let told = err(&output);
    assert!(told.contains("line 5") && told.contains("base_uri"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_says_what_is_wrong_with_its_input_and_exits_with_2() {
    const HEADER: &str = "record_id,source,cluster_id,given,middle,family,suffix,sex,birth_date,\
                          ssn,phone,email,address_line,city,state,postal_code,mrn";
    let stage = stage();
    let link = |rows: &str, more: &[&str]| {
        fs::write(stage.home().join("people.csv"), format!("{HEADER}\n{rows}")).expect("written");
        tessera(&stage, &[&["link", "people.csv", "--output", "links.csv"][..], more].concat())
    };
    let good = "r1,a,p1,Ann,,Lee,,F,1984-03-05,,,,,,,,\nr2,b,p1,Ann,,Lee,,F,1984-03-05,,,,,,,,\n";
    let linked = link(good, &["--truth", "cluster_id", "--labels", "cluster_id"]);
    assert_eq!(linked.status.code(), Some(0), "{}", err(&linked));
    let links = fs::read_to_string(stage.home().join("links.csv")).expect("written");
    assert!(links.starts_with("record_id,enterprise_id\nr1,") && links.lines().count() == 3);
    for (rows, more, said) in [
        ("r1,a\n", &[][..], "people.csv: line 2: 2 fields where the header has 17"),
        (good, &["--labels", "known"], "people.csv: line 1: column `known` is missing"),
        (good, &["--truth", "person"], "people.csv: line 1: column `person` is missing"),
        ("r1,a,p1,,,,,,,,,,,,,,\n", &[], "people.csv: no usable record"),
    ] {
        let output = link(rows, more);
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).starts_with(said), "{}", err(&output));
        assert_eq!(err(&output).lines().count(), 1, "one sentence");
    }
    fs::write(stage.home().join("model.json"), "{}").expect("written");
    let output = link(good, &["--model", "model.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).starts_with("model.json: not a model file"), "{}", err(&output));
}
