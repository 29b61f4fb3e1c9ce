use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use thiserror::Error;

use super::{TrustRoots, provider};

/// The certificate at `host` has to bear another name than that, such as where a member is reached by
/// its address or through a tunnel. Nothing is checked less: chain, validity and that name.
///
/// Other hosts, such as an authorization server's, go by their own names.
pub fn expect_server_name(
    config: &mut ClientConfig,
    authorities: &TrustRoots,
    host: &str,
    name: &str,
) -> Result<(), InvalidServerName> {
    let parse = |text: &str| ServerName::try_from(text.to_owned()).map_err(|_| InvalidServerName);
    let roots = Arc::clone(&authorities.0);
    let inner = WebPkiServerVerifier::builder_with_provider(roots, provider());
    let inner = inner.build().map_err(|_: VerifierBuilderError| InvalidServerName)?;
    let verifier = AnotherName { inner, host: parse(host)?, name: parse(name)? };
    config.dangerous().set_certificate_verifier(Arc::new(verifier));
    Ok(())
}

/// A host or name that no certificate could bear, or no authority to vouch for it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("its server_name is not the name of a host")]
pub struct InvalidServerName;

#[derive(Debug)]
struct AnotherName {
    inner: Arc<WebPkiServerVerifier>,
    host: ServerName<'static>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for AnotherName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let expected = if *server_name == self.host { &self.name } else { server_name };
        self.inner.verify_server_cert(end_entity, intermediates, expected, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
