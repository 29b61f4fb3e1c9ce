use std::{any::Any, fmt, future::pending, io, os::fd::AsFd as _};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{dev::Extensions, rt::net::TcpStream};
use rustls::pki_types::CertificateDer;
use tokio::io::Interest;

/// The verified leaf certificate of the client at the other end of a connection, as DER.
#[derive(Clone)]
pub struct ClientCertificate(CertificateDer<'static>);

impl ClientCertificate {
    /// The certificate.
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(…)")
    }
}

/// A second handle of a client's connection, to notice when the client closes it.
#[derive(Debug)]
pub struct ClientSocket(std::net::TcpStream);

impl ClientSocket {
    /// A handle for one request.
    pub fn handle(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Waits until the client has closed the connection; for ever where that cannot be told.
    pub async fn closed(&self) {
        let Ok(socket) = self.0.try_clone().and_then(TcpStream::from_std) else {
            return pending().await;
        };
        loop {
            match socket.ready(Interest::READABLE).await {
                Ok(ready) if ready.is_read_closed() => return,
                Ok(_) => {
                    // Nothing is read here: what came is for whoever serves the connection.
                    let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                    let _ = socket.try_io(Interest::READABLE, nothing);
                }
                Err(_) => return pending().await,
            }
        }
    }
}

/// For `HttpServer::on_connect`: keeps the client's certificate and a handle of its connection, so
/// that each request finds them by `HttpRequest::conn_data`.
pub fn remember_client_certificate(connection: &dyn Any, data: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
    let (tcp, session) = stream.get_ref();
    if let Ok(handle) = tcp.as_fd().try_clone_to_owned() {
        data.insert(ClientSocket(handle.into()));
    }
    if let Some(leaf) = session.peer_certificates().and_then(<[_]>::first) {
        data.insert(ClientCertificate(leaf.clone().into_owned()));
    }
}
