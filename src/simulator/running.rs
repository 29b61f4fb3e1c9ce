//! A simulator's life: it starts, goes down and comes up again, and stops.

use std::{
    convert::Infallible,
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use rustls::ServerConfig;
use thiserror::Error;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    answer::Answerer,
    data::MemberData,
    faults::{CertificateFault, Faults},
    server::{Shared, handle},
    tokens::TokenRules,
};
use crate::{
    domain::MemberCode,
    tls::{Credentials, FaultyCredentials, RevocationLists, ServerTls, TlsError, TrustRoots},
};

/// How long open requests may take to end when a simulator stops. Short, since an idle HTTP/2
/// connection holds a stop up for all of it: actix-http closes idle HTTP/1.1 connections only.
const STOP_TIMEOUT_S: u64 = 1;
/// How long an idle connection is kept, as long as the field's servers do.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// How a simulator serves.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// Whether `Patient/$everything` is there and declared.
    pub everything: bool,
    /// Whether `Patient/$match` is there and declared.
    pub matching: bool,
    /// Whether searches may be posted.
    pub posted_searches: bool,
    /// Entries a page where `_count` says nothing.
    pub page_size: u32,
    /// Entries a page at most, whatever `_count` says.
    pub page_size_max: u32,
    /// Threads that answer.
    pub workers: usize,
    /// Who is given tokens; without it none are asked for.
    pub authorization: Option<TokenRules>,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            everything: true,
            matching: true,
            posted_searches: true,
            page_size: 100,
            page_size_max: 1000,
            workers: 1,
            authorization: None,
        }
    }
}

/// What a simulator needs to play faults of TLS.
#[derive(Clone, Debug)]
pub struct TlsFaults {
    /// The listener's identity.
    pub tls: ServerTls,
    /// The certificate that is right.
    pub proper: Credentials,
    /// The authorities whose clients are admitted.
    pub admitted: TrustRoots,
    /// The certificates that are wrong.
    pub faulty: FaultyCredentials,
}

impl TlsFaults {
    pub(super) fn play(&self, fault: CertificateFault) -> Result<(), TlsError> {
        let presented = match fault {
            CertificateFault::None | CertificateFault::RefusesClients => &self.proper,
            CertificateFault::Expired => &self.faulty.expired,
            CertificateFault::AnotherName => &self.faulty.another_name,
            CertificateFault::UnknownAuthority => &self.faulty.unknown_authority,
        };
        let admitted = match fault {
            CertificateFault::RefusesClients => &self.faulty.stranger,
            _ => &self.admitted,
        };
        self.tls.reload(presented, admitted, &RevocationLists::default())
    }
}

/// A member's FHIR server that runs. Dropped, it stops at once.
pub struct Simulator {
    address: SocketAddr,
    shared: web::Data<Shared>,
    tls: ServerConfig,
    running: Option<Running>,
}

struct Running {
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
    /// Ends when no worker, and so no connection, is left.
    closed: oneshot::Receiver<Infallible>,
}

impl Simulator {
    /// Serves one member's data at `bind`; port 0 takes a free one. To be called within a tokio runtime.
    pub fn start(
        data: Arc<MemberData>,
        options: SimulatorOptions,
        bind: SocketAddr,
        tls: &ServerTls,
    ) -> Result<Self, StartError> {
        let tls = tls.config()?;
        let listener = listen(bind)?;
        let address = listener.local_addr().map_err(|source| StartError::Bind { bind, source })?;
        let answerer = Answerer::new(data, options);
        let shared = web::Data::new(Shared::new(answerer, authority(address)));
        let running = run(&shared, listener, tls.clone())
            .map_err(|source| StartError::Bind { bind, source })?;
        Ok(Self { address, shared, tls, running: Some(running) })
    }

    /// The member that it plays.
    pub fn member(&self) -> &MemberCode {
        self.shared.answerer.data.code()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its FHIR base, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("https://{}/fhir", authority(self.address))
    }

    /// Misbehaves so from now on. [`Faults::default`] behaves again.
    ///
    /// A fault of certificates holds for connections made from now on, and only after
    /// [`Self::allow_tls_faults`].
    pub fn set_faults(&self, faults: Faults) {
        if self.shared.set_faults(faults).is_err() {
            tracing::warn!("the simulator cannot play this fault of certificates");
        }
    }

    /// Lets it play faults of certificates.
    pub fn allow_tls_faults(&self, faults: TlsFaults) {
        self.shared.allow_tls_faults(faults);
    }

    pub(super) fn shared(&self) -> web::Data<Shared> {
        web::Data::clone(&self.shared)
    }

    /// How many requests came in since it was started.
    pub fn requests(&self) -> u64 {
        self.shared.requests()
    }

    /// How often a token was asked for.
    pub fn token_requests(&self) -> u64 {
        self.shared.tokens.requests()
    }

    /// Takes back every token that it gave out.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.revoke_all();
    }

    /// Closes the listener and every connection at once: whoever connects is refused.
    pub async fn go_down(&mut self) {
        if let Some(running) = self.running.take() {
            end(running, false).await;
        }
    }

    /// Listens again at the address it had. Does nothing where it is up.
    pub fn come_up(&mut self) -> Result<(), StartError> {
        if self.running.is_none() {
            let bind = self.address;
            let running = run(&self.shared, listen(bind)?, self.tls.clone())
                .map_err(|source| StartError::Bind { bind, source })?;
            self.running = Some(running);
        }
        Ok(())
    }

    /// Stops listening, lets open requests end within a second, and returns when all is closed.
    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            end(running, true).await;
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulator({} at {})", self.member(), self.address)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // The stop is sent at once; only its end is waited for by the future.
            drop(running.handle.stop(false));
        }
    }
}

async fn end(running: Running, graceful: bool) {
    running.handle.stop(graceful).await;
    if let Ok(Err(error)) = running.task.await {
        tracing::warn!(%error, "the simulator ended with an error");
    }
    // A forced stop does not wait for the workers: their connections would still answer for a while.
    let Err(_) = running.closed.await;
}

fn listen(bind: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(bind).map_err(|source| StartError::Bind { bind, source })
}

fn run(
    shared: &web::Data<Shared>,
    listener: TcpListener,
    tls: ServerConfig,
) -> io::Result<Running> {
    let data = web::Data::clone(shared);
    let (alive, closed) = oneshot::channel();
    let alive = Arc::new(alive);
    let app = move || {
        App::new()
            .app_data(web::Data::clone(&data))
            .app_data(Arc::clone(&alive))
            .default_service(web::to(handle))
    };
    let server = HttpServer::new(app)
        .workers(shared.answerer.options.workers)
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .shutdown_timeout(STOP_TIMEOUT_S)
        .disable_signals()
        .listen_rustls_0_23(listener, tls)?
        .run();
    let handle = server.handle();
    Ok(Running { handle, task: tokio::spawn(server), closed })
}

/// `host:port` that a client on this machine can use.
fn authority(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => format!("localhost:{}", address.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => address.to_string(),
    }
}

/// Why a simulator does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen at {bind}")]
    Bind {
        /// The address.
        bind: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No TLS configuration.
    #[error("cannot serve with these certificates")]
    Tls(#[from] TlsError),
}
