//! What was worked out a moment ago, kept for the next who asks: in memory, and sealed in a Redis
//! that several gateways share.
//!
//! Knows nothing of what it keeps but how to write and read it. It may forget anything at any time,
//! and hands out nothing that was to be forgotten: entries have an age, belong to a subject that can
//! be forgotten as a whole, and are not used while word of another gateway's forgetting could be
//! missed. Without Redis, or while it is away, everything still works; only more is asked for.

mod far;
mod flights;
mod keys;
mod near;
mod store;

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

pub use far::{CacheError, RedisAccess};
pub use flights::{Boarding, Flights};
pub use keys::{CacheKeyError, CacheKeys};
pub use store::{Found, Keepable, Place, Store, Ticket};

/// How much is kept, how long and where. All bounds hold at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// How long an entry may be used, in seconds; 0: nothing is kept.
    pub ttl_s: u64,
    /// Entries in memory; the least used goes first.
    pub entries_max: u64,
    /// Bytes in memory, of all entries together.
    pub bytes_max: u64,
    /// Bytes of one entry; a larger one is not kept.
    pub entry_bytes_max: usize,
    /// A Redis behind the memory; none where absent.
    pub redis: Option<RedisSettings>,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            ttl_s: 60,
            entries_max: 20_000,
            bytes_max: 256 << 20,
            entry_bytes_max: 16 << 20,
            redis: None,
        }
    }
}

/// A Redis that gateways share. It never sees what it keeps: names are HMACs, values are sealed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// `rediss://[user@]host[:port][/database]`; `redis://` only on this machine.
    pub url: String,
    /// The keys that seal entries.
    pub keys: PathBuf,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// PEM file with the authority of its certificate; the system's where absent.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// How long one command may take, in milliseconds.
    #[serde(default = "timeout_ms_default")]
    pub timeout_ms: u64,
    /// How long connecting may take, TLS and arming included, in milliseconds.
    #[serde(default = "connect_timeout_ms_default")]
    pub connect_timeout_ms: u64,
    /// Commands that fail in a row before the connection is given up.
    #[serde(default = "failures_max_default")]
    pub failures_max: u32,
    /// Pause before the next attempt to connect, in milliseconds.
    #[serde(default = "pause_ms_default")]
    pub pause_ms: u64,
    /// How often a silent connection is tried, in milliseconds.
    #[serde(default = "ping_ms_default")]
    pub ping_ms: u64,
}

const fn timeout_ms_default() -> u64 {
    100
}

const fn connect_timeout_ms_default() -> u64 {
    2_000
}

const fn failures_max_default() -> u32 {
    3
}

const fn pause_ms_default() -> u64 {
    1_000
}

const fn ping_ms_default() -> u64 {
    1_000
}

impl CacheSettings {
    /// Says which bound is out of its own bounds.
    pub fn check(&self) -> Result<(), String> {
        let within = |key: &str, value: u64, least: u64, most: u64| {
            let fits = (least..=most).contains(&value);
            let wrong = || format!("answer_cache.{key} must be between {least} and {most}");
            if fits { Ok(()) } else { Err(wrong()) }
        };
        within("ttl_s", self.ttl_s, 0, 3_600)?;
        within("entries_max", self.entries_max, 1, 10_000_000)?;
        within("bytes_max", self.bytes_max, 1 << 20, 1 << 40)?;
        within("entry_bytes_max", self.entry_bytes_max as u64, 1 << 10, 256 << 20)?;
        let Some(redis) = &self.redis else { return Ok(()) };
        within("redis.timeout_ms", redis.timeout_ms, 1, 5_000)?;
        within("redis.connect_timeout_ms", redis.connect_timeout_ms, 10, 30_000)?;
        within("redis.failures_max", redis.failures_max.into(), 1, 1_000)?;
        within("redis.pause_ms", redis.pause_ms, 10, 60_000)?;
        within("redis.ping_ms", redis.ping_ms, 10, 60_000)
    }

    /// How long an entry may be used where nothing else is told.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_s)
    }
}

#[cfg(test)]
mod test_redis;
#[cfg(test)]
mod tests;
