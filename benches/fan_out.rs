//! What the gateway adds to its slowest member: the end of the answer at whoever asked, minus the
//! moment at which the last byte of the slowest member was sent.
//!
//! Also: what the gateway spends once the last byte has come, beside a merge that parses everything into
//! `serde_json::Value`; whether members in trouble slow the others; and a thousand who ask at once.
//!
//! `cargo bench --bench fan_out`. The gateway is a process of its own (`tessera serve`). Simulated
//! members run here, each behind a relay that notes when it passes bytes on, just before it does.

#[path = "chart/mod.rs"]
mod chart;
#[path = "fan_out/crowd.rs"]
mod crowd;
#[path = "figures/mod.rs"]
mod figures;
#[path = "record_merge/on_values.rs"]
mod on_values;
#[path = "fan_out/relay.rs"]
mod relay;
#[path = "fan_out/troubled.rs"]
mod troubled;
#[path = "world/mod.rs"]
mod world;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use reqwest::{Method, header::LOCATION};
use serde_json::{Value, json};
use tessera::{
    fhir::Resource,
    simulator::{Faults, MemberData, Simulator, SimulatorOptions},
    tls::{RevocationLists, ServerTls},
};
use time::OffsetDateTime;

use chart::chart;
use figures::{
    Times, is_measured, load_average, ms, print_table, processor_time, say, threads_time,
};
use relay::Relay;
use world::{Client, World, record_system};

// What the binary runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEMBERS: usize = 8;
/// Between the delays of two members, where they answer one after another.
const STAGGER: Duration = Duration::from_millis(15);
/// How long the gateway waits for a member here, in milliseconds.
const DEADLINE_MS: u64 = 1_000;
/// How long it may take where very many ask, in milliseconds.
const CROWD_DEADLINE_MS: u64 = 60_000;
/// Before the last member answers, where what is done after the last byte is measured.
const LAST_DELAY: Duration = Duration::from_millis(150);
const RECORD_NUMBER: &str = "7";
const PATIENT_ID: &str = "p1";

/// `tessera serve`, ended with this.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Gateway {
    fn process(&self) -> String {
        self.0.id().to_string()
    }
}

/// One query, with the times since it was sent.
struct Query {
    ended: Duration,
    /// When the last byte of each member was sent; zero where it sent none.
    last_bytes: Vec<Duration>,
    resources: usize,
}

fn main() -> Result<()> {
    let (resources, queries) = if is_measured() { (200, 150) } else { (20, 2) };
    say(&format!("{MEMBERS} members x {resources} resources; {}", load_average()?))?;
    let world = World::of(MEMBERS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let members = runtime.block_on(async {
        (0..MEMBERS).map(|at| member(&world, at, resources)).collect::<Result<Vec<_>>>()
    })?;
    let relays = members.iter().map(|member| runtime.block_on(Relay::before(member.address())));
    let relays = relays.collect::<Result<Vec<Relay>>>()?;
    let bases: Vec<String> =
        relays.iter().map(|one| format!("https://{}/fhir", one.address)).collect();
    let address = free_address()?;
    // A member in trouble is to be asked each time, not spared by its breaker.
    let patience = |ms: u64| json!({"routine_deadline_ms": ms, "emergency_deadline_ms": ms, "breaker_failures": 100_000});
    world.configure(&bases, &address.to_string(), None, &patience(DEADLINE_MS))?;
    let gateway = serve(&world, address)?;
    let person = runtime.block_on(feed_all(&world, &format!("https://{address}/fhir")))?;
    let path = format!("Patient/{person}/$everything");
    let bench = Bench { world: &world, members: &members, relays: &relays, path: &path, address };
    runtime.block_on(bench.measure(&gateway, (resources, queries)))?;
    drop(gateway);

    let callers = if is_measured() { 1_000 } else { 20 };
    let address = free_address()?;
    world.configure(&bases, &address.to_string(), None, &patience(CROWD_DEADLINE_MS))?;
    let gateway = serve(&world, address)?;
    let base_url = format!("https://{address}/fhir");
    let departments = (0..4).map(|_| world.department(&base_url)).collect::<Result<Vec<_>>>()?;
    runtime.block_on(crowd::crowd(&departments, &path, callers, &gateway.process()))?;
    say(&format!("\nAt the end: {}", load_average()?))?;
    Ok(())
}

/// What all measurements share.
struct Bench<'a> {
    world: &'a World,
    members: &'a [Simulator],
    relays: &'a [Relay],
    path: &'a str,
    address: SocketAddr,
}

impl Bench<'_> {
    async fn measure(&self, gateway: &Gateway, (resources, queries): (usize, usize)) -> Result<()> {
        let department = self.world.department(&format!("https://{}/fhir", self.address))?;
        // Connections open, capabilities read.
        for _ in 0..3 {
            query(&department, self.path, self.relays).await?;
        }
        self.added(gateway, &department, queries).await?;
        self.after_last_byte(gateway, &department, (resources, queries)).await?;
        let runs = if is_measured() { (5, 20) } else { (1, 2) };
        troubled::troubled(self.members, &department, self.path, self.relays, runs).await
    }

    /// The time from the slowest member's last byte to the end of the answer.
    async fn added(&self, gateway: &Gateway, department: &Client, queries: usize) -> Result<()> {
        let mut rows = Vec::new();
        for (title, stagger) in
            [("all at once", Duration::ZERO), ("one after another, 15 ms apart", STAGGER)]
        {
            for (at, member) in self.members.iter().enumerate() {
                member.set_faults(Faults { delay: stagger * at as u32, ..Faults::default() });
            }
            let spent = processor_time(&gateway.process())?;
            let mut asked = Vec::new();
            for _ in 0..queries {
                asked.push(query(department, self.path, self.relays).await?);
            }
            let spent = processor_time(&gateway.process())?.saturating_sub(spent);
            rows.push(row(title, &asked, spent));
        }
        let spent = processor_time(&gateway.process())?;
        let mut asked = Vec::new();
        for _ in 0..queries {
            asked.push(query_kept(department, self.path, self.relays).await?);
        }
        let spent = processor_time(&gateway.process())?.saturating_sub(spent);
        rows.push(row("a moment ago: the gateway kept it", &asked, spent));
        let head = [
            "members answer",
            "queries",
            "resources each",
            "answer p50 ms",
            "answer p99 ms",
            "time added p50 ms",
            "time added p99 ms",
            "gateway CPU ms each",
        ];
        print_table("Time added to the slowest member", &head, &rows)?;
        Ok(())
    }

    /// What the gateway spends from the last byte of the last member to the end of the answer, where
    /// the others answered before; beside a merge of all on `serde_json::Value`.
    async fn after_last_byte(
        &self,
        gateway: &Gateway,
        department: &Client,
        (resources, queries): (usize, usize),
    ) -> Result<()> {
        let (last, others) = self.members.split_last().context("there are members")?;
        for member in others {
            member.set_faults(Faults::default());
        }
        last.set_faults(Faults { delay: LAST_DELAY, ..Faults::default() });
        let relay = self.relays.last().context("there are relays")?;
        relay.watch(gateway.0.id());
        let (mut spent, mut added) = (Vec::new(), Vec::new());
        for _ in 0..queries {
            let asked = query(department, self.path, self.relays).await?;
            let now = threads_time(&gateway.process())?;
            spent.push(now.saturating_sub(relay.spent_at_last_byte()));
            added.push(asked.added());
        }
        relay.watch(0);
        let told: Vec<Vec<String>> =
            (0..MEMBERS).map(|member| chart(member, PATIENT_ID, resources)).collect();
        let mut merged = Vec::new();
        for _ in 0..queries {
            let before = threads_time("self")?;
            std::hint::black_box(on_values::grouped(&told)?);
            merged.push(threads_time("self")?.saturating_sub(before));
        }
        let times = |all: Vec<Duration>| all.into_iter().collect::<Times>();
        let (spent, added, merged) = (times(spent), times(added), times(merged));
        let ratio = spent.ms(0.5) / merged.ms(0.5);
        let rows = [
            vec![
                "gateway, after the last byte".to_owned(),
                ms(added.ms(0.5)),
                ms(spent.ms(0.5)),
                format!("{ratio:.2}"),
            ],
            vec![
                "merge on `serde_json::Value`".to_owned(),
                "-".to_owned(),
                ms(merged.ms(0.5)),
                "1.00".to_owned(),
            ],
        ];
        let head = ["", "time p50 ms", "CPU p50 ms", "ratio"];
        print_table("After the last byte, one member answering last", &head, &rows)?;
        Ok(())
    }
}

fn row(title: &str, asked: &[Query], spent: Duration) -> Vec<String> {
    let ended: Times = asked.iter().map(|query| query.ended).collect();
    let added: Times = asked.iter().map(Query::added).collect();
    let fewest = asked.iter().map(|query| query.resources).min().unwrap_or_default();
    vec![
        title.to_owned(),
        ended.count().to_string(),
        fewest.to_string(),
        ms(ended.ms(0.5)),
        ms(ended.ms(0.99)),
        ms(added.ms(0.5)),
        ms(added.ms(0.99)),
        ms(spent.as_secs_f64() * 1_000.0 / asked.len().max(1) as f64),
    ]
}

impl Query {
    fn added(&self) -> Duration {
        let slowest = self.last_bytes.iter().max().copied().unwrap_or_default();
        self.ended.saturating_sub(slowest)
    }
}

async fn query(department: &Client, path: &str, relays: &[Relay]) -> Result<Query> {
    ask(department, path, relays, "no-cache").await
}

/// As [`query`], where what members answered before will do.
async fn query_kept(department: &Client, path: &str, relays: &[Relay]) -> Result<Query> {
    let asked = ask(department, path, relays, "max-age=3600").await?;
    if asked.last_bytes.iter().any(|last| !last.is_zero()) {
        bail!("a member was asked");
    }
    Ok(asked)
}

async fn ask(
    department: &Client,
    path: &str,
    relays: &[Relay],
    cache_control: &str,
) -> Result<Query> {
    for relay in relays {
        relay.forget();
    }
    let started = Instant::now();
    let (_, body) = department.send_with(Method::GET, path, None, cache_control).await?;
    let ended = started.elapsed();
    let last_bytes = relays.iter().map(|relay| relay.last_byte_since(started)).collect();
    Ok(Query { ended, last_bytes, resources: originals(&body)? })
}

/// How many resources of members stand in an answer, alone or behind a group.
fn originals(body: &[u8]) -> Result<usize> {
    let bundle: Value = serde_json::from_slice(body)?;
    let entries = bundle["entry"].as_array().context("an answer has entries")?;
    let count = |entry: &Value| match entry["resource"]["resourceType"].as_str() {
        // Each item but the first, which is an entry already.
        Some("Linkage") => entry["resource"]["item"].as_array().map_or(0, |items| items.len() - 1),
        Some("Provenance" | "DetectedIssue" | "OperationOutcome") | None => 0,
        Some(_) => 1,
    };
    Ok(entries.iter().map(count).sum())
}

/// Every member feeds the one patient; all must be one person.
async fn feed_all(world: &World, base_url: &str) -> Result<String> {
    let mut person = None;
    for (at, code) in world.members.iter().enumerate() {
        let patient = Bytes::from(patient(&record_system(code)).to_string());
        let client = world.member(at, base_url)?;
        let headers = client.feed(&record_system(code), RECORD_NUMBER, patient).await?;
        let told = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let id = told.and_then(|location| location.split("/Patient/").nth(1)).context("no id")?;
        let id = id.to_owned();
        if person.get_or_insert_with(|| id.clone()) != &id {
            bail!("the members' records were not linked");
        }
    }
    person.context("nobody was fed")
}

fn patient(system: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": PATIENT_ID,
        "identifier": [
            {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                "system": system, "value": RECORD_NUMBER},
            {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "512-48-7731"},
        ],
        "name": [{"family": "Abernathy", "given": ["Rosalind", "June"]}],
        "gender": "female", "birthDate": "1961-07-19",
        "telecom": [{"system": "phone", "value": "612-555-0148"}],
        "address": [{"line": ["48 Alder St"], "city": "Duluth", "state": "MN", "postalCode": "55802"}],
    })
}

fn member(world: &World, at: usize, resources: usize) -> Result<Simulator> {
    let code = &world.members[at];
    let mut told = vec![Resource::from_value(&patient(&record_system(code)))?];
    for json in chart(at, PATIENT_ID, resources) {
        told.push(Resource::parse(json.as_bytes())?);
    }
    let data = MemberData::new(code.clone(), told, OffsetDateTime::now_utc())?;
    let credentials = world.pki.member(code).read()?;
    let tls = ServerTls::new(&credentials, &world.pki.trust_roots()?, &RevocationLists::default())?;
    let bind = (Ipv4Addr::LOCALHOST, 0).into();
    Ok(Simulator::start(Arc::new(data), SimulatorOptions::default(), bind, &tls)?)
}

fn serve(world: &World, address: SocketAddr) -> Result<Gateway> {
    let child = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["serve".as_ref(), "--config".as_ref(), world.path("tessera.toml").as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let gateway = Gateway(child);
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        if started.elapsed() > Duration::from_mins(1) {
            bail!("the gateway does not listen");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(gateway)
}

/// An address that nobody listens at.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
