use std::sync::Arc;

use rustls::{ClientConfig, SupportedProtocolVersion, client::Resumption, version};

use super::{Credentials, TlsError, TrustRoots, provider};

/// Which versions of TLS a member may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberTls {
    /// TLS 1.3 only.
    #[default]
    Tls13,
    /// TLS 1.2 too, with forward secrecy and AEAD suites only (BCP 195); rustls has no others.
    Tls12OrLater,
}

impl MemberTls {
    pub(super) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls13 => TLS_13,
            Self::Tls12OrLater => TLS_12_OR_LATER,
        }
    }
}

static TLS_13: &[&SupportedProtocolVersion] = &[&version::TLS13];
static TLS_12_OR_LATER: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// How the gateway connects to a member: with its own certificate, and trusting `authorities` alone.
///
/// Made for `reqwest::ClientBuilder::tls_backend_preconfigured`. Offers HTTP/2 and HTTP/1.1.
pub fn client_config(
    credentials: &Credentials,
    authorities: &TrustRoots,
    versions: MemberTls,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions.versions())?
        .with_root_certificates(Arc::clone(&authorities.0))
        .with_client_auth_cert(credentials.chain().to_vec(), credentials.key())?;
    // A resumed session would not look at the member's certificate again, though it may have expired.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
