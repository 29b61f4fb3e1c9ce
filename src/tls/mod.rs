//! Mutual TLS: who may connect to us, whom we connect to, and a PKI to try it with.
//!
//! Inbound is TLS 1.3 with a client certificate, always. There is no switch that turns a check
//! off. Sessions are never resumed: a resumed session skips the client verifier, so that a
//! revoked client would get in.

mod client;
mod connection;
mod credentials;
mod faulty;
mod handshake;
pub mod pki;
mod server;
mod server_name;

pub use client::{MemberTls, client_config};
pub use connection::{ClientCertificate, ClientSocket, remember_client_certificate};
pub use credentials::{
    Credentials, RevocationLists, TlsError, TrustRoots, read_revocation_lists, read_trust_roots,
};
pub use faulty::FaultyCredentials;
pub use handshake::{HandshakeFault, SeenCertificate, certificate_end, shake_hands};
pub use pki::{DevelopmentPki, PkiParties, mint_development_pki};
pub use server::ServerTls;
pub use server_name::{InvalidServerName, expect_server_name};

/// The cryptography in use: aws-lc-rs, handed in everywhere rather than installed for the process.
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
