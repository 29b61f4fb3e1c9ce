//! One member of eight stalls, one resets, one answers 503: do the other five notice?

use std::time::Duration;

use anyhow::Result;
use tessera::simulator::{AnswerFault, Faults, Simulator};

use crate::{
    DEADLINE_MS, Query, Relay, Times,
    figures::{ms, print_table},
    query,
    world::Client,
};

/// Members that are well all the time.
const WELL: std::ops::Range<usize> = 3..8;

/// Healthy and troubled, one after the other, `runs` times.
pub(crate) async fn troubled(
    members: &[Simulator],
    department: &Client,
    path: &str,
    relays: &[Relay],
    (runs, queries): (usize, usize),
) -> Result<()> {
    let status = AnswerFault::Status { status: 503, retry_after_s: None };
    let faults =
        [AnswerFault::Stalled { bytes: 2_000 }, AnswerFault::Broken { bytes: 2_000 }, status];
    let mut rows = Vec::new();
    let mut ratios = Vec::new();
    for run in 1..=runs {
        for member in members {
            member.set_faults(Faults::default());
        }
        let healthy = ask(department, path, relays, queries).await?;
        for (member, answer) in members.iter().zip(&faults) {
            member.set_faults(Faults { answer: answer.clone(), ..Faults::default() });
        }
        let ill = ask(department, path, relays, queries).await?;
        let (well, troubled) = (others(&healthy).ms(0.99), others(&ill).ms(0.99));
        let ended: Times = ill.iter().map(|query| query.ended).collect();
        ratios.push(troubled / well);
        rows.push(vec![
            run.to_string(),
            queries.to_string(),
            ms(well),
            ms(troubled),
            format!("{:.2}", troubled / well),
            ms(ended.ms(1.0)),
        ]);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let head = [
        "run",
        "queries each",
        "others healthy p99 ms",
        "others troubled p99 ms",
        "ratio",
        "latest answer ms",
    ];
    let title = format!(
        "One member stalled, one resetting, one answering 503; deadline {DEADLINE_MS} ms; median \
         ratio {median:.2}"
    );
    print_table(&title, &head, &rows)?;
    for member in members {
        member.set_faults(Faults::default());
    }
    Ok(())
}

async fn ask(
    department: &Client,
    path: &str,
    relays: &[Relay],
    queries: usize,
) -> Result<Vec<Query>> {
    let mut asked = Vec::new();
    for _ in 0..queries {
        asked.push(query(department, path, relays).await?);
    }
    Ok(asked)
}

/// When the last of those that are well was done, query by query.
fn others(asked: &[Query]) -> Times {
    let last = |query: &Query| query.last_bytes[WELL].iter().max().copied();
    asked.iter().map(|query| last(query).unwrap_or(Duration::ZERO)).collect()
}
