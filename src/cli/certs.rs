//! `tessera certs`: certificates to try the exchange with.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use time::OffsetDateTime;

use crate::{
    cache::CacheKeys,
    domain::MemberCode,
    tls::{
        PkiParties, mint_development_pki,
        pki::{Existing, VALIDITY},
    },
};

/// Arguments of `tessera certs`.
#[derive(Debug, Args)]
pub struct CertsArgs {
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    /// Mint a development root, the gateway's certificate, and one for each member and client
    Init(InitArgs),
    /// Add a key to the file with which the answer cache seals what it puts into Redis
    AnswerKey(AnswerKeyArgs),
}

#[derive(Debug, Args)]
struct AnswerKeyArgs {
    /// File of keys; made where it is missing
    file: PathBuf,
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Folder for the certificates; made where it is missing
    dir: PathBuf,
    /// Codes of the members, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = MemberCode::parse)]
    members: Vec<MemberCode>,
    /// Names of people and systems that query, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = MemberCode::parse,
        default_value = "ed,steward,operator,auditor"
    )]
    clients: Vec<MemberCode>,
    /// Replace certificates that are there already
    #[arg(long)]
    force: bool,
}

/// Runs `tessera certs`.
pub fn run(args: CertsArgs) -> anyhow::Result<()> {
    let args = match args.command {
        CertsCommand::Init(args) => args,
        CertsCommand::AnswerKey(args) => return answer_key(&args),
    };
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let parties = PkiParties { members: args.members, clients: args.clients };
    let pki = mint_development_pki(&args.dir, OffsetDateTime::now_utc(), &parties, existing)
        .with_context(|| format!("no certificates were made in {}", args.dir.display()))?;

    let mut out = io::stdout().lock();
    writeln!(out, "root      {}", pki.root_certificate().display())?;
    writeln!(out, "gateway   {}", pki.gateway().certificate.display())?;
    for code in &parties.members {
        writeln!(out, "member    {}", pki.member(code).certificate.display())?;
    }
    for name in &parties.clients {
        writeln!(out, "client    {}", pki.client(name).certificate.display())?;
    }
    let days = VALIDITY.whole_days();
    writeln!(out, "Valid for {days} days, for development only: the root's key lies beside them.")?;
    Ok(())
}

fn answer_key(args: &AnswerKeyArgs) -> anyhow::Result<()> {
    let file = args.file.display();
    let is_first = !args.file.try_exists().unwrap_or_default();
    let id =
        CacheKeys::mint_into(&args.file).with_context(|| format!("no key was made in {file}"))?;
    let mut out = io::stdout().lock();
    writeln!(out, "key {id} in {file}")?;
    if !is_first {
        writeln!(
            out,
            "Give the file to every gateway and reload them; then move the key to the top, and do it again."
        )?;
    }
    Ok(())
}
