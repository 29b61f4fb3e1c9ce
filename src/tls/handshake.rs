//! One handshake, looked at closely: what is wrong between two ends, in a word that an operator
//! can act on. Nothing is trusted here that an ordinary connection would not trust.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};
use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

/// What a server that was trusted showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCertificate {
    /// When its certificate ends.
    pub not_after: OffsetDateTime,
    /// TLS 1.2 or 1.3.
    pub version: &'static str,
}

/// Why there is no TLS session. Names hosts and times, nothing else.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HandshakeFault {
    /// No TCP connection.
    #[error("nobody listens there, or a firewall is between: {0}")]
    NoConnection(io::ErrorKind),
    /// Nothing came in time.
    #[error("the server accepted the connection and then said nothing")]
    Silent,
    /// The server's certificate has expired.
    #[error("the server's certificate has expired; its operator must renew it")]
    Expired,
    /// It is not valid yet.
    #[error("the server's certificate is not valid yet; or one of the two clocks is wrong")]
    NotYetValid,
    /// Its chain ends at nobody whom we trust.
    #[error(
        "the server's certificate is of an authority that is not trusted here; `trust_anchor` must \
         name the root that it chains to"
    )]
    UnknownAuthority,
    /// It bears other names.
    #[error(
        "the server's certificate is not made out to {0}; the host of fhir_base, or else `server_name`, must be \
         one of its names"
    )]
    AnotherName(String),
    /// It was taken back.
    #[error("the server's certificate was revoked")]
    Revoked,
    /// It may not be used so, or is broken.
    #[error("the server's certificate cannot be used: {0}")]
    UnusableCertificate(String),
    /// The server did not accept ours.
    #[error(
        "the server refused our certificate ({0}); its operator must trust our root and know our \
         name"
    )]
    ClientRefused(String),
    /// No version or suite in common.
    #[error("no TLS version or cipher suite in common; see tls_min")]
    NothingInCommon,
    /// It is no TLS server, or it broke off.
    #[error("the server does not speak TLS as expected: {0}")]
    Broken(String),
}

/// Connects, shakes hands, sends one request and waits for the first byte of its answer: with
/// TLS 1.3 a refusal of our certificate comes only then. `expected` is the name that the certificate
/// should bear. Blocks, for `patience` at each step.
pub fn shake_hands(
    address: SocketAddr,
    (host, expected): (&str, &str),
    mut config: ClientConfig,
    path: &str,
    patience: Duration,
) -> Result<SeenCertificate, HandshakeFault> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| HandshakeFault::AnotherName(host.to_owned()))?;
    let tcp = TcpStream::connect_timeout(&address, patience)
        .map_err(|error| HandshakeFault::NoConnection(error.kind()))?;
    let bounded = tcp.set_read_timeout(Some(patience));
    bounded
        .and_then(|()| tcp.set_write_timeout(Some(patience)))
        .map_err(|error| HandshakeFault::NoConnection(error.kind()))?;
    let session = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| fault_of_tls(&error, expected))?;
    let mut stream = StreamOwned::new(session, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| fault_of(&error, expected))?;
    }
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/fhir+json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|error| fault_of(&error, host))?;
    match stream.read(&mut [0; 16]) {
        Ok(0) => return Err(HandshakeFault::Broken("it closed without an answer".to_owned())),
        Ok(_) => {}
        Err(error) => return Err(fault_of(&error, host)),
    }
    let version = match stream.conn.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        _ => "1.3",
    };
    let leaf = stream.conn.peer_certificates().and_then(<[_]>::first);
    let not_after = leaf
        .and_then(certificate_end)
        .ok_or_else(|| HandshakeFault::UnusableCertificate("it cannot be read".to_owned()))?;
    Ok(SeenCertificate { not_after, version })
}

/// When a certificate ends; `None` where it cannot be read.
pub fn certificate_end(certificate: &CertificateDer<'_>) -> Option<OffsetDateTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    OffsetDateTime::from_unix_timestamp(parsed.validity().not_after.timestamp()).ok()
}

fn fault_of(error: &io::Error, host: &str) -> HandshakeFault {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match (tls, error.kind()) {
        (Some(tls), _) => fault_of_tls(tls, host),
        (None, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => HandshakeFault::Silent,
        (None, kind) => HandshakeFault::Broken(kind.to_string()),
    }
}

fn fault_of_tls(error: &Error, host: &str) -> HandshakeFault {
    match error {
        Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                HandshakeFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                HandshakeFault::NotYetValid
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                HandshakeFault::UnknownAuthority
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                HandshakeFault::AnotherName(host.to_owned())
            }
            CertificateError::Revoked => HandshakeFault::Revoked,
            other => HandshakeFault::UnusableCertificate(other.to_string()),
        },
        Error::AlertReceived(alert) => match alert {
            AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
                HandshakeFault::NothingInCommon
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => HandshakeFault::ClientRefused(format!("{alert:?}")),
            other => HandshakeFault::Broken(format!("{other:?}")),
        },
        Error::PeerIncompatible(_) => HandshakeFault::NothingInCommon,
        Error::InvalidMessage(_) => HandshakeFault::Broken("that is no TLS".to_owned()),
        other => HandshakeFault::Broken(other.to_string()),
    }
}
