use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};

use super::{Credentials, MemberTls, RevocationLists, TlsError, TrustRoots, provider};

/// What a listener presents and whom it lets in; both can be changed while it listens.
///
/// A change holds for every handshake that begins after it. Connections that are open already
/// stay open, so the requests on them need a check of their own.
#[derive(Clone, Debug)]
pub struct ServerTls {
    presented: Arc<Presented>,
    admitted: Arc<Admitted>,
}

impl ServerTls {
    /// Makes a listener's identity and its authorities for clients.
    pub fn new(
        credentials: &Credentials,
        clients: &TrustRoots,
        revoked: &RevocationLists,
    ) -> Result<Self, TlsError> {
        let verifier = verifier(clients, revoked)?;
        Ok(Self {
            presented: Arc::new(Presented(ArcSwap::new(Arc::clone(&credentials.certified_key)))),
            admitted: Arc::new(Admitted(ArcSwap::from_pointee(verifier))),
        })
    }

    /// Presents another certificate and admits by other authorities from now on. On an error
    /// nothing has changed.
    pub fn reload(
        &self,
        credentials: &Credentials,
        clients: &TrustRoots,
        revoked: &RevocationLists,
    ) -> Result<(), TlsError> {
        let verifier = verifier(clients, revoked)?;
        self.admitted.0.store(Arc::new(verifier));
        self.presented.0.store(Arc::clone(&credentials.certified_key));
        Ok(())
    }

    /// The configuration for the FHIR listener: TLS 1.3, client certificate required, no
    /// resumption. It follows every later [`reload`](Self::reload).
    pub fn config(&self) -> Result<ServerConfig, TlsError> {
        let mut config = self.stream_config(MemberTls::Tls13)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The configuration for a listener whose protocol has no name of its own in TLS, such as MLLP:
    /// as [`Self::config`], and TLS 1.2 where `versions` allow it.
    pub fn stream_config(&self, versions: MemberTls) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions.versions())?
            .with_client_cert_verifier(Arc::clone(&self.admitted) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::clone(&self.presented) as Arc<dyn ResolvesServerCert>);
        // Both are needed: either alone still lets a session be resumed without its client verified.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn verifier(
    clients: &TrustRoots,
    revoked: &RevocationLists,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&clients.0), provider())
        .with_crls(revoked.0.iter().cloned())
        .enforce_revocation_expiration();
    Ok(builder.build()?)
}

/// The certificate in use.
struct Presented(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(…)")
    }
}

/// The verifier in use.
#[derive(Debug)]
struct Admitted(ArcSwap<Arc<dyn ClientCertVerifier>>);

impl ClientCertVerifier for Admitted {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    // A hint would be borrowed from a verifier that may be swapped; clients choose without one
    // (RFC 8446 §4.2.4: the extension is optional).
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.load().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().supported_verify_schemes()
    }
}
