//! `tessera simulate`: folders of resources served as members over mutual TLS.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use comfy_table::{Table, presets};
use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    domain::MemberCode,
    simulator::{Control, Faults, MemberData, Simulator, SimulatorOptions, TlsFaults},
    tls::{DevelopmentPki, RevocationLists, ServerTls},
};

/// Arguments of `tessera simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Folder whose sub-folders are members: <member>/<ResourceType>.ndjson
    #[arg(long)]
    data: PathBuf,
    /// Address and port for each member in alphabetical order, or one to count up from
    #[arg(long, num_args = 1.., required = true)]
    bind: Vec<SocketAddr>,
    /// Folder of certificates, as `tessera certs init` makes it
    #[arg(long, default_value = "certs")]
    certs: PathBuf,
    /// Serve no Patient/$everything, and do not declare it
    #[arg(long)]
    no_everything: bool,
    /// Serve no Patient/$match, and do not declare it
    #[arg(long)]
    no_match: bool,
    /// Take no search by POST
    #[arg(long)]
    no_posted_searches: bool,
    /// Entries a page where a search names no `_count`
    #[arg(long, default_value_t = SimulatorOptions::default().page_size, value_parser = clap::value_parser!(u32).range(1..))]
    page_size: u32,
    /// Entries a page at most
    #[arg(long, default_value_t = SimulatorOptions::default().page_size_max, value_parser = clap::value_parser!(u32).range(1..))]
    page_size_max: u32,
    /// Faults to begin with, for one member as JSON; repeated for several
    #[arg(long, value_name = "MEMBER=JSON", value_parser = member_faults)]
    faults: Vec<(MemberCode, Faults)>,
    /// Where faults are changed while the members run; an address of this machine alone, no TLS
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
}

/// `lakeside={"delay_ms": 300}`.
fn member_faults(text: &str) -> Result<(MemberCode, Faults), String> {
    let (code, json) = text.split_once('=').ok_or("must be a member, = and JSON")?;
    let code = MemberCode::parse(code).map_err(|error| error.to_string())?;
    let faults = serde_json::from_str(json).map_err(|error| error.to_string())?;
    Ok((code, faults))
}

/// Runs `tessera simulate` until it is told to stop.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("no runtime can be had")?
        .block_on(simulate(args))
}

async fn simulate(args: &SimulateArgs) -> anyhow::Result<()> {
    let members = MemberData::read_all(&args.data, OffsetDateTime::now_utc())
        .context("the members' data cannot be served")?;
    let addresses = addresses(&args.bind, members.len())?;
    let pki = DevelopmentPki::at(&args.certs);
    let roots = pki.trust_roots()?;
    let mut simulators = Vec::new();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["member", "FHIR base", "patients", "resources"]);
    for (data, bind) in members.into_iter().zip(addresses) {
        let credentials = pki.member(data.code()).read()?;
        let tls = ServerTls::new(&credentials, &roots, &RevocationLists::default())?;
        let faulty = pki.faulty(data.code(), OffsetDateTime::now_utc())?;
        let data = Arc::new(data);
        let simulator = Simulator::start(Arc::clone(&data), options(args), bind, &tls)?;
        let admitted = roots.clone();
        simulator.allow_tls_faults(TlsFaults { tls, proper: credentials, admitted, faulty });
        table.add_row([
            data.code().to_string(),
            simulator.base_url(),
            data.resources("Patient").count().to_string(),
            data.resource_count().to_string(),
        ]);
        simulators.push(simulator);
    }
    for (code, faults) in &args.faults {
        let simulator = simulators.iter().find(|simulator| simulator.member() == code);
        simulator.with_context(|| format!("no member {code}"))?.set_faults(faults.clone());
    }
    let control = args.control.map(|bind| Control::start(bind, &simulators)).transpose()?;
    if let Some(control) = &control {
        table.add_row(["", &format!("control at http://{}/members", control.address()), "", ""]);
    }
    // The lock is given back before the wait, which may be long.
    writeln!(io::stdout().lock(), "{table}")?;
    told_to_stop().await?;
    if let Some(control) = control {
        control.stop().await;
    }
    join_all(simulators.into_iter().map(Simulator::stop)).await;
    Ok(())
}

fn options(args: &SimulateArgs) -> SimulatorOptions {
    SimulatorOptions {
        everything: !args.no_everything,
        matching: !args.no_match,
        posted_searches: !args.no_posted_searches,
        page_size: args.page_size,
        page_size_max: args.page_size_max,
        ..SimulatorOptions::default()
    }
}

/// One address a member: those told, or ports counted up from the only one.
fn addresses(told: &[SocketAddr], members: usize) -> anyhow::Result<Vec<SocketAddr>> {
    match told {
        [first] if members > 1 && first.port() != 0 => {
            let last = usize::from(first.port()) + members - 1;
            let last = u16::try_from(last).context("too few ports above the one told")?;
            Ok((first.port()..=last).map(|port| SocketAddr::new(first.ip(), port)).collect())
        }
        [any] => Ok(vec![*any; members]),
        told if told.len() == members => Ok(told.to_vec()),
        told => bail!("{} addresses for {members} members: tell one for each, or one", told.len()),
    }
}

async fn told_to_stop() -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(told: &[&str], members: usize) -> Option<Vec<u16>> {
        let told: Vec<_> = told.iter().map(|text| text.parse().expect("an address")).collect();
        let found = addresses(&told, members).ok()?;
        Some(found.iter().map(SocketAddr::port).collect())
    }

    #[test]
    fn one_address_is_counted_up_from() {
        assert_eq!(ports(&["127.0.0.1:9000"], 3), Some(vec![9000, 9001, 9002]));
        assert_eq!(ports(&["127.0.0.1:0"], 2), Some(vec![0, 0]));
        assert_eq!(ports(&["127.0.0.1:1", "127.0.0.1:7"], 2), Some(vec![1, 7]));
        assert_eq!(ports(&["127.0.0.1:1", "127.0.0.1:7"], 3), None);
        assert_eq!(ports(&["127.0.0.1:65535"], 2), None);
    }
}
