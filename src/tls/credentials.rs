use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem, pem::PemObject as _,
    },
    sign::CertifiedKey,
};
use thiserror::Error;

use super::provider;

/// A certificate with its chain and private key, known to belong together.
#[derive(Clone)]
pub struct Credentials {
    pub(super) certified_key: Arc<CertifiedKey>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Credentials {
    /// Reads a PEM certificate (leaf first, then intermediates) and its PEM key (PKCS#8, SEC1 or PKCS#1).
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = read_certificates(certificate)?;
        let key_der =
            PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "key", error))?;
        let certified_key =
            CertifiedKey::from_der(chain, key_der.clone_key(), &provider()).map_err(|source| {
                TlsError::KeyPair { certificate: certificate.into(), key: key.into(), source }
            })?;
        Ok(Self { certified_key: Arc::new(certified_key), key: Arc::new(key_der) })
    }

    pub(super) fn of_parts(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let certified_key = CertifiedKey::from_der(chain, key.clone_key(), &provider())?;
        Ok(Self { certified_key: Arc::new(certified_key), key: Arc::new(key) })
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified_key.cert
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// The certificate authorities that are trusted for one purpose. Never empty.
#[derive(Clone, Debug)]
pub struct TrustRoots(pub(super) Arc<RootCertStore>);

/// Reads trusted authorities from a PEM file.
pub fn read_trust_roots(path: &Path) -> Result<TrustRoots, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Authority { path: path.into(), source })?;
    }
    Ok(TrustRoots(Arc::new(roots)))
}

/// Certificates that their authority took back. Where any list is given, a certificate whose
/// authority has no list here, or one past its `nextUpdate`, is refused.
#[derive(Clone, Debug, Default)]
pub struct RevocationLists(pub(super) Vec<CertificateRevocationListDer<'static>>);

/// Reads revocation lists from a PEM file.
pub fn read_revocation_lists(path: &Path) -> Result<RevocationLists, TlsError> {
    let lists = CertificateRevocationListDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, "revocation list", error))?;
    if lists.is_empty() {
        return Err(TlsError::Nothing { path: path.into(), what: "revocation list" });
    }
    Ok(RevocationLists(lists))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, "certificate", error))?;
    if certificates.is_empty() {
        return Err(TlsError::Nothing { path: path.into(), what: "certificate" });
    }
    Ok(certificates)
}

fn unreadable(path: &Path, what: &'static str, error: pem::Error) -> TlsError {
    match error {
        pem::Error::Io(source) => TlsError::File { path: path.into(), source },
        pem::Error::NoItemsFound => TlsError::Nothing { path: path.into(), what },
        _ => TlsError::Pem { path: path.into(), what },
    }
}

/// Why TLS cannot be set up. Names files, never their content.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not PEM.
    #[error("{} is not a PEM {what}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for in it.
        what: &'static str,
    },
    /// A PEM file without the part that was looked for.
    #[error("{} holds no PEM {what}", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What was looked for in it.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or one is of an unsupported kind.
    #[error("certificate {} and key {} cannot be used together", certificate.display(), key.display())]
    KeyPair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate that cannot be a trust anchor.
    #[error("{} holds a certificate that cannot be trusted as an authority", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Authorities and revocation lists that give no verifier.
    #[error("client certificates cannot be verified with these authorities and revocation lists")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// Parts that give no configuration.
    #[error("no TLS configuration can be made of these parts")]
    Configuration(#[from] rustls::Error),
}
