//! Logs and metrics. Neither ever holds patient data; what may be logged is said in `STYLE.md`.

use std::str::FromStr;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use thiserror::Error;
use tracing::Level;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How the gateway logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Least severe level of the gateway's own events: error, warn, info, debug or trace.
    pub level: String,
    /// `json` for machines or `text` for a terminal.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Json }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Why telemetry could not start.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// Not a level.
    #[error("log level must be one of error, warn, info, debug, trace")]
    Level,
    /// Something in this process logs already.
    #[error("logging is already set up in this process")]
    LoggingTaken,
    /// Something in this process counts already.
    #[error("metrics are already set up in this process")]
    MetricsTaken,
    /// The bucket boundaries of a histogram are wrong.
    #[error("histogram buckets are not usable")]
    Buckets,
}

/// Starts logging to standard error.
///
/// Only the gateway's own level can be chosen: libraries below it log URLs and headers at `debug`,
/// and those may name patients, so they never speak below `warn`.
pub fn start_logging(settings: &LogSettings) -> Result<(), TelemetryError> {
    let level = Level::from_str(&settings.level).map_err(|_| TelemetryError::Level)?;
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("tessera", LevelFilter::from_level(level));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match settings.format {
        LogFormat::Json => registry
            .with(fmt::layer().json().with_writer(std::io::stderr).flatten_event(true))
            .try_init(),
        LogFormat::Text => {
            registry.with(fmt::layer().with_writer(std::io::stderr).with_target(false)).try_init()
        }
    };
    started.map_err(|_| TelemetryError::LoggingTaken)
}

/// Upper bounds of the latency buckets, in seconds: from an index look-up to a routine deadline.
const LATENCY_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Starts counting; the handle renders the Prometheus text format for `/metrics`.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), LATENCY_SECONDS)
        .map_err(|_| TelemetryError::Buckets)?
        .install_recorder()
        .map_err(|_| TelemetryError::MetricsTaken)
}
