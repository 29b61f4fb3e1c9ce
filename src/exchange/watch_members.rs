//! Looks at the members again and again, so that an operator knows before a physician does.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::{Exchange, expire_discovered};

/// Days before the end of a certificate at which it is warned of.
const WARN_DAYS: [i64; 3] = [3, 14, 30];

/// How often links that were discovered are looked through for those whose time is over: they count
/// in days.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(10);

/// Ends discovered links whose time is over, at once and then again and again. Runs until it is
/// dropped.
pub async fn watch_links(exchange: Arc<Exchange>) {
    let mut ticks = interval(EXPIRY_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        expire_discovered(&exchange).await;
    }
}

/// Walks through every member that is asked or being tested, each interval. Runs until it is dropped.
pub async fn check_members(exchange: Arc<Exchange>, every: Duration) {
    // Not at once: whoever is active was checked when it became so.
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        exchange.member_desk().check_all().await;
    }
}

/// Probes every member that is asked or being tested, at once and then each interval. Runs until it
/// is dropped.
pub async fn watch_members(exchange: Arc<Exchange>, every: Duration) {
    let mut warned = HashMap::new();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        exchange.member_desk().probe_all().await;
        let members = exchange.federation.health();
        let ends = members
            .into_iter()
            .filter_map(|member| Some((member.code.to_string(), member.certificate_days_left?)));
        let own = exchange.federation.own_certificate_days_left();
        for (whose, days) in ends.chain(own.map(|days| ("the gateway".to_owned(), days))) {
            let stage = stage(days);
            if stage.is_some() && warned.insert(whose.clone(), stage) != Some(stage) {
                tracing::warn!(whose, days, "a certificate ends soon");
            }
        }
    }
}

/// The narrowest of the warnings that a number of days falls under.
fn stage(days: i64) -> Option<i64> {
    WARN_DAYS.into_iter().find(|bound| days < *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_three_times() {
        let stages = [31, 30, 29, 14, 13, 3, 2, -1].map(stage);
        assert_eq!(stages, [None, None, Some(30), Some(30), Some(14), Some(14), Some(3), Some(3)]);
    }
}
