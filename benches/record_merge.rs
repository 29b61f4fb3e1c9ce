//! The merge of many members' answers, beside two that parse each resource into `serde_json::Value`.
//!
//! One does comparable work in the plainest way: it rewrites ids and references, groups by a key of
//! type, first code, instant and content, chooses representatives, and writes every original, Linkage
//! and Provenance. It compares no pairs, so it is kinder to itself than a merge may be: no vague dates,
//! no identifiers, no second code, no conflicts. The other just drops what is equal but for id and
//! meta, the least that anybody would do.
//!
//! `cargo bench --bench record_merge`. One thread; all sides begin with the bytes.

#[path = "chart/mod.rs"]
mod chart;
#[path = "figures/mod.rs"]
mod figures;
#[path = "record_merge/on_values.rs"]
mod on_values;

use std::{
    collections::HashSet,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tessera::{
    domain::{EnterpriseId, MemberCode},
    fhir::Resource,
    record::{MemberAnswer, MergeContext, MergedRecord, TakenIn, merge, merge_taken_in},
};
use time::OffsetDateTime;

use chart::chart;
use figures::{Times, is_measured, load_average, ms, print_table, processor_time, say};

// What the binary runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEMBERS: usize = 10;
const RESOURCES: usize = 1_000;
/// Resources of the patient with very many, over how many members, and those of a page.
const LARGE: usize = 20_000;
const LARGE_MEMBERS: usize = 8;
const PAGE: usize = 100;
const PERSON: EnterpriseId = EnterpriseId::from_u128(1);

/// What a side did, round by round.
struct Side {
    times: Times,
    processor: Duration,
    left: usize,
}

fn main() -> Result<()> {
    let (resources, lasting) =
        if is_measured() { (RESOURCES, Duration::from_secs(10)) } else { (20, Duration::ZERO) };
    let told: Vec<Vec<String>> = (0..MEMBERS).map(|member| chart(member, "p", resources)).collect();
    let bytes: usize = told.iter().flatten().map(String::len).sum();
    say(&format!("{MEMBERS} members x {resources} resources, {bytes} bytes; {}", load_average()?))?;

    let merged = repeat(lasting, || {
        let record = merged(&told)?;
        Ok(record.facts().count())
    })?;
    let grouped = repeat(lasting, || on_values::grouped(&told))?;
    let deduplicated = repeat(lasting, || deduplicated(&told))?;

    let row = |title: &str, side: &Side| {
        let rate = |ms: f64| format!("{:.0}", bytes as f64 / 1_000.0 / ms);
        let rounds = side.times.count() as f64;
        let processor = side.processor.as_secs_f64() * 1_000.0 / rounds;
        let fastest = side.times.ms(0.0);
        vec![
            title.to_owned(),
            side.left.to_string(),
            ms(fastest),
            ms(side.times.ms(0.5)),
            ms(processor),
            rate(fastest),
            format!("{:.2}", fastest / grouped.times.ms(0.0)),
        ]
    };
    let rows = [
        row("`record::merge`, parsing included", &merged),
        row("`serde_json::Value`, comparable work", &grouped),
        row("`serde_json::Value`, equal ones dropped", &deduplicated),
    ];
    let head = [
        "",
        "facts left",
        "fastest ms",
        "p50 ms",
        "CPU ms",
        "MB/s, fastest",
        "times comparable work",
    ];
    print_table("One record", &head, &rows)?;
    large()
}

/// One patient with very many resources: what is left to do once the last member has answered, up to
/// the bytes of the first page.
fn large() -> Result<()> {
    let (each, rounds) = if is_measured() { (LARGE / LARGE_MEMBERS, 12) } else { (20, 1) };
    let told: Vec<Vec<String>> =
        (0..LARGE_MEMBERS).map(|member| chart(member, "p", each)).collect();
    let bytes: usize = told.iter().flatten().map(String::len).sum();
    let (mut times, mut page) = (Vec::new(), 0);
    for _ in 0..rounds {
        let mut answers = answers(&told)?;
        let last = answers.pop().context("there are members")?;
        let mut taken: Vec<TakenIn> =
            answers.into_iter().map(|one| TakenIn::new(PERSON, one)).collect();
        let started = Instant::now();
        taken.push(TakenIn::new(PERSON, last));
        let record = merge_taken_in(&context(), taken);
        let first =
            record.entries().take(PAGE).fold(String::new(), |page, entry| page + entry.json);
        page = black_box(first).len();
        times.push(started.elapsed());
    }
    let times: Times = times.into_iter().collect();
    let row = vec![
        (each * LARGE_MEMBERS).to_string(),
        format!("{:.1}", bytes as f64 / 1e6),
        ms(times.ms(0.5)),
        ms(times.ms(1.0)),
        page.to_string(),
    ];
    let head =
        ["resources", "MB told", "to the first page p50 ms", "at most ms", "bytes of the page"];
    print_table("One patient with very many, after the last answer", &head, &[row])?;
    Ok(())
}

/// Works for a while, once at least, after one round that does not count.
fn repeat(lasting: Duration, mut work: impl FnMut() -> Result<usize>) -> Result<Side> {
    let left = work()?;
    let (started, spent) = (Instant::now(), processor_time("self")?);
    let mut times = Vec::new();
    while times.is_empty() || started.elapsed() < lasting {
        let round = Instant::now();
        black_box(work()?);
        times.push(round.elapsed());
    }
    let processor = processor_time("self")?.saturating_sub(spent);
    Ok(Side { times: times.into_iter().collect(), processor, left })
}

fn merged(told: &[Vec<String>]) -> Result<MergedRecord> {
    Ok(merge(&context(), answers(told)?))
}

fn context() -> MergeContext {
    MergeContext {
        person: PERSON,
        recorded: OffsetDateTime::UNIX_EPOCH,
        exchange_name: "Exchange".to_owned(),
        exchange_id: None,
    }
}

fn answers(told: &[Vec<String>]) -> Result<Vec<MemberAnswer>> {
    let answers = told.iter().enumerate().map(|(at, told)| {
        let resources = told.iter().map(|json| Resource::parse(json.as_bytes()));
        anyhow::Ok(MemberAnswer {
            member: MemberCode::parse(&format!("m{at}"))?,
            base_url: format!("https://m{at}.example/fhir"),
            name: None,
            organization_id: None,
            patient_ids: vec!["p".to_owned()],
            resources: resources.collect::<Result<_, _>>()?,
        })
    });
    answers.collect()
}

fn deduplicated(told: &[Vec<String>]) -> Result<usize> {
    let mut seen = HashSet::new();
    for json in told.iter().flatten() {
        let mut value: Value = serde_json::from_slice(json.as_bytes())?;
        let members = value.as_object_mut().context("a resource is an object")?;
        members.remove("id");
        members.remove("meta");
        seen.insert(value.to_string());
    }
    Ok(seen.len())
}
