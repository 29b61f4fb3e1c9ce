//! Times and counts as benches print them: percentiles, processor time, Markdown tables.

use std::{
    fs,
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// How long things took.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which this share of them was done, in milliseconds; 0 where there is none.
    pub(crate) fn ms(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(last)).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

/// Prints a table as Markdown.
pub(crate) fn print_table(title: &str, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{title}\n\n| {} |", head.join(" | "))?;
    let rule = head.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" });
    writeln!(out, "| {} |", rule.collect::<Vec<_>>().join(" | "))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    out.flush()
}

/// Prints a line.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Milliseconds in a table.
pub(crate) fn ms(value: f64) -> String {
    if value < 10.0 { format!("{value:.3}") } else { format!("{value:.1}") }
}

/// How busy the machine was when this was measured.
pub(crate) fn load_average() -> Result<String> {
    let told = fs::read_to_string("/proc/loadavg").context("no load average")?;
    let load = told.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{cores} cores, load average {load}"))
}

/// What a process has spent on all cores so far, user and system; proc(5).
pub(crate) fn processor_time(process: &str) -> Result<Duration> {
    /// `USER_HZ`, fixed on Linux.
    const TICK: Duration = Duration::from_millis(10);
    let told = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold spaces.
    let fields = told.rsplit_once(')').context("no stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<Result<_, _>>().context("no ticks")?;
    Ok(TICK * ticks)
}

/// The same to the nanosecond, of the threads that live; `Documentation/scheduler/sched-stats.rst`.
#[allow(dead_code, reason = "some benches have no use for it")]
pub(crate) fn threads_time(process: &str) -> Result<Duration> {
    let mut spent = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may have ended since it was listed.
        let Ok(told) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanoseconds = told.split_whitespace().next().context("no schedstat")?;
        spent += nanoseconds.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(spent))
}

/// The most memory that a process has had at once, in bytes; proc(5) `VmHWM`.
#[allow(dead_code, reason = "some benches have no use for it")]
pub(crate) fn memory_peak(process: &str) -> Result<u64> {
    let told = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}

/// Whether to measure (`cargo bench`), or only to run through once and small (`cargo test`).
pub(crate) fn is_measured() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
