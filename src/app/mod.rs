//! Builds everything once, and hands it down.

mod health;
mod measure;

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web};
use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use crate::{
    access::{
        AuditError, AuditLog, Clients, ConsentBook, ConsentError, InvalidClients,
        InvalidRevocations,
    },
    api::{self, Gateway},
    cache::{CacheError, RedisAccess, RedisSettings},
    config::{Config, ConfigError, TlsSettings, read_text},
    directory::{Directory, DirectoryError},
    domain::Clock,
    exchange::{
        Arrivals, Exchange, MessagesSeen, RecordJobs, RecordLocks, Searches, Sightings, Snapshots,
        check_members, warm_arrivals, watch_links, watch_members,
    },
    federation::{Federation, FederationError, GatewayIdentity},
    index::{Index, IndexError},
    matching::{InvalidModel, Model},
    mllp::{MllpError, MllpServer, MllpSettings},
    storage::{Database, StorageError},
    tls::{
        Credentials, RevocationLists, ServerTls, TlsError, read_revocation_lists, read_trust_roots,
        remember_client_certificate,
    },
};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A gateway that listens.
pub struct RunningGateway {
    fhir_address: SocketAddr,
    health_address: SocketAddr,
    base_url: String,
    exchange: Arc<Exchange>,
    store: Database,
    tls: ServerTls,
    tls_settings: TlsSettings,
    redis: Option<RedisSettings>,
    servers: Vec<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
    watches: Vec<JoinHandle<()>>,
    mllp: Mllp,
    drain: Duration,
}

/// The HL7 v2 interface, and where it listens.
struct Mllp {
    server: MllpServer,
    address: Option<SocketAddr>,
    plaintext_address: Option<SocketAddr>,
}

/// Opens the database, folds the index and begins to listen.
///
/// Ports 0 are chosen by the system; a port 0 in `api.base_url` then becomes the one chosen. Needs a
/// multi-thread tokio runtime that lives as long as the gateway.
pub async fn start(
    mut config: Config,
    clock: Arc<dyn Clock>,
    metrics: Option<PrometheusHandle>,
) -> Result<RunningGateway, StartError> {
    let tls = server_tls(&config.tls)?;
    let clients = Clients::from_toml(&read_text(&config.access.clients)?)?;
    set_revocations(&clients, &config.tls)?;
    let (fhir_listener, fhir_address) = bind(config.server.fhir_address)?;
    let (health_listener, health_address) = bind(config.server.health_address)?;
    let port = format!(":{}/", fhir_address.port());
    config.api.base_url = config.api.base_url.replacen(":0/", &port, 1);
    config.audit.base_url.clone_from(&config.api.base_url);

    let store = Database::open(&config.storage.settings()?).await?;
    let exchange = Arc::new(build(&config, &store, clients, clock).await?);
    let gateway = web::Data::new(Gateway::new(Arc::clone(&exchange), config.api.clone()));
    let fhir = serve_fhir(&config, gateway, fhir_listener, &tls)?;
    let health = health::serve(health_listener, Arc::clone(&exchange), store.clone(), metrics)?;
    let mllp = serve_mllp(&config.mllp, Arc::clone(&exchange), &tls)?;
    tracing::info!(
        fhir = %fhir_address,
        health = %health_address,
        mllp = mllp.address.map(tracing::field::display),
        "listening"
    );
    let every = config.federation.probe_interval_s;
    let mut watches = vec![
        tokio::spawn(watch_links(Arc::clone(&exchange))),
        tokio::spawn(warm_arrivals(Arc::clone(&exchange))),
    ];
    let check_every = config.federation.check_interval_s;
    if check_every > 0 {
        let every = Duration::from_secs(check_every);
        watches.push(tokio::spawn(check_members(Arc::clone(&exchange), every)));
    }
    if every > 0 {
        let every = Duration::from_secs(every);
        watches.push(tokio::spawn(watch_members(Arc::clone(&exchange), every)));
    }
    Ok(RunningGateway {
        fhir_address,
        health_address,
        base_url: config.api.base_url,
        exchange,
        store,
        tls,
        tls_settings: config.tls,
        redis: config.answer_cache.redis,
        servers: vec![fhir, health],
        mllp,
        drain: Duration::from_secs(config.server.drain_s),
        watches,
    })
}

async fn build(
    config: &Config,
    store: &Database,
    clients: Clients,
    clock: Arc<dyn Clock>,
) -> Result<Exchange, StartError> {
    let model = Arc::new(read_model(&config.index.model)?);
    let directory = Directory::open(store.clone()).await?;
    let consents =
        ConsentBook::open(store.clone(), config.access.consent, directory.clone()).await?;
    let audit = AuditLog::start(store.clone(), config.audit.clone(), Arc::clone(&clock)).await?;
    let index = Index::open_from(
        config.index_snapshot(),
        store.clone(),
        Arc::clone(&model),
        config.index.limits(),
        Arc::clone(&clock),
    )
    .await?;
    let identity = gateway_identity(&config.tls)?;
    let federation = Federation::new(
        config.federation.clone(),
        directory.clone(),
        identity,
        model,
        Arc::clone(&clock),
    )?;
    let redis = config.answer_cache.redis.as_ref().map(RedisAccess::read).transpose()?;
    federation.keep_answers(&config.answer_cache, redis);
    Ok(Exchange {
        settings: config.exchange.clone(),
        clock,
        clients,
        directory,
        consents,
        audit,
        index,
        federation,
        snapshots: Snapshots::new(&config.snapshots),
        searches: Searches::new(&config.snapshots),
        jobs: RecordJobs::new(config.jobs.clone()),
        arrivals: Arrivals::new(config.arrivals.clone()),
        sightings: Sightings::new(Duration::from_secs(config.exchange.discovery_repeat_s)),
        record_locks: RecordLocks::default(),
        messages: MessagesSeen::new(config.exchange.messages_remembered_max),
        queries: tokio::sync::Semaphore::new(config.exchange.queries_max),
    })
}

/// What the gateway shows itself with to members, and whom it trusts there.
pub fn gateway_identity(settings: &TlsSettings) -> Result<GatewayIdentity, TlsError> {
    Ok(GatewayIdentity {
        credentials: Credentials::read(&settings.certificate, &settings.key)?,
        authorities: read_trust_roots(&settings.member_roots)?,
    })
}

/// Reads a matching model.
pub fn read_model(path: &std::path::Path) -> Result<Model, StartError> {
    let text = read_text(path)?;
    Model::from_json(&text).map_err(|source| StartError::Model { path: path.to_owned(), source })
}

fn server_tls(settings: &TlsSettings) -> Result<ServerTls, TlsError> {
    let (credentials, roots, revoked) = tls_files(settings)?;
    ServerTls::new(&credentials, &roots, &revoked)
}

fn tls_files(
    settings: &TlsSettings,
) -> Result<(Credentials, crate::tls::TrustRoots, RevocationLists), TlsError> {
    let revoked = match &settings.revocation_lists {
        Some(path) => read_revocation_lists(path)?,
        None => RevocationLists::default(),
    };
    let credentials = Credentials::read(&settings.certificate, &settings.key)?;
    Ok((credentials, read_trust_roots(&settings.client_roots)?, revoked))
}

/// A connection outlives its handshake, so each request looks at the lists again.
fn set_revocations(clients: &Clients, settings: &TlsSettings) -> Result<(), StartError> {
    let Some(path) = &settings.revocation_lists else { return Ok(()) };
    let pem = read_text(path)?;
    Ok(clients.set_revocation_lists([pem.as_bytes()])?)
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// A request's head must be there this soon: a slow sender holds a connection, not a worker.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is let go after this.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

fn serve_fhir(
    config: &Config,
    gateway: web::Data<Gateway>,
    listener: TcpListener,
    tls: &ServerTls,
) -> Result<(ServerHandle, JoinHandle<std::io::Result<()>>), StartError> {
    let workers = match config.server.workers {
        0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        some => some,
    };
    let server = HttpServer::new(move || {
        App::new().app_data(gateway.clone()).wrap(from_fn(measure::measured)).configure(api::routes)
    })
    .workers(workers)
    .max_connections(config.server.connections_max.div_ceil(workers))
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    // A client that hangs up over HTTP/1.1 ends its query; see `Caller::gone` for HTTP/2.
    .h1_allow_half_closed(false)
    // Without it a small answer's second segment waits 40 ms for the delayed acknowledgement.
    .tcp_nodelay(true)
    .shutdown_timeout(config.server.drain_s)
    .disable_signals()
    .on_connect(remember_client_certificate)
    .listen_rustls_0_23(listener, tls.config()?)
    .map_err(StartError::Serve)?
    .run();
    let handle = server.handle();
    Ok((handle, tokio::spawn(server)))
}

fn serve_mllp(
    settings: &MllpSettings,
    exchange: Arc<Exchange>,
    tls: &ServerTls,
) -> Result<Mllp, StartError> {
    let server = MllpServer::new(exchange, settings.clone());
    let (mut address, mut plaintext_address) = (None, None);
    if let Some(told) = settings.address {
        let (listener, bound) = bind(told)?;
        server.listen(listener, tls)?;
        address = Some(bound);
    }
    if let (Some(told), Some(client)) = (settings.plaintext_address, &settings.plaintext_client) {
        let (listener, bound) = bind(told)?;
        server.listen_on_this_machine(listener, client)?;
        plaintext_address = Some(bound);
    }
    Ok(Mllp { server, address, plaintext_address })
}

/// How long requests to members may take to end once nobody waits for them.
const PATIENCE: Duration = Duration::from_secs(2);

impl RunningGateway {
    /// Where the FHIR interface listens.
    pub fn fhir_address(&self) -> SocketAddr {
        self.fhir_address
    }

    /// Where health and metrics are.
    pub fn health_address(&self) -> SocketAddr {
        self.health_address
    }

    /// Where HL7 v2 messages are taken over mutual TLS.
    pub fn mllp_address(&self) -> Option<SocketAddr> {
        self.mllp.address
    }

    /// Where HL7 v2 messages of this machine are taken.
    pub fn mllp_plaintext_address(&self) -> Option<SocketAddr> {
        self.mllp.plaintext_address
    }

    /// The FHIR base that links in answers begin with.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The exchange behind the interfaces.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The database; for asking how durable it is.
    pub fn store(&self) -> &Database {
        &self.store
    }

    /// Reads certificates, authorities and revocation lists again. On an error the old ones stay.
    pub fn reload(&self) -> Result<(), StartError> {
        let (credentials, roots, revoked) = tls_files(&self.tls_settings)?;
        let identity = gateway_identity(&self.tls_settings)?;
        if let Some(redis) = &self.redis {
            self.exchange.federation.replace_answer_keys(RedisAccess::read(redis)?.into_keys());
        }
        self.tls.reload(&credentials, &roots, &revoked)?;
        self.exchange.federation.replace_identity(identity);
        set_revocations(&self.exchange.clients, &self.tls_settings)
    }

    /// Takes no more requests, lets those under way finish within the drain time, and closes
    /// everything in order: what was acknowledged is on disk, what was disclosed is audited.
    pub async fn stop(self) {
        let messages = tokio::spawn(self.mllp.server.stop(self.drain));
        for (handle, task) in self.servers {
            handle.stop(true).await;
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a listener ended badly"),
                Err(error) => tracing::error!(%error, "a listener's task ended badly"),
            }
        }
        if let Err(error) = messages.await {
            tracing::error!(%error, "the HL7 v2 interface ended badly");
        }
        for watch in self.watches {
            watch.abort();
            // It was told to end; there is nothing to learn from how it did.
            let _ = watch.await;
        }
        self.exchange.jobs.stop().await;
        let exchange = Arc::clone(&self.exchange);
        let asked = tokio::task::spawn_blocking(move || exchange.federation.shutdown(PATIENCE));
        if let Err(error) = asked.await {
            tracing::error!(%error, "the federation ended badly");
        }
        self.exchange.audit.close().await;
        self.exchange.consents.close().await;
        self.exchange.directory.close().await;
        self.exchange.index.close().await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A file of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate, key or authority.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `clients.toml`.
    #[error("clients: {0}")]
    Clients(#[from] InvalidClients),
    /// A revocation list.
    #[error("revocation list: {0}")]
    Revocations(#[from] InvalidRevocations),
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A listener that cannot be run.
    #[error("cannot serve: {0}")]
    Serve(std::io::Error),
    /// The HL7 v2 interface.
    #[error(transparent)]
    Mllp(#[from] MllpError),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The matching model.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidModel,
    },
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The consents.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The federation.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// The Redis of the answer cache.
    #[error(transparent)]
    AnswerCache(#[from] CacheError),
}
