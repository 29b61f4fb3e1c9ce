//! A gateway with its members and its clients, in a temporary folder.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::TryStreamExt as _;
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use tessera::{
    app::{self, RunningGateway, SystemClock},
    config::Config,
    directory::parse_members_toml,
    domain::{Clock, MemberCode},
    fhir::{FHIR_JSON, Resource},
    simulator::{Faults, MemberData, Simulator, SimulatorOptions, TlsFaults, TokenRules},
    storage::DatabaseAddress,
    tls::{
        Credentials, DevelopmentPki, MemberTls, PkiParties, RevocationLists, ServerTls,
        client_config, mint_development_pki, pki,
    },
};
use time::OffsetDateTime;

use crate::{
    answers::{Answer, Event},
    people::number_of,
    test_server::server,
};

/// Which database a gateway works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// A database that is empty, or not there yet: a file's name or a server's URL.
    fn database(self, home: &Path) -> String {
        match self {
            Self::Sqlite => {
                let files = fs::read_dir(home).expect("a folder").count();
                home.join(format!("tessera-{files}.db")).to_string_lossy().into_owned()
            }
            Self::Postgres => server().database(),
        }
    }

    /// `[storage]` of `tessera.toml`.
    fn settings(self, database: &str) -> Value {
        match self {
            Self::Sqlite => json!({"path": database}),
            // A killed gateway's lease is soon over.
            Self::Postgres => json!({"url": database, "lease_ms": 400}),
        }
    }
}

/// The database of this run of the suite: `tests/it_postgres` is the folder `tests/it` by a
/// symbolic link.
pub(crate) fn engine() -> Engine {
    if env!("CARGO_CRATE_NAME") == "it_postgres" { Engine::Postgres } else { Engine::Sqlite }
}

/// Longer than anything here takes on a busy machine; what waits for more has failed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Clients with a certificate, and an entry in `clients.toml` but for `stranger`.
const CLIENTS: [&str; 7] = ["ed", "clinic", "payer", "steward", "auditor", "operator", "stranger"];

/// A member as a test wants it.
pub(crate) struct Site {
    pub(crate) code: &'static str,
    resources: Vec<Value>,
    options: SimulatorOptions,
    told: Value,
}

impl Site {
    /// A member that holds these resources.
    pub(crate) fn new(code: &'static str, resources: Vec<Value>) -> Self {
        Self { code, resources, options: SimulatorOptions::default(), told: json!({}) }
    }

    /// It has no `Patient/$everything`.
    pub(crate) fn without_everything(mut self) -> Self {
        self.options.everything = false;
        self
    }

    /// It takes no search by POST.
    pub(crate) fn without_posted_searches(mut self) -> Self {
        self.options.posted_searches = false;
        self
    }

    /// It has no `Patient/$match`.
    pub(crate) fn without_match(mut self) -> Self {
        self.options.matching = false;
        self
    }

    /// So many entries on its pages, whatever is asked for.
    pub(crate) fn paged(mut self, entries: u32) -> Self {
        (self.options.page_size, self.options.page_size_max) = (entries, entries);
        self
    }

    /// It gives tokens to this client, and serves nobody without one.
    pub(crate) fn with_tokens(mut self, rules: TokenRules) -> Self {
        self.options.authorization = Some(rules);
        self
    }

    /// `members.toml` says so of it.
    pub(crate) fn told(mut self, key: &str, value: Value) -> Self {
        self.told[key] = value;
        self
    }

    /// Its patients.
    fn patients(&self) -> impl Iterator<Item = &Value> {
        self.resources.iter().filter(|resource| resource["resourceType"] == "Patient")
    }
}

/// A member's own namespace of record numbers.
pub(crate) fn record_numbers(code: &str) -> String {
    format!("https://{code}.example/mrn")
}

fn code(text: &str) -> MemberCode {
    MemberCode::parse(text).expect("a code")
}

/// Members that run, and the files of a gateway that need not run.
pub(crate) struct Stage {
    home: TempDir,
    engine: Engine,
    /// A file's name or a server's URL.
    database: String,
    pub(crate) pki: DevelopmentPki,
    sites: Vec<Site>,
    members: BTreeMap<&'static str, Simulator>,
}

impl Stage {
    /// Starts the members and writes the gateway's files; `change` has the last word on
    /// `tessera.toml`.
    pub(crate) fn set(sites: Vec<Site>, change: impl FnOnce(&mut Value)) -> Self {
        Self::set_on(engine(), sites, change)
    }

    /// As [`Self::set`], on one of the databases.
    pub(crate) fn set_on(
        engine: Engine,
        sites: Vec<Site>,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let home = tempfile::Builder::new().prefix("tessera-it-").tempdir().expect("a folder");
        let parties = PkiParties {
            members: sites.iter().map(|site| code(site.code)).collect(),
            clients: CLIENTS.map(code).into(),
        };
        let now = OffsetDateTime::now_utc();
        let certs = home.path().join("certs");
        let pki = mint_development_pki(&certs, now, &parties, pki::Existing::Keep).expect("minted");
        let members = sites.iter().map(|site| (site.code, start_member(site, &pki))).collect();
        let database = engine.database(home.path());
        let stage = Self { home, engine, database, pki, sites, members };
        stage.write("members.toml", &stage.told_members());
        stage.write("clients.toml", &told_clients(&stage.sites));
        let mut settings = settings(engine, &stage.database);
        change(&mut settings);
        stage.write("tessera.toml", &settings);
        let model = include_str!("../../config/model.json");
        fs::write(stage.home().join("model.json"), model).expect("written");
        stage
    }

    fn told_members(&self) -> Value {
        let told = self.sites.iter().map(|site| {
            let mut told = json!({
                "code": site.code,
                "name": format!("Hospital {}", site.code),
                "organization": organization(site.code),
                "identifier_systems": [record_numbers(site.code)],
                "fhir_base": self.members[site.code].base_url(),
                "status": "active",
            });
            for (key, value) in site.told.as_object().expect("keys") {
                told[key] = value.clone();
            }
            told
        });
        json!({ "member": told.collect::<Vec<Value>>() })
    }

    /// Writes a TOML file into the home.
    pub(crate) fn write(&self, name: &str, told: &Value) {
        let text = toml::to_string(told).expect("TOML");
        fs::write(self.home().join(name), text).expect("written");
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.home().join("tessera.toml")
    }

    pub(crate) fn members_file(&self) -> PathBuf {
        self.home().join("members.toml")
    }

    pub(crate) fn database(&self) -> DatabaseAddress {
        self.database.parse().expect("an address")
    }

    /// Changes `tessera.toml`.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(self.settings()).expect("written");
        let mut settings = toml::from_str(&text).expect("TOML");
        change(&mut settings);
        self.write("tessera.toml", &settings);
    }

    /// Gives the gateway another database, empty or not there yet.
    pub(crate) fn move_to(&mut self, engine: Engine) {
        self.engine = engine;
        self.database = engine.database(self.home());
        self.change(|settings| settings["storage"] = engine.settings(&self.database));
    }

    /// As the command line takes it.
    pub(crate) fn database_argument(&self) -> &str {
        &self.database
    }

    /// Does to the database what only somebody with it in hand can do.
    pub(crate) async fn tamper(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self.engine {
            Engine::Sqlite => {
                let options = SqliteConnectOptions::new().filename(&self.database);
                let mut file = SqliteConnection::connect_with(&options).await.expect("opened");
                sql.execute(&mut file).await.expect("altered");
                file.close().await.expect("closed");
            }
            Engine::Postgres => {
                let mut server = PgConnection::connect(&self.database).await.expect("opened");
                sql.execute(&mut server).await.expect("altered");
                server.close().await.expect("closed");
            }
        }
    }

    /// A running member.
    pub(crate) fn member(&self, code: &str) -> &Simulator {
        &self.members[code]
    }

    /// Somebody who asks the gateway at `base`.
    pub(crate) fn client(&self, name: &str, base: &str) -> Client {
        Client::new(&self.pki.client(&code(name)).read().expect("minted"), self, base)
    }

    /// A member that feeds the gateway at `base`.
    pub(crate) fn feeder(&self, name: &str, base: &str) -> Client {
        Client::new(&self.pki.member(&code(name)).read().expect("minted"), self, base)
    }
}

fn start_member(site: &Site, pki: &DevelopmentPki) -> Simulator {
    let resources = site.resources.iter().map(|one| Resource::from_value(one).expect("FHIR"));
    let code = code(site.code);
    let credentials = pki.member(&code).read().expect("minted");
    let roots = pki.trust_roots().expect("minted");
    let tls = ServerTls::new(&credentials, &roots, &RevocationLists::default()).expect("whole");
    let data = MemberData::new(code, resources.collect(), OffsetDateTime::now_utc());
    let bind = (Ipv4Addr::LOCALHOST, 0).into();
    let admitted = roots.clone();
    let simulator =
        Simulator::start(Arc::new(data.expect("servable")), site.options.clone(), bind, &tls)
            .expect("it listens");
    let faulty = pki.faulty(simulator.member(), OffsetDateTime::now_utc()).expect("minted");
    simulator.allow_tls_faults(TlsFaults { tls, proper: credentials, admitted, faulty });
    simulator
}

fn organization(name: &str) -> String {
    format!("https://{name}.example")
}

fn told_clients(sites: &[Site]) -> Value {
    let feeds = sites.iter().map(|site| {
        json!({
            "id": format!("{}-feed", site.code),
            "san_uris": [pki::member_uri(&code(site.code))],
            "organization": {"name": site.code, "identifier": organization(site.code),
                "member": site.code},
            "roles": ["feed"],
        })
    });
    let client = |name: &str, roles: &[&str], purposes: &[&str]| {
        json!({
            "id": name,
            "san_uris": [pki::client_uri(&code(name))],
            "organization": {"name": name, "identifier": organization(name)},
            "roles": roles,
            "purposes": purposes,
        })
    };
    let mut ed = client("ed", &["query", "emergency"], &["TREAT", "ETREAT", "BTG"]);
    ed["default_purpose"] = json!("TREAT");
    let mut clinic = client("clinic", &["query"], &["TREAT"]);
    clinic["default_purpose"] = json!("TREAT");
    let others = [
        ed,
        clinic,
        client("payer", &["query"], &["HPAYMT"]),
        client("steward", &["steward"], &[]),
        client("auditor", &["auditor"], &[]),
        client("operator", &["operator"], &[]),
    ];
    json!({ "client": feeds.chain(others).collect::<Vec<Value>>() })
}

fn settings(engine: Engine, database: &str) -> Value {
    json!({
        "server": {"fhir_address": "127.0.0.1:0", "health_address": "127.0.0.1:0", "workers": 1,
            "drain_s": 1},
        "tls": {"certificate": "certs/gateway.crt", "key": "certs/gateway.key",
            "client_roots": "certs/root.crt", "member_roots": "certs/root.crt"},
        "storage": engine.settings(database),
        "api": {"base_url": "https://127.0.0.1:0/fhir"},
        "access": {"clients": "clients.toml"},
        "index": {"model": "model.json"},
        // A busy machine is no reason to miss a member.
        "federation": {"emergency_deadline_ms": 30_000, "routine_deadline_ms": 30_000,
            "probe_interval_s": 0},
        // Members are asked, unless it is the point that they are not.
        "answer_cache": {"ttl_s": 0},
    })
}

/// A gateway that runs in this process, with its members.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) gateway: RunningGateway,
}

impl World {
    /// These members and a gateway with ordinary settings.
    pub(crate) async fn of(sites: Vec<Site>) -> Self {
        Self::with(sites, |_| {}).await
    }

    /// As [`Self::of`]; `change` has the last word on `tessera.toml`.
    pub(crate) async fn with(sites: Vec<Site>, change: impl FnOnce(&mut Value)) -> Self {
        Self::start(Stage::set(sites, change), Arc::new(SystemClock)).await
    }

    /// Starts a gateway on a stage.
    pub(crate) async fn start(stage: Stage, clock: Arc<dyn Clock>) -> Self {
        let config = Config::read(&stage.settings()).expect("the settings are read");
        let starting = Box::pin(app::start(config, clock, None));
        let gateway = starting.await.expect("the gateway starts");
        let text = fs::read_to_string(stage.members_file()).expect("written");
        let roster = parse_members_toml(&text).expect("members");
        let directory = &gateway.exchange().directory;
        directory.apply(roster, OffsetDateTime::now_utc()).await.expect("applied");
        Self { stage, gateway }
    }

    /// The gateway after a stop and a start on the same database.
    pub(crate) async fn restarted(self) -> Self {
        self.gateway.stop().await;
        Self::start(self.stage, Arc::new(SystemClock)).await
    }

    pub(crate) fn client(&self, name: &str) -> Client {
        self.stage.client(name, self.gateway.base_url())
    }

    pub(crate) fn feeder(&self, member: &str) -> Client {
        self.stage.feeder(member, self.gateway.base_url())
    }

    pub(crate) fn misbehave(&self, member: &str, faults: Faults) {
        self.stage.member(member).set_faults(faults);
    }

    pub(crate) async fn go_down(&mut self, member: &str) {
        self.stage.members.get_mut(member).expect("a member").go_down().await;
    }

    /// Every member feeds all its patients.
    pub(crate) async fn feed_all(&self) {
        for site in &self.stage.sites {
            let feeder = self.feeder(site.code);
            for patient in site.patients() {
                let answer = feeder.feed(patient).await;
                assert!([200, 201].contains(&answer.status), "{answer:?}");
            }
        }
    }

    /// The audit trail as it stands.
    pub(crate) async fn trail(&self) -> Vec<Event> {
        let reader = self.gateway.store().reader();
        let rows: Vec<_> = reader.audit_rows(0).try_collect().await.expect("the trail is read");
        rows.iter().map(Event::of).collect()
    }

    /// The events of one request, in order.
    pub(crate) async fn events_of(&self, answer: &Answer) -> Vec<Event> {
        let id = answer.request_id();
        self.trail().await.into_iter().filter(|event| event.request_id == id).collect()
    }
}

/// Somebody with a certificate who talks to the gateway over HTTPS.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    fn new(credentials: &Credentials, stage: &Stage, base: &str) -> Self {
        let roots = stage.pki.trust_roots().expect("minted");
        let tls = client_config(credentials, &roots, MemberTls::Tls13).expect("whole");
        Self::with_tls(tls, base)
    }

    /// A client with a TLS configuration of its own.
    pub(crate) fn with_tls(tls: rustls::ClientConfig, base: &str) -> Self {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Self { http, base: base.to_owned() }
    }

    /// A request to a path below the FHIR base, or to a whole URL.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}/{path}", self.base)
        };
        self.http.request(method, url).header(header::ACCEPT, FHIR_JSON)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.expect("the gateway answers")).await
    }

    /// As [`Self::send`], of a request whose headers were changed.
    pub(crate) async fn execute(&self, request: reqwest::Request) -> Answer {
        Answer::read(self.http.execute(request).await.expect("the gateway answers")).await
    }

    /// Sends a request whose answer is yet to be read.
    pub(crate) async fn begin(&self, request: reqwest::Request) -> reqwest::Response {
        self.http.execute(request).await.expect("the gateway answers")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Asks for a purpose of use.
    pub(crate) async fn get_for(&self, purpose: &str, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).header("Purpose-Of-Use", purpose)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &(impl ToString + ?Sized)) -> Answer {
        self.send(self.with_body(Method::PUT, path, body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &(impl ToString + ?Sized)) -> Answer {
        self.send(self.with_body(Method::POST, path, body)).await
    }

    /// A request with a body in FHIR JSON.
    pub(crate) fn with_body(
        &self,
        method: Method,
        path: &str,
        body: &(impl ToString + ?Sized),
    ) -> RequestBuilder {
        let request = self.request(method, path);
        request.header(header::CONTENT_TYPE, FHIR_JSON).body(body.to_string())
    }

    /// Feeds a patient under its first identifier (IHE ITI-104).
    pub(crate) async fn feed(&self, patient: &Value) -> Answer {
        self.put(&feed_path(patient), patient).await
    }

    /// `$match` for whom a Patient describes, or somebody without a resource; without record
    /// numbers.
    pub(crate) async fn matches(&self, patient: &Value) -> Answer {
        let mut told = patient.clone();
        told["resourceType"] = json!("Patient");
        told["identifier"] = json!([]);
        self.post("Patient/$match", &told).await
    }

    /// The one person whom a Patient certainly describes, by enterprise id.
    pub(crate) async fn person(&self, patient: &Value) -> String {
        let answer = self.matches(patient).await;
        let certain = answer.certain();
        assert_eq!(certain.len(), 1, "{answer:?}");
        certain[0]["id"].as_str().expect("an id").to_owned()
    }

    /// The whole record of a person.
    pub(crate) async fn everything(&self, person: &str) -> Answer {
        let answer = self.get(&format!("Patient/{person}/$everything")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
}

/// Where a patient is fed.
pub(crate) fn feed_path(patient: &Value) -> String {
    let (system, value) = number_of(patient);
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("identifier", &format!("{system}|{value}"))
        .finish();
    format!("Patient?{query}")
}

/// Waits until something holds; asks again and again, and gives up at [`PATIENCE`].
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let mut again = tokio::time::interval(Duration::from_millis(10));
    let asked = async {
        while !holds().await {
            again.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asked).await.is_ok(), "never: {what}");
}
