//! A thousand who ask at once: who is admitted is served whole, the rest are told to come again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Times,
    figures::{memory_peak, ms, print_table},
    world::Client,
};

/// What came of one query.
struct Served {
    took: Duration,
    /// Whether every member answered in full.
    whole: bool,
}

/// Asks so many times at once, over a few connections as an interface engine would.
pub(crate) async fn crowd(
    departments: &[Client],
    path: &str,
    callers: usize,
    process: &str,
) -> Result<()> {
    let before = memory_peak(process)?;
    let started = Instant::now();
    let mut asking = JoinSet::new();
    for at in 0..callers {
        let (client, path) = (departments[at % departments.len()].clone(), path.to_owned());
        asking.spawn(async move {
            let started = Instant::now();
            let (status, headers, body) = client.ask(Method::GET, &path, None, "no-cache").await?;
            let comes_again = headers.contains_key("retry-after");
            anyhow::Ok((status, comes_again, body, started.elapsed()))
        });
    }
    let (mut served, mut refused, mut failed) = (Vec::new(), 0, 0);
    while let Some(done) = asking.join_next().await {
        match done? {
            Ok((StatusCode::OK, _, body, took)) => {
                served.push(Served { took, whole: is_whole(&body)? });
            }
            Ok((StatusCode::SERVICE_UNAVAILABLE, true, ..)) => refused += 1,
            Ok(_) | Err(_) => failed += 1,
        }
    }
    let took = started.elapsed();
    let times: Times = served.iter().map(|one| one.took).collect();
    let row = vec![
        callers.to_string(),
        served.len().to_string(),
        served.iter().filter(|one| !one.whole).count().to_string(),
        refused.to_string(),
        failed.to_string(),
        ms(times.ms(0.5)),
        ms(times.ms(1.0)),
        ms(took.as_secs_f64() * 1_000.0),
        (before >> 20).to_string(),
        (memory_peak(process)? >> 20).to_string(),
    ];
    let head = [
        "at once",
        "served",
        "of them not whole",
        "told to come again",
        "failed otherwise",
        "served p50 ms",
        "served last ms",
        "all done ms",
        "memory before MiB",
        "memory at most MiB",
    ];
    print_table("Callers at once", &head, &[row])?;
    Ok(())
}

/// Whether every member's part is there.
fn is_whole(body: &[u8]) -> Result<bool> {
    let bundle: Value = serde_json::from_slice(body)?;
    let entries = bundle["entry"].as_array().context("an answer has entries")?;
    let issues = entries
        .iter()
        .filter(|entry| entry["resource"]["resourceType"] == "OperationOutcome")
        .filter_map(|entry| entry["resource"]["issue"].as_array())
        .flatten();
    Ok(issues
        .filter_map(|issue| issue["diagnostics"].as_str())
        .filter(|told| told.starts_with("member="))
        .all(|told| told.contains("outcome=answered")))
}
