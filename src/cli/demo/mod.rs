//! `tessera demo`: the whole job on one machine, over real mutual TLS.

mod answer;
mod asking;
mod client;
mod feeding;
mod holdings;
mod home;
mod invented;
mod playing;
mod report;
#[cfg(test)]
mod story_tests;
mod truth;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    holdings::Holdings,
    playing::{Emergency, Stage},
    report::Report,
    truth::Truth,
};

/// What the invented town is made from, so that two runs tell of the same people.
const SEED: u64 = 20_260_301;

/// Arguments of `tessera demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Play once and leave; without it the gateway stays up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Patients in all: a dozen written stories, the others by chance
    #[arg(long, value_name = "N", default_value_t = 200)]
    patients: usize,
    /// Play on a folder of members instead: <member>/<ResourceType>.ndjson
    #[arg(long, value_name = "DIR", conflicts_with = "patients")]
    data: Option<PathBuf>,
    /// Ask for every patient, compare with the data's truth.json, and write the figures as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Ask for every patient and write each answer here, as <enterprise id>.json
    #[arg(long, value_name = "DIR")]
    answers: Option<PathBuf>,
}

/// Runs `tessera demo`; needs a multi-thread runtime, as the gateway does.
pub async fn run(args: DemoArgs) -> Result<()> {
    demo(&args, &mut io::stdout()).await
}

async fn demo(args: &DemoArgs, out: &mut impl Write) -> Result<()> {
    let now = OffsetDateTime::now_utc();
    let invented = tempfile::tempdir().context("no temporary folder can be made")?;
    let (data, truth) = if let Some(dir) = &args.data {
        (dir.as_path(), Truth::read(dir)?)
    } else {
        let truth = invented::write(invented.path(), args.patients, SEED, now)?;
        (invented.path(), Some(truth))
    };
    let holdings = Holdings::read(data)?;
    let mut stage = Stage::set(data, &holdings, now).await?;
    let played = play(args, &mut stage, &holdings, truth.as_ref(), out).await;
    stage.clear().await;
    played
}

async fn play(
    args: &DemoArgs,
    stage: &mut Stage,
    holdings: &Holdings,
    truth: Option<&Truth>,
    out: &mut impl Write,
) -> Result<()> {
    let bar = progress("feeding patients", holdings.patient_count());
    let persons = feeding::feed_all(&stage.home, &stage.base_url, holdings, &bar).await?;
    bar.finish_and_clear();
    let emergency = match args.data {
        Some(_) => Emergency::out_of(holdings, truth)?,
        None => Emergency::written(),
    };
    let played = stage.play(&emergency).await?;
    write!(out, "{}", played.page)?;
    if args.data.is_none() {
        stage.play_without(invented::Site::StAnne.code(), &played, out).await?;
        stage.unidentified_stay_unidentified(holdings).await?;
    }
    if args.report.is_some() || args.answers.is_some() {
        let truth = truth.with_context(|| {
            format!("the data has no {} to ask for its patients by", Truth::FILE)
        })?;
        let bar = progress("asking for patients", truth.patients.len());
        let answers = args.answers.as_deref();
        let queries =
            asking::ask_for_all(&stage.client, truth, holdings, &persons, answers, &bar).await?;
        bar.finish_and_clear();
        conclude(&report::report(truth, holdings, &queries), args.report.as_deref(), out)?;
    }
    if !args.once {
        stage.show_how_to_ask(&played, &emergency, out)?;
        until_told_to_stop().await.context("cannot wait for Ctrl-C")?;
    }
    Ok(())
}

/// Writes the report, and fails where a patient could have come to harm.
fn conclude(report: &Report, file: Option<&Path>, out: &mut impl Write) -> Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    match file {
        Some(file) => {
            fs::write(file, format!("{json}\n"))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        None => writeln!(out, "\n{json}")?,
    }
    if report.is_unsafe() {
        bail!("records or facts of different patients were mixed; see the report");
    }
    Ok(())
}

/// Ctrl-C, or SIGTERM: either way the home with its keys is to go.
async fn until_told_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

fn progress(what: &str, count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:20} {bar:40} {pos}/{len} {per_sec} {eta}")
        .expect("the template is written here");
    ProgressBar::new(count as u64).with_style(style).with_message(what.to_owned())
}
