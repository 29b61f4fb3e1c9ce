//! A gateway's whole home in a temporary folder, and those who talk to it over mutual TLS.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Parser as _;
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tessera::{
    cli::{Cli, run},
    domain::MemberCode,
    fhir::FHIR_JSON,
    tls::{
        Credentials, DevelopmentPki, MemberTls, PkiParties, client_config, mint_development_pki,
        pki,
    },
};
use time::OffsetDateTime;

/// Where the index keeps its memory.
pub(crate) const SNAPSHOT: &str = "tessera.db.snapshot";

/// Certificates, configuration and database. They go when this is dropped.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) members: Vec<MemberCode>,
    pub(crate) pki: DevelopmentPki,
}

impl World {
    /// Mints certificates for members that are called `m0`, `m1` and so on.
    pub(crate) fn of(members: usize) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("tessera-bench-").tempdir()?;
        let members: Vec<MemberCode> = (0..members)
            .map(|at| MemberCode::parse(&format!("m{at}")))
            .collect::<Result<_, _>>()?;
        let parties = PkiParties { members: members.clone(), clients: vec![department()?] };
        let now = OffsetDateTime::now_utc();
        let certs = dir.path().join("certs");
        let pki = mint_development_pki(&certs, now, &parties, pki::Existing::Keep)?;
        Ok(Self { dir, members, pki })
    }

    /// Writes the configuration of a gateway at `address`, with its database on a PostgreSQL `server`
    /// or in a file, for members at `bases`, and applies the members. Not to be called within a runtime.
    pub(crate) fn configure(
        &self,
        bases: &[String],
        address: &str,
        server: Option<&str>,
        federation: &Value,
    ) -> Result<()> {
        let members: Vec<Value> = self.members.iter().zip(bases).map(member).collect();
        self.write("members.toml", &json!({ "member": members }))?;
        let feeds = self.members.iter().map(feed);
        let clients: Vec<Value> = feeds.chain([asks(&department()?)]).collect();
        self.write("clients.toml", &json!({ "client": clients }))?;
        fs::write(self.path("model.json"), include_str!("../../config/model.json"))?;
        let settings = json!({
            "server": {"fhir_address": address, "health_address": "127.0.0.1:0", "drain_s": 2},
            "tls": {"certificate": "certs/gateway.crt", "key": "certs/gateway.key",
                "client_roots": "certs/root.crt", "member_roots": "certs/root.crt"},
            "mllp": {"address": "127.0.0.1:0"},
            "storage": match server {
                Some(url) => json!({ "url": url }),
                None => json!({"path": self.path("tessera.db")}),
            },
            "api": {"base_url": format!("https://{address}/fhir")},
            "access": {"clients": "clients.toml"},
            "index": {"model": "model.json", "snapshot": self.path(SNAPSHOT)},
            "federation": federation,
            // Members are asked with Cache-Control: no-cache, unless it is the point that they are not.
            "answer_cache": {"ttl_s": 3_600},
        });
        self.write("tessera.toml", &settings)?;
        let (file, config) = (self.path("members.toml"), self.path("tessera.toml"));
        let words: [&Path; 7] = [
            "tessera".as_ref(),
            "member".as_ref(),
            "apply".as_ref(),
            "-f".as_ref(),
            &file,
            "--config".as_ref(),
            &config,
        ];
        run(Cli::try_parse_from(words)?)?;
        Ok(())
    }

    /// A file of the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A connection of its own to the gateway, as the member that feeds.
    pub(crate) fn member(&self, at: usize, base_url: &str) -> Result<Client> {
        self.client(&self.pki.member(&self.members[at]).read()?, base_url)
    }

    /// A connection of its own to the gateway, as the emergency department that asks.
    pub(crate) fn department(&self, base_url: &str) -> Result<Client> {
        self.client(&self.pki.client(&department()?).read()?, base_url)
    }

    fn client(&self, credentials: &Credentials, base_url: &str) -> Result<Client> {
        let tls = client_config(credentials, &self.pki.trust_roots()?, MemberTls::Tls13)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        Ok(Client { http, base: base_url.to_owned() })
    }

    fn write(&self, name: &str, told: &Value) -> Result<()> {
        Ok(fs::write(self.path(name), toml::to_string(told)?)?)
    }
}

/// The system of a member's record numbers.
pub(crate) fn record_system(member: &MemberCode) -> String {
    format!("https://{member}.example/mrn")
}

fn department() -> Result<MemberCode> {
    Ok(MemberCode::parse("ed")?)
}

fn member((code, base): (&MemberCode, &String)) -> Value {
    json!({
        "code": code.as_str(),
        "name": format!("Hospital {code}"),
        "organization": format!("https://{code}.example"),
        "identifier_systems": [record_system(code)],
        "authority": [{"namespace": code.as_str(), "system": record_system(code)}],
        "fhir_base": base,
        // The query's own deadline is what counts here.
        "deadline_ms": 60_000,
        // A member that is nowhere cannot pass the check of one that is asked.
        "status": if base.contains(":1/") { "onboarding" } else { "active" },
    })
}

fn feed(code: &MemberCode) -> Value {
    json!({
        "id": format!("{code}-feed"),
        "san_uris": [pki::member_uri(code)],
        "organization": {"name": format!("Hospital {code}"),
            "identifier": format!("https://{code}.example"), "member": code.as_str()},
        "roles": ["feed"],
    })
}

fn asks(code: &MemberCode) -> Value {
    json!({
        "id": "county-ed",
        "san_uris": [pki::client_uri(code)],
        "organization": {"name": "County Emergency Department", "identifier": "https://ed.example"},
        "roles": ["query", "emergency"],
        "purposes": ["TREAT", "ETREAT"],
        "default_purpose": "TREAT",
    })
}

/// Somebody with a certificate, on one connection that is kept.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// Sends one request and reads the whole answer; an error unless it is a success.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<(HeaderMap, Bytes)> {
        self.send_with(method, path, body, "no-cache").await
    }

    /// As [`Self::send`], with another `Cache-Control`.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        cache_control: &str,
    ) -> Result<(HeaderMap, Bytes)> {
        let (status, headers, body) = self.ask(method, path, body, cache_control).await?;
        if !status.is_success() {
            bail!("the gateway answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok((headers, body))
    }

    /// Sends one request and reads the whole answer, whatever it is.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        cache_control: &str,
    ) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let url = format!("{}/{path}", self.base);
        let mut request = self.http.request(method, url).header(ACCEPT, FHIR_JSON);
        request = request.header(CACHE_CONTROL, cache_control);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, FHIR_JSON).body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok((status, headers, response.bytes().await?))
    }

    /// Feeds one patient (IHE ITI-104).
    pub(crate) async fn feed(
        &self,
        system: &str,
        value: &str,
        patient: Bytes,
    ) -> Result<HeaderMap> {
        let path = format!("Patient?identifier={system}%7C{value}");
        Ok(self.send(Method::PUT, &path, Some(patient)).await?.0)
    }
}
