use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use metrics::{counter, gauge};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind, TlsCertificates, Value,
    aio::MultiplexedConnection,
};
use thiserror::Error;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    RedisSettings,
    keys::{CacheKeyError, CacheKeys, Name},
};

/// Before every name, so that a Redis may hold other things too.
const PREFIX: &[u8] = b"tessera:answers:";
/// Where a subject's turn stands among its entries: an entry counts in the turn that it was written in.
const TURN: &[u8] = b"turn";
/// Entries of one subject; more are not kept.
const ENTRIES_MAX: usize = 512;
/// Subjects whose forgetting may be owed; beyond, everything is forgotten.
const OWED_MAX: usize = 100_000;
/// Subjects that are forgotten with one round.
const PAID_AT_ONCE: usize = 200;
/// A turn need not be remembered longer than the longest work that it may overtake.
const TURN_LIFE: Duration = Duration::from_mins(5);

/// How a Redis is reached, read from files and checked.
pub struct RedisAccess {
    client: Client,
    settings: RedisSettings,
    pub(super) keys: CacheKeys,
}

/// Why a Redis cannot be used. Names no secret.
#[derive(Debug, Error)]
pub enum CacheError {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The keys.
    #[error("{path}: {reason}")]
    Keys {
        /// The file.
        path: String,
        /// What is wrong.
        reason: CacheKeyError,
    },
    /// The URL.
    #[error("answer_cache.redis.url {0}")]
    Url(&'static str),
    /// What TLS needs.
    #[error("answer_cache.redis: TLS cannot be set up")]
    Tls,
}

impl RedisAccess {
    /// Reads the files that the settings name. Nothing is sent yet.
    pub fn read(settings: &RedisSettings) -> Result<Self, CacheError> {
        let keys = CacheKeys::read(&settings.keys).map_err(|reason| CacheError::Keys {
            path: settings.keys.display().to_string(),
            reason,
        })?;
        let told = settings.url.as_str().into_connection_info();
        let told = told.map_err(|_| CacheError::Url("is not one of Redis"))?;
        check(&settings.url, &told)?;
        let mut redis = told.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(path) = &settings.password_file {
            let password = fs::read_to_string(path).map_err(|reason| unreadable(path, reason))?;
            redis = redis.set_password(password.trim_end_matches(['\r', '\n']));
        }
        let is_tls = matches!(told.addr(), ConnectionAddr::TcpTls { .. });
        let told = told.set_redis_settings(redis);
        let client = if is_tls {
            let root = settings
                .root
                .as_deref()
                .map(|path| fs::read(path).map_err(|reason| unreadable(path, reason)));
            let certificates = TlsCertificates { client_tls: None, root_cert: root.transpose()? };
            Client::build_with_tls(told, certificates).map_err(|_| CacheError::Tls)?
        } else {
            Client::open(told).map_err(|_| CacheError::Url("is not one of Redis"))?
        };
        Ok(Self { client, settings: settings.clone(), keys })
    }
}

impl RedisAccess {
    /// The keys alone.
    pub fn into_keys(self) -> CacheKeys {
        self.keys
    }
}

fn unreadable(path: &Path, reason: io::Error) -> CacheError {
    CacheError::File { path: path.display().to_string(), reason }
}

/// TLS, unless it is this machine; no password in the configuration, no switch that turns checks off.
fn check(url: &str, told: &ConnectionInfo) -> Result<(), CacheError> {
    if told.redis_settings().password().is_some() {
        return Err(CacheError::Url("must not hold a password: name a password_file"));
    }
    if url.contains('#') {
        return Err(CacheError::Url("must not have a fragment: certificates are always checked"));
    }
    match told.addr() {
        ConnectionAddr::Tcp(host, _)
            if !matches!(host.as_str(), "127.0.0.1" | "::1" | "localhost") =>
        {
            Err(CacheError::Url("must begin with rediss:// (TLS) for another machine"))
        }
        _ => Ok(()),
    }
}

/// A value that may not be there.
type Bytes = Option<Vec<u8>>;

/// What is told when something far away changed.
pub(super) trait Listener: Send + Sync + 'static {
    /// A subject was forgotten or written by another gateway.
    fn forget(&self, name: &Name);
    /// Anything may have been forgotten.
    fn forget_all(&self);
}

/// The way to Redis. While there is none, nothing is read, and what is to be forgotten is owed.
pub(super) struct Far {
    client: Client,
    settings: RedisSettings,
    line: ArcSwapOption<Line>,
    owed: Mutex<Owed>,
}

/// One armed connection.
struct Line {
    connection: MultiplexedConnection,
    failures: AtomicU32,
    cut: Arc<Notify>,
}

/// What is to be forgotten before anything is read again, each with a number: what is owed once more
/// while it is paid is still owed after.
#[derive(Default)]
struct Owed {
    subjects: BTreeMap<Vec<Name>, u64>,
    everything: Option<u64>,
    count: u64,
}

/// What Redis has at a place.
pub(super) struct Read {
    /// The subject's turn, which an entry must have.
    pub(super) turn: Vec<u8>,
    pub(super) sealed: Option<Vec<u8>>,
    /// Whether there is room for another entry.
    pub(super) has_room: bool,
}

impl Far {
    pub(super) fn new(access: RedisAccess) -> (Self, CacheKeys) {
        let RedisAccess { client, settings, keys } = access;
        let far = Self { client, settings, line: ArcSwapOption::empty(), owed: Mutex::default() };
        (far, keys)
    }

    /// Whether it would be heard if another gateway forgot something.
    pub(super) fn is_armed(&self) -> bool {
        self.line.load().is_some()
    }

    pub(super) async fn read(&self, subject: &Name, entry: &Name) -> Option<Read> {
        let mut both = redis::pipe();
        both.cmd("HMGET").arg(key(subject)).arg(TURN).arg(entry);
        both.cmd("HLEN").arg(key(subject));
        let ((turn, sealed), entries): ((Bytes, Bytes), usize) = self.ask(&both).await?;
        let has_room = entries < ENTRIES_MAX;
        Some(Read { turn: turn.unwrap_or_default(), sealed, has_room })
    }

    /// Writes an entry. No script, whose writes Redis would tell this gateway of as another's.
    pub(super) async fn write(&self, subject: &Name, entry: &Name, sealed: &[u8], life: Duration) {
        let life_ms = life.max(TURN_LIFE).as_millis() as u64;
        let mut both = redis::pipe();
        both.cmd("HSET").arg(key(subject)).arg(entry).arg(sealed).ignore();
        both.cmd("PEXPIRE").arg(key(subject)).arg(life_ms).ignore();
        // Where it is not written it is asked for again.
        let _: Option<()> = self.ask(&both).await;
    }

    /// Forgets a subject under all its names, for every gateway. Where that cannot be done now it is
    /// done before anything is read again.
    pub(super) async fn forget(&self, names: Vec<Name>) {
        let line = {
            let mut owed = self.owed();
            let Some(line) = self.line.load_full() else { return owed.add(names) };
            line
        };
        if !self.forget_on(&line, std::slice::from_ref(&names)).await {
            self.owed().add(names);
            // Others go on without having heard; this gateway goes on once they have.
            line.cut.notify_one();
        }
    }

    async fn forget_on(&self, line: &Line, subjects: &[Vec<Name>]) -> bool {
        let mut both = redis::pipe();
        both.atomic();
        let turn = uuid::Uuid::new_v4();
        for name in subjects.iter().flatten() {
            both.cmd("DEL").arg(key(name)).ignore();
            both.cmd("HSET").arg(key(name)).arg(TURN).arg(turn.as_bytes()).ignore();
            both.cmd("PEXPIRE").arg(key(name)).arg(TURN_LIFE.as_millis() as u64).ignore();
        }
        let mut connection = line.connection.clone();
        let done = timeout(self.patience(), both.exec_async(&mut connection)).await;
        matches!(done, Ok(Ok(())))
    }

    async fn ask<T: FromRedisValue>(&self, commands: &redis::Pipeline) -> Option<T> {
        let line = self.line.load_full()?;
        let mut connection = line.connection.clone();
        let answer = timeout(self.patience(), commands.query_async(&mut connection)).await;
        if let Ok(Ok(answer)) = answer {
            line.failures.store(0, Ordering::Relaxed);
            return Some(answer);
        }
        counter!("tessera_answer_cache_redis_failures_total").increment(1);
        let failures = line.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= self.settings.failures_max {
            line.cut.notify_one();
        }
        None
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.settings.timeout_ms)
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, listens, and connects again, as long as the process lives.
    pub(super) async fn keep_connected(self: Arc<Self>, listener: Arc<dyn Listener>) {
        let connected = gauge!("tessera_answer_cache_redis_connected");
        let mut was_connected = true;
        loop {
            connected.set(0.0);
            if let Some(line) = self.connect(&listener).await {
                connected.set(1.0);
                was_connected = true;
                tracing::info!("connected to Redis");
                self.listen(&line).await;
                // From here on word of others' forgetting could be missed.
                self.line.store(None);
                listener.forget_all();
                tracing::warn!("Redis is away: answers are kept no longer until it is back");
            } else {
                if was_connected {
                    tracing::warn!("Redis cannot be reached; answers are not kept meanwhile");
                }
                was_connected = false;
            }
            sleep(Duration::from_millis(self.settings.pause_ms)).await;
        }
    }

    /// Connects and arms: only once every word of others is heard and nothing is owed, anything is
    /// read.
    async fn connect(&self, listener: &Arc<dyn Listener>) -> Option<Arc<Line>> {
        let patience = Duration::from_millis(self.settings.connect_timeout_ms);
        let line = timeout(patience, self.arm(listener)).await.ok()??;
        let line = Arc::new(line);
        loop {
            if !self.pay(&line).await {
                return None;
            }
            let owed = self.owed();
            if !owed.is_something() {
                // What was kept before cannot be known to hold: word may have been missed.
                listener.forget_all();
                self.line.store(Some(Arc::clone(&line)));
                return Some(line);
            }
        }
    }

    async fn arm(&self, listener: &Arc<dyn Listener>) -> Option<Line> {
        let cut = Arc::new(Notify::new());
        let (hearing, cutting) = (Arc::clone(listener), Arc::clone(&cut));
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            hear(&*hearing, &cutting, &push);
            Ok::<(), ()>(())
        });
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await.ok()?;
        let mut arm = redis::cmd("CLIENT");
        arm.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(PREFIX).arg("NOLOOP");
        arm.exec_async(&mut connection).await.ok()?;
        Some(Line { connection, failures: AtomicU32::default(), cut })
    }

    /// Forgets what is owed; false where that failed, and the rest is still owed.
    async fn pay(&self, line: &Line) -> bool {
        let everything = self.owed().everything;
        if everything.is_some() {
            if !self.forget_everything(line).await {
                return false;
            }
            let mut owed = self.owed();
            if owed.everything == everything {
                owed.everything = None;
            }
        }
        loop {
            let some: Vec<(Vec<Name>, u64)> = {
                let owed = self.owed();
                owed.subjects
                    .iter()
                    .take(PAID_AT_ONCE)
                    .map(|(one, at)| (one.clone(), *at))
                    .collect()
            };
            if some.is_empty() {
                return true;
            }
            let subjects: Vec<Vec<Name>> = some.iter().map(|(names, _)| names.clone()).collect();
            if !self.forget_on(line, &subjects).await {
                return false;
            }
            let mut owed = self.owed();
            for (names, at) in some {
                if owed.subjects.get(&names) == Some(&at) {
                    owed.subjects.remove(&names);
                }
            }
        }
    }

    async fn forget_everything(&self, line: &Line) -> bool {
        let mut connection = line.connection.clone();
        let pattern = [PREFIX, b"*"].concat();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1_000);
            let found = timeout(self.patience(), scan.query_async(&mut connection)).await;
            let Ok(Ok(found)) = found else { return false };
            let (next, keys): (u64, Vec<Vec<u8>>) = found;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                let done = timeout(self.patience(), unlink.arg(keys).exec_async(&mut connection));
                if !matches!(done.await, Ok(Ok(()))) {
                    return false;
                }
            }
            if next == 0 {
                return true;
            }
            cursor = next;
        }
    }

    /// Waits until the connection is of no use.
    async fn listen(&self, line: &Line) {
        let every = Duration::from_millis(self.settings.ping_ms);
        loop {
            if timeout(every, line.cut.notified()).await.is_ok() {
                return;
            }
            let mut connection = line.connection.clone();
            let ping = redis::cmd("PING");
            let answer =
                timeout(self.patience().max(every), ping.exec_async(&mut connection)).await;
            if !matches!(answer, Ok(Ok(()))) {
                return;
            }
        }
    }
}

impl Owed {
    fn add(&mut self, names: Vec<Name>) {
        self.count += 1;
        self.subjects.insert(names, self.count);
        if self.subjects.len() > OWED_MAX {
            self.subjects.clear();
            self.everything = Some(self.count);
        }
    }

    fn is_something(&self) -> bool {
        self.everything.is_some() || !self.subjects.is_empty()
    }
}

/// What Redis tells unasked.
fn hear(listener: &dyn Listener, cut: &Notify, push: &PushInfo) {
    match push.kind {
        PushKind::Disconnection => cut.notify_one(),
        PushKind::Invalidate => match push.data.first() {
            Some(Value::Array(keys)) => {
                for changed in keys {
                    let Value::BulkString(bytes) = changed else { continue };
                    match bytes.strip_prefix(PREFIX).and_then(|name| Name::try_from(name).ok()) {
                        Some(name) => listener.forget(&name),
                        None => listener.forget_all(),
                    }
                }
            }
            // The whole database was emptied.
            _ => listener.forget_all(),
        },
        _ => {}
    }
}

fn key(subject: &Name) -> Vec<u8> {
    [PREFIX, subject].concat()
}
