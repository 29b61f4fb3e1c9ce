//! Trying again, for so long and no longer.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Waits a little longer each time, until it has run out.
pub(super) struct Patience {
    until: Instant,
    next: Duration,
}

impl Patience {
    pub(super) fn of(lasts: Duration) -> Self {
        Self { until: Instant::now() + lasts, next: FIRST }
    }

    /// Waits, and says whether to try again.
    pub(super) async fn wait(&mut self) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        sleep(self.next.min(left)).await;
        self.next = (self.next * 2).min(LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_runs_out() {
        let begun = Instant::now();
        let mut patience = Patience::of(Duration::from_secs(5));
        let mut tries = 0;
        while patience.wait().await {
            tries += 1;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        assert!((8..20).contains(&tries), "{tries}");
        assert!(!Patience::of(Duration::ZERO).wait().await);
    }
}
