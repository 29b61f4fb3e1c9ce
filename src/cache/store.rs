use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use metrics::{counter, gauge};
use time::OffsetDateTime;
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::{AbortHandle, JoinHandle},
};
use tokio_util::task::TaskTracker;

use super::{
    CacheSettings, RedisAccess,
    far::{Far, Listener},
    keys::{CacheKeys, Name},
    near::{Moment, Near},
};

/// Entries on their way to Redis at once; what comes beyond stays in memory alone.
const WRITES_MAX: usize = 64;

/// What can be kept.
pub trait Keepable: Send + Sync + Sized + 'static {
    /// As bytes, for Redis.
    fn to_bytes(&self) -> Vec<u8>;
    /// Back from bytes; `None` where they are of another version.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
    /// What it takes in memory, about, in bytes.
    fn bytes(&self) -> usize;
}

/// Values in memory, and behind it, where configured, in Redis.
pub struct Store<V> {
    near: Arc<Near<V>>,
    far: Option<FarSide>,
    handle: Handle,
    writes: TaskTracker,
    writes_max: Arc<Semaphore>,
}

struct FarSide {
    far: Arc<Far>,
    keys: ArcSwap<CacheKeys>,
    keeper: AbortHandle,
}

/// Where a value stands: its subject, and which of the subject's values it is.
#[derive(Clone, Copy)]
pub struct Place {
    subject: Name,
    entry: Name,
}

impl Place {
    /// The place's own name, the same in this process alone.
    pub fn entry(&self) -> [u8; 32] {
        self.entry
    }
}

/// What a value that is being worked out must show when it is ready: that its subject was not
/// forgotten meanwhile.
pub struct Ticket {
    moment: Moment,
    /// The subject's turn in Redis, where there is one and room for the value.
    turn: Option<Vec<u8>>,
}

/// A value that was kept.
pub struct Found<V> {
    /// The value.
    pub value: Arc<V>,
    /// When it was worked out.
    pub since: OffsetDateTime,
}

impl<V: Keepable> Store<V> {
    /// An empty store; its connection to Redis lives on `handle`.
    pub fn new(settings: &CacheSettings, redis: Option<RedisAccess>, handle: &Handle) -> Self {
        let near = Arc::new(Near::new(settings));
        let far = redis.map(|access| {
            let (far, keys) = Far::new(access);
            let far = Arc::new(far);
            let listener: Arc<dyn Listener> = Arc::new(NearListener(Arc::clone(&near)));
            let keeper: JoinHandle<()> = handle.spawn(Arc::clone(&far).keep_connected(listener));
            FarSide { far, keys: ArcSwap::from_pointee(keys), keeper: keeper.abort_handle() }
        });
        Self {
            near,
            far,
            handle: handle.clone(),
            writes: TaskTracker::new(),
            writes_max: Arc::new(Semaphore::new(WRITES_MAX)),
        }
    }

    /// Where a value stands, by what identifies its subject and the value.
    pub fn place(&self, subject: &[u8], entry: &[u8]) -> Place {
        let whole = [&sha256(subject), &sha256(entry)].map(Name::as_slice).concat();
        match &self.far {
            Some(side) => {
                let keys = side.keys.load();
                Place { subject: keys.name(&sha256(subject)), entry: keys.name(&whole) }
            }
            None => Place { subject: sha256(subject), entry: sha256(&whole) },
        }
    }

    /// What is kept at a place and no older than `age_max`; where nothing is, the ticket for what will
    /// be.
    pub async fn find(
        &self,
        place: &Place,
        now: OffsetDateTime,
        age_max: Duration,
    ) -> (Option<Found<V>>, Option<Ticket>) {
        if !self.is_usable() {
            return (None, None);
        }
        let fits = |since, expires| now < expires && now - since <= age_max;
        if let Some(entry) = self.near.entry(&place.entry).filter(|it| fits(it.since, it.expires)) {
            counted("memory");
            return (Some(Found { value: Arc::clone(&entry.value), since: entry.since }), None);
        }
        let moment = self.near.moment(&place.subject);
        let Some(side) = &self.far else {
            counted("miss");
            return (None, Some(Ticket { moment, turn: None }));
        };
        let Some(read) = side.far.read(&place.subject, &place.entry).await else {
            counted("miss");
            return (None, None);
        };
        let opened = read
            .sealed
            .as_ref()
            .and_then(|sealed| open::<V>(&side.keys.load(), place, &read.turn, sealed));
        let Some((value, since, expires)) =
            opened.filter(|(_, since, expires)| fits(*since, *expires))
        else {
            counted("miss");
            return (None, Some(Ticket { moment, turn: read.has_room.then_some(read.turn) }));
        };
        counted("redis");
        let value = Arc::new(value);
        let kept = (Arc::clone(&value), value.bytes());
        self.near.keep(place.entry, place.subject, kept, (since, expires), moment);
        (Some(Found { value, since }), None)
    }

    /// As [`Self::find`] for a place whose value is not wanted: only the ticket.
    pub async fn pass_over(&self, place: &Place) -> Option<Ticket> {
        if !self.is_usable() {
            return None;
        }
        let moment = self.near.moment(&place.subject);
        let Some(side) = &self.far else { return Some(Ticket { moment, turn: None }) };
        let read = side.far.read(&place.subject, &place.entry).await?;
        Some(Ticket { moment, turn: read.has_room.then_some(read.turn) })
    }

    /// Keeps a value that was worked out with this ticket, unless its subject was forgotten meanwhile.
    pub fn keep(
        &self,
        place: Place,
        ticket: Ticket,
        value: Arc<V>,
        (since, life): (OffsetDateTime, Duration),
    ) {
        let (bytes, expires) = (value.bytes(), since + life);
        let kept = (Arc::clone(&value), bytes);
        let is_kept = self.is_usable()
            && self.near.keep(place.entry, place.subject, kept, (since, expires), ticket.moment);
        self.measure();
        let (Some(side), Some(turn), true) = (&self.far, ticket.turn, is_kept) else { return };
        let Ok(slot) = Arc::clone(&self.writes_max).try_acquire_owned() else { return };
        let (far, keys) = (Arc::clone(&side.far), side.keys.load_full());
        // Whoever waits for the answer need not wait for its copy.
        self.writes.spawn_on(
            async move {
                let since = millis(since).to_be_bytes();
                let clear = [&since[..], &sha256(&turn), &value.to_bytes()].concat();
                if let Some(sealed) = keys.seal(&place.entry, millis(expires), clear) {
                    far.write(&place.subject, &place.entry, &sealed, life).await;
                }
                drop(slot);
            },
            &self.handle,
        );
    }

    /// Forgets all about a subject, here and at every gateway.
    pub async fn forget(&self, subject: &[u8]) {
        let subject = sha256(subject);
        let Some(side) = &self.far else { return self.near.forget(&subject) };
        let names = side.keys.load().names(&subject);
        self.near.forget(&names[0]);
        side.far.forget(names).await;
    }

    /// Seals with other keys from now on; what was kept in memory is forgotten.
    pub fn replace_keys(&self, keys: CacheKeys) {
        let Some(side) = &self.far else { return };
        side.keys.store(Arc::new(keys));
        self.near.forget_all();
    }

    /// Whether word of forgetting would be heard, wherever it is spoken.
    pub fn is_usable(&self) -> bool {
        self.far.as_ref().is_none_or(|side| side.far.is_armed())
    }

    /// Entries in memory once all that is to go has gone.
    #[cfg(test)]
    pub(super) fn settled_entries(&self) -> u64 {
        self.near.settled_entries()
    }

    fn measure(&self) {
        let (entries, bytes) = self.near.size();
        gauge!("tessera_answer_cache_entries").set(entries as f64);
        gauge!("tessera_answer_cache_bytes").set(bytes as f64);
    }
}

impl<V> Drop for Store<V> {
    fn drop(&mut self) {
        if let Some(side) = &self.far {
            side.keeper.abort();
        }
    }
}

struct NearListener<V>(Arc<Near<V>>);

impl<V: Keepable> Listener for NearListener<V> {
    fn forget(&self, name: &Name) {
        self.0.forget(name);
    }

    fn forget_all(&self) {
        self.0.forget_all();
    }
}

/// A sealed value of this turn, with the time it was worked out and the time it ends.
fn open<V: Keepable>(
    keys: &CacheKeys,
    place: &Place,
    turn: &[u8],
    sealed: &[u8],
) -> Option<(V, OffsetDateTime, OffsetDateTime)> {
    let (clear, expires) = keys.open(&place.entry, sealed)?;
    let (since, rest) = clear.split_first_chunk::<8>()?;
    let (written_in, value) = rest.split_first_chunk::<32>()?;
    // It was on its way when its subject was forgotten.
    if *written_in != sha256(turn) {
        return None;
    }
    Some((V::from_bytes(value)?, at(i64::from_be_bytes(*since))?, at(expires)?))
}

fn millis(at: OffsetDateTime) -> i64 {
    (at.unix_timestamp_nanos() / 1_000_000) as i64
}

fn at(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}

fn sha256(bytes: &[u8]) -> Name {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn counted(from: &'static str) {
    counter!("tessera_answer_cache_total", "from" => from).increment(1);
}
