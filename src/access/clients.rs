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
