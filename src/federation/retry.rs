//! When to ask again: pauses with jitter, and budgets that keep retries and hedges from adding
//! load to a member that already has too much.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The pause before attempt `attempt` (2 is the first retry): full jitter over a doubling span,
/// and never less than the member asked for.
///
/// `random` lies in `0.0..1.0`. Brooker, "Exponential Backoff And Jitter" (2015).
pub(super) fn pause(
    attempt: u32,
    first: Duration,
    retry_after: Option<Duration>,
    random: f64,
) -> Duration {
    let doublings = attempt.saturating_sub(2).min(10);
    let jittered = first.saturating_mul(1 << doublings).mul_f64(random.clamp(0.0, 1.0));
    jittered.max(retry_after.unwrap_or_default())
}

/// A share of the requests that may be made twice.
///
/// Each request earns `percent` hundredths of a second try, up to [`Budget::SAVED_MAX`] of them.
#[derive(Debug)]
pub(super) struct Budget {
    hundredths: Mutex<u32>,
    percent: u32,
}

impl Budget {
    /// Second tries that can be saved up: a burst of failures gets so many, then its share.
    const SAVED_MAX: u32 = 10;

    /// A budget with everything saved up: the first failures must not wait until it is earned.
    pub(super) fn full(percent: u32) -> Self {
        let start = if percent == 0 { 0 } else { Self::SAVED_MAX * 100 };
        Self { hundredths: Mutex::new(start), percent }
    }

    /// A budget that must be earned first.
    pub(super) fn empty(percent: u32) -> Self {
        Self { hundredths: Mutex::new(0), percent }
    }

    /// Counts one request.
    pub(super) fn earn(&self) {
        let mut hundredths = self.hundredths.lock().unwrap_or_else(PoisonError::into_inner);
        *hundredths = (*hundredths + self.percent).min(Self::SAVED_MAX * 100);
    }

    /// Takes one second try, where there is one left.
    pub(super) fn spend(&self) -> bool {
        let mut hundredths = self.hundredths.lock().unwrap_or_else(PoisonError::into_inner);
        let affordable = *hundredths >= 100;
        if affordable {
            *hundredths -= 100;
        }
        affordable
    }
}

/// How long a member's requests took of late; tells when a request is slow enough to be hedged.
#[derive(Debug, Default)]
pub(super) struct Latencies(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    samples: Vec<Duration>,
    next: usize,
}

impl Latencies {
    const SAMPLES_MAX: usize = 128;
    /// Fewer samples tell nothing about a tail.
    const SAMPLES_MIN: usize = 20;

    pub(super) fn record(&self, took: Duration) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.samples.len() < Self::SAMPLES_MAX {
            recent.samples.push(took);
        } else {
            let next = recent.next;
            recent.samples[next] = took;
            recent.next = (next + 1) % Self::SAMPLES_MAX;
        }
    }

    /// The duration that 95 of 100 recent requests stayed within, once enough are known.
    pub(super) fn p95(&self) -> Option<Duration> {
        self.quantile(95)
    }

    /// The duration that so many of 100 stayed within, once enough are known.
    pub(super) fn quantile(&self, percent: usize) -> Option<Duration> {
        let mut samples = {
            let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if recent.samples.len() < Self::SAMPLES_MIN {
                return None;
            }
            recent.samples.clone()
        };
        let rank = ((samples.len() * percent).div_ceil(100)).max(1) - 1;
        Some(*samples.select_nth_unstable(rank).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_and_honor_retry_after() {
        let check = |attempt, retry_after: Option<u64>, random, expected_ms| {
            let after = retry_after.map(Duration::from_millis);
            let told = pause(attempt, Duration::from_millis(100), after, random);
            assert_eq!(told, Duration::from_millis(expected_ms));
        };
        check(2, None, 1.0, 100);
        check(3, None, 1.0, 200);
        check(4, None, 0.5, 200);
        check(2, None, 0.0, 0);
        check(2, Some(2_000), 1.0, 2_000);
    }

    #[test]
    fn a_budget_runs_out_and_is_earned_back() {
        let budget = Budget::full(10);
        let spent = (0..100).filter(|_| budget.spend()).count();
        assert_eq!(spent, 10);
        (0..9).for_each(|_| budget.earn());
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend() && !budget.spend());
        assert!(!Budget::full(0).spend() && !Budget::empty(50).spend());
    }

    #[test]
    fn the_95th_percentile_follows_the_latest_requests() {
        let latencies = Latencies::default();
        for ms in 1..=19 {
            latencies.record(Duration::from_millis(ms));
        }
        assert_eq!(latencies.p95(), None);
        latencies.record(Duration::from_millis(20));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(19)));
        (0..Latencies::SAMPLES_MAX).for_each(|_| latencies.record(Duration::from_millis(5)));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(5)));
    }
}
