//! `tessera.toml`: fills the settings and limits that each room owns. Unknown keys are refused.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use thiserror::Error;

use crate::{
    access::{AuditSettings, ConsentSettings},
    api::ApiSettings,
    cache::CacheSettings,
    exchange::{ArrivalSettings, ExchangeSettings, JobSettings, SnapshotSettings},
    federation::FederationSettings,
    index::{IndexLimits, Snapshot},
    mllp::MllpSettings,
    storage::{DatabaseAddress, ServerAddress, StorageSettings},
    telemetry::LogSettings,
};

/// Everything that `config/tessera.toml` may say. A key that is left out has the default told there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the gateway listens.
    pub server: ServerSettings,
    /// Certificates, keys and authorities.
    pub tls: TlsSettings,
    /// The database.
    pub storage: StorageConfig,
    /// Who the exchange is, and how much it takes on.
    pub exchange: ExchangeSettings,
    /// The FHIR interface.
    pub api: ApiSettings,
    /// HL7 v2 messages.
    pub mllp: MllpSettings,
    /// Clients and consent.
    pub access: AccessSettings,
    /// The audit trail.
    pub audit: AuditSettings,
    /// The master patient index.
    pub index: IndexConfig,
    /// Asking members.
    pub federation: FederationSettings,
    /// Answers of members that are kept for the next who asks.
    pub answer_cache: CacheSettings,
    /// Answers kept for their next pages.
    pub snapshots: SnapshotSettings,
    /// Records gathered when patients arrive.
    pub arrivals: ArrivalSettings,
    /// Records gathered while nobody waits.
    pub jobs: JobSettings,
    /// Logs.
    pub log: LogSettings,
}

/// Where and how the gateway listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// The FHIR interface, over mutual TLS.
    pub fhir_address: SocketAddr,
    /// `/livez`, `/readyz` and `/metrics`, without TLS: for the machine itself.
    pub health_address: SocketAddr,
    /// Threads that serve the FHIR interface; 0 for one a core.
    pub workers: usize,
    /// Connections to the FHIR interface at once.
    pub connections_max: usize,
    /// How long requests under way may take after SIGTERM, in seconds.
    pub drain_s: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            fhir_address: SocketAddr::from(([127, 0, 0, 1], 8443)),
            health_address: SocketAddr::from(([127, 0, 0, 1], 9090)),
            workers: 0,
            connections_max: 10_000,
            drain_s: 30,
        }
    }
}

/// Files of certificates and keys, in PEM. Relative paths start at the configuration's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// The gateway's certificate chain, leaf first; server and client usage.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of clients' certificates.
    pub client_roots: PathBuf,
    /// Authorities of members' servers, where a member names none of its own.
    pub member_roots: PathBuf,
    /// Certificate revocation lists for clients; none where absent.
    pub revocation_lists: Option<PathBuf>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate: PathBuf::from("../certs/gateway.crt"),
            key: PathBuf::from("../certs/gateway.key"),
            client_roots: PathBuf::from("../certs/root.crt"),
            member_roots: PathBuf::from("../certs/root.crt"),
            revocation_lists: None,
        }
    }
}

/// The database.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// The SQLite file. Relative to the working directory.
    pub path: PathBuf,
    /// A database on a PostgreSQL server, in the file's place.
    pub url: Option<ServerAddress>,
    /// A file with the password for it, relative to the configuration's folder.
    pub password_file: Option<PathBuf>,
    /// Connections for reading.
    pub readers_max: u32,
    /// Writes that may wait for the writer.
    pub queue_max: usize,
    /// Rows in one transaction.
    pub group_rows_max: usize,
    /// The most bytes that the file may grow to; the disk decides where absent.
    pub file_bytes_max: Option<u64>,
    /// Files up to this many bytes are checked page by page at open.
    pub checked_at_open_bytes_max: u64,
    /// How long to wait for a lock, in milliseconds.
    pub busy_timeout_ms: u64,
    /// How long to go on trying where PostgreSQL is away for the moment, in milliseconds.
    pub retry_ms: u64,
    /// How long a writer on PostgreSQL may be silent before another takes over, in milliseconds.
    pub lease_ms: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        let path = PathBuf::from("tessera.db");
        let settings = StorageSettings::at(path.clone());
        Self {
            path,
            url: None,
            password_file: None,
            readers_max: settings.readers_max,
            queue_max: settings.queue_max,
            group_rows_max: settings.group_rows_max,
            file_bytes_max: settings.file_bytes_max,
            checked_at_open_bytes_max: settings.checked_at_open_bytes_max,
            busy_timeout_ms: settings.busy_timeout.as_millis() as u64,
            retry_ms: settings.retry.as_millis() as u64,
            lease_ms: settings.lease.as_millis() as u64,
        }
    }
}

impl StorageConfig {
    /// The settings as storage takes them. Reads the password's file.
    pub fn settings(&self) -> Result<StorageSettings, ConfigError> {
        Ok(StorageSettings {
            address: self.address()?,
            readers_max: self.readers_max,
            queue_max: self.queue_max,
            group_rows_max: self.group_rows_max,
            file_bytes_max: self.file_bytes_max,
            checked_at_open_bytes_max: self.checked_at_open_bytes_max,
            busy_timeout: Duration::from_millis(self.busy_timeout_ms),
            retry: Duration::from_millis(self.retry_ms),
            lease: Duration::from_millis(self.lease_ms),
        })
    }

    fn address(&self) -> Result<DatabaseAddress, ConfigError> {
        let Some(server) = self.url.clone() else { return Ok(self.path.clone().into()) };
        let server = match &self.password_file {
            Some(path) => server.with_password(read_text(path)?.trim_end_matches(['\r', '\n'])),
            None => server,
        };
        Ok(DatabaseAddress::Server(server))
    }
}

/// Clients and consent.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// `clients.toml`, relative to the configuration's folder.
    pub clients: PathBuf,
    /// What holds where no consent is on file.
    pub consent: ConsentSettings,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self { clients: PathBuf::from("clients.toml"), consent: ConsentSettings::default() }
    }
}

/// The master patient index.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IndexConfig {
    /// The matching model, relative to the configuration's folder.
    pub model: PathBuf,
    /// Where the memory is kept between a clean stop and the next start, relative to the working
    /// directory; beside the database's file where absent.
    pub snapshot: Option<PathBuf>,
    /// Batches of registrations that may wait for the linker.
    pub queue_max: usize,
    /// Registrations in one commit.
    pub batch_records_max: usize,
    /// Records of one person that a new one is judged against.
    pub person_records_judged_max: usize,
    /// Persons whose evidence is kept with each decision.
    pub evidence_kept_max: usize,
    /// Review tasks that one registration may raise.
    pub tasks_per_record_max: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        let limits = IndexLimits::default();
        Self {
            model: PathBuf::from("model.json"),
            snapshot: None,
            queue_max: limits.queue_max,
            batch_records_max: limits.batch_records_max,
            person_records_judged_max: limits.person_records_judged_max,
            evidence_kept_max: limits.evidence_kept_max,
            tasks_per_record_max: limits.tasks_per_record_max,
        }
    }
}

impl IndexConfig {
    /// The limits as the index takes them.
    pub fn limits(&self) -> IndexLimits {
        IndexLimits {
            queue_max: self.queue_max,
            batch_records_max: self.batch_records_max,
            person_records_judged_max: self.person_records_judged_max,
            evidence_kept_max: self.evidence_kept_max,
            tasks_per_record_max: self.tasks_per_record_max,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("{}: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
}

impl Config {
    /// Reads a file. Paths of certificates, clients and model are taken from the file's folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path)?;
        let mut config = Self::parse(&text)
            .map_err(|reason| ConfigError::Wrong { path: path.to_owned(), reason })?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        config.resolve(folder);
        Ok(config)
    }

    /// Where the index keeps its memory between a clean stop and the next start: where it is told,
    /// else beside the database where that is a file.
    pub fn index_snapshot(&self) -> Option<Snapshot> {
        match (&self.index.snapshot, &self.storage.url) {
            (Some(path), _) => Some(Snapshot::at(path.clone())),
            (None, None) => Some(Snapshot::beside(&self.storage.path)),
            (None, Some(_)) => None,
        }
    }

    /// Reads TOML; the error says where and which key.
    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().replace('\n', " ");
            line.map_or(message.clone(), |line| format!("line {line}: {message}"))
        })?;
        config.check().map(|()| config)
    }

    fn check(&self) -> Result<(), String> {
        let within = |key: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!("{key} must be between {least} and {most}"))
            }
        };
        within("server.connections_max", self.server.connections_max as u64, 1, 1_000_000)?;
        within("server.drain_s", self.server.drain_s, 1, 3_600)?;
        within("storage.readers_max", self.storage.readers_max.into(), 1, 256)?;
        within("storage.group_rows_max", self.storage.group_rows_max as u64, 100, 1_000_000)?;
        within("storage.queue_max", self.storage.queue_max as u64, 1, 1_000_000)?;
        within("storage.retry_ms", self.storage.retry_ms, 0, 600_000)?;
        within("storage.lease_ms", self.storage.lease_ms, 100, 600_000)?;
        within("api.body_bytes_max", self.api.body_bytes_max as u64, 1 << 10, 64 << 20)?;
        within("exchange.queries_max", self.exchange.queries_max as u64, 1, 100_000)?;
        within("exchange.search_persons_max", self.exchange.search_persons_max as u64, 1, 100_000)?;
        let days = self.exchange.discovered_link_days.into();
        within("exchange.discovered_link_days", days, 1, 3_650)?;
        let repeat = self.exchange.discovery_repeat_s;
        within("exchange.discovery_repeat_s", repeat, 0, 86_400)?;
        let remembered = self.exchange.messages_remembered_max;
        within("exchange.messages_remembered_max", remembered, 1, 10_000_000)?;
        self.mllp.check()?;
        let document_bytes_max = self.exchange.document_bytes_max as u64;
        within("exchange.document_bytes_max", document_bytes_max, 1 << 10, 256 << 20)?;
        within("exchange.stream_stall_s", self.exchange.stream_stall_s, 1, 3_600)?;
        let entries = self.api.page_entries_max as u64;
        within("api.page_entries_max", entries, 1, 1_000_000)?;
        within("audit.query_bytes_max", self.audit.query_bytes_max as u64, 1 << 10, 1 << 20)?;
        let answers = self.federation.answers_bytes_max as u64;
        within("federation.answers_bytes_max", answers, 1 << 20, 1 << 40)?;
        within("federation.check_interval_s", self.federation.check_interval_s, 0, 31_536_000)?;
        within("federation.probe_interval_s", self.federation.probe_interval_s, 0, 86_400)?;
        self.answer_cache.check()?;
        within("arrivals.queue_max", self.arrivals.queue_max as u64, 1, 100_000)?;
        within("arrivals.at_once_max", self.arrivals.at_once_max as u64, 1, 1_000)?;
        within("arrivals.kept_s", self.arrivals.kept_s, 1, 3_600)?;
        within("jobs.kept_s", self.jobs.kept_s, 1, 86_400)?;
        within("jobs.jobs_max", self.jobs.jobs_max as u64, 1, 100_000)?;
        within("jobs.jobs_per_client_max", self.jobs.jobs_per_client_max as u64, 1, 100_000)?;
        within("snapshots.ttl_s", self.snapshots.ttl_s, 1, 3_600)?;
        if self.api.base_url.ends_with('/') || !self.api.base_url.starts_with("https://") {
            return Err("api.base_url must begin with https:// and end without a slash".to_owned());
        }
        Ok(())
    }

    fn resolve(&mut self, folder: &Path) {
        let tls = &mut self.tls;
        for path in [
            &mut tls.certificate,
            &mut tls.key,
            &mut tls.client_roots,
            &mut tls.member_roots,
            &mut self.access.clients,
            &mut self.index.model,
        ]
        .into_iter()
        .chain(tls.revocation_lists.as_mut())
        .chain(self.storage.password_file.as_mut())
        {
            *path = folder.join(&*path);
        }
        if let Some(redis) = &mut self.answer_cache.redis {
            let optional = redis.password_file.as_mut().into_iter().chain(redis.root.as_mut());
            for path in optional.chain([&mut redis.keys]) {
                *path = folder.join(&*path);
            }
        }
    }
}

/// Reads a text file, or says which one could not be read.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_ships_tells_every_default() {
        let shipped = Config::parse(include_str!("../config/tessera.toml")).expect("it is valid");
        assert_eq!(format!("{shipped:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let error = Config::parse("[server]\nfhir_adress = \"0.0.0.0:1\"\n").expect_err("refused");
        assert!(error.contains("line 2") && error.contains("fhir_adress"), "{error}");
    }

    #[test]
    fn bounds_are_kept() {
        for wrong in [
            "[api]\nbody_bytes_max = 1",
            "[api]\nbase_url = \"http://x/fhir\"",
            "[exchange]\nqueries_max = 0",
        ] {
            assert!(Config::parse(wrong).is_err(), "{wrong}");
        }
    }
}
