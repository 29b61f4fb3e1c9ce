//! The index by itself at several sizes, each step in a process of its own: what a step takes is its
//! own, and its memory begins with nothing.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::Command,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tessera::{
    app::SystemClock,
    domain::{Demographics, MemberCode},
    index::{Index, IndexLimits, Snapshot},
    matching::Model,
    storage::{Database, StorageSettings},
};

use crate::{
    figures::{Times, load_average, ms, print_table, processor_time, say},
    population::{MEMBERS, Told, each_invented},
    resident_bytes,
    world::SNAPSHOT,
};

/// What is done in a process of its own.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Everything is registered, as `tessera import` does, and the index closed.
    Import,
    /// The index is opened from the snapshot.
    Open,
    /// The index is opened from the journal, and asked.
    Fold,
}

impl Step {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Import, "import"), (Self::Open, "open"), (Self::Fold, "fold")];

    pub(crate) fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|(_, known)| *known == name);
        known.map(|(step, _)| step).context("no such step")
    }

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// What a step found out.
#[derive(Serialize, Deserialize)]
struct Found {
    records: usize,
    persons: usize,
    seconds: f64,
    processor_seconds: f64,
    /// Growth of the resident set.
    grown_bytes: u64,
    /// Percentiles of `Index::find`, in milliseconds.
    find_ms: [f64; 3],
    missed: usize,
}

/// Measures each size and prints a table.
pub(crate) fn growth(sizes: &[usize]) -> Result<()> {
    let (mut rows, mut times) = (Vec::new(), Vec::new());
    for &records in sizes {
        let home = tempfile::Builder::new().prefix("tessera-bench-").tempdir()?;
        invent(records, &home.path().join(PEOPLE))?;
        let imported = run(Step::Import, home.path())?;
        let opened = run(Step::Open, home.path())?;
        let bytes = |name: &str| fs::metadata(home.path().join(name)).map_or(0, |file| file.len());
        let [database, snapshot] = [DATABASE, SNAPSHOT].map(bytes);
        let folded = run(Step::Fold, home.path())?;
        if opened.persons != folded.persons || opened.records != folded.records {
            bail!("the snapshot and the journal tell of different persons");
        }
        let each = |bytes: u64| (bytes / records as u64).to_string();
        let megabytes = |bytes: u64| (bytes >> 20).to_string();
        let (count, missed) = (records.to_string(), folded.missed);
        rows.push(vec![
            count.clone(),
            imported.persons.to_string(),
            megabytes(opened.grown_bytes),
            each(opened.grown_bytes),
            each(imported.grown_bytes),
            megabytes(database),
            megabytes(snapshot),
            ms(folded.find_ms[0]),
            ms(folded.find_ms[1]),
            ms(folded.find_ms[2]),
        ]);
        let mut row = vec![count, format!("{:.0}", records as f64 / imported.seconds)];
        for found in [imported, opened, folded] {
            row.push(format!("{:.2}", found.seconds));
            row.push(format!("{:.2}", found.processor_seconds));
        }
        times.push(row);
        say(&format!(
            "{records} records, {missed} of those asked for not found; {}",
            load_average()?
        ))?;
    }
    let head = [
        "records",
        "persons",
        "RAM MB, opened",
        "B a record, opened",
        "B a record, imported",
        "database MB",
        "snapshot MB",
        "`find` p50 ms",
        "p99 ms",
        "max ms",
    ];
    print_table("The index by itself", &head, &rows)?;
    let head = [
        "records",
        "import, records/s",
        "import s",
        "CPU s",
        "open, snapshot s",
        "CPU s",
        "open, journal s",
        "CPU s",
    ];
    print_table("Its times", &head, &times)?;
    Ok(())
}

const PEOPLE: &str = "people";
const DATABASE: &str = "tessera.db";

/// One patient a line: member, record number, FHIR.
fn invent(records: usize, path: &Path) -> Result<()> {
    let members: Vec<MemberCode> =
        (0..MEMBERS).map(|at| MemberCode::parse(&format!("m{at}"))).collect::<Result<_, _>>()?;
    let mut out = BufWriter::new(File::create(path)?);
    each_invented(records, &members, |told| {
        Ok(writeln!(out, "{}\t{}\t{}", told.member, told.record_number, told.json)?)
    })?;
    Ok(out.flush()?)
}

fn people(home: &Path) -> Result<impl Iterator<Item = Result<Told>>> {
    let lines = BufReader::with_capacity(1 << 20, File::open(home.join(PEOPLE))?).lines();
    Ok(lines.map(|line| {
        let line = line?;
        let mut parts = line.splitn(3, '\t');
        let mut part = || parts.next().context("three parts");
        Ok(Told {
            member: MemberCode::parse(part()?)?,
            record_number: part()?.to_owned(),
            json: part()?.to_owned(),
        })
    }))
}

fn run(step: Step, home: &Path) -> Result<Found> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--step", step.name(), "--home"])
        .arg(home)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("{} failed", step.name());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Does one step, and prints what was found out.
pub(crate) fn take(step: Step, home: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let found = runtime.block_on(taken(step, home))?;
    say(&serde_json::to_string(&found)?)?;
    Ok(())
}

async fn taken(step: Step, home: &Path) -> Result<Found> {
    let model = Arc::new(Model::default_model());
    let path = home.join(DATABASE);
    let before = resident_bytes()?;
    let (started, spent) = (Instant::now(), processor_time("self")?);
    let db = Database::open(&StorageSettings::at(path.clone())).await?;
    let snapshot = match step {
        Step::Fold => None,
        Step::Import | Step::Open => Some(Snapshot::beside(&path)),
    };
    let (limits, clock) = (IndexLimits::default(), Arc::new(SystemClock));
    let index = Index::open_from(snapshot, db.clone(), model, limits, clock).await?;
    if matches!(step, Step::Import) {
        import(&index, home).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let grown_bytes = resident_bytes()?.saturating_sub(before);
    let processor_seconds = processor_time("self")?.saturating_sub(spent).as_secs_f64();
    let (mut find_ms, mut missed) = ([0.0; 3], 0);
    if matches!(step, Step::Fold) {
        let (times, nobody) = find(&index, home)?;
        find_ms = [0.5, 0.99, 1.0].map(|share| times.ms(share));
        missed = nobody;
    }
    let (records, persons) = (index.records_total(), index.persons_total());
    index.close().await;
    db.close().await;
    Ok(Found { records, persons, seconds, processor_seconds, grown_bytes, find_ms, missed })
}

async fn import(index: &Index, home: &Path) -> Result<()> {
    let mut batch = Vec::with_capacity(crate::BATCH_RECORDS);
    let mut people = people(home)?.peekable();
    while let Some(told) = people.next() {
        batch.push(crate::registration(&told?)?);
        if batch.len() == crate::BATCH_RECORDS || people.peek().is_none() {
            for outcome in index.register_many(std::mem::take(&mut batch)).await {
                outcome?;
            }
        }
    }
    Ok(())
}

fn find(index: &Index, home: &Path) -> Result<(Times, usize)> {
    let each = (index.records_total() / crate::PROBES).max(1);
    let probes: Vec<Demographics> =
        people(home)?.step_by(each).map(|told| crate::as_asked(&told?)).collect::<Result<_>>()?;
    Ok(crate::timed_finds(index, &probes))
}
