//! A certificate authority to try the gateway with. Not for production: its key lies on disk.

use std::{
    fs, io,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::{Credentials, TlsError, TrustRoots, read_trust_roots};
use crate::domain::MemberCode;

/// How long development certificates are valid.
pub const VALIDITY: Duration = Duration::days(30);

/// Certificates start a little in the past, for machines whose clocks differ.
const CLOCK_SKEW_MAX: Duration = Duration::minutes(5);

/// The SAN URI that names the gateway.
pub const GATEWAY_URI: &str = "urn:tessera:gateway";

/// The SAN URI that names a member.
pub fn member_uri(code: &MemberCode) -> String {
    format!("urn:tessera:member:{code}")
}

/// The SAN URI that names a person or system that queries.
pub fn client_uri(name: &MemberCode) -> String {
    format!("urn:tessera:client:{name}")
}

/// Who gets a certificate beside the gateway.
#[derive(Clone, Debug, Default)]
pub struct PkiParties {
    /// Members: server and client usage, since they serve FHIR and feed the gateway.
    pub members: Vec<MemberCode>,
    /// People and systems that only connect; their names follow the rules of member codes.
    pub clients: Vec<MemberCode>,
}

/// Where a development PKI lies.
#[derive(Clone, Debug)]
pub struct DevelopmentPki {
    dir: PathBuf,
}

/// The two files of one party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFiles {
    /// PEM certificate.
    pub certificate: PathBuf,
    /// PEM key, PKCS#8, readable by its owner alone.
    pub key: PathBuf,
}

impl CredentialFiles {
    /// Reads both.
    pub fn read(&self) -> Result<Credentials, TlsError> {
        Credentials::read(&self.certificate, &self.key)
    }
}

impl DevelopmentPki {
    /// The PKI that was minted into `dir`.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The root certificate, PEM.
    pub fn root_certificate(&self) -> PathBuf {
        self.root().certificate
    }

    /// Reads the root certificate.
    pub fn trust_roots(&self) -> Result<TrustRoots, TlsError> {
        read_trust_roots(&self.root_certificate())
    }

    /// The gateway's certificate, for serving and for connecting to members.
    pub fn gateway(&self) -> CredentialFiles {
        self.files("gateway")
    }

    /// A member's certificate.
    pub fn member(&self, code: &MemberCode) -> CredentialFiles {
        self.files(&format!("members/{code}"))
    }

    /// A person's or system's certificate.
    pub fn client(&self, name: &MemberCode) -> CredentialFiles {
        self.files(&format!("clients/{name}"))
    }

    pub(super) fn root(&self) -> CredentialFiles {
        self.files("root")
    }

    fn files(&self, stem: &str) -> CredentialFiles {
        CredentialFiles {
            certificate: self.dir.join(format!("{stem}.crt")),
            key: self.dir.join(format!("{stem}.key")),
        }
    }
}

/// What to do where the folder already holds certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Change nothing and fail.
    Keep,
    /// Put new ones in their place.
    Replace,
}

/// Mints a root, the gateway's certificate and one for each party into `dir`: ECDSA P-256, valid
/// for [`VALIDITY`] from `now`. Keys are readable by their owner alone.
pub fn mint_development_pki(
    dir: &Path,
    now: OffsetDateTime,
    parties: &PkiParties,
    existing: Existing,
) -> Result<DevelopmentPki, PkiError> {
    let pki = DevelopmentPki::at(dir);
    if existing == Existing::Keep {
        refuse_existing(&pki, parties)?;
    }
    make_folders(dir)?;

    let root_key = new_key()?;
    let root_params = authority("Tessera development root", now);
    let root_certificate = root_params.self_signed(&root_key)?;
    write(&pki.root(), &root_certificate.pem(), &root_key)?;
    let issuer = Issuer::new(root_params, root_key);

    let gateway = Party { name: "Tessera gateway", uri: GATEWAY_URI.to_owned(), serves: true };
    mint_party(&issuer, &pki.gateway(), &gateway, now)?;
    for code in &parties.members {
        let member = Party { name: code.as_str(), uri: member_uri(code), serves: true };
        mint_party(&issuer, &pki.member(code), &member, now)?;
    }
    for name in &parties.clients {
        let client = Party { name: name.as_str(), uri: client_uri(name), serves: false };
        mint_party(&issuer, &pki.client(name), &client, now)?;
    }
    Ok(pki)
}

pub(super) struct Party<'a> {
    pub(super) name: &'a str,
    pub(super) uri: String,
    /// Whether others connect to it, so that it needs host names and server usage.
    pub(super) serves: bool,
}

fn refuse_existing(pki: &DevelopmentPki, parties: &PkiParties) -> Result<(), PkiError> {
    let members = parties.members.iter().map(|code| pki.member(code));
    let clients = parties.clients.iter().map(|name| pki.client(name));
    let all = [pki.root(), pki.gateway()].into_iter().chain(members).chain(clients);
    match all.flat_map(|files| [files.certificate, files.key]).find(|path| path.exists()) {
        Some(path) => Err(PkiError::Exists(path)),
        None => Ok(()),
    }
}

fn make_folders(dir: &Path) -> Result<(), PkiError> {
    for folder in [dir.to_owned(), dir.join("members"), dir.join("clients")] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| PkiError::Write { path: folder, source })?;
    }
    Ok(())
}

pub(super) fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn mint_party(
    issuer: &Issuer<'_, KeyPair>,
    files: &CredentialFiles,
    party: &Party<'_>,
    now: OffsetDateTime,
) -> Result<(), PkiError> {
    let key = new_key()?;
    let certificate = leaf(party, now)?.signed_by(&key, issuer)?;
    write(files, &certificate.pem(), &key)
}

pub(super) fn authority(name: &str, now: OffsetDateTime) -> CertificateParams {
    let mut params = validity(name, now);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(super) fn leaf(
    party: &Party<'_>,
    now: OffsetDateTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = validity(party.name, now);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::URI(party.uri.as_str().try_into()?)];
    params.use_authority_key_identifier_extension = true;
    if party.serves {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names.extend([
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ]);
    }
    Ok(params)
}

fn validity(name: &str, now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - CLOCK_SKEW_MAX;
    params.not_after = now + VALIDITY;
    params
}

fn write(files: &CredentialFiles, certificate: &str, key: &KeyPair) -> Result<(), PkiError> {
    write_file(&files.key, &key.serialize_pem(), 0o600)?;
    write_file(&files.certificate, certificate, 0o644)
}

fn write_file(path: &Path, content: &str, mode: u32) -> Result<(), PkiError> {
    let failed = |source| PkiError::Write { path: path.to_owned(), source };
    // A file that is there keeps its mode when it is written over, so it goes first.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)
}

/// Why no PKI was minted.
#[derive(Debug, Error)]
pub enum PkiError {
    /// There is one already.
    #[error("{} exists already, and was not to be replaced", .0.display())]
    Exists(PathBuf),
    /// A file or folder that cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate that TLS does not take.
    #[error("a minted certificate cannot be used")]
    Unusable(#[source] rustls::Error),
    /// A certificate that cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use x509_parser::{
        certificate::X509Certificate, extensions::GeneralName, pem::parse_x509_pem,
        prelude::FromDer as _,
    };

    use super::*;

    fn parties() -> PkiParties {
        let code = |text| MemberCode::parse(text).expect("a code");
        PkiParties { members: vec![code("mercy")], clients: vec![code("ed")] }
    }

    fn minted(dir: &Path) -> DevelopmentPki {
        let now = OffsetDateTime::now_utc();
        mint_development_pki(dir, now, &parties(), Existing::Keep).expect("an empty folder")
    }

    #[test]
    fn a_member_certificate_serves_and_connects_and_names_the_member() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = minted(dir.path()).member(&parties().members[0]);
        let text = fs::read(&files.certificate).expect("written");
        let (_, pem) = parse_x509_pem(&text).expect("PEM");
        let (_, certificate) = X509Certificate::from_der(&pem.contents).expect("DER");
        let usage = certificate.extended_key_usage().expect("legal").expect("there").value;
        assert!(usage.server_auth && usage.client_auth);
        let names = &certificate.subject_alternative_name().expect("legal").expect("there").value;
        assert!(names.general_names.contains(&GeneralName::URI("urn:tessera:member:mercy")));
        assert!(names.general_names.contains(&GeneralName::DNSName("localhost")));
        let validity = certificate.validity();
        let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
        assert_eq!(days, 30);
        assert!(files.read().is_ok());
    }

    #[test]
    fn keys_are_readable_by_their_owner_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let pki = minted(dir.path());
        let parties = parties();
        let all = [pki.root(), pki.gateway(), pki.member(&parties.members[0])];
        for files in all.into_iter().chain([pki.client(&parties.clients[0])]) {
            let mode = fs::metadata(files.key).expect("written").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn existing_certificates_are_replaced_only_on_demand() {
        let dir = tempfile::tempdir().expect("a folder");
        let pki = minted(dir.path());
        let before = fs::read(pki.root_certificate()).expect("written");
        let again = |existing| {
            mint_development_pki(dir.path(), OffsetDateTime::now_utc(), &parties(), existing)
        };
        assert!(matches!(again(Existing::Keep), Err(PkiError::Exists(_))));
        assert_eq!(fs::read(pki.root_certificate()).expect("kept"), before);
        again(Existing::Replace).expect("replaced");
        assert_ne!(fs::read(pki.root_certificate()).expect("replaced"), before);
    }
}
