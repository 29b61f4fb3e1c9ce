//! Certificates with something wrong, for a simulated member to try the gateway's checks with.

use std::{fs, sync::Arc};

use rcgen::{CertificateParams, Issuer, KeyPair, SanType};
use rustls::{
    RootCertStore,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use time::{Duration, OffsetDateTime};

use super::{
    Credentials, DevelopmentPki, TrustRoots,
    pki::{Party, PkiError, authority, leaf, member_uri, new_key},
};
use crate::domain::MemberCode;

/// One member's certificates, each wrong in one way. They live in memory only.
#[derive(Clone, Debug)]
pub struct FaultyCredentials {
    /// Of the right authority and name, and expired.
    pub expired: Credentials,
    /// Of the right authority, and for `elsewhere.example`.
    pub another_name: Credentials,
    /// Of an authority that nobody knows.
    pub unknown_authority: Credentials,
    /// That authority: whoever admits its certificates alone refuses everybody.
    pub stranger: TrustRoots,
}

impl DevelopmentPki {
    /// Mints a member's faulty certificates with this PKI's root.
    pub fn faulty(
        &self,
        code: &MemberCode,
        now: OffsetDateTime,
    ) -> Result<FaultyCredentials, PkiError> {
        let root = self.root();
        let read = |path: &std::path::Path| {
            fs::read_to_string(path)
                .map_err(|source| PkiError::Read { path: path.to_owned(), source })
        };
        let key = KeyPair::from_pem(&read(&root.key)?)?;
        let issuer = Issuer::from_ca_cert_pem(&read(&root.certificate)?, key)?;
        let member = Party { name: code.as_str(), uri: member_uri(code), serves: true };

        let mut expired = leaf(&member, now)?;
        expired.not_before = now - Duration::days(60);
        expired.not_after = now - Duration::days(2);
        let mut another_name = leaf(&member, now)?;
        another_name.subject_alt_names = vec![SanType::DnsName("elsewhere.example".try_into()?)];

        let stranger_key = new_key()?;
        let stranger_params = authority("Tessera unknown root", now);
        let stranger_root = stranger_params.self_signed(&stranger_key)?;
        let mut roots = RootCertStore::empty();
        roots.add(stranger_root.der().clone()).map_err(PkiError::Unusable)?;
        let stranger = Issuer::new(stranger_params, stranger_key);
        Ok(FaultyCredentials {
            expired: credentials(&expired, &issuer)?,
            another_name: credentials(&another_name, &issuer)?,
            unknown_authority: credentials(&leaf(&member, now)?, &stranger)?,
            stranger: TrustRoots(Arc::new(roots)),
        })
    }
}

fn credentials(
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<Credentials, PkiError> {
    let key = new_key()?;
    let certificate = params.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Credentials::of_parts(vec![certificate.der().clone()], key).map_err(PkiError::Unusable)
}
