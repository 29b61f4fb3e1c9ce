use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{sync::Barrier, task::JoinSet};

use crate::figures::{Times, processor_time};

/// What came of asking again and again for a while.
pub(crate) struct Load {
    pub(crate) times: Times,
    /// What callers and gateway spent together on all cores.
    pub(crate) processor: Duration,
    elapsed: Duration,
}

impl Load {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.count() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Lets so many callers ask at once, each again when it has its answer, until the time is over or
/// they have nothing more to ask. `ask` is told who asks and which turn it is; the first turn opens
/// the connection and does not count.
pub(crate) async fn closed_loop<A, F>(callers: usize, lasting: Duration, ask: A) -> Result<Load>
where
    A: Fn(usize, usize) -> F + Send + Sync + 'static,
    F: Future<Output = Result<bool>> + Send,
{
    let ask = Arc::new(ask);
    let connected = Arc::new(Barrier::new(callers + 1));
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (ask, connected) = (Arc::clone(&ask), Arc::clone(&connected));
        tasks.spawn(async move {
            let first = ask(caller, 0).await;
            connected.wait().await;
            first?;
            let end = Instant::now() + lasting;
            let mut times = Vec::new();
            for turn in 1.. {
                let started = Instant::now();
                if started >= end || !ask(caller, turn).await? {
                    break;
                }
                times.push(started.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    connected.wait().await;
    let (started, spent) = (Instant::now(), processor_time("self")?);
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let elapsed = started.elapsed();
    let processor = processor_time("self")?.saturating_sub(spent);
    Ok(Load { times: times.into_iter().collect(), processor, elapsed })
}
