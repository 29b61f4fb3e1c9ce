use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use time::UtcOffset;
use url::Url;

use super::{
    Authorization, Discovery, InvalidMember, Learned, MemberLimits, MemberStatus, Quirk,
    authority::{self, AssigningAuthority},
    invalid_member::within,
};
use crate::domain::{LocalId, MemberCode};

/// The longest name or identifier of a member, in bytes: enough for any legal name, short enough to show.
pub(super) const TEXT_BYTES_MAX: usize = 256;
/// Identifier systems of one member: a network of hospitals has a few dozen.
pub(super) const IDENTIFIER_SYSTEMS_MAX: usize = 64;
/// Postal areas of one member: a state has some hundred by their first three digits.
pub(super) const POSTAL_CODES_MAX: usize = 1_000;
/// FHIR R4 has 148 resource types.
const TYPES_MAX: usize = 148;

/// One organization in the exchange and how to reach it.
///
/// Made only by [`Member::parse`], so every `Member` keeps the bounds below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ToldMember")]
pub struct Member {
    code: MemberCode,
    name: String,
    organization: String,
    identifier_systems: Vec<String>,
    #[serde(serialize_with = "as_text")]
    fhir_base: Url,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_anchor: Option<String>,
    status: MemberStatus,
    discovery: Discovery,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    broadcast: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    serves_postal_codes: Vec<String>,
    tls_min: TlsVersion,
    deadline_ms: u32,
    limits: MemberLimits,
    quirks: Vec<Quirk>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authority: Vec<AssigningAuthority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    utc_offset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_matches: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers_kept_s: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrivals_as: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unserved_types: Vec<String>,
    #[serde(skip_serializing_if = "is_none")]
    authorization: Authorization,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_patient: Option<String>,
}

fn is_none(told: &Authorization) -> bool {
    *told == Authorization::None
}

impl Member {
    /// Checks what a file or the store tells of a member.
    pub fn parse(told: ToldMember) -> Result<Self, InvalidMember> {
        let code = MemberCode::parse(&told.code).map_err(|_| InvalidMember::Code)?;
        bounded("name", &told.name)?;
        bounded("organization", &told.organization)?;
        if !told.organization.contains(':') {
            return Err(InvalidMember::OrganizationNotUri);
        }
        for (key, value) in [
            ("server_name", &told.server_name),
            ("trust_anchor", &told.trust_anchor),
            ("arrivals_as", &told.arrivals_as),
        ] {
            if let Some(value) = value {
                bounded(key, value)?;
            }
        }
        told.limits.check()?;
        within("deadline_ms", u64::from(told.deadline_ms), 100, 120_000)?;
        let mut quirks = told.quirks;
        quirks.sort_unstable();
        quirks.dedup();
        let serves_postal_codes = postal_codes(&told.serves_postal_codes)?;
        let identifier_systems = identifier_systems(told.identifier_systems)?;
        authority::check(&told.authority, &identifier_systems)?;
        told.utc_offset.as_deref().map(authority::utc_offset).transpose()?;
        told.authorization.check()?;
        if let Some(patient) = &told.check_patient {
            local_id(patient).ok_or(InvalidMember::CheckPatient)?;
        }
        if let Some(matches) = told.page_matches {
            within("page_matches", matches.into(), 1, 10_000)?;
        }
        if let Some(seconds) = told.answers_kept_s {
            within("answers_kept_s", seconds.into(), 0, 3_600)?;
        }
        let mut unserved_types = told.unserved_types;
        unserved_types.sort_unstable();
        unserved_types.dedup();
        let is_type = |name: &String| {
            name.len() <= 64 && name.bytes().all(|letter| letter.is_ascii_alphabetic())
        };
        if unserved_types.len() > TYPES_MAX || !unserved_types.iter().all(is_type) {
            return Err(InvalidMember::UnservedTypes);
        }
        Ok(Self {
            code,
            name: told.name,
            organization: told.organization,
            identifier_systems,
            fhir_base: fhir_base(&told.fhir_base)?,
            server_name: told.server_name,
            trust_anchor: told.trust_anchor,
            status: told.status.unwrap_or_default(),
            discovery: told.discovery,
            broadcast: told.broadcast,
            serves_postal_codes,
            tls_min: told.tls_min,
            deadline_ms: told.deadline_ms,
            limits: told.limits,
            quirks,
            authority: told.authority,
            utc_offset: told.utc_offset,
            page_matches: told.page_matches,
            answers_kept_s: told.answers_kept_s,
            arrivals_as: told.arrivals_as,
            unserved_types,
            authorization: told.authorization,
            check_patient: told.check_patient,
        })
    }

    /// The same member with another status.
    #[must_use]
    pub fn with_status(&self, status: MemberStatus) -> Self {
        Self { status, ..self.clone() }
    }

    /// The same member with these quirks beside those it has.
    #[must_use]
    pub fn with_quirks(&self, learned: &[Quirk]) -> Self {
        let mut changed = self.clone();
        changed.quirks.extend(learned);
        changed.quirks.sort_unstable();
        changed.quirks.dedup();
        changed
    }

    /// The same member with what a check learned of its server.
    #[must_use]
    pub fn with_learned(&self, learned: &Learned) -> Self {
        let mut changed = self.with_quirks(&learned.quirks);
        changed.page_matches = learned.page_matches.or(changed.page_matches);
        changed.unserved_types.extend(learned.unserved_types.iter().cloned());
        changed.unserved_types.sort_unstable();
        changed.unserved_types.dedup();
        changed
    }

    /// Whether it is reached in the same way as `other`: a check of one says something of both.
    pub fn is_reached_like(&self, other: &Self) -> bool {
        self.fhir_base == other.fhir_base
            && self.server_name == other.server_name
            && self.trust_anchor == other.trust_anchor
            && self.tls_min == other.tls_min
            && self.authorization == other.authorization
            && self.discovery == other.discovery
    }

    /// The short code, the first part of every gateway id of its resources.
    pub fn code(&self) -> &MemberCode {
        &self.code
    }

    /// The name that people read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The organization's identifier, a URI such as `urn:oid:2.16.840.1.113883.…`.
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// Its own namespaces of record numbers; no other member has any of them.
    pub fn identifier_systems(&self) -> &[String] {
        &self.identifier_systems
    }

    /// Whether `system` is one of its own namespaces.
    pub fn owns_system(&self, system: &str) -> bool {
        self.identifier_systems.iter().any(|own| own == system)
    }

    /// Base of its FHIR R4 API: https, no query, no fragment, no trailing slash in
    /// [`Member::base`].
    pub fn fhir_base(&self) -> &Url {
        &self.fhir_base
    }

    /// The FHIR base as text without a trailing slash, ready for `/Patient`.
    pub fn base(&self) -> &str {
        self.fhir_base.as_str().trim_end_matches('/')
    }

    /// The name its certificate must bear, where that is not the host of the FHIR base.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// PEM file with the roots that its server certificate must chain to; the exchange's own root
    /// where none is told.
    pub fn trust_anchor(&self) -> Option<&str> {
        self.trust_anchor.as_deref()
    }

    /// Where it stands between coming and going.
    pub fn status(&self) -> MemberStatus {
        self.status
    }

    /// How its local identifiers are found.
    pub fn discovery(&self) -> Discovery {
        self.discovery
    }

    /// Whether everybody who is asked for may be looked for there, with nothing that points to it.
    pub fn takes_broadcasts(&self) -> bool {
        self.broadcast
    }

    /// Whether it serves people who live there, as far as the directory tells.
    pub fn serves(&self, postal_code: &str) -> bool {
        let lives = plain_postal_code(postal_code);
        self.serves_postal_codes.iter().any(|served| lives.starts_with(served.as_str()))
    }

    /// The oldest TLS version spoken with it.
    pub fn tls_min(&self) -> TlsVersion {
        self.tls_min
    }

    /// How long one query may wait for this member, in milliseconds.
    pub fn deadline_ms(&self) -> u32 {
        self.deadline_ms
    }

    /// What one answer of it may cost us.
    pub fn limits(&self) -> &MemberLimits {
        &self.limits
    }

    /// What its HL7 v2 messages call its namespaces.
    pub fn authorities(&self) -> &[AssigningAuthority] {
        &self.authority
    }

    /// The zone of times in its HL7 v2 messages that tell none; UTC where the file tells none.
    pub fn utc_offset(&self) -> UtcOffset {
        let told = self.utc_offset.as_deref().map(authority::utc_offset);
        told.and_then(Result::ok).unwrap_or(UtcOffset::UTC)
    }

    /// Matches to ask for a page, where its server wants another number than the exchange's.
    pub fn page_matches(&self) -> Option<u16> {
        self.page_matches
    }

    /// How long its answers are kept, where that is not as for others.
    pub fn answers_kept(&self) -> Option<Duration> {
        self.answers_kept_s.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The client as which records of those who arrive at its emergency department are gathered at once;
    /// none are where none is told.
    pub fn arrivals_as(&self) -> Option<&str> {
        self.arrivals_as.as_deref()
    }

    /// Resource types that its CapabilityStatement lists and that it does not serve.
    pub fn unserved_types(&self) -> &[String] {
        &self.unserved_types
    }

    /// How the gateway is let in there.
    pub fn authorization(&self) -> &Authorization {
        &self.authorization
    }

    /// A made-up patient whom it keeps for checks, so that they can try records and paging.
    pub fn check_patient(&self) -> Option<LocalId> {
        local_id(self.check_patient.as_deref()?)
    }

    /// What is odd about its server.
    pub fn quirks(&self) -> &[Quirk] {
        &self.quirks
    }

    /// Whether its server is known to behave so.
    pub fn has_quirk(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

/// A member as a file tells it, before it is checked. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldMember {
    /// `[a-z0-9-]{1,20}`.
    pub code: String,
    /// What people read.
    pub name: String,
    /// Identifier of the organization, a URI.
    pub organization: String,
    /// Its own namespaces of record numbers, URIs.
    pub identifier_systems: Vec<String>,
    /// https URL.
    pub fhir_base: String,
    /// Name in its certificate, where not the URL's host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// PEM file.
    #[serde(default)]
    pub trust_anchor: Option<String>,
    /// Left out, a member that is known keeps its status, and a new one is onboarding: nobody is
    /// asked before an operator says so.
    #[serde(default)]
    pub status: Option<MemberStatus>,
    /// Default: feed.
    #[serde(default)]
    pub discovery: Discovery,
    /// Whether anybody may be looked for there. Default: no.
    #[serde(default)]
    pub broadcast: bool,
    /// Beginnings of the postal codes whose people it serves.
    #[serde(default)]
    pub serves_postal_codes: Vec<String>,
    /// Default: 1.3.
    #[serde(default)]
    pub tls_min: TlsVersion,
    /// Milliseconds, 100 to 120,000.
    #[serde(default = "deadline_ms_default")]
    pub deadline_ms: u32,
    /// Bounds on one answer.
    #[serde(default)]
    pub limits: MemberLimits,
    /// What is odd about its server.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// What its HL7 v2 messages call its namespaces.
    #[serde(default)]
    pub authority: Vec<AssigningAuthority>,
    /// `±hh:mm`.
    #[serde(default)]
    pub utc_offset: Option<String>,
    /// Matches to ask for a page, 1 to 10,000; the exchange's number where absent.
    #[serde(default)]
    pub page_matches: Option<u16>,
    /// Seconds that its answers are kept, 0 to 3,600; as for others where absent.
    #[serde(default)]
    pub answers_kept_s: Option<u16>,
    /// A client of `clients.toml` that acts for it; arrivals are not minded where absent.
    #[serde(default)]
    pub arrivals_as: Option<String>,
    /// Types that it lists and does not serve.
    #[serde(default)]
    pub unserved_types: Vec<String>,
    /// How the gateway is let in.
    #[serde(default)]
    pub authorization: Authorization,
    /// A made-up patient to try with, as system|value.
    #[serde(default)]
    pub check_patient: Option<String>,
}

impl TryFrom<ToldMember> for Member {
    type Error = InvalidMember;

    fn try_from(told: ToldMember) -> Result<Self, Self::Error> {
        Self::parse(told)
    }
}

/// A physician waits about ten seconds before she turns to the telephone.
const fn deadline_ms_default() -> u32 {
    8_000
}

fn bounded(key: &'static str, value: &str) -> Result<(), InvalidMember> {
    if value.trim().is_empty() || value.len() > TEXT_BYTES_MAX {
        return Err(InvalidMember::Text { key });
    }
    Ok(())
}

fn identifier_systems(mut systems: Vec<String>) -> Result<Vec<String>, InvalidMember> {
    if systems.is_empty() || systems.len() > IDENTIFIER_SYSTEMS_MAX {
        return Err(InvalidMember::IdentifierSystems);
    }
    for system in &systems {
        let whole = !system.chars().any(|c| c.is_whitespace() || c == '|');
        if !whole || !system.contains(':') || system.len() > TEXT_BYTES_MAX {
            return Err(InvalidMember::IdentifierSystem(system.clone()));
        }
    }
    systems.sort_unstable();
    systems.dedup();
    Ok(systems)
}

fn local_id(told: &str) -> Option<LocalId> {
    let (system, value) = told.split_once('|')?;
    LocalId::parse(system, value).ok()
}

fn postal_codes(told: &[String]) -> Result<Vec<String>, InvalidMember> {
    let mut codes: Vec<String> = told.iter().map(|code| plain_postal_code(code)).collect();
    let is_beginning = |code: &String| (2..=10).contains(&code.len());
    if codes.len() > POSTAL_CODES_MAX || !codes.iter().all(is_beginning) {
        return Err(InvalidMember::PostalCodes);
    }
    codes.sort_unstable();
    codes.dedup();
    Ok(codes)
}

/// Letters and digits alone: `13126-1234` is `131261234`.
fn plain_postal_code(told: &str) -> String {
    let plain = told.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|letter| letter.to_ascii_uppercase()).collect()
}

fn fhir_base(text: &str) -> Result<Url, InvalidMember> {
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| InvalidMember::FhirBase)?;
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if plain && text.len() <= 2 * TEXT_BYTES_MAX { Ok(url) } else { Err(InvalidMember::FhirBase) }
}

fn as_text<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}

/// The oldest TLS version spoken with a member; both with AEAD suites only (BCP 195).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}
