use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::{holdings::Holdings, invented::Site};
use crate::{
    domain::{MemberCode, PurposeOfUse},
    tls::{DevelopmentPki, PkiParties, mint_development_pki, pki, pki::CredentialFiles},
};

/// A gateway's whole home in a temporary folder: certificates, configuration, database. It goes when
/// this is dropped.
pub(super) struct Home {
    dir: TempDir,
    /// The certificates of everybody who plays a part.
    pub(super) pki: DevelopmentPki,
}

impl Home {
    /// Makes the home and mints the certificates.
    pub(super) fn make(holdings: &Holdings, now: OffsetDateTime) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("tessera-demo-")
            .tempdir()
            .context("no temporary folder can be made")?;
        let members = holdings.members.iter().map(|member| member.code.clone()).collect();
        let parties = PkiParties { members, clients: vec![emergency_department()] };
        let certs = dir.path().join("certs");
        let pki = mint_development_pki(&certs, now, &parties, pki::Existing::Keep)?;
        Ok(Self { dir, pki })
    }

    /// Writes what an operator would: `members.toml`, `clients.toml`, `model.json` and
    /// `tessera.toml`, for members that serve at `bases`.
    pub(super) fn configure(
        &self,
        holdings: &Holdings,
        bases: &BTreeMap<MemberCode, String>,
    ) -> Result<()> {
        self.write("members.toml", &members(holdings, bases))?;
        self.write("clients.toml", &clients(holdings))?;
        self.write("tessera.toml", &settings(&self.database()))?;
        let model = self.dir.path().join("model.json");
        fs::write(&model, include_str!("../../../config/model.json"))?;
        Ok(())
    }

    fn write(&self, name: &str, told: &Value) -> Result<()> {
        let path = self.dir.path().join(name);
        let text = toml::to_string(told).with_context(|| format!("{name} cannot be written"))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The file that configures the gateway.
    pub(super) fn settings(&self) -> PathBuf {
        self.dir.path().join("tessera.toml")
    }

    /// The file that names the members.
    pub(super) fn members(&self) -> PathBuf {
        self.dir.path().join("members.toml")
    }

    /// The gateway's database.
    pub(super) fn database(&self) -> PathBuf {
        self.dir.path().join("tessera.db")
    }

    /// The certificate of the emergency department.
    pub(super) fn emergency_department(&self) -> CredentialFiles {
        self.pki.client(&emergency_department())
    }
}

/// The emergency department that asks: of no member, so that every member is asked.
fn emergency_department() -> MemberCode {
    MemberCode::parse("ed").expect("two small letters are a code")
}

/// A member's name for people.
pub(super) fn name_of(code: &MemberCode) -> String {
    let invented = Site::ALL.into_iter().find(|site| site.code() == code.as_str());
    invented.map_or_else(|| code.to_string(), |site| site.name().to_owned())
}

fn members(holdings: &Holdings, bases: &BTreeMap<MemberCode, String>) -> Value {
    let members = holdings.members.iter().filter_map(|member| {
        let code = &member.code;
        Some(json!({
            "code": code.as_str(),
            "name": name_of(code),
            "organization": organization(code),
            "identifier_systems": member.identifier_systems,
            "fhir_base": bases.get(code)?,
            "status": "active",
        }))
    });
    json!({ "member": members.collect::<Vec<Value>>() })
}

fn clients(holdings: &Holdings) -> Value {
    let feeds = holdings.members.iter().map(|member| {
        let code = &member.code;
        json!({
            "id": format!("{code}-feed"),
            "san_uris": [pki::member_uri(code)],
            "organization": {"name": name_of(code), "identifier": organization(code),
                "member": code.as_str()},
            "roles": ["feed"],
        })
    });
    let code = emergency_department();
    let purposes = [PurposeOfUse::Treatment, PurposeOfUse::EmergencyTreatment];
    let asks = json!({
        "id": "county-ed",
        "san_uris": [pki::client_uri(&code)],
        "organization": {"name": "County Emergency Department", "identifier": organization(&code)},
        "roles": ["query", "emergency"],
        "purposes": purposes.map(PurposeOfUse::code),
        "default_purpose": PurposeOfUse::Treatment.code(),
    });
    json!({ "client": feeds.chain([asks]).collect::<Vec<Value>>() })
}

fn organization(code: &MemberCode) -> String {
    format!("https://{code}.example")
}

fn settings(database: &Path) -> Value {
    // Port 0: any that is free. The gateway tells which, and uses it in its links.
    json!({
        "server": {"fhir_address": "127.0.0.1:0", "health_address": "127.0.0.1:0", "drain_s": 2},
        "tls": {"certificate": "certs/gateway.crt", "key": "certs/gateway.key",
            "client_roots": "certs/root.crt", "member_roots": "certs/root.crt"},
        "storage": {"path": database},
        "api": {"base_url": "https://127.0.0.1:0/fhir", "exchange_name": "Tessera demonstration"},
        "access": {"clients": "clients.toml"},
        "index": {"model": "model.json"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Clients, cli::demo::holdings::tests::folder, directory::parse_members_toml,
    };

    #[test]
    fn what_is_written_is_what_the_rooms_read() {
        let patient = r#"{"resourceType":"Patient","id":"p1","identifier":[
            {"type":{"coding":[{"code":"MR"}]},"system":"https://mercy.example/mrn","value":"7"}]}"#
            .replace('\n', " ");
        let dir = folder(&[("mercy/Patient.ndjson", &patient)]);
        let holdings = Holdings::read(dir.path()).expect("readable");
        let home = Home::make(&holdings, OffsetDateTime::now_utc()).expect("made");
        let mercy = holdings.members[0].code.clone();
        let bases = BTreeMap::from([(mercy.clone(), "https://127.0.0.1:4433/fhir".to_owned())]);
        home.configure(&holdings, &bases).expect("configured");

        let text = fs::read_to_string(home.members()).expect("written");
        let roster = parse_members_toml(&text).expect("members");
        let member = roster.member(&mercy).expect("the member");
        assert!(member.status().is_asked() && member.owns_system("https://mercy.example/mrn"));
        let text = fs::read_to_string(home.dir.path().join("clients.toml")).expect("written");
        let clients = Clients::from_toml(&text).expect("clients");
        assert!(clients.on_this_machine("county-ed").is_some());
        assert!(clients.on_this_machine("mercy-feed").is_some());
        assert!(home.emergency_department().read().is_ok() && home.settings().exists());
    }
}
