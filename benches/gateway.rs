//! The gateway on one machine: bulk and single feeds made durable, `$match` over mutual TLS, memory
//! and opening, with the disk's flush and the cheapest possible request beside as baselines.
//!
//! `cargo bench --bench gateway`, or with `-- --records 1000000`, or with `-- --postgres` on a
//! PostgreSQL of its own. The callers run on the same cores. With `-- --growth 10000,1000000` it is
//! the index by itself at these sizes.

#[path = "figures/mod.rs"]
mod figures;
#[path = "gateway/growth.rs"]
mod growth;
#[path = "gateway/load.rs"]
mod load;
#[path = "gateway/population.rs"]
mod population;
#[path = "../src/storage/test_server.rs"]
mod test_server;
#[path = "gateway/wire.rs"]
mod wire;
#[path = "world/mod.rs"]
mod world;

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use tessera::{
    app::{self, RunningGateway, SystemClock},
    config::Config,
    domain::{Demographics, LocalId, RecordKey},
    exchange::acceptable,
    fhir::Resource,
    index::{Index, Registration},
};

use figures::{Times, is_measured, load_average, ms, print_table, say};
use growth::Step;
use load::{Load, closed_loop};
use population::{MEMBERS, Told, invented};
use test_server::server;
use wire::Wire;
use world::{SNAPSHOT, World, record_system};

// What the binary runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records registered together, as `tessera import` does.
const BATCH_RECORDS: usize = 2_000;
/// Different persons asked for.
const PROBES: usize = 5_000;

/// What is measured.
enum Wanted {
    Gateway(Plan),
    /// The index by itself, at these sizes.
    Growth(Vec<usize>),
    /// One step of that, in a process of its own.
    Step(Step, PathBuf),
}

impl Wanted {
    fn from_arguments() -> Result<Self> {
        let words: Vec<String> = std::env::args().collect();
        let told = |name: &str| {
            let at = words.iter().position(|word| word == name)?;
            words.get(at + 1).map(String::as_str)
        };
        if let (Some(step), Some(home)) = (told("--step"), told("--home")) {
            return Ok(Self::Step(Step::parse(step)?, home.into()));
        }
        if let Some(sizes) = told("--growth") {
            let sizes = sizes.split(',').map(str::parse).collect::<Result<_, _>>();
            return Ok(Self::Growth(sizes.context("--growth takes numbers")?));
        }
        let records = told("--records").map_or(Ok(100_000), str::parse);
        let on_postgres = words.iter().any(|word| word == "--postgres");
        Ok(Self::Gateway(Plan {
            records: records.context("--records takes a number")?,
            fed_max: 60_000,
            lasting: Duration::from_secs(5),
            flushes: 300,
            on_postgres,
        }))
    }
}

/// How much is measured.
struct Plan {
    records: usize,
    /// Records for the feeds, beyond those.
    fed_max: usize,
    lasting: Duration,
    flushes: usize,
    on_postgres: bool,
}

fn main() -> Result<()> {
    match Wanted::from_arguments()? {
        Wanted::Step(step, home) => growth::take(step, &home),
        _ if !is_measured() => {
            growth::growth(&[200])?;
            let lasting = Duration::from_millis(50);
            gateway(&Plan { records: 300, fed_max: 200, lasting, flushes: 3, on_postgres: false })
        }
        Wanted::Growth(sizes) => growth::growth(&sizes),
        Wanted::Gateway(plan) => gateway(&plan),
    }
}

fn gateway(plan: &Plan) -> Result<()> {
    let database = if plan.on_postgres { "PostgreSQL" } else { "SQLite" };
    say(&format!("{} records on {database}; {}", plan.records, load_average()?))?;
    let world = World::of(MEMBERS)?;
    // Nobody is asked for clinical data here.
    let nowhere = vec!["https://127.0.0.1:1/fhir".to_owned(); MEMBERS];
    let database = plan.on_postgres.then(|| server().database());
    world.configure(&nowhere, "127.0.0.1:0", database.as_deref(), &json!({}))?;
    let (loaded, fed) = invented(plan.records, plan.fed_max, &world.members)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(plan, &world, database.as_deref(), &loaded, fed))?;
    say(&format!("\nAt the end: {}", load_average()?))?;
    Ok(())
}

async fn measure(
    plan: &Plan,
    world: &World,
    database: Option<&str>,
    loaded: &[Told],
    fed: Vec<Told>,
) -> Result<()> {
    let flush = flush_times(&world.path("flushes"), plan.flushes)?;
    let gateway = start(world).await?;
    let mut rows = vec![baseline_row("300 bytes appended and flushed, bare", &flush)];
    let before = resident_bytes()?;
    let started = Instant::now();
    import(&gateway.exchange().index, loaded).await?;
    let seconds = started.elapsed().as_secs_f64();
    let grown = resident_bytes()?.saturating_sub(before);
    rows.push(rate_row("bulk, as `tessera import`", loaded.len(), seconds));
    let database_bytes = database_bytes(world, database).await?;
    gateway.stop().await;

    let snapshot = world.path(SNAPSHOT);
    let snapshot_bytes = fs::metadata(&snapshot)?.len();
    let (gateway, from_snapshot) = timed_start(world).await?;
    gateway.stop().await;
    fs::remove_file(&snapshot)?;
    let (gateway, folded) = timed_start(world).await?;
    let found = find_in_process(&gateway.exchange().index, loaded)?;
    let asked = ask(plan, world, &gateway, loaded).await?;
    let (by_fhir, by_message) = fed.split_at(fed.len() / 2);
    for senders in [1, 64] {
        let row = feed(plan, world, &gateway, by_fhir, senders).await?;
        rows.push(row);
    }
    for senders in [1, 64] {
        let row = send(plan, world, &gateway, by_message, senders).await?;
        rows.push(row);
    }
    gateway.stop().await;

    let head = ["", "records/s", "p50 ms", "p99 ms", "CPU ms each"];
    print_table("Feeds, durable", &head, &rows)?;
    let head = ["", "callers", "requests/s", "p50 ms", "p90 ms", "p99 ms", "max ms", "CPU ms each"];
    print_table("Requests over mutual TLS, connections kept", &head, &asked)?;
    let rows = [
        vec!["`Index::find`, in process, p50".to_owned(), format!("{} ms", ms(found.ms(0.5)))],
        vec!["`Index::find`, in process, p99".to_owned(), format!("{} ms", ms(found.ms(0.99)))],
        vec!["memory grown by the records".to_owned(), format!("{} MB", grown >> 20)],
        vec!["bytes a record".to_owned(), (grown / loaded.len() as u64).to_string()],
        vec!["start, from the snapshot".to_owned(), format!("{from_snapshot:.2} s")],
        vec!["start, journal folded".to_owned(), format!("{folded:.2} s")],
        vec!["database".to_owned(), format!("{} MB", database_bytes >> 20)],
        vec!["snapshot".to_owned(), format!("{} MB", snapshot_bytes >> 20)],
    ];
    print_table("The index", &["", "measured"], &rows)?;
    Ok(())
}

async fn start(world: &World) -> Result<RunningGateway> {
    let config = Config::read(&world.path("tessera.toml"))?;
    Ok(app::start(config, Arc::new(SystemClock), None).await?)
}

/// A gateway, and the seconds until it listened.
async fn timed_start(world: &World) -> Result<(RunningGateway, f64)> {
    let started = Instant::now();
    let gateway = start(world).await?;
    Ok((gateway, started.elapsed().as_secs_f64()))
}

/// What the disk takes to make a small write durable: the floor under every acknowledgement.
fn flush_times(path: &Path, count: usize) -> Result<Times> {
    let mut file = File::create(path)?;
    let flush = |_| {
        let started = Instant::now();
        file.write_all(&[b'x'; 300])?;
        file.sync_data()?;
        Ok(started.elapsed())
    };
    (0..count).map(flush).collect()
}

async fn import(index: &Index, told: &[Told]) -> Result<()> {
    for batch in told.chunks(BATCH_RECORDS) {
        let registrations = batch.iter().map(registration).collect::<Result<Vec<_>>>()?;
        for outcome in index.register_many(registrations).await {
            outcome?;
        }
    }
    Ok(())
}

fn registration(told: &Told) -> Result<Registration> {
    let patient = Resource::parse(told.json.as_bytes())?;
    let reading = acceptable(&patient).map_err(|error| anyhow::anyhow!("{error}"))?;
    let local_id = LocalId::parse(&record_system(&told.member), &told.record_number)?;
    Ok(Registration {
        record: RecordKey { member: told.member.clone(), local_id },
        demographics: reading.demographics,
        event_time: None,
        source_message: None,
        fed_by: "import".to_owned(),
    })
}

fn probes(loaded: &[Told]) -> impl Iterator<Item = &Told> {
    loaded.iter().step_by((loaded.len() / PROBES).max(1))
}

fn find_in_process(index: &Index, loaded: &[Told]) -> Result<Times> {
    let probes: Vec<Demographics> = probes(loaded).map(as_asked).collect::<Result<_>>()?;
    let (times, nobody) = timed_finds(index, &probes);
    say(&format!("{} persons asked for, {nobody} of them not found", probes.len()))?;
    Ok(times)
}

/// What one asks with who does not know the record number.
fn as_asked(told: &Told) -> Result<Demographics> {
    let patient = Resource::parse(told.anonymous()?.to_string().as_bytes())?;
    Ok(tessera::fhir::patient::read_patient(&patient)?.demographics)
}

/// How long each took, and how many were not found.
fn timed_finds(index: &Index, probes: &[Demographics]) -> (Times, usize) {
    let mut nobody = 0;
    let times = probes.iter().map(|probe| {
        let started = Instant::now();
        let found = index.find(probe, 100);
        let elapsed = started.elapsed();
        nobody += usize::from(found.is_empty());
        elapsed
    });
    (times.collect(), nobody)
}

/// `$match` with demographics and no record number, beside a request that needs nobody's data.
async fn ask(
    plan: &Plan,
    world: &World,
    gateway: &RunningGateway,
    loaded: &[Told],
) -> Result<Vec<Vec<String>>> {
    let bodies = probes(loaded).map(|told| {
        let parameter = json!({"name": "resource", "resource": told.anonymous()?});
        let parameters = json!({"resourceType": "Parameters", "parameter": [parameter]});
        anyhow::Ok(Bytes::from(parameters.to_string()))
    });
    let bodies: Arc<[Bytes]> = bodies.collect::<Result<Vec<_>>>()?.into();
    let mut rows = Vec::new();
    for callers in [1, 8, 32] {
        let clients = (0..callers)
            .map(|_| world.department(gateway.base_url()))
            .collect::<Result<Vec<_>>>()?;
        let asking = clients.clone();
        let metadata = closed_loop(callers, plan.lasting, move |caller, _| {
            let client = asking[caller].clone();
            async move { client.send(Method::GET, "metadata", None).await.map(|_| true) }
        });
        rows.push(load_row("`metadata`, the baseline", callers, &metadata.await?));
        let bodies = Arc::clone(&bodies);
        let matching = closed_loop(callers, plan.lasting, move |caller, turn| {
            let client = clients[caller].clone();
            let body = bodies[(turn * callers + caller) % bodies.len()].clone();
            async move { client.send(Method::POST, "Patient/$match", Some(body)).await.map(|_| true) }
        });
        rows.push(load_row("`$match`, audited", callers, &matching.await?));
    }
    Ok(rows)
}

/// Feeds over HTTPS, each sender with a member's certificate and its next record.
async fn feed(
    plan: &Plan,
    world: &World,
    gateway: &RunningGateway,
    fed: &[Told],
    senders: usize,
) -> Result<Vec<String>> {
    let mut clients = Vec::new();
    for sender in 0..senders {
        clients.push(world.member(sender % MEMBERS, gateway.base_url())?);
    }
    // One sender feeds what is of the first member and left over by nobody; many share the rest.
    let (first, rest) = fed.split_at(fed.len() / 8);
    let share = if senders == 1 { first } else { rest };
    let queues = world.members.iter().map(|member| {
        let own = share.iter().filter(|told| told.member == *member);
        own.map(Told::to_feed).collect::<Vec<_>>()
    });
    let queues: Arc<Vec<Vec<(String, String, Bytes)>>> = Arc::new(queues.collect());
    let senders_each = senders.div_ceil(MEMBERS);
    let load = closed_loop(senders, plan.lasting, move |sender, turn| {
        let client = clients[sender].clone();
        let next = queues[sender % MEMBERS].get(turn * senders_each + sender / MEMBERS).cloned();
        async move {
            let Some((system, value, patient)) = next else { return Ok(false) };
            client.feed(&system, &value, patient).await.map(|_| true)
        }
    });
    let load = load.await?;
    if load.times.count() == 0 {
        bail!("nothing was fed");
    }
    Ok(feed_row(format!("one message at a time over HTTPS, {senders} senders"), &load))
}

/// Feeds by HL7 v2 messages over MLLP and mutual TLS, each sender with its next record.
async fn send(
    plan: &Plan,
    world: &World,
    gateway: &RunningGateway,
    fed: &[Told],
    senders: usize,
) -> Result<Vec<String>> {
    let address = gateway.mllp_address().context("no MLLP listener")?;
    let mut wires = Vec::new();
    for sender in 0..senders {
        wires.push(Wire::connect(world, sender % MEMBERS, address).await?);
    }
    let (first, rest) = fed.split_at(fed.len() / 8);
    let share = if senders == 1 { first } else { rest };
    let queues = world.members.iter().map(|member| {
        let own = share.iter().filter(|told| told.member == *member);
        own.map(Told::to_message).collect::<Result<Vec<_>>>()
    });
    let queues: Arc<Vec<Vec<String>>> = Arc::new(queues.collect::<Result<_>>()?);
    let senders_each = senders.div_ceil(MEMBERS);
    let load = closed_loop(senders, plan.lasting, move |sender, turn| {
        let wire = wires[sender].clone();
        let next = queues[sender % MEMBERS].get(turn * senders_each + sender / MEMBERS).cloned();
        async move {
            let Some(message) = next else { return Ok(false) };
            wire.send(&message).await.map(|()| true)
        }
    });
    let load = load.await?;
    if load.times.count() == 0 {
        bail!("nothing was sent");
    }
    Ok(feed_row(format!("one message at a time over MLLP, {senders} senders"), &load))
}

fn feed_row(title: String, load: &Load) -> Vec<String> {
    let each = load.processor.as_secs_f64() * 1_000.0 / load.times.count().max(1) as f64;
    let (p50, p99) = (ms(load.times.ms(0.5)), ms(load.times.ms(0.99)));
    vec![title, format!("{:.0}", load.rate()), p50, p99, ms(each)]
}

fn baseline_row(title: &str, times: &Times) -> Vec<String> {
    let rate = format!("{:.0}", 1_000.0 / times.ms(0.5));
    vec![title.to_owned(), rate, ms(times.ms(0.5)), ms(times.ms(0.99)), String::new()]
}

fn rate_row(title: &str, count: usize, seconds: f64) -> Vec<String> {
    vec![
        title.to_owned(),
        format!("{:.0}", count as f64 / seconds),
        String::new(),
        String::new(),
        String::new(),
    ]
}

fn load_row(title: &str, callers: usize, load: &Load) -> Vec<String> {
    let Load { times, processor, .. } = load;
    let each = processor.as_secs_f64() * 1_000.0 / times.count().max(1) as f64;
    let shares = [0.5, 0.9, 0.99, 1.0].map(|share| ms(times.ms(share)));
    let mut row = vec![title.to_owned(), callers.to_string(), format!("{:.0}", load.rate())];
    row.extend(shares);
    row.push(ms(each));
    row
}

/// `VmRSS` of this process, callers included.
fn resident_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes << 10)
}

async fn database_bytes(world: &World, server: Option<&str>) -> Result<u64> {
    let Some(url) = server else { return Ok(fs::metadata(world.path("tessera.db"))?.len()) };
    let pool = sqlx::PgPool::connect(url).await?;
    let size = sqlx::query_scalar("SELECT pg_database_size(current_database())");
    let bytes: i64 = size.fetch_one(&pool).await?;
    pool.close().await;
    Ok(bytes as u64)
}
