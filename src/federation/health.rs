//! How a member has been doing: rolling figures of its requests and its answers.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::retry::Latencies;
use crate::domain::MemberCode;

/// Minutes over which requests are counted.
const MINUTES: usize = 60;

/// The figures of one member; they outlive a change of its entry.
#[derive(Debug)]
pub(super) struct Figures {
    started: Instant,
    minutes: Mutex<[Minute; MINUTES]>,
    requests: Latencies,
    visits: Latencies,
}

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    /// Since the start, from 1; 0 where nothing was counted.
    number: u64,
    requests: u32,
    failures: u32,
}

/// How a member is doing.
#[derive(Clone, Debug, Serialize)]
pub struct MemberHealth {
    /// The member.
    pub code: MemberCode,
    /// Its status in the directory.
    pub status: String,
    /// Requests of the last hour.
    pub requests: u64,
    /// Those that failed: broken off, timed out, 5xx. A refusal is no failure.
    pub failures: u64,
    /// Which share of its error budget is left, from 1 down; below 0 it is overspent.
    pub error_budget_left: f64,
    /// Median duration of its latest requests, in milliseconds.
    pub p50_ms: Option<u64>,
    /// 95th percentile.
    pub p95_ms: Option<u64>,
    /// 99th percentile.
    pub p99_ms: Option<u64>,
    /// Whether it is left alone just now.
    pub circuit_open: bool,
    /// How long an emergency waits for it, in milliseconds.
    pub emergency_deadline_ms: u64,
    /// Days until its certificate ends, as the last probe saw it.
    pub certificate_days_left: Option<i64>,
    /// What the last probe found wrong.
    pub fault: Option<String>,
}

/// What a probe found, and when.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) certificate_ends: Option<OffsetDateTime>,
    pub(super) fault: Option<String>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            minutes: Mutex::new([Minute::default(); MINUTES]),
            requests: Latencies::default(),
            visits: Latencies::default(),
        }
    }
}

impl Figures {
    /// Counts one request; its duration says something only where an answer came.
    pub(super) fn count(&self, failed: bool, answered_in: Option<Duration>) {
        if let Some(took) = answered_in {
            self.requests.record(took);
        }
        let number = self.minute();
        let mut minutes = self.lock();
        let minute = &mut minutes[number as usize % MINUTES];
        if minute.number != number {
            *minute = Minute { number, ..Minute::default() };
        }
        minute.requests += 1;
        minute.failures += u32::from(failed);
    }

    /// Notes how long a whole answer took; one that was given up took as long as it was given.
    pub(super) fn visited(&self, took: Duration) {
        self.visits.record(took);
    }

    /// Durations of its latest requests.
    pub(super) fn latencies(&self) -> &Latencies {
        &self.requests
    }

    /// Requests and failures of the last hour.
    pub(super) fn last_hour(&self) -> (u64, u64) {
        let now = self.minute();
        let minutes = self.lock();
        let recent = minutes.iter().filter(|minute| minute.number + MINUTES as u64 > now);
        recent.fold((0, 0), |(requests, failures), minute| {
            (requests + u64::from(minute.requests), failures + u64::from(minute.failures))
        })
    }

    /// How long it may take in an emergency: some times what 99 of 100 of its answers take, so that
    /// one member that hangs does not decide; `None` until enough is known. What is given up counts
    /// with the time it was given, so that a member that has become slow is waited for longer.
    pub(super) fn patience(&self, factor: u32, floor: Duration) -> Option<Duration> {
        let p99 = self.visits.quantile(99).filter(|_| factor > 0)?;
        Some(p99.saturating_mul(factor).max(floor))
    }

    fn minute(&self) -> u64 {
        self.started.elapsed().as_secs() / 60 + 1
    }

    fn lock(&self) -> MutexGuard<'_, [Minute; MINUTES]> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which share of an error budget is left: of the failures that an objective of so many successes
/// in a hundred allows.
pub(super) fn error_budget_left(requests: u64, failures: u64, objective_percent: f64) -> f64 {
    let allowed = requests as f64 * (100.0 - objective_percent) / 100.0;
    if failures == 0 {
        1.0
    } else if allowed > 0.0 {
        1.0 - failures as f64 / allowed
    } else {
        -1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_counted_and_then_forgotten() {
        let figures = Figures::default();
        for failed in [false, true, false] {
            figures.count(failed, Some(Duration::from_millis(3)));
        }
        assert_eq!(figures.last_hour(), (3, 1));
        tokio::time::advance(Duration::from_mins(30)).await;
        figures.count(true, None);
        assert_eq!(figures.last_hour(), (4, 2));
        tokio::time::advance(Duration::from_mins(30)).await;
        assert_eq!(figures.last_hour(), (1, 1));
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(figures.last_hour(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_follows_what_a_member_usually_takes() {
        let figures = Figures::default();
        let patience = || figures.patience(4, Duration::from_millis(500));
        (0..19).for_each(|_| figures.visited(Duration::from_millis(200)));
        assert_eq!(patience(), None, "too little is known");
        figures.visited(Duration::from_millis(200));
        assert_eq!(patience(), Some(Duration::from_millis(800)));
        assert_eq!(figures.patience(0, Duration::ZERO), None, "switched off");
        (0..128).for_each(|_| figures.visited(Duration::from_millis(20)));
        assert_eq!(patience(), Some(Duration::from_millis(500)), "never below the floor");
        // It has become slow: what was given up counts, so that the next is waited for longer.
        (0..4).for_each(|_| figures.visited(Duration::from_millis(500)));
        assert_eq!(patience(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn an_error_budget_is_spent_by_failures() {
        let left = |requests, failures| error_budget_left(requests, failures, 99.0);
        assert!((left(1_000, 5) - 0.5).abs() < 1e-9);
        assert!(left(1_000, 20) < -0.9 && left(0, 0) > 0.99);
    }
}
