//! The two stages of the store, the second in a real Redis.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::{OffsetDateTime, macros::datetime};
use tokio::runtime::Handle;

use super::*;
use crate::cache::test_redis::TestRedis;

const NOW: OffsetDateTime = datetime!(2026-03-05 12:00 UTC);
const LIFE: Duration = Duration::from_mins(1);
/// Longer than anything here takes on a busy machine; what waits for more has failed.
const PATIENCE: Duration = Duration::from_mins(1);
const SECRET: &str = "Ruth Calloway, penicillin";

impl Keepable for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }

    fn bytes(&self) -> usize {
        self.len()
    }
}

fn in_memory() -> Store<String> {
    Store::new(&CacheSettings::default(), None, &Handle::current())
}

/// Gateways that share a Redis, and the folder of their keys.
struct Shared {
    redis: TestRedis,
    folder: tempfile::TempDir,
}

impl Shared {
    fn new() -> Self {
        let shared =
            Self { redis: TestRedis::start(), folder: tempfile::tempdir().expect("a folder") };
        CacheKeys::mint_into(&shared.keys()).expect("minted");
        shared
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("answers.keys")
    }

    fn settings(&self) -> RedisSettings {
        RedisSettings {
            url: self.redis.url(),
            keys: self.keys(),
            password_file: None,
            root: None,
            timeout_ms: 2_000,
            connect_timeout_ms: 2_000,
            failures_max: 1,
            pause_ms: 10,
            ping_ms: 50,
        }
    }

    async fn gateway(&self) -> Store<String> {
        self.gateway_with(self.settings()).await
    }

    async fn gateway_with(&self, settings: RedisSettings) -> Store<String> {
        let access = RedisAccess::read(&settings).expect("usable");
        let store = Store::new(&CacheSettings::default(), Some(access), &Handle::current());
        eventually("it is connected", async || store.is_usable()).await;
        store
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut again = tokio::time::interval(Duration::from_millis(5));
    let waited = async {
        while !holds().await {
            again.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "never: {what}");
}

async fn found(store: &Store<String>, subject: &str, entry: &str) -> Option<String> {
    let place = store.place(subject.as_bytes(), entry.as_bytes());
    let (found, _) = store.find(&place, NOW, Duration::MAX).await;
    found.map(|found| found.value.to_string())
}

async fn keep(store: &Store<String>, subject: &str, entry: &str, value: &str) {
    let place = store.place(subject.as_bytes(), entry.as_bytes());
    let ticket = store.pass_over(&place).await.expect("usable");
    store.keep(place, ticket, Arc::new(value.to_owned()), (NOW, LIFE));
}

#[tokio::test]
async fn what_was_kept_is_found_in_its_place_until_its_time_is_over() {
    let store = in_memory();
    keep(&store, "ruth", "all", SECRET).await;
    let place = store.place(b"ruth", b"all");
    let at = async |after: i64, age_max: Duration| {
        let now = NOW + time::Duration::seconds(after);
        store.find(&place, now, age_max).await.0.map(|found| (found.value.to_string(), found.since))
    };
    let kept = Some((SECRET.to_owned(), NOW));
    assert_eq!(at(0, Duration::MAX).await, kept);
    assert_eq!(at(59, Duration::MAX).await, kept);
    assert_eq!(at(60, Duration::MAX).await, None, "its time is over");
    assert_eq!(at(30, Duration::from_secs(30)).await, kept);
    assert_eq!(at(31, Duration::from_secs(30)).await, None, "too old for who asks");
    assert_eq!(found(&store, "ruth", "allergies").await, None);
    assert_eq!(found(&store, "max", "all").await, None);
}

#[tokio::test]
async fn a_subject_is_forgotten_as_a_whole_and_alone() {
    let store = in_memory();
    for (subject, entry) in [("ruth", "all"), ("ruth", "allergies"), ("max", "all")] {
        keep(&store, subject, entry, entry).await;
    }
    store.forget(b"ruth").await;
    assert_eq!(found(&store, "ruth", "all").await, None);
    assert_eq!(found(&store, "ruth", "allergies").await, None);
    assert_eq!(found(&store, "max", "all").await.as_deref(), Some("all"));
}

#[tokio::test]
async fn what_was_under_way_when_its_subject_was_forgotten_is_not_kept() {
    let store = in_memory();
    let place = store.place(b"ruth", b"all");
    let ticket = store.pass_over(&place).await.expect("usable");
    store.forget(b"ruth").await;
    store.keep(place, ticket, Arc::new("before".to_owned()), (NOW, LIFE));
    assert_eq!(found(&store, "ruth", "all").await, None);
}

#[tokio::test]
async fn what_is_too_large_is_not_kept_and_no_more_is_kept_than_fits() {
    let settings =
        CacheSettings { entries_max: 10, entry_bytes_max: 1 << 10, ..CacheSettings::default() };
    let store: Store<String> = Store::new(&settings, None, &Handle::current());
    keep(&store, "ruth", "large", &"x".repeat(1 << 11)).await;
    assert_eq!(found(&store, "ruth", "large").await, None);
    for at in 0..100 {
        keep(&store, "ruth", &at.to_string(), "small").await;
    }
    assert!(store.settled_entries() <= 10, "{}", store.settled_entries());
}

#[tokio::test]
async fn who_asks_for_what_is_on_its_way_waits_for_it() {
    let flights: Flights<u32> = Flights::default();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let (landing, lands) = tokio::sync::oneshot::channel();
    let first = flights.board([1; 32], deadline, async { lands.await.expect("it lands") });
    let second =
        flights.board([1; 32], deadline, async { unreachable!("somebody set out before") });
    let other = flights.board([2; 32], deadline, async { 2 });
    let (first, second, other, ()) = tokio::join!(first, second, other, async {
        landing.send(1).expect("awaited");
    });
    assert!(matches!(first, Boarding::Own(1)));
    assert!(matches!(second, Boarding::Joined(1)));
    assert!(matches!(other, Boarding::Own(2)));
    assert_eq!(flights.under_way(), 0);
}

#[tokio::test]
async fn whoever_waits_takes_over_from_one_who_gives_up() {
    let flights: Arc<Flights<u32>> = Arc::default();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let first = Arc::clone(&flights);
    let first = tokio::spawn(async move {
        first.board([1; 32], deadline, std::future::pending()).await;
    });
    eventually("the first is under way", async || flights.under_way() == 1).await;
    let second = flights.board([1; 32], deadline, async { 7 });
    let (second, ()) = tokio::join!(second, async { first.abort() });
    assert!(matches!(second, Boarding::Own(7)));
    assert_eq!(flights.under_way(), 0);
}

#[tokio::test]
async fn nobody_joins_a_flight_that_may_land_after_their_time() {
    let flights: Flights<u32> = Flights::default();
    let soon = tokio::time::Instant::now() + PATIENCE;
    let (landing, lands) = tokio::sync::oneshot::channel();
    let patient = flights.board([1; 32], soon + PATIENCE, async { lands.await.expect("it lands") });
    let hurried = flights.board([1; 32], soon, async { 2 });
    let (patient, hurried, ()) = tokio::join!(patient, hurried, async {
        landing.send(1).expect("awaited");
    });
    assert!(matches!((patient, hurried), (Boarding::Own(1), Boarding::Own(2))));
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_what_redis_cannot_read() {
    let shared = Shared::new();
    let (one, other) = (shared.gateway().await, shared.gateway().await);
    keep(&one, "ruth", "all", SECRET).await;
    eventually("the other finds it", async || {
        found(&other, "ruth", "all").await.as_deref() == Some(SECRET)
    })
    .await;
    assert_eq!(found(&other, "ruth", "allergies").await, None);
    let content = shared.redis.content().await;
    assert!(!content.is_empty());
    for part in content {
        let text = String::from_utf8_lossy(&part).into_owned();
        assert!(!["Ruth Calloway", "penicillin"].iter().any(|word| text.contains(word)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_forgets_the_others_forget() {
    let shared = Shared::new();
    let (one, other) = (shared.gateway().await, shared.gateway().await);
    keep(&one, "ruth", "all", "before").await;
    keep(&one, "max", "all", "his").await;
    eventually("the other has both", async || {
        found(&other, "ruth", "all").await.is_some() && found(&other, "max", "all").await.is_some()
    })
    .await;
    // Under way at the other while the one forgets.
    let place = other.place(b"ruth", b"allergies");
    let ticket = other.pass_over(&place).await.expect("usable");
    one.forget(b"ruth").await;
    assert_eq!(found(&one, "ruth", "all").await, None);
    eventually("the other hears it", async || found(&other, "ruth", "all").await.is_none()).await;
    other.keep(place, ticket, Arc::new("before".to_owned()), (NOW, LIFE));
    keep(&other, "ruth", "after", "after").await;
    eventually("what came after is shared", async || found(&one, "ruth", "after").await.is_some())
        .await;
    assert_eq!(found(&one, "ruth", "allergies").await, None);
    assert_eq!(found(&other, "ruth", "allergies").await, None);
    assert_eq!(found(&other, "max", "all").await.as_deref(), Some("his"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_costs_only_what_was_kept() {
    let mut shared = Shared::new();
    let store = shared.gateway().await;
    keep(&store, "ruth", "all", "before").await;
    shared.redis.kill();
    eventually("it is noticed", async || !store.is_usable()).await;
    // Word of others could be missed now, so that nothing kept may be used.
    assert_eq!(found(&store, "ruth", "all").await, None);
    let place = store.place(b"ruth", b"all");
    assert!(store.pass_over(&place).await.is_none());
    store.forget(b"ruth").await;
    shared.redis.start_again();
    eventually("it is used again", async || store.is_usable()).await;
    assert_eq!(found(&store, "ruth", "all").await, None);
    keep(&store, "ruth", "all", "after").await;
    assert_eq!(found(&store, "ruth", "all").await.as_deref(), Some("after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_forgotten_is_forgotten_before_anything_is_read_again() {
    let shared = Shared::new();
    let hasty = RedisSettings { timeout_ms: 50, ..shared.settings() };
    let store = shared.gateway_with(hasty).await;
    keep(&store, "ruth", "all", "before").await;
    keep(&store, "max", "all", "his").await;
    let other = shared.gateway().await;
    eventually("both are in Redis", async || {
        found(&other, "ruth", "all").await.is_some() && found(&other, "max", "all").await.is_some()
    })
    .await;
    drop(other);
    shared.redis.hang();
    let began = Instant::now();
    store.forget(b"ruth").await;
    assert!(began.elapsed() < PATIENCE, "who forgets waits no longer than told");
    eventually("it is given up", async || !store.is_usable()).await;
    shared.redis.go_on();
    eventually("it is used again", async || store.is_usable()).await;
    assert_eq!(found(&store, "ruth", "all").await, None);
    assert_eq!(found(&store, "max", "all").await.as_deref(), Some("his"), "Redis still has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_while_gateways_go_on() {
    let shared = Shared::new();
    let (one, other) = (shared.gateway().await, shared.gateway().await);
    CacheKeys::mint_into(&shared.keys()).expect("minted");
    let text = std::fs::read_to_string(shared.keys()).expect("read");
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let known = lines.join("\n");
    lines.reverse();
    // Every gateway knows the new key before any uses it.
    other.replace_keys(CacheKeys::parse(&known).expect("keys"));
    one.replace_keys(CacheKeys::parse(&lines.join("\n")).expect("keys"));
    keep(&one, "ruth", "all", "new").await;
    keep(&other, "ruth", "all", "old").await;
    other.forget(b"ruth").await;
    eventually("it is forgotten under its new name", async || {
        found(&one, "ruth", "all").await.is_none()
    })
    .await;
    keep(&other, "ruth", "all", "old").await;
    one.forget(b"ruth").await;
    eventually("and under its old one", async || found(&other, "ruth", "all").await.is_none())
        .await;
}

#[test]
fn a_redis_elsewhere_is_reached_over_tls_and_without_a_password_in_the_url() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    CacheKeys::mint_into(&keys).expect("minted");
    let access = |url: &str| {
        let settings = format!("url = {url:?}\nkeys = {:?}", keys.display().to_string());
        RedisAccess::read(&toml::from_str(&settings).expect("settings")).map(|_| ())
    };
    for url in
        ["redis://127.0.0.1", "redis://localhost:7000/2", "rediss://tessera@redis.example:6380"]
    {
        assert!(access(url).is_ok(), "{url}");
    }
    for (url, wrong) in [
        ("redis://redis.example", "rediss://"),
        ("rediss://u:secret@redis.example", "password_file"),
        ("rediss://redis.example/#insecure", "always checked"),
        ("https://redis.example", "not one of Redis"),
    ] {
        let error = access(url).expect_err(url).to_string();
        assert!(error.contains(wrong) && !error.contains("secret"), "{url}: {error}");
    }
}
