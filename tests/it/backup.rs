//! A backup is made while the gateway serves, and what is brought back answers the same.

use std::fs;

use serde_json::Value;

use crate::{
    people::{anne, lake, patient, ruth},
    process::{Process, apply_members, tessera},
    world::{Client, Engine, Stage},
};

/// What a client is told of whom `ruth` describes: the person, its identifiers and its links.
async fn told(ed: &Client) -> Value {
    let answer = ed.matches(&patient("anne", "ruth", &ruth())).await;
    let certain = answer.certain();
    assert_eq!(certain.len(), 1, "{answer:?}");
    serde_json::json!([certain[0]["id"], certain[0]["identifier"], certain[0]["link"]])
}

fn out(output: &std::process::Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_back_answers_the_same() {
    let mut stage = Stage::set(vec![anne(), lake()], |_| {});
    assert!(apply_members(&stage).status.success());
    let gateway = Process::serve(&stage);
    for member in ["anne", "lake"] {
        let told = patient(member, "ruth", &ruth());
        assert_eq!(stage.feeder(member, &gateway.base).feed(&told).await.status, 201);
    }
    let before = told(&stage.client("ed", &gateway.base)).await;
    assert_eq!(before[2].as_array().map(Vec::len), Some(2), "both records are hers: {before}");

    let database = stage.database_argument().to_owned();
    let backup = ["backup", "--database", &database, "--output", "a.backup"];
    let made = tessera(&stage, &backup);
    assert!(made.status.success(), "{}", out(&made));
    assert!(out(&made).contains("The audit trail is whole"), "{}", out(&made));
    let again = tessera(&stage, &backup);
    assert_eq!(again.status.code(), Some(2));
    assert!(out(&again).contains("is not overwritten"), "{}", out(&again));
    gateway.kill();

    for engine in [Engine::Sqlite, Engine::Postgres] {
        stage.move_to(engine);
        let database = stage.database_argument().to_owned();
        let restore = ["restore", "--input", "a.backup", "--database", &database];
        let restored = tessera(&stage, &restore);
        assert!(restored.status.success(), "{}", out(&restored));
        assert_eq!(tessera(&stage, &restore).status.code(), Some(2), "not over what is there");
        let gateway = Process::serve(&stage);
        assert_eq!(told(&stage.client("ed", &gateway.base)).await, before, "{engine:?}");
        let unchanged = patient("lake", "ruth", &ruth());
        let fed = stage.feeder("lake", &gateway.base).feed(&unchanged).await;
        assert_eq!(fed.status, 200, "what was fed before is known: {fed:?}");
        gateway.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_told_and_not_brought_back() {
    let stage = Stage::set(vec![anne()], |_| {});
    assert!(apply_members(&stage).status.success());
    let database = stage.database_argument().to_owned();
    let made = tessera(&stage, &["backup", "--database", &database, "--output", "a.backup"]);
    assert!(made.status.success(), "{}", out(&made));
    let check = ["restore", "--input", "a.backup", "--check"];
    let whole = tessera(&stage, &check);
    assert!(whole.status.success() && out(&whole).contains("is whole"), "{}", out(&whole));

    let path = stage.home().join("a.backup");
    let mut bytes = fs::read(&path).expect("it is there");
    let name = b"Hospital anne";
    let at = bytes.windows(name.len()).position(|part| part == name).expect("a member's name");
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("written");
    let damaged = tessera(&stage, &check);
    assert_eq!(damaged.status.code(), Some(2));
    assert!(out(&damaged).contains("the backup is damaged: table member"), "{}", out(&damaged));
    let restore = ["restore", "--input", "a.backup", "--database", "new.db"];
    assert_eq!(tessera(&stage, &restore).status.code(), Some(2));
    assert!(!stage.home().join("new.db").exists());
}
