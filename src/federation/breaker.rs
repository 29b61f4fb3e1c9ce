//! A circuit breaker: a member that fails again and again is left alone for a moment, so that it
//! costs its callers nothing and itself no load while it recovers.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// One member's breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
    failures_max: u32,
    open_for: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Requests pass; so many failed in a row.
    Closed { failures: u32 },
    /// No request passes before this instant.
    Open { until: Instant },
    /// One probe is under way, and decides.
    HalfOpen,
}

/// Leave to make one request. Says how it went, or is dropped where nobody waited to learn it.
#[derive(Debug)]
#[must_use]
pub(super) struct Attempt<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    settled: bool,
}

impl Breaker {
    pub(super) fn new(failures_max: u32, open_for: Duration) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self { state, failures_max: failures_max.max(1), open_for }
    }

    /// Leave to make a request, or `None` while the member is left alone.
    pub(super) fn admit(&self) -> Option<Attempt<'_>> {
        let mut state = self.lock();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if Instant::now() >= until => {
                *state = State::HalfOpen;
                true
            }
            State::Open { .. } | State::HalfOpen => return None,
        };
        Some(Attempt { breaker: self, is_probe, settled: false })
    }

    /// Whether the member is left alone just now.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed { .. })
    }

    fn opened(&self) -> State {
        State::Open { until: Instant::now() + self.open_for }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The member answered, if only to refuse.
    pub(super) fn succeeded(mut self) {
        self.settled = true;
        let mut state = self.breaker.lock();
        // An answer to a request from before the breaker opened says nothing about now.
        if self.is_probe || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
        }
    }

    /// The member failed.
    pub(super) fn failed(mut self) {
        self.settled = true;
        let mut state = self.breaker.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.breaker.failures_max => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => self.breaker.opened(),
            _ if self.is_probe => self.breaker.opened(),
            unchanged => unchanged,
        };
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        // A probe whose caller went away decided nothing: the next request is the probe.
        if self.is_probe && !self.settled {
            *self.breaker.lock() = State::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(10);

    fn opened_breaker() -> Breaker {
        let breaker = Breaker::new(3, OPEN_FOR);
        for _ in 0..3 {
            breaker.admit().expect("closed").failed();
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let breaker = Breaker::new(3, OPEN_FOR);
        for _ in 0..2 {
            breaker.admit().expect("closed").failed();
            breaker.admit().expect("closed").failed();
            breaker.admit().expect("closed").succeeded();
        }
        assert!(!breaker.is_open());
        assert!(opened_breaker().admit().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_passes_after_the_pause_and_decides() {
        let breaker = opened_breaker();
        tokio::time::advance(OPEN_FOR).await;
        let probe = breaker.admit().expect("half-open");
        assert!(breaker.admit().is_none(), "a second request beside the probe");
        probe.failed();
        assert!(breaker.admit().is_none(), "open again");
        tokio::time::advance(OPEN_FOR).await;
        breaker.admit().expect("half-open").succeeded();
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_given_up_leaves_room_for_the_next() {
        let breaker = opened_breaker();
        tokio::time::advance(OPEN_FOR).await;
        drop(breaker.admit().expect("half-open"));
        breaker.admit().expect("the next probe").succeeded();
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_from_before_does_not_close_it() {
        let breaker = Breaker::new(1, OPEN_FOR);
        let (early, late) = (breaker.admit().expect("closed"), breaker.admit().expect("closed"));
        early.failed();
        late.succeeded();
        assert!(breaker.is_open());
    }
}
