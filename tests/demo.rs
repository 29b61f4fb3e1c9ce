//! `tessera demo`, run as anybody runs it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera"))
        .arg("demo")
        .arg("--once")
        .args(arguments)
        .output()
        .expect("the binary was built for this test")
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().expect("a temporary folder has a plain name").to_owned()
}

/// The written stories, and some more: twins, father and son, an alias, a maiden name, told by four
/// members over mutual TLS, and everybody's record comes back whole and alone.
#[test]
fn every_patient_of_the_demonstration_is_found_whole_and_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let (report, answers) = (path(dir.path(), "report.json"), path(dir.path(), "answers"));
    let output = demo(&["--patients", "24", "--report", &report, "--answers", &answers]);
    let page = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let report: Value = serde_json::from_slice(&fs::read(report).expect("written")).expect("JSON");
    let figure = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("{key} is a number"));
    assert_eq!((figure("patients"), figure("persons_found")), (24, 24));
    assert_eq!((figure("located_missed"), figure("located_wrong")), (0, 0));
    assert_eq!((figure("foreign_released"), figure("different_facts_grouped")), (0, 0));
    assert_eq!(figure("resources_returned"), figure("resources_expected"));
    assert_eq!(figure("same_fact_missed"), 0);
    assert!(report["seconds"]["p99"].as_f64().is_some_and(|seconds| seconds > 0.0));
    assert_eq!(fs::read_dir(answers).expect("written").count(), 24);

    for told in [
        "Eleanor",
        "One source knows an allergy",
        "Allergy to penicillin · Anaphylaxis",
        "DOSES DIFFER",
        "St. Anne Trauma Center: could not be reached",
    ] {
        assert!(page.to_lowercase().contains(&told.to_lowercase()), "{told} is not in:\n{page}");
    }
    assert!(page.lines().take(60).all(|line| line.chars().count() <= 100), "{page}");
}

#[test]
fn what_cannot_be_played_fails_and_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = path(dir.path(), "nothing");
    let output = demo(&["--data", &data]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot list"));

    fs::create_dir_all(dir.path().join("members/mercy")).expect("made");
    let patient = r#"{"resourceType":"Patient","id":"1","name":[{"family":"Lind"}]}"#;
    fs::write(dir.path().join("members/mercy/Patient.ndjson"), patient).expect("written");
    let output = demo(&["--data", &path(dir.path(), "members")]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("Patient.ndjson, line 1") && !errors.contains("Lind"), "{errors}");
}
