//! `tessera link`: groups the records of CSV files into persons.

use std::{
    fs::{self, File},
    hash::BuildHasher,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use clap::Args;
use rayon::prelude::*;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    linkage_csv::{ReadColumns, Reading, read_files},
    linkage_report::{Report, Seconds, Truth},
};
use crate::{
    domain::EnterpriseId,
    matching::{Model, TrainingOptions, bulk::Batch},
};

/// Exit code for files that cannot be used.
const BAD_INPUT: u8 = 2;
/// Rows of the output made by one task.
const ROWS_WRITTEN: usize = 8_192;
/// Training draws its random pairs from this seed: the same files give the same model.
pub(super) const SEED: u64 = 20_261_101;

/// Group the records of CSV files into persons.
#[derive(Args, Debug)]
pub struct LinkArgs {
    /// CSV files with person records.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where to write `record_id,enterprise_id`.
    #[arg(long)]
    output: PathBuf,
    /// Model file, such as config/model.json; without it a model is trained on the files.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Train on the files first, with the model's costs of wrong links.
    #[arg(long)]
    train: bool,
    /// Column with the true person, to report mistakes.
    #[arg(long, value_name = "COLUMN")]
    truth: Option<String>,
    /// Column with the person a record is known to be of, empty where nobody knows; training counts it.
    #[arg(long, value_name = "COLUMN", conflicts_with = "live")]
    labels: Option<String>,
    /// Where to write the report, JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Link from this weight up instead of the model's threshold.
    #[arg(long, value_name = "BITS", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Link as the live index does: each record when it comes, in the files' order, by the model as it is.
    #[arg(long, conflicts_with_all = ["train", "link_only", "threshold"])]
    live: bool,
    /// Link across values of the `source` column only: each source is free of duplicates.
    #[arg(long)]
    link_only: bool,
}

/// Runs the command.
pub fn run(args: &LinkArgs) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let mut seconds = Seconds::default();
    let trains = args.train || args.model.is_none() && !args.live;
    if args.labels.is_some() && !trains {
        return Ok(refuse(&"--labels: nothing is trained; add --train, or leave --model out"));
    }
    // A feed has nothing to train on.
    let model = if args.live && args.model.is_none() {
        Ok(Model::default_model())
    } else {
        super::train::load_model(args.model.as_deref())
    };
    let model = match model {
        Ok(model) => model,
        Err(problem) => return Ok(refuse(&problem)),
    };
    let mut batch = Batch::new(Arc::new(model));
    let reading = Reading {
        truth: args.truth.as_deref(),
        labels: args.labels.as_deref(),
        sources: args.link_only,
    };
    let mut read = match read_files(&args.files, reading, |records| batch.extend(records)) {
        Ok(read) => read,
        Err(problem) => return Ok(refuse(&problem)),
    };
    seconds.read = start.elapsed().as_secs_f64();
    let sources = std::mem::take(&mut read.sources);
    if args.link_only {
        batch.link_only(sources.clone());
    }
    seconds.block = timed(|| batch.block());
    if trains {
        let labels = args.labels.as_ref().map(|_| read.labels.as_slice());
        let options = training_options(&args.files, labels)?;
        seconds.train = timed(|| batch.train(&options));
    }
    let mut edges = None;
    seconds.compare = timed(|| edges = Some(batch.compare()));
    let edges = edges.context("pairs were compared")?;
    let link_bits = args.threshold.unwrap_or(batch.model().link_bits());
    let mut clusters = Vec::new();
    if args.live {
        let model = batch.shared_model();
        let start = Instant::now();
        clusters = super::arrival::persons(&args.files, model)?;
        seconds.cluster = start.elapsed().as_secs_f64();
    } else {
        seconds.cluster = timed(|| clusters = batch.cluster(&edges.edges, link_bits));
    }
    write_links(&args.output, &read, &clusters)
        .with_context(|| format!("{} cannot be written", args.output.display()))?;
    seconds.total = start.elapsed().as_secs_f64();
    let Some(report) = &args.report else { return Ok(ExitCode::SUCCESS) };
    let peak_rss_bytes = peak_rss_bytes();
    let against_truth = args.truth.as_ref().map(|_| {
        let truth = Truth { batch: &batch, persons: &read.truth, sources: &sources };
        truth.judge(&edges.edges, &clusters, link_bits)
    });
    let figures = Report {
        records: read.len(),
        pairs_compared: edges.pairs_compared,
        pairs_per_second: edges.pairs_compared as f64 / seconds.compare.max(1e-9),
        peak_rss_bytes,
        seconds,
        blocking_recall_estimate: edges.blocking_recall_estimate,
        against_truth,
    };
    fs::write(report, serde_json::to_string_pretty(&figures)? + "\n")
        .with_context(|| format!("{} cannot be written", report.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong with the input, and gives the exit code for it.
#[expect(clippy::print_stderr, reason = "a command speaks to whoever called it")]
pub(super) fn refuse(problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(BAD_INPUT)
}

pub(super) fn training_options<'a>(
    files: &[PathBuf],
    labels: Option<&'a [u32]>,
) -> anyhow::Result<TrainingOptions<'a>> {
    let now = OffsetDateTime::now_utc();
    let names = files.iter().filter_map(|file| file.file_name());
    Ok(TrainingOptions {
        seed: SEED,
        version: format!("trained-{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day()),
        on: names.map(|name| name.to_string_lossy().into_owned()).collect(),
        at: now.format(&Rfc3339)?,
        labels,
    })
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn write_links(output: &Path, read: &ReadColumns, clusters: &[u32]) -> std::io::Result<()> {
    let mut file = File::create(output)?;
    file.write_all(b"record_id,enterprise_id\n")?;
    // A few parts at a time, so that what waits to be written stays small.
    for (round, records) in clusters.chunks(8 * ROWS_WRITTEN).enumerate() {
        let first = round * 8 * ROWS_WRITTEN;
        let parts: Vec<std::io::Result<Vec<u8>>> = records
            .par_chunks(ROWS_WRITTEN)
            .enumerate()
            .map(|(part, records)| link_rows(read, first + part * ROWS_WRITTEN, records))
            .collect();
        for part in parts {
            file.write_all(&part?)?;
        }
    }
    Ok(())
}

/// The rows of some records that follow each other.
fn link_rows(read: &ReadColumns, first: usize, clusters: &[u32]) -> std::io::Result<Vec<u8>> {
    use std::fmt::Write as _;
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(48 * clusters.len()));
    let mut id = String::new();
    for (record, first) in (first..).zip(clusters) {
        id.clear();
        let _ = write!(id, "{}", person_id(read.id(*first as usize), *first));
        writer.write_record([read.id(record), id.as_bytes()])?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// The same person's id on every run: made of its first record's id and place.
fn person_id(first_record: &[u8], place: u32) -> EnterpriseId {
    let half = |seed: u64| {
        let hasher = foldhash::quality::FixedState::with_seed(seed);
        u128::from(hasher.hash_one((first_record, place)))
    };
    EnterpriseId::from_u128(half(1) << 64 | half(2))
}

/// The most memory this process ever held, in bytes; 0 where the system does not tell.
fn peak_rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.map_or(0, |kibibytes| kibibytes * 1024)
}
