//! A test for each bug that was mended, named for what must not come back.

use std::fs;

use crate::{
    people::anne,
    process::{apply_members, tessera},
    world::Stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_breaks_off_is_not_told_as_an_error_on_the_next_line() {
    let stage = Stage::set(vec![anne()], |_| {});
    assert!(apply_members(&stage).status.success());
    let text = "{\"resourceType\": \"Patient\"\n{\"resourceType\": \"Patient\"\r\n";
    fs::write(stage.home().join("p.ndjson"), text).expect("written");
    let args = ["import", "--config", "tessera.toml", "--member", "anne", "p.ndjson"];
    assert_eq!(tessera(&stage, &args).status.code(), Some(1));
    let rejects = fs::read_to_string(stage.home().join("p.ndjson.rejects.csv")).expect("written");
    let reason = "\"not well-formed at line 1, column 26\"";
    assert_eq!(rejects, format!("line,reason\n1,{reason}\n2,{reason}\n"));
}
