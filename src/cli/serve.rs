//! `tessera serve`: runs the gateway until it is told to stop.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    app::{self, RunningGateway, SystemClock},
    config::Config,
    telemetry::{start_logging, start_metrics},
};

/// Arguments of `tessera serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/tessera.toml")]
    config: PathBuf,
}

/// Runs `tessera serve`.
///
/// SIGTERM and SIGINT drain and stop; SIGHUP reads certificates and revocation lists again.
pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args.config)?;
    start_logging(&config.log)?;
    let metrics = start_metrics()?;
    let gateway = app::start(config, Arc::new(SystemClock), Some(metrics)).await?;
    until_stopped(&gateway).await?;
    gateway.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn until_stopped(gateway: &RunningGateway) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => match gateway.reload() {
                Ok(()) => tracing::info!("read certificates and revocation lists again"),
                Err(error) => tracing::error!(%error, "kept the old certificates"),
            },
        }
    }
}
