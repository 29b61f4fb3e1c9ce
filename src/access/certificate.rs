use std::collections::HashSet;

use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer, GeneralName, Pem, X509Certificate};

use super::Refusal;

/// What access reads from a client's leaf certificate. The chain was verified by TLS.
pub(super) struct Leaf<'a> {
    certificate: X509Certificate<'a>,
}

impl<'a> Leaf<'a> {
    /// Reads the DER form; nothing may follow it.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, Refusal> {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(Self { certificate }),
            _ => Err(Refusal::UnreadableCertificate),
        }
    }

    /// Checks the validity period, both ends included (RFC 5280 §4.1.2.5), and revocation. A pooled
    /// connection outlives both, so this is asked for each request.
    pub(super) fn check(&self, now: OffsetDateTime, revoked: &Revocations) -> Result<(), Refusal> {
        let validity = self.certificate.validity();
        let now = now.unix_timestamp();
        if now < validity.not_before.timestamp() {
            return Err(Refusal::CertificateNotYetValid);
        }
        if validity.not_after.timestamp() < now {
            return Err(Refusal::CertificateExpired);
        }
        let serial = significant(self.certificate.raw_serial());
        if revoked.has(self.certificate.issuer().as_raw(), serial) {
            return Err(Refusal::CertificateRevoked);
        }
        Ok(())
    }

    /// The URIs of the subject alternative name. An extension that cannot be read, or that is there
    /// twice, makes the certificate unreadable.
    pub(super) fn san_uris(&self) -> Result<Vec<&str>, Refusal> {
        let san = self
            .certificate
            .subject_alternative_name()
            .map_err(|_| Refusal::UnreadableCertificate)?;
        let names = san.map(|san| san.value.general_names.as_slice()).unwrap_or_default();
        Ok(names
            .iter()
            .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
            .collect())
    }
}

/// Serial numbers of certificates that no longer count.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    /// From revocation lists: issuer's name (DER) and serial number.
    listed: HashSet<(Vec<u8>, Vec<u8>)>,
    /// Told by an operator, whoever issued them.
    told: HashSet<Vec<u8>>,
}

impl Revocations {
    /// Adds the serial numbers of a revocation list in PEM. Whether a trusted issuer signed the
    /// list is checked where it is loaded for TLS.
    pub fn add_crl_pem(&mut self, pem: &[u8]) -> Result<(), InvalidRevocations> {
        for block in Pem::iter_from_buffer(pem) {
            let block = block.map_err(|_| InvalidRevocations::Pem)?;
            let (_, list) = CertificateRevocationList::from_der(&block.contents)
                .map_err(|_| InvalidRevocations::List)?;
            let issuer = list.issuer().as_raw().to_vec();
            self.listed.extend(
                list.iter_revoked_certificates()
                    .map(|revoked| (issuer.clone(), significant(revoked.raw_serial()).to_vec())),
            );
        }
        Ok(())
    }

    /// Adds one serial number in hexadecimal, colons allowed, whoever issued it.
    pub fn add_serial(&mut self, hex: &str) -> Result<(), InvalidRevocations> {
        let digits: Vec<u8> = hex.bytes().filter(|b| *b != b':').collect();
        let bad = || InvalidRevocations::Serial(hex.to_owned());
        // RFC 5280 §4.1.2.2: a serial number has at most 20 octets.
        if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 40 {
            return Err(bad());
        }
        let serial: Option<Vec<u8>> = digits
            .chunks_exact(2)
            .map(|pair| {
                let high = char::from(pair[0]).to_digit(16)?;
                let low = char::from(pair[1]).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()
            })
            .collect();
        self.told.insert(significant(&serial.ok_or_else(bad)?).to_vec());
        Ok(())
    }

    fn has(&self, issuer: &[u8], serial: &[u8]) -> bool {
        self.told.contains(serial)
            || !self.listed.is_empty() && self.listed.contains(&(issuer.to_vec(), serial.to_vec()))
    }
}

/// A serial number without the zero octet that DER puts before a high bit.
fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|octet| **octet == 0).count();
    &serial[zeros..]
}

/// Why a list of revoked serial numbers was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidRevocations {
    /// Not PEM.
    #[error("the revocation list is not PEM")]
    Pem,
    /// Not a revocation list.
    #[error("a PEM block is no certificate revocation list")]
    List,
    /// Not hexadecimal.
    #[error("{0:?} is no serial number: an even count of hexadecimal digits, 40 at most")]
    Serial(String),
}
