//! `tessera index`: what another model would link, and which model decides.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{model_file, unusable};
use crate::{
    app::SystemClock,
    index::{Index, IndexLimits, LinkChange, Snapshot, WhatIf, what_if},
    storage::{Database, DatabaseAddress, Reader, StorageSettings},
};

/// Arguments of `tessera index`.
#[derive(Debug, Args)]
pub struct IndexArgs {
    #[command(subcommand)]
    command: IndexCommand,
}

#[derive(Debug, Subcommand)]
enum IndexCommand {
    /// Link everything that is told today anew with another model, and print what would differ
    Replay(ReplayArgs),
    /// Enter into the journal which model decides from now on; the gateway must not be running
    Activate(ActivateArgs),
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// The gateway's database, a file or a postgres:// URL; the gateway may be running
    #[arg(long, value_name = "DATABASE", default_value = "tessera.db")]
    database: DatabaseAddress,
    /// The model to try; the one that ships with this program if not given
    #[arg(long)]
    model: Option<PathBuf>,
    /// Change nothing and only print; there is no other way to replay
    #[arg(long, required = true)]
    what_if: bool,
    /// Link from this weight on instead of where the model does, in bits
    #[arg(long, value_name = "BITS", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Print at most so many changes of each kind; their sums are always printed
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    show: usize,
}

#[derive(Debug, Args)]
struct ActivateArgs {
    /// The gateway's database, a file or a postgres:// URL
    #[arg(long, value_name = "DATABASE", default_value = "tessera.db")]
    database: DatabaseAddress,
    /// The model; the configuration must name the same file
    #[arg(long)]
    model: PathBuf,
}

/// Runs `tessera index`. Fails with 2 where a file cannot be used.
pub async fn run(args: IndexArgs) -> anyhow::Result<ExitCode> {
    unusable::settle(match args.command {
        IndexCommand::Replay(args) => replay(args).await,
        IndexCommand::Activate(args) => activate(args).await,
    })
}

async fn replay(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let model = model_file::load(args.model.as_deref())?;
    let model = match args.threshold {
        Some(bits) => model.linking_from(bits),
        None => model,
    };
    let reader = Reader::open(args.database.clone())
        .await
        .with_context(|| format!("cannot read {}", args.database))?;
    let found = what_if(&reader, Arc::new(model), &IndexLimits::default()).await?;
    reader.close().await;
    print(&mut io::stdout().lock(), &found, args.show)?;
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, found: &WhatIf, show: usize) -> io::Result<()> {
    let activated = found.activated.as_deref().unwrap_or("none was ever activated");
    writeln!(out, "model {}; activated: {activated}", found.model)?;
    writeln!(
        out,
        "{} records: {} persons today, {} with this model",
        found.records, found.persons_today, found.persons_then
    )?;
    list(out, "would be one", &found.made, show)?;
    list(out, "would be several", &found.broken, show)
}

fn list(out: &mut impl Write, what: &str, changes: &[LinkChange], show: usize) -> io::Result<()> {
    let held = changes.iter().filter(|change| change.is_held).count();
    writeln!(out, "{} {what}, {held} of them held by a steward's or member's word", changes.len())?;
    for change in changes.iter().take(show) {
        let persons: Vec<String> = change.persons.iter().map(ToString::to_string).collect();
        let records: Vec<String> = change
            .records
            .iter()
            .map(|key| format!("{}/{}", key.member, key.local_id.value()))
            .collect();
        let held = if change.is_held { " (held)" } else { "" };
        writeln!(out, "  {}: {}{held}", persons.join(" + "), records.join(" | "))?;
    }
    Ok(())
}

async fn activate(args: ActivateArgs) -> anyhow::Result<ExitCode> {
    let model = Arc::new(model_file::load(Some(&args.model))?);
    let version = model.version().to_owned();
    let database = Database::open(&StorageSettings::at(args.database.clone()))
        .await
        .with_context(|| format!("cannot open {}", args.database))?;
    let clock = Arc::new(SystemClock);
    // The gateway starts with this model next: what is kept here is for that start.
    let snapshot = args.database.file().map(Snapshot::beside);
    let limits = IndexLimits::default();
    let index = Index::open_from(snapshot, database.clone(), model, limits, clock).await?;
    let entry = index.activate_model("tessera index activate").await;
    index.close().await;
    database.close().await;
    let mut out = io::stdout().lock();
    match entry? {
        Some(seq) => writeln!(out, "Model {version} decides from journal entry {seq} on.")?,
        None => writeln!(out, "Model {version} was activated before; nothing to do.")?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EnterpriseId, LocalId, MemberCode, RecordKey};

    #[test]
    fn what_would_differ_is_printed_within_a_bound() {
        let key = |value| RecordKey {
            member: MemberCode::parse("anne").expect("a code"),
            local_id: LocalId::parse("urn:a", value).expect("an identifier"),
        };
        let change = |is_held| LinkChange {
            persons: vec![EnterpriseId::from_u128(1), EnterpriseId::from_u128(2)],
            records: vec![key("1"), key("2")],
            is_held,
        };
        let found = WhatIf {
            model: "m2".to_owned(),
            activated: None,
            records: 3,
            persons_today: 3,
            persons_then: 2,
            made: vec![change(true), change(false)],
            broken: Vec::new(),
        };
        let mut out = Vec::new();
        print(&mut out, &found, 1).expect("memory takes it");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("3 records: 3 persons today, 2 with this model"), "{text}");
        assert!(text.contains("2 would be one, 1 of them held"), "{text}");
        assert!(text.contains("anne/1 | anne/2 (held)"), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }
}
