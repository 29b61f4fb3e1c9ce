//! The connection to one member: its TLS, its tokens, its requests' patience.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{
    health::Figures,
    http::HttpTransport,
    member_base::MemberBase,
    member_client::MemberClient,
    settings::FederationSettings,
    token::{TokenSource, UnusableSecret},
};
use crate::{
    directory::{Member, TlsVersion},
    domain::Clock,
    tls::{
        Credentials, MemberTls, TrustRoots, client_config, expect_server_name, read_trust_roots,
    },
};

/// With what the gateway shows itself to members, and whom it trusts there.
#[derive(Clone, Debug)]
pub struct GatewayIdentity {
    /// The gateway's certificate and key.
    pub credentials: Credentials,
    /// Authorities of members that have no trust anchor of their own.
    pub authorities: TrustRoots,
}

/// What every connection leans on.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) settings: Arc<FederationSettings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) requests_in_all: Arc<Semaphore>,
}

/// The connection to one member, as the directory described it when it was made.
pub(super) struct Connection {
    pub(super) member: Member,
    pub(super) identity: Arc<GatewayIdentity>,
    pub(super) base: MemberBase,
    pub(super) client: MemberClient<HttpTransport>,
}

impl Connection {
    /// Nothing is sent yet; an error where the directory's entry leads to no connection.
    pub(super) fn new(
        member: &Member,
        identity: Arc<GatewayIdentity>,
        means: &Means,
        figures: Arc<Figures>,
    ) -> Result<Self, &'static str> {
        let base = MemberBase::parse(member.base()).map_err(|_| "its FHIR base is not usable")?;
        let tls = tls_towards(member, &identity)?;
        let requests_max = usize::from(member.limits().requests_max);
        let transport = HttpTransport::new(tls, requests_max, &means.settings)
            .map_err(|_| "no HTTP client can be made for it")?;
        let clock = Arc::clone(&means.clock);
        let tokens = TokenSource::of(member.authorization(), &base, transport.client(), clock)
            .map_err(|UnusableSecret(why)| why)?;
        let client = MemberClient::new(
            member.code().clone(),
            transport.with_tokens(tokens),
            requests_max,
            Arc::clone(&means.requests_in_all),
            &means.settings,
        )
        .with_figures(figures);
        Ok(Self { member: member.clone(), identity, base, client })
    }
}

/// How TLS is spoken with a member.
pub(super) fn tls_towards(
    member: &Member,
    identity: &GatewayIdentity,
) -> Result<rustls::ClientConfig, &'static str> {
    let authorities = match member.trust_anchor() {
        Some(path) => {
            read_trust_roots(path.as_ref()).map_err(|_| "its trust anchor is not readable")?
        }
        None => identity.authorities.clone(),
    };
    let versions = match member.tls_min() {
        TlsVersion::Tls12 => MemberTls::Tls12OrLater,
        TlsVersion::Tls13 => MemberTls::Tls13,
    };
    let mut config = client_config(&identity.credentials, &authorities, versions)
        .map_err(|_| "the gateway's certificate is not usable")?;
    if let (Some(name), Some(host)) = (member.server_name(), member.fhir_base().host_str()) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        expect_server_name(&mut config, &authorities, host, name)
            .map_err(|_| "its server_name is not the name of a host")?;
    }
    Ok(config)
}
