//! `tessera import`: files of CSV rows and of HL7 v2 messages, into the database that the gateway
//! then serves.

use std::{fs, process::Output, sync::Arc};

use serde_json::json;
use tessera::app::SystemClock;

use crate::{
    people::{anne, lake, ruth},
    process::{apply_members, tessera},
    wire::{anne_by_messages, framed, message, ruths_pid},
    world::{Stage, World, record_numbers},
};

const TIME: &str = "20260105120000+0000";

fn stage() -> Stage {
    let stage = Stage::set(vec![anne_by_messages(), lake()], |_| {});
    assert!(apply_members(&stage).status.success());
    stage
}

/// Imports a file of Anne's; standard output, standard error and the exit status.
fn import(
    stage: &Stage,
    file: &str,
    content: impl AsRef<[u8]>,
    more: &[&str],
) -> (String, String, i32) {
    fs::write(stage.home().join(file), content).expect("written");
    let args = ["import", "--config", "tessera.toml", "--member", "anne", file];
    told(&tessera(stage, &[&args[..], more].concat()))
}

fn told(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().expect("it ends"))
}

/// Lines and reasons of what was rejected.
fn rejects(stage: &Stage, file: &str) -> Vec<String> {
    let path = stage.home().join(format!("{file}.rejects.csv"));
    let text = fs::read_to_string(path).expect("there are rejects");
    assert!(!text.contains("Calloway") && !text.contains("Harbour"), "no patient data: {text}");
    text.lines().skip(1).map(str::to_owned).collect()
}

fn all_match(told: &[String], expected: &[(u64, &str)]) {
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (row, (line, words)) in told.iter().zip(expected) {
        assert!(row.starts_with(&format!("{line},")) && row.contains(words), "{row}, not {words}");
    }
}

/// A batch: its messages are two, then a merge, and what does nothing, is late or wrong.
fn batch() -> String {
    let merge = [ruths_pid("R1"), "MRG|R2^^^ANNE^MR".to_owned()];
    let merge: Vec<&str> = merge.iter().map(String::as_str).collect();
    let messages = [
        message("A28", "1", TIME, &[&ruths_pid("R1")]),
        message("A28", "2", TIME, &[&ruths_pid("R2")]),
        message("A40", "3", "20260106120000+0000", &merge),
        message("A11", "4", TIME, &[&ruths_pid("R1"), "PV1|1|O"]),
        message("A08", "5", "20260101120000+0000", &[&ruths_pid("R1").replace("Harbour", "Other")]),
        message("A28", "6", TIME, &["PID|1||||Calloway^Ruth"]),
        message("A28", "7", "20260107120000+0000", &[&ruths_pid("R2")]),
        message("ORU", "8", TIME, &[&ruths_pid("R3")]).replace("ADT^ORU", "ORU^R01"),
    ];
    format!("FHS|^~\\&|ADT|ANNE\rBHS|^~\\&|ADT|ANNE\r{}\rBTS|9\rFTS|1\r", messages.join("\r"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_messages_is_carried_out_and_what_was_not_is_told() {
    let stage = stage();
    let (out, err, status) = import(&stage, "adt.hl7", batch(), &[]);
    assert_eq!(status, 1, "{err}");
    assert!(out.contains("2 created, 0 updated, 0 unchanged, 4 rejected"), "{out}");
    for words in ["1 merged", "1 no identity effect", "1 late: something later is known"] {
        assert!(out.contains(words), "{out}");
    }
    all_match(
        &rejects(&stage, "adt.hl7"),
        &[
            (20, "message 6: PID-3: there is no identifier of the patient"),
            (23, "message 7: the identifier was merged into another"),
            (26, "message 8: MSH-9"),
            (29, "the trailer counts other than the 8 messages that came"),
        ],
    );
    assert!(err.contains("adt.hl7, line 20: message 6: PID-3"), "{err}");

    // The same again changes nothing, and neither does one that comes by the wire.
    let (out, _, status) = import(&stage, "adt.hl7", batch(), &[]);
    assert_eq!(status, 1);
    assert!(out.contains("0 created, 0 updated, 2 unchanged"), "{out}");
    let world = World::start(stage, Arc::new(SystemClock)).await;
    let index = &world.gateway.exchange().index;
    assert_eq!((index.records_total(), index.persons_total()), (2, 1));
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    let read = ed.get(&format!("Patient/{person}")).await;
    assert!(read.text().contains("Harbour") && !read.text().contains("Other"), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_frames_or_bare_and_in_their_order() {
    let stage = stage();
    let told = |number: usize, street: usize| {
        let time = format!("2026010512{street:02}00+0000");
        let pid = format!(
            "PID|1||N{number}^^^ANNE^MR||Family{number}^Ada||19840305|F|||{street} Elm St^^Oswego"
        );
        message("A28", &format!("{number}-{street}"), &time, &[&pid])
    };
    // Many patients, and each is told of again.
    let both = (0..300).flat_map(|number| [(number, 1), (number, 2)]);
    let all: Vec<String> = both.map(|(number, street)| told(number, street)).collect();
    let frames: Vec<u8> = all.iter().flat_map(framed).collect();
    let (out, err, status) = import(&stage, "frames", frames, &[]);
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("300 created, 300 updated, 0 unchanged, 0 rejected"), "{out}");
    let bare = all.join("\r\n").replace("\rPID", "\nPID");
    let (out, err, status) = import(&stage, "bare", bare, &[]);
    assert_eq!(status, 0, "{err}");
    let late = "300 late: something later is known";
    assert!(out.contains("0 created, 0 updated, 300 unchanged") && out.contains(late), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_registered_and_those_that_cannot_be_are_told() {
    let stage = stage();
    let rows = "source,mrn,family,given,sex,birth_date,phone,address_line,city,state,postal_code\n\
        A,anne-r1,Calloway,Ruth,F,1958-03-14,+1 315 555 0142,12 Harbour Row,Oswego,NY,13126\n\
        A,anne-r2,Calloway,Max,woman,1958-02-30,,,,,\n\
        A,,Calloway,Ruth,F,1958-03-14,,,,,\n\
        A,anne-r3,,,F,1958-03-14,,,,,\n\
        A,anne-r4,Calloway\n\
        B,anne-r5,Ostrander,Max,M,1991-11-02,,,,,\n\
        A,\"anne-r6\",\"Vandermeer, van\",Ada,F,2015-09-21,,,,,\n";
    let (out, err, status) = import(&stage, "rows.csv", rows, &["--source", "A"]);
    assert_eq!(status, 1, "{err}");
    assert!(out.contains("2 created, 0 updated, 0 unchanged, 4 rejected"), "{out}");
    assert!(out.contains("1 of other sources passed over"), "{out}");
    all_match(
        &rejects(&stage, "rows.csv"),
        &[
            (3, "birth_date: not a date of the calendar"),
            (4, "mrn: identifier has no value"),
            (5, "the patient has no name"),
            (6, "has 3 columns where the header has 11"),
        ],
    );
    let (out, ..) = import(&stage, "rows.csv", rows, &[]);
    assert!(out.contains("1 created, 0 updated, 2 unchanged, 4 rejected"), "{out}");
    let world = World::start(stage, Arc::new(SystemClock)).await;
    let ed = world.client("ed");
    let person = ed.person(&ruth()).await;
    let read = ed.get(&format!("Patient/{person}")).await;
    assert!(read.text().contains(&record_numbers("anne")), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_begun_is_refused_in_one_sentence() {
    let stage = stage();
    let check = |content: &str, more: &[&str], words: &str| {
        let (_, err, status) = import(&stage, "rows.csv", content, more);
        assert_eq!(status, 2, "{err}");
        assert!(err.contains(words), "{err}, not {words}");
    };
    check("mrn,familyname\n", &[], "rows.csv, line 1: column 2 is none that is known here");
    check("mrn,family,mrn\n", &[], "rows.csv, line 1: column mrn is there twice");
    check("record_id,family\n", &[], "rows.csv, line 1: column mrn is missing");
    check("mrn,family\n", &["--source", "A"], "rows.csv, line 1: column source is missing");
    check("mrn,family\n", &["--system", "urn:x"], "--system is none of the identifier systems");
    let (out, err, status) =
        import(&stage, "rows.csv", "record_id,family\n7,Lee\n", &["--number-column", "record_id"]);
    assert_eq!((status, out.contains("1 created")), (0, true), "{err}");
    // What looks like something else can be told.
    let (.., status) = import(&stage, "x", "MSH|broken", &["--format", "ndjson"]);
    assert_eq!(status, 1);

    let two = anne().told("identifier_systems", json!([record_numbers("anne"), "urn:other"]));
    let stage = Stage::set(vec![two], |_| {});
    assert!(apply_members(&stage).status.success());
    let (_, err, status) = import(&stage, "rows.csv", "mrn,family\n1,Lee\n", &[]);
    assert!(status == 2 && err.contains("several identifier systems"), "{err}");
    let (_, err, status) =
        import(&stage, "rows.csv", "mrn,family\n1,Lee\n", &["--system", "urn:other"]);
    assert_eq!(status, 0, "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_an_end_stops_the_import_and_what_came_before_stands() {
    let stage = stage();
    let mut rows = "mrn,family,birth_date\n1,Lee,1984-03-05\n2,\"Lind,1970".to_owned();
    rows.push_str(&"-".repeat(3 << 20));
    let (out, err, status) = import(&stage, "rows.csv", rows, &[]);
    assert!(out.contains("1 created") && err.contains("quote"), "{out} {err}");
    assert_ne!(status, 0);
}
