use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Deserialize;
use thiserror::Error;
use time::OffsetDateTime;

use super::certificate::Leaf;
use super::{
    InvalidRevocations, Refusal, Requester, RequestingOrganization, Revocations, Role, RoleSet,
};
use crate::domain::{MemberCode, PurposeOfUse};

/// Clients of one exchange: a few systems for each of a few thousand members.
const CLIENTS_MAX: usize = 50_000;
/// A file of that many clients stays below this.
const FILE_BYTES_MAX: usize = 32 << 20;
/// The longest id, name or URI, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Certificates of one client: the old and the new one at a renewal, a few machines of a cluster.
const SAN_URIS_MAX: usize = 16;

/// Everybody who may knock, known by the SAN URI of their certificate.
#[derive(Debug)]
pub struct Clients {
    requesters: BTreeMap<String, Arc<Requester>>,
    by_uri: HashMap<String, Arc<Requester>>,
    told: Revocations,
    revoked: ArcSwap<Revocations>,
}

impl Clients {
    /// Reads a `clients.toml`. Unknown keys are refused by name.
    pub fn from_toml(text: &str) -> Result<Self, InvalidClients> {
        if text.len() > FILE_BYTES_MAX {
            return Err(InvalidClients::FileTooLarge);
        }
        let file: ClientsFile = toml::from_str(text).map_err(|error| {
            InvalidClients::Syntax(crate::directory::toml_complaint(text, &error))
        })?;
        if file.client.len() > CLIENTS_MAX {
            return Err(InvalidClients::TooMany);
        }
        let mut told = Revocations::default();
        for serial in &file.revoked_serials {
            told.add_serial(serial).map_err(InvalidClients::Revoked)?;
        }
        let mut requesters = BTreeMap::new();
        let mut by_uri = HashMap::new();
        for client in file.client {
            let id = client.id.clone();
            let wrong = |reason| InvalidClients::Client { id: id.clone(), reason };
            let (uris, requester) = client.check().map_err(wrong)?;
            let requester = Arc::new(requester);
            for uri in uris {
                if by_uri.insert(uri.clone(), Arc::clone(&requester)).is_some() {
                    return Err(wrong(InvalidClient::SharedSanUri(uri)));
                }
            }
            if requesters.insert(id.clone(), requester).is_some() {
                return Err(wrong(InvalidClient::SameId));
            }
        }
        let revoked = ArcSwap::from_pointee(told.clone());
        Ok(Self { requesters, by_uri, told, revoked })
    }

    /// Finds who presents this certificate. TLS verified the chain when the connection was made;
    /// this checks validity and revocation again for each request, since connections live long.
    pub fn authenticate(
        &self,
        leaf_der: &[u8],
        now: OffsetDateTime,
    ) -> Result<Arc<Requester>, Refusal> {
        let leaf = Leaf::parse(leaf_der)?;
        leaf.check(now, &self.revoked.load())?;
        let mut found: Option<&Arc<Requester>> = None;
        for uri in leaf.san_uris()? {
            if let Some(requester) = self.by_uri.get(uri) {
                if found.is_some_and(|other| !Arc::ptr_eq(other, requester)) {
                    return Err(Refusal::AmbiguousClient);
                }
                found = Some(requester);
            }
        }
        found.cloned().ok_or(Refusal::UnknownClient)
    }

    /// The client whom a command on this machine acts for. Whoever runs one can read the database
    /// itself, so no certificate is asked; never reachable from the network.
    pub fn on_this_machine(&self, client_id: &str) -> Option<Arc<Requester>> {
        self.requesters.get(client_id).cloned()
    }

    /// Puts the revocation lists (PEM) in force, with the serial numbers of `clients.toml`, in place
    /// of all earlier ones. One that cannot be read changes nothing.
    pub fn set_revocation_lists<'a>(
        &self,
        lists: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), InvalidRevocations> {
        let mut revoked = self.told.clone();
        for pem in lists {
            revoked.add_crl_pem(pem)?;
        }
        self.revoked.store(Arc::new(revoked));
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientsFile {
    #[serde(default)]
    revoked_serials: Vec<String>,
    #[serde(default)]
    client: Vec<ToldClient>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldClient {
    id: String,
    san_uris: Vec<String>,
    organization: ToldOrganization,
    roles: Vec<Role>,
    #[serde(default)]
    purposes: Vec<String>,
    #[serde(default)]
    default_purpose: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldOrganization {
    name: String,
    identifier: String,
    #[serde(default)]
    member: Option<String>,
}

impl ToldClient {
    fn check(self) -> Result<(Vec<String>, Requester), InvalidClient> {
        text("id", &self.id)?;
        text("organization.name", &self.organization.name)?;
        text("organization.identifier", &self.organization.identifier)?;
        let uris = san_uris(self.san_uris)?;
        let roles: RoleSet = self.roles.iter().copied().collect();
        if roles.is_empty() {
            return Err(InvalidClient::NoRole);
        }
        let member = self
            .organization
            .member
            .map(|code| MemberCode::parse(&code).map_err(|_| InvalidClient::Member))
            .transpose()?;
        if roles.has(Role::Feed) && member.is_none() {
            return Err(InvalidClient::FeedWithoutMember);
        }
        let purposes = self.purposes.iter().map(|code| purpose("purposes", code));
        let purposes: Vec<PurposeOfUse> = purposes.collect::<Result<_, _>>()?;
        let default_purpose =
            self.default_purpose.map(|code| purpose("default_purpose", &code)).transpose()?;
        check_purposes(roles, &purposes, default_purpose)?;
        let organization = RequestingOrganization {
            name: self.organization.name,
            identifier: self.organization.identifier,
            member,
        };
        let client_id = self.id;
        Ok((uris, Requester { client_id, organization, roles, purposes, default_purpose }))
    }
}

fn text(key: &'static str, value: &str) -> Result<(), InvalidClient> {
    if value.trim().is_empty() || value.len() > TEXT_BYTES_MAX {
        return Err(InvalidClient::Text(key));
    }
    Ok(())
}

fn san_uris(uris: Vec<String>) -> Result<Vec<String>, InvalidClient> {
    if uris.is_empty() || uris.len() > SAN_URIS_MAX {
        return Err(InvalidClient::SanUris);
    }
    for uri in &uris {
        let legal = |b: u8| b.is_ascii_graphic();
        if !uri.contains(':') || !uri.bytes().all(legal) || uri.len() > TEXT_BYTES_MAX {
            return Err(InvalidClient::SanUri(uri.clone()));
        }
    }
    let mut seen = HashSet::new();
    if let Some(twice) = uris.iter().find(|uri| !seen.insert(uri.as_str())) {
        return Err(InvalidClient::SharedSanUri(twice.clone()));
    }
    Ok(uris)
}

fn purpose(key: &'static str, code: &str) -> Result<PurposeOfUse, InvalidClient> {
    PurposeOfUse::parse(code).map_err(|_| InvalidClient::Purpose { key, code: code.to_owned() })
}

fn check_purposes(
    roles: RoleSet,
    purposes: &[PurposeOfUse],
    default: Option<PurposeOfUse>,
) -> Result<(), InvalidClient> {
    if roles.has(Role::Query) && purposes.is_empty() {
        return Err(InvalidClient::QueryWithoutPurpose);
    }
    let emergency = purposes.iter().find(|purpose| purpose.is_emergency());
    match (emergency, roles.has(Role::Emergency)) {
        (Some(purpose), false) => return Err(InvalidClient::EmergencyWithoutRole(*purpose)),
        (None, true) => return Err(InvalidClient::EmergencyWithoutPurpose),
        _ => {}
    }
    match default {
        // An emergency is declared each time by whoever is in it, never by a file.
        Some(purpose) if purpose.is_emergency() => Err(InvalidClient::EmergencyByDefault),
        Some(purpose) if !purposes.contains(&purpose) => Err(InvalidClient::DefaultNotAllowed),
        _ => Ok(()),
    }
}

/// Why a list of clients was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidClients {
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{0}")]
    Syntax(String),
    /// More than 32 MiB.
    #[error("the file is larger than {FILE_BYTES_MAX} bytes")]
    FileTooLarge,
    /// Too many clients.
    #[error("an exchange has at most {CLIENTS_MAX} clients")]
    TooMany,
    /// A revoked serial number is none.
    #[error("revoked_serials: {0}")]
    Revoked(InvalidRevocations),
    /// One client's description is wrong.
    #[error("client {id:?}: {reason}")]
    Client {
        /// Its id as told.
        id: String,
        /// What is wrong.
        reason: InvalidClient,
    },
}

/// What is wrong with one client's description.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidClient {
    /// Empty or too long.
    #[error("{0}: must be 1 to {TEXT_BYTES_MAX} bytes")]
    Text(&'static str),
    /// The id is used twice.
    #[error("id: is used twice")]
    SameId,
    /// None, or too many.
    #[error("san_uris: must name 1 to {SAN_URIS_MAX} SAN URIs of its certificates")]
    SanUris,
    /// Not a URI.
    #[error("san_uris: {0:?} is not a URI")]
    SanUri(String),
    /// Two clients, or one twice, have the same URI.
    #[error("san_uris: {0} is told twice; a certificate must name one client")]
    SharedSanUri(String),
    /// No role at all.
    #[error("roles: must name at least one of feed, query, emergency, steward, operator, auditor")]
    NoRole,
    /// Not a member code.
    #[error("organization.member: a member code is 1 to 20 of a-z, 0-9 and hyphen")]
    Member,
    /// Feeds need to know whose they are.
    #[error("roles: feed needs organization.member")]
    FeedWithoutMember,
    /// Not a purpose that the exchange knows.
    #[error("{key}: {code:?} is not a purpose of use that this exchange knows")]
    Purpose {
        /// The key in the file.
        key: &'static str,
        /// The code as told.
        code: String,
    },
    /// A query has a purpose.
    #[error("roles: query needs at least one of purposes")]
    QueryWithoutPurpose,
    /// An emergency purpose without its role.
    #[error("purposes: {0} needs the emergency role")]
    EmergencyWithoutRole(PurposeOfUse),
    /// The emergency role without a purpose that needs it.
    #[error("roles: emergency needs ETREAT or BTG among purposes")]
    EmergencyWithoutPurpose,
    /// An emergency nobody declared.
    #[error("default_purpose: an emergency must be declared with each request")]
    EmergencyByDefault,
    /// A default that is not allowed.
    #[error("default_purpose: must be one of purposes")]
    DefaultNotAllowed,
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
        RevokedCertParams, SanType, SerialNumber,
    };
    use time::Duration;

    use super::*;
    use crate::access::fixture::{CLIENTS, NOW, clients};

    fn key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }

    /// A leaf, self-signed: TLS, not this room, looks at the chain.
    fn leaf(uris: &[&str], serial: u64, from: Duration, to: Duration) -> Vec<u8> {
        let mut params = CertificateParams::new(["client.example".to_owned()]).expect("a name");
        let uri = |text: &&str| SanType::URI((*text).try_into().expect("a URI"));
        params.subject_alt_names.extend(uris.iter().map(uri));
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = NOW + from;
        params.not_after = NOW + to;
        params.self_signed(&key()).expect("a certificate").der().to_vec()
    }

    fn check(uris: &[&str], serial: u64, from: i64, to: i64, expected: Result<&str, Refusal>) {
        let der = leaf(uris, serial, Duration::seconds(from), Duration::seconds(to));
        let found = clients().authenticate(&der, NOW);
        let found = found.as_ref().map(|one| one.client_id()).map_err(|refusal| *refusal);
        assert_eq!(found, expected, "{uris:?} {serial:x} {from} {to}");
    }

    #[test]
    fn a_client_is_known_by_the_uri_in_its_certificate() {
        let ed = ["urn:client:anne-ed"];
        check(&ed, 1, -10, 10, Ok("anne-ed"));
        check(&["urn:client:anne-ed-2"], 1, -10, 10, Ok("anne-ed"));
        check(&["urn:client:anne-ed", "urn:client:anne-ed-2"], 1, -10, 10, Ok("anne-ed"));
        check(&["urn:other", "urn:client:anne-ed"], 1, -10, 10, Ok("anne-ed"));
        check(&["urn:client:ANNE-ED"], 1, -10, 10, Err(Refusal::UnknownClient));
        check(&[], 1, -10, 10, Err(Refusal::UnknownClient));
        let two = ["urn:client:anne-ed", "urn:client:anne-feed"];
        check(&two, 1, -10, 10, Err(Refusal::AmbiguousClient));
    }

    #[test]
    fn validity_has_both_its_ends() {
        let ed = ["urn:client:anne-ed"];
        check(&ed, 1, 0, 10, Ok("anne-ed"));
        check(&ed, 1, -10, 0, Ok("anne-ed"));
        check(&ed, 1, 1, 10, Err(Refusal::CertificateNotYetValid));
        check(&ed, 1, -10, -1, Err(Refusal::CertificateExpired));
    }

    #[test]
    fn a_revoked_serial_number_is_refused() {
        let ed = ["urn:client:anne-ed"];
        check(&ed, 0xbad1, -10, 10, Err(Refusal::CertificateRevoked));
        check(&ed, 0xbad2, -10, 10, Ok("anne-ed"));
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        let clients = clients();
        let whole = leaf(&["urn:client:anne-ed"], 1, Duration::seconds(-1), Duration::seconds(1));
        let mut longer = whole.clone();
        longer.push(0);
        for der in [&[][..], b"-----BEGIN CERTIFICATE-----", &whole[..40], &longer] {
            assert_eq!(clients.authenticate(der, NOW), Err(Refusal::UnreadableCertificate));
        }
    }

    #[test]
    fn a_revocation_list_counts_for_its_own_issuer() {
        let (ca_key, mut ca) = (key(), CertificateParams::default());
        ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = Issuer::new(ca, &ca_key);
        let mut params = CertificateParams::default();
        params
            .subject_alt_names
            .push(SanType::URI("urn:client:anne-ed".try_into().expect("a URI")));
        params.serial_number = Some(SerialNumber::from(0x80_u64));
        (params.not_before, params.not_after) = (NOW - Duration::DAY, NOW + Duration::DAY);
        let issued = params.signed_by(&key(), &issuer).expect("a certificate").der().to_vec();
        let mut other = CertificateParams::default();
        other.distinguished_name.push(rcgen::DnType::CommonName, "another issuer");
        let other = Issuer::new(other, &ca_key);
        let list = |issuer: &Issuer<'_, &KeyPair>| {
            let revoked = RevokedCertParams {
                serial_number: SerialNumber::from(0x80_u64),
                revocation_time: NOW,
                reason_code: None,
                invalidity_date: None,
            };
            CertificateRevocationListParams {
                this_update: NOW,
                next_update: NOW + Duration::DAY,
                crl_number: SerialNumber::from(1_u64),
                issuing_distribution_point: None,
                revoked_certs: vec![revoked],
                key_identifier_method: KeyIdMethod::Sha256,
            }
            .signed_by(issuer)
            .and_then(|list| list.pem())
            .expect("a revocation list")
        };
        let clients = clients();
        let asked = || clients.authenticate(&issued, NOW).map(|_| ());
        clients.set_revocation_lists([list(&other).as_bytes()]).expect("the list is read");
        assert_eq!(asked(), Ok(()));
        clients.set_revocation_lists([list(&issuer).as_bytes()]).expect("the list is read");
        assert_eq!(asked(), Err(Refusal::CertificateRevoked));
        let bad = clients.set_revocation_lists([b"-----BEGIN X509 CRL-----\nxx".as_slice()]);
        assert!(bad.is_err());
        assert_eq!(asked(), Err(Refusal::CertificateRevoked), "a bad list changes nothing");
        clients.set_revocation_lists([]).expect("no list");
        assert_eq!(asked(), Ok(()));
    }

    #[test]
    fn the_shipped_example_is_good() {
        let shipped = include_str!("../../config/clients.toml");
        let clients = Clients::from_toml(shipped).expect("the example is good");
        let ed = clients.on_this_machine("st-anne-ed").expect("it is in the example");
        assert_eq!(ed.purpose(Some("BTG")), Ok(PurposeOfUse::BreakGlass));
    }

    #[test]
    fn each_fault_of_a_file_is_named_with_its_key() {
        for (from, to, expected) in [
            ("default_purpose", "defualt_purpose", "unknown field `defualt_purpose`"),
            ("\"steward\"]", "\"stewart\"]", "unknown variant `stewart`"),
            ("BA:D1", "BA:D", "revoked_serials: "),
            (
                "urn:client:anne-ed-2",
                "urn:client:anne-ed",
                "san_uris: urn:client:anne-ed is told twice",
            ),
            ("urn:client:anne-feed", "urn:client:anne-ed", "a certificate must name one client"),
            ("urn:client:anne-feed", "anne feed", "is not a URI"),
            ("[\"urn:client:anne-feed\"]", "[]", "san_uris: must name"),
            ("id = \"anne-feed\"", "id = \"anne-ed\"", "client \"anne-ed\": id: is used twice"),
            ("roles = [\"steward\"]", "roles = []", "roles: must name"),
            ("roles = [\"steward\"]", "roles = [\"feed\"]", "feed needs organization.member"),
            (
                "roles = [\"steward\"]",
                "roles = [\"query\"]",
                "query needs at least one of purposes",
            ),
            ("\"HPAYMT\"]", "\"PAY\"]", "purposes: \"PAY\" is not a purpose"),
            ("\"query\", \"emergency\"", "\"query\"", "ETREAT needs the emergency role"),
            ("\"ETREAT\", \"BTG\", ", "", "emergency needs ETREAT or BTG"),
            ("default_purpose = \"TREAT\"", "default_purpose = \"ETREAT\"", "must be declared"),
            ("default_purpose = \"TREAT\"", "default_purpose = \"PUBHLTH\"", "must be one of"),
            ("member = \"gone\"", "member = \"Gone\"", "organization.member: a member code"),
        ] {
            let complaint = match Clients::from_toml(&CLIENTS.replacen(from, to, 1)) {
                Ok(_) => "accepted".to_owned(),
                Err(reason) => reason.to_string(),
            };
            assert!(complaint.contains(expected), "{to}: {complaint}");
        }
    }
}
