//! The commands of `tessera`, one file each: arguments, one call, and what is printed.

mod arrival;
pub mod audit;
pub mod backup;
pub mod certs;
pub mod demo;
pub mod evaluate;
pub mod explain;
pub mod import;
pub mod index;
pub mod link;
mod linkage_csv;
mod linkage_report;
pub mod member;
mod member_health;
mod model_file;
mod person_row;
pub mod serve;
pub mod simulate;
pub mod synth;
pub mod train;
mod unusable;

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};

use crate::app::SystemClock;

/// Record locator and query gateway for a health information exchange
#[derive(Debug, Parser)]
#[command(name = "tessera", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeArgs),
    /// Show the whole job on invented patients: members, gateway, feeds, an emergency query
    Demo(demo::DemoArgs),
    /// Play member FHIR servers from folders of NDJSON, to test an integration with
    Simulate(simulate::SimulateArgs),
    /// Register a member's patients in bulk from a file
    Import(import::ImportArgs),
    /// Look at the members of the exchange, check them and change them
    Member(member::MemberArgs),
    /// Try another model on what is linked, and say which one decides
    Index(index::IndexArgs),
    /// Prove that the audit trail is whole
    Audit(audit::AuditArgs),
    /// Copy everything an exchange knows into one file, checked
    Backup(backup::BackupArgs),
    /// Bring a backup back, or only check it
    Restore(backup::RestoreArgs),
    /// Mint certificates to try the exchange with
    Certs(certs::CertsArgs),
    /// Link records of CSV files into persons
    Link(link::LinkArgs),
    /// Learn a matching model from CSV files, without labels
    Train(train::TrainArgs),
    /// Judge labelled cases by both verdicts, and count what was right
    Evaluate(evaluate::Args),
    /// Show why two patients are one person, or are not
    Explain(explain::Args),
    /// Write a labelled population of invented people
    Synth(synth::Args),
}

/// Runs the command that the arguments name.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => runtime()?.block_on(serve::run(args)),
        Command::Demo(args) => {
            runtime()?.block_on(demo::run(args))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Simulate(args) => simulate::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Import(args) => runtime()?.block_on(import::run(args)),
        Command::Member(args) => runtime()?.block_on(member::run(args, Arc::new(SystemClock))),
        Command::Index(args) => runtime()?.block_on(index::run(args)),
        Command::Audit(args) => runtime()?.block_on(audit::run(args)),
        Command::Backup(args) => {
            runtime()?.block_on(backup::run_backup(args))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Restore(args) => {
            runtime()?.block_on(backup::run_restore(args))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Certs(args) => certs::run(args).map(|()| ExitCode::SUCCESS),
        Command::Link(args) => link::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Synth(args) => synth::run(&args),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
