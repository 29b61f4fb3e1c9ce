//! `tessera import`: registers a member's patients in bulk, straight into the database of a gateway
//! that is not running.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

use crate::{
    access::{AuditLog, AuditStart, Closing, FeedPermit, Interaction, RawRequest},
    app::{SystemClock, read_model},
    config::Config,
    directory::Directory,
    domain::{Clock, MemberCode, RequestId},
    exchange::{ExchangeError, acceptable, last_updated},
    fhir::Resource,
    index::{Index, Outcome, Registration},
    storage::Database,
};

/// The longest line that is read, in bytes; as the gateway's default for a request body.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Lines registered together.
const BATCH_LINES: usize = 2_000;

/// Arguments of `tessera import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The member whose patients these are
    #[arg(long, value_name = "CODE")]
    member: String,
    /// Patients, one FHIR R4 resource a line
    #[arg(value_name = "FILE.ndjson")]
    file: PathBuf,
    /// The gateway's configuration
    #[arg(long, value_name = "FILE", default_value = "config/tessera.toml")]
    config: PathBuf,
    /// Where to write the lines that were not taken, with the reason; default FILE.rejects.csv
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// What became of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    created: u64,
    updated: u64,
    unchanged: u64,
    rejected: u64,
}

/// Runs `tessera import`; exit status 1 where any line was rejected.
pub async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args.config)?;
    let code = MemberCode::parse(&args.member)?;
    let file =
        File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let store = Database::open(&config.storage.settings()?).await?;
    let directory = Directory::open(store.clone()).await?;
    let roster = directory.roster();
    let member = roster
        .member(&code)
        .with_context(|| format!("{code} is not in the directory; see `tessera member apply`"))?;
    let permit = FeedPermit::on_this_machine(member)?;
    let model = Arc::new(read_model(&config.index.model)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let audit = AuditLog::start(store.clone(), config.audit.clone(), Arc::clone(&clock)).await?;
    let (snapshot, limits) = (config.index_snapshot(), config.index.limits());
    let index = Index::open_from(snapshot, store.clone(), model, limits, clock).await?;
    // One action for the whole file: the journal holds each record's decision and the line it came from.
    let opened = audit.open(started(&code)).await?;

    let path = args.rejects.unwrap_or_else(|| rejects_beside(&args.file));
    let rejects = Rejects { path, writer: None };
    let progress = progress(&file)?;
    let mut import = Import { permit, index: &index, rejects, tally: Tally::default() };
    let outcome = import.read(progress.wrap_read(file)).await;
    progress.finish_and_clear();
    let (tally, rejects) = (import.tally, import.rejects);
    let closing = match &outcome {
        Ok(()) => Closing::Wrote {
            resource: format!("Organization/{code}"),
            person: None,
            created: tally.created > 0,
        },
        Err(_) => Closing::Failed("the import ended early"),
    };
    opened.close(closing, ()).await?.into_inner();
    audit.close().await;
    index.close().await;
    store.close().await;
    outcome?;
    report(&tally, rejects.close()?.as_deref())?;
    Ok(if tally.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn started(member: &MemberCode) -> AuditStart {
    AuditStart {
        request_id: RequestId::new(Uuid::new_v4()),
        requester: None,
        client_address: None,
        interaction: Interaction::Feed,
        purpose: None,
        patient: None,
        resource: Some(format!("Organization/{member}")),
        query: RawRequest {
            method: "import".to_owned(),
            path: format!("/{member}"),
            ..RawRequest::default()
        },
    }
}

fn progress(file: &File) -> anyhow::Result<ProgressBar> {
    let style = "{bar:40} {bytes}/{total_bytes} {elapsed} left {eta}";
    Ok(ProgressBar::new(file.metadata()?.len()).with_style(ProgressStyle::with_template(style)?))
}

fn rejects_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".rejects.csv");
    PathBuf::from(name)
}

fn report(tally: &Tally, rejects: Option<&Path>) -> io::Result<()> {
    let Tally { created, updated, unchanged, rejected } = tally;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{created} created, {updated} updated, {unchanged} unchanged, {rejected} rejected"
    )?;
    if let Some(path) = rejects {
        writeln!(out, "Rejected lines and reasons: {}", path.display())?;
    }
    Ok(())
}

struct Import<'a> {
    permit: FeedPermit,
    index: &'a Index,
    rejects: Rejects,
    tally: Tally,
}

impl Import<'_> {
    async fn read(&mut self, file: impl io::Read) -> anyhow::Result<()> {
        let mut lines = BufReader::with_capacity(1 << 20, file);
        let mut batch: Vec<(u64, Registration)> = Vec::with_capacity(BATCH_LINES);
        let (mut number, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let read = (&mut lines).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            number += 1;
            if read as u64 > LINE_BYTES_MAX && line.last() != Some(&b'\n') {
                skip_line(&mut lines)?;
                self.reject(number, &format!("longer than {LINE_BYTES_MAX} bytes"))?;
                continue;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            // Without its end, or an error at the end would be told as one on the next line.
            match self.registration(number, line.trim_ascii_end()) {
                Ok(registration) => batch.push((number, registration)),
                Err(reason) => self.reject(number, &reason)?,
            }
            if batch.len() == BATCH_LINES {
                self.register(&mut batch).await?;
            }
        }
        self.register(&mut batch).await
    }

    /// The registration that a line asks for, or why it cannot be taken; never with its content.
    fn registration(&self, number: u64, line: &[u8]) -> Result<Registration, String> {
        let patient = Resource::parse(line).map_err(|error| error.to_string())?;
        let reading = acceptable(&patient).map_err(|error| reason(&error))?;
        let own = reading.local_ids.into_iter().find_map(|id| self.permit.record(id).ok());
        let record = own.ok_or("no identifier of the member's own systems")?;
        Ok(Registration {
            record,
            demographics: reading.demographics,
            event_time: last_updated(&patient),
            source_message: Some(format!("line {number}")),
            fed_by: self.permit.fed_by().to_owned(),
        })
    }

    async fn register(&mut self, batch: &mut Vec<(u64, Registration)>) -> anyhow::Result<()> {
        let (numbers, registrations): (Vec<u64>, Vec<Registration>) = batch.drain(..).unzip();
        let outcomes = self.index.register_many(registrations).await;
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            // A line that the store did not take ends the import: the next would not be taken either.
            let registered = outcome.with_context(|| format!("stopped at line {number}"))?;
            match registered.outcome {
                Outcome::Created => self.tally.created += 1,
                Outcome::Updated => self.tally.updated += 1,
                Outcome::Unchanged | Outcome::Stale => self.tally.unchanged += 1,
            }
        }
        Ok(())
    }

    fn reject(&mut self, number: u64, reason: &str) -> io::Result<()> {
        self.tally.rejected += 1;
        self.rejects.write(number, reason)
    }
}

fn reason(error: &ExchangeError) -> String {
    match error {
        ExchangeError::InvalidPatient(faults) => {
            let told = faults.iter().map(|fault| format!("{} {}", fault.expression, fault.problem));
            told.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

fn skip_line(lines: &mut impl io::BufRead) -> io::Result<()> {
    loop {
        let chunk = lines.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(chunk.len(), |at| at + 1);
        lines.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// The rejects file, made with its first line.
struct Rejects {
    path: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl Rejects {
    fn write(&mut self, line: u64, reason: &str) -> io::Result<()> {
        let writer = if let Some(writer) = &mut self.writer {
            writer
        } else {
            let mut writer = BufWriter::new(File::create(&self.path)?);
            writeln!(writer, "line,reason")?;
            self.writer.insert(writer)
        };
        writeln!(writer, "{line},\"{}\"", reason.replace('"', "\"\""))
    }

    fn close(self) -> io::Result<Option<PathBuf>> {
        let Some(mut writer) = self.writer else { return Ok(None) };
        writer.flush()?;
        Ok(Some(self.path))
    }
}
