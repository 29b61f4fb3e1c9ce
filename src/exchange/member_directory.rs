//! The members as an IHE mCSD directory (ITI-90): `Organization`, `Endpoint` and
//! `OrganizationAffiliation`, made of the directory's entries and never stored.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::{
    directory::{Directory, Member, MemberStatus},
    fhir::{
        dates::TimeRange,
        search::{InvalidSearch, Modifier, SearchParameter, SearchQuery},
    },
};

/// The id of the exchange's own Organization; no member code has a capital letter.
const EXCHANGE_ID: &str = "Exchange";
const ROLES: &str = "http://hl7.org/fhir/organization-role";
const ORGANIZATION_TYPES: &str = "http://terminology.hl7.org/CodeSystem/organization-type";
const CONNECTION_TYPES: &str = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type";
const PAYLOAD_TYPES: &str = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type";
const IDENTIFIER_SYSTEM: &str = "urn:ietf:rfc:3986";

/// A resource type of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryKind {
    /// A member, or the exchange itself.
    Organization,
    /// A member's FHIR base.
    Endpoint,
    /// That a member takes part in the exchange.
    OrganizationAffiliation,
}

impl DirectoryKind {
    /// By the name of its FHIR type.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Organization, Self::Endpoint, Self::OrganizationAffiliation]
            .into_iter()
            .find(|kind| kind.code() == text)
    }

    /// The name of its FHIR type.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::Endpoint => "Endpoint",
            Self::OrganizationAffiliation => "OrganizationAffiliation",
        }
    }
}

/// The directory as it stands, for one request.
pub struct MemberDirectory<'a> {
    directory: &'a Directory,
    name: &'a str,
    identifier: Option<&'a str>,
    now: OffsetDateTime,
}

/// One page of a search.
#[derive(Debug)]
pub struct DirectoryPage {
    /// What was asked for.
    pub matches: Vec<Value>,
    /// What `_include` and `_revinclude` brought.
    pub included: Vec<Value>,
    /// How many there are on all pages.
    pub total: usize,
    /// The parameters that were understood, encoded.
    pub used: String,
}

impl<'a> MemberDirectory<'a> {
    /// `name` and `identifier` are the exchange's own.
    pub fn new(
        directory: &'a Directory,
        name: &'a str,
        identifier: Option<&'a str>,
        now: OffsetDateTime,
    ) -> Self {
        Self { directory, name, identifier, now }
    }

    /// One resource.
    pub fn read(&self, kind: DirectoryKind, id: &str) -> Option<Value> {
        self.all(kind).into_iter().find(|resource| resource["id"] == id)
    }

    /// The resources that meet every criterion, from `offset` on. A parameter that is not known is
    /// passed over, and is missing in `used` (FHIR R4 §3.1.1.3).
    pub fn search(
        &self,
        kind: DirectoryKind,
        query: &SearchQuery,
        offset: usize,
        count: usize,
    ) -> Result<DirectoryPage, InvalidSearch> {
        let mut found = self.all(kind);
        let mut known = BTreeSet::new();
        for told in query.parameters() {
            let understood = match told.name() {
                "_include" | "_revinclude" => true,
                "_count" | "_format" => continue,
                _ => self.narrow(kind, told, &mut found)?,
            };
            if understood {
                known.insert(told.name().to_owned());
            }
        }
        let total = found.len();
        let matches: Vec<Value> = found.into_iter().skip(offset).take(count).collect();
        let included = self.included(kind, query, &matches)?;
        let used = query.clone().only(|told| known.contains(told.name())).encode();
        Ok(DirectoryPage { matches, included, total, used })
    }

    fn all(&self, kind: DirectoryKind) -> Vec<Value> {
        let roster = self.directory.roster();
        let make = |member: &Member| match kind {
            DirectoryKind::Organization => self.organization(member),
            DirectoryKind::Endpoint => self.endpoint(member),
            DirectoryKind::OrganizationAffiliation => self.affiliation(member),
        };
        let own = (kind == DirectoryKind::Organization).then(|| self.exchange());
        own.into_iter().chain(roster.members().map(make)).collect()
    }

    fn exchange(&self) -> Value {
        let mut told = json!({
            "resourceType": "Organization", "id": EXCHANGE_ID, "active": true,
            "type": [{"coding": [{"system": ORGANIZATION_TYPES, "code": "other"}],
                "text": "Health information exchange"}],
            "name": self.name,
        });
        if let Some(identifier) = self.identifier {
            told["identifier"] = identifiers(identifier);
        }
        told
    }

    fn organization(&self, member: &Member) -> Value {
        let code = member.code();
        json!({
            "resourceType": "Organization", "id": code.as_str(), "meta": self.meta(member),
            "identifier": identifiers(member.organization()),
            "active": member.status() != MemberStatus::Suspended,
            "type": [{"coding": [{"system": ORGANIZATION_TYPES, "code": "prov"}]}],
            "name": member.name(),
            "endpoint": [{"reference": format!("Endpoint/{code}")}],
        })
    }

    fn endpoint(&self, member: &Member) -> Value {
        let status = match member.status() {
            MemberStatus::Onboarding | MemberStatus::Testing => "test",
            MemberStatus::Active | MemberStatus::Draining => "active",
            MemberStatus::Suspended => "suspended",
        };
        json!({
            "resourceType": "Endpoint", "id": member.code().as_str(), "meta": self.meta(member),
            "identifier": identifiers(member.base()),
            "status": status,
            "connectionType": {"system": CONNECTION_TYPES, "code": "hl7-fhir-rest"},
            "name": format!("FHIR R4 of {}", member.name()),
            "managingOrganization": {"reference": format!("Organization/{}", member.code())},
            "payloadType": [{"coding": [{"system": PAYLOAD_TYPES, "code": "any"}]}],
            "payloadMimeType": ["application/fhir+json"],
            "address": member.base(),
        })
    }

    fn affiliation(&self, member: &Member) -> Value {
        let code = member.code();
        let mut told = json!({
            "resourceType": "OrganizationAffiliation", "id": code.as_str(),
            "meta": self.meta(member),
            "active": member.status().is_asked(),
            "organization": {"reference": format!("Organization/{EXCHANGE_ID}")},
            "participatingOrganization": {"reference": format!("Organization/{code}")},
            "code": [{"coding": [{"system": ROLES, "code": "HIE/HIO"}]}],
            "endpoint": [{"reference": format!("Endpoint/{code}")}],
        });
        if let Some(version) = self.directory.version(code) {
            told["period"] = json!({ "start": instant(version.since) });
        }
        told
    }

    fn meta(&self, member: &Member) -> Value {
        match self.directory.version(member.code()) {
            Some(version) => json!({
                "versionId": version.version.to_string(),
                "lastUpdated": instant(version.recorded),
            }),
            None => json!({}),
        }
    }

    /// Keeps what meets one criterion; false where the parameter is not known.
    fn narrow(
        &self,
        kind: DirectoryKind,
        told: &SearchParameter,
        found: &mut Vec<Value>,
    ) -> Result<bool, InvalidSearch> {
        use DirectoryKind::{Endpoint, Organization, OrganizationAffiliation};
        match (kind, told.name()) {
            (_, "_id") => {
                told.plain()?;
                let ids: BTreeSet<String> =
                    told.values().map(|value| value.text().into_owned()).collect();
                found.retain(|one| one["id"].as_str().is_some_and(|id| ids.contains(id)));
            }
            (_, "_lastUpdated") => {
                self.by_time(told, found, |one| (&one["meta"]["lastUpdated"], &Value::Null))?;
            }
            (OrganizationAffiliation, "date") => {
                self.by_time(told, found, |one| (&one["period"]["start"], &one["period"]["end"]))?;
            }
            (Organization | OrganizationAffiliation, "active") | (Endpoint, "status") => {
                let name = told.name().to_owned();
                by_token(told, found, |one| vec![(None, word(&one[&name]))])?;
            }
            (_, "identifier") => {
                by_token(told, found, |one| coded(&one["identifier"], "value"))?;
            }
            (Organization, "type") => by_token(told, found, |one| concepts(&one["type"]))?,
            (OrganizationAffiliation, "role") => {
                by_token(told, found, |one| concepts(&one["code"]))?;
            }
            (Endpoint, "payload-type") => {
                by_token(told, found, |one| concepts(&one["payloadType"]))?;
            }
            (Endpoint, "connection-type") => {
                by_token(told, found, |one| coded(&json!([one["connectionType"]]), "code"))?;
            }
            (Organization | Endpoint, "name") => by_text(told, found)?,
            (Endpoint, "organization") => by_reference(told, found, "managingOrganization")?,
            (Organization, "partof") => by_reference(told, found, "partOf")?,
            (OrganizationAffiliation, "primary-organization") => {
                by_reference(told, found, "organization")?;
            }
            (OrganizationAffiliation, "participating-organization") => {
                by_reference(told, found, "participatingOrganization")?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn by_time(
        &self,
        told: &SearchParameter,
        found: &mut Vec<Value>,
        bounds: impl Fn(&Value) -> (&Value, &Value),
    ) -> Result<(), InvalidSearch> {
        told.plain()?;
        let criteria = told.values().map(|value| value.date().map_err(|_| told.bad_value()));
        let criteria = criteria.collect::<Result<Vec<_>, _>>()?;
        let now = self.now;
        found.retain(|one| {
            let (start, end) = bounds(one);
            let range = match (start.as_str(), told.name()) {
                (None, _) => return false,
                (Some(start), "_lastUpdated") => TimeRange::parse(start),
                (Some(start), _) => TimeRange::period(Some(start), end.as_str()),
            };
            range.is_ok_and(|range| criteria.iter().any(|one| one.matches(range, now)))
        });
        Ok(())
    }

    fn included(
        &self,
        kind: DirectoryKind,
        query: &SearchQuery,
        matches: &[Value],
    ) -> Result<Vec<Value>, InvalidSearch> {
        let ids: BTreeSet<&str> = matches.iter().filter_map(|one| one["id"].as_str()).collect();
        let mut wanted: Vec<(DirectoryKind, &str)> = Vec::new();
        for told in query.parameters() {
            if !matches!(told.name(), "_include" | "_revinclude") {
                continue;
            }
            told.plain()?;
            let more = match (kind, told.name(), told.text()) {
                (DirectoryKind::Organization, "_include", "Organization:endpoint")
                | (
                    DirectoryKind::OrganizationAffiliation,
                    "_include",
                    "OrganizationAffiliation:endpoint",
                ) => (DirectoryKind::Endpoint, "id"),
                (
                    DirectoryKind::Organization,
                    "_revinclude",
                    "OrganizationAffiliation:participating-organization",
                ) => (DirectoryKind::OrganizationAffiliation, "participatingOrganization"),
                (
                    DirectoryKind::Organization,
                    "_revinclude",
                    "OrganizationAffiliation:primary-organization",
                ) => (DirectoryKind::OrganizationAffiliation, "organization"),
                _ => continue,
            };
            if !wanted.contains(&more) {
                wanted.push(more);
            }
        }
        let mut included: Vec<Value> = Vec::new();
        for (kind, by) in wanted {
            for one in self.all(kind) {
                let id = if by == "id" { one["id"].as_str() } else { referred(&one[by]) };
                if id.is_some_and(|id| ids.contains(id)) && !included.contains(&one) {
                    included.push(one);
                }
            }
        }
        Ok(included)
    }
}

fn identifiers(uri: &str) -> Value {
    json!([{ "system": IDENTIFIER_SYSTEM, "value": uri }])
}

fn instant(at: OffsetDateTime) -> String {
    let whole = at.to_offset(UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// The id at the end of a reference.
fn referred(reference: &Value) -> Option<&str> {
    reference["reference"].as_str()?.rsplit('/').next()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// System and code of each item of a list.
fn coded(items: &Value, code: &str) -> Vec<(Option<String>, String)> {
    let items = items.as_array().into_iter().flatten();
    items.map(|item| (item["system"].as_str().map(str::to_owned), word(&item[code]))).collect()
}

fn concepts(items: &Value) -> Vec<(Option<String>, String)> {
    let items = items.as_array().into_iter().flatten();
    items.flat_map(|concept| coded(&concept["coding"], "code")).collect()
}

fn by_token(
    told: &SearchParameter,
    found: &mut Vec<Value>,
    values: impl Fn(&Value) -> Vec<(Option<String>, String)>,
) -> Result<(), InvalidSearch> {
    told.plain()?;
    found.retain(|one| {
        let values = values(one);
        told.values().any(|wanted| {
            let token = wanted.token();
            values.iter().any(|(system, code)| token.matches(system.as_deref(), code))
        })
    });
    Ok(())
}

fn by_text(told: &SearchParameter, found: &mut Vec<Value>) -> Result<(), InvalidSearch> {
    let how = told.modifier().cloned();
    if told.chain().is_some() || !matches!(how, None | Some(Modifier::Exact | Modifier::Contains)) {
        return Err(InvalidSearch::Modifier(told.name().to_owned()));
    }
    let fold = |text: &str| any_ascii::any_ascii(text).to_lowercase();
    found.retain(|one| {
        let name = one["name"].as_str().unwrap_or_default();
        told.values().any(|wanted| {
            let wanted = wanted.text();
            match how {
                Some(Modifier::Exact) => name == wanted,
                Some(_) => fold(name).contains(&fold(&wanted)),
                None => fold(name).starts_with(&fold(&wanted)),
            }
        })
    });
    Ok(())
}

fn by_reference(
    told: &SearchParameter,
    found: &mut Vec<Value>,
    element: &str,
) -> Result<(), InvalidSearch> {
    let typed = matches!(told.modifier(), None | Some(Modifier::Type(_)));
    if !typed || told.chain().is_some() {
        return Err(InvalidSearch::Modifier(told.name().to_owned()));
    }
    found.retain(|one| {
        let id = referred(&one[element]);
        told.values().any(|wanted| {
            let wanted = wanted.text();
            id.is_some() && wanted.rsplit('/').next() == id
        })
    });
    Ok(())
}
