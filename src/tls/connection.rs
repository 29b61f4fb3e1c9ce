use std::{any::Any, fmt};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{dev::Extensions, rt::net::TcpStream};
use rustls::pki_types::CertificateDer;

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

/// For `HttpServer::on_connect`: keeps the client's certificate, so that each request of the
/// connection finds it by `HttpRequest::conn_data::<ClientCertificate>()`.
pub fn remember_client_certificate(connection: &dyn Any, data: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
    let (_, session) = stream.get_ref();
    if let Some(leaf) = session.peer_certificates().and_then(<[_]>::first) {
        data.insert(ClientCertificate(leaf.clone().into_owned()));
    }
}
