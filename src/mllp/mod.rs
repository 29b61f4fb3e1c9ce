//! HL7 v2 over MLLP (Minimal Lower Layer Protocol, release 1): frames come in, one journey each,
//! acknowledgements go out. Decides nothing.
//!
//! Over mutual TLS by the same certificates and the same list of clients as the FHIR interface. A
//! connection's messages are carried out one after another, in order; connections side by side.

mod answer;
mod codec;
mod connection;
mod settings;

use std::{
    io,
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use settings::MllpSettings;

use crate::{
    exchange::Exchange,
    tls::{ServerTls, TlsError},
};
use connection::{Connection, Sender};

/// Listeners that take HL7 v2 messages.
pub struct MllpServer {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

/// What every connection has at hand.
struct Shared {
    exchange: Arc<Exchange>,
    settings: MllpSettings,
    connections: Arc<Semaphore>,
    /// No more messages are begun.
    stop: CancellationToken,
    /// Nothing is finished any more.
    abort: CancellationToken,
}

/// Why the listener did not start.
#[derive(Debug, Error)]
pub enum MllpError {
    /// A listener that cannot be run.
    #[error("cannot listen for HL7 v2 messages: {0}")]
    Listen(#[from] io::Error),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl MllpServer {
    /// A server without a listener yet. Needs a tokio runtime that lives as long.
    pub fn new(exchange: Arc<Exchange>, settings: MllpSettings) -> Self {
        let connections = Arc::new(Semaphore::new(settings.connections_max));
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let shared = Arc::new(Shared { exchange, settings, connections, stop, abort });
        Self { shared, tasks: TaskTracker::new() }
    }

    /// Listens over mutual TLS.
    pub fn listen(&self, listener: TcpListener, tls: &ServerTls) -> Result<(), MllpError> {
        let config = tls.stream_config(self.shared.settings.tls_min.versions())?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        self.accept(listener, Entrance::Tls(acceptor))
    }

    /// Listens without TLS, on this machine only: whoever can connect feeds as `client_id`.
    pub fn listen_on_this_machine(
        &self,
        listener: TcpListener,
        client_id: &str,
    ) -> Result<(), MllpError> {
        if !listener.local_addr()?.ip().is_loopback() {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "without TLS only a loopback address will do").into());
        }
        self.accept(listener, Entrance::OnThisMachine(client_id.to_owned()))
    }

    fn accept(&self, listener: TcpListener, entrance: Entrance) -> Result<(), MllpError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (shared, tasks) = (Arc::clone(&self.shared), self.tasks.clone());
        self.tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = shared.stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        admit(&shared, &tasks, &entrance, stream, peer.ip());
                    }
                    Err(error) => {
                        // Such as no file left to open: the next try may fare better.
                        tracing::error!(%error, "an MLLP connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        Ok(())
    }

    /// Begins no more messages, finishes those under way within `patience`, and ends.
    pub async fn stop(self, patience: Duration) {
        self.shared.stop.cancel();
        self.tasks.close();
        if timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!("MLLP connections were cut: they took longer than the drain time");
            self.shared.abort.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Before the next try, where a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How one gets in, and as whom.
#[derive(Clone)]
enum Entrance {
    Tls(TlsAcceptor),
    OnThisMachine(String),
}

fn admit(
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    entrance: &Entrance,
    stream: TcpStream,
    peer: IpAddr,
) {
    let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
        metrics::counter!("tessera_mllp_closed_total", "reason" => "too many connections")
            .increment(1);
        return;
    };
    let (shared, entrance) = (Arc::clone(shared), entrance.clone());
    tasks.spawn(async move {
        metrics::gauge!("tessera_mllp_connections").increment(1);
        tokio::select! {
            () = shared.abort.cancelled() => {}
            () = serve(&shared, entrance, stream, peer) => {}
        }
        metrics::gauge!("tessera_mllp_connections").decrement(1);
        drop(permit);
    });
}

async fn serve(shared: &Shared, entrance: Entrance, stream: TcpStream, peer: IpAddr) {
    // An acknowledgement is small, and somebody waits for it.
    let _ = stream.set_nodelay(true);
    let reason = match entrance {
        Entrance::OnThisMachine(client) => {
            let sender = Sender::OnThisMachine(client);
            Connection { shared, sender, peer, stream }.run().await
        }
        Entrance::Tls(acceptor) => {
            let patience = Duration::from_secs(shared.settings.handshake_timeout_s);
            match timeout(patience, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let sender = Sender::of(stream.get_ref().1);
                    Connection { shared, sender, peer, stream: Box::new(stream) }.run().await
                }
                Ok(Err(_)) => "TLS refused",
                Err(_) => "TLS too slow",
            }
        }
    };
    metrics::counter!("tessera_mllp_closed_total", "reason" => reason).increment(1);
    tracing::debug!(reason, "an MLLP connection ended");
}
