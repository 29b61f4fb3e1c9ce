//! `tessera import`: registers a member's patients in bulk, straight into the database of a gateway
//! that is not running. From FHIR Patients, CSV rows, or HL7 v2 messages.

mod csv_rows;
mod message_file;
mod messages;
mod patient_lines;
mod rejects;
mod tally;

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

use self::{csv_rows::Rows, rejects::Rejects, tally::Tally};
use super::unusable::settle;
use crate::{
    access::{AuditLog, AuditStart, Closing, FeedPermit, Interaction, RawRequest},
    app::{SystemClock, read_model},
    config::Config,
    directory::Directory,
    domain::{Clock, MemberCode, RequestId},
    index::{Index, IndexError, Registration},
    storage::Database,
};

/// The longest line, row or message that is read, in bytes; as the gateway's default for a request
/// body and for a message.
const BYTES_MAX: usize = 1 << 20;
/// Records registered together.
const BATCH_RECORDS: usize = 2_000;

/// Arguments of `tessera import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The member whose patients these are
    #[arg(long, value_name = "CODE")]
    member: String,
    /// FHIR R4 Patients, one a line; rows of CSV; or HL7 v2 messages
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the file holds; else what its beginning looks like
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Of CSV: the member's identifier system that the numbers are of; may be left out where the member
    /// has one
    #[arg(long, value_name = "URI")]
    system: Option<String>,
    /// Of CSV: the column that holds the record number
    #[arg(long, value_name = "COLUMN", default_value = "mrn")]
    number_column: String,
    /// Of CSV: only rows whose `source` is this
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// The gateway's configuration
    #[arg(long, value_name = "FILE", default_value = "config/tessera.toml")]
    config: PathBuf,
    /// Where to write what was not taken, with line and reason; default FILE.rejects.csv
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// FHIR R4 Patients, one a line
    Ndjson,
    /// Rows under a header of column names
    Csv,
    /// HL7 v2 messages: one after another, in a batch (FHS, BHS, BTS, FTS), or in MLLP frames
    Hl7,
}

/// A file that was begun to be read.
enum Content<R> {
    Patients(R),
    Rows(Box<Rows<R>>),
    Messages(R),
}

/// Runs `tessera import`; exit status 1 where anything was rejected, 2 where nothing could be begun.
pub async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    settle(import(args).await)
}

async fn import(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args.config)?;
    let code = MemberCode::parse(&args.member)?;
    let file =
        File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let progress = progress(&file)?;
    let mut input = BufReader::with_capacity(1 << 20, progress.wrap_read(file));
    let format = match args.format {
        Some(told) => told,
        None => Format::of(input.fill_buf()?),
    };
    let store = Database::open(&config.storage.settings()?).await?;
    let directory = Directory::open(store.clone()).await?;
    let roster = directory.roster();
    let member = roster
        .member(&code)
        .with_context(|| format!("{code} is not in the directory; see `tessera member apply`"))?;
    let permit = FeedPermit::on_this_machine(member)?;
    let content = match format {
        Format::Ndjson => Content::Patients(input),
        Format::Csv => Content::Rows(Box::new(Rows::begin(&args, member, input)?)),
        Format::Hl7 => Content::Messages(input),
    };
    let model = Arc::new(read_model(&config.index.model)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let audit = AuditLog::start(store.clone(), config.audit.clone(), Arc::clone(&clock)).await?;
    let now = clock.now();
    let (snapshot, limits) = (config.index_snapshot(), config.index.limits());
    let index = Index::open_from(snapshot, store.clone(), model, limits, clock).await?;
    // One action for the whole file: the journal holds each record's decision and where it came from.
    let opened = audit.open(started(&code)).await?;

    let rejects = Rejects::new(&args.file, args.rejects.clone());
    let mut import =
        Import { permit, index: &index, rejects, tally: Tally::default(), batch: Vec::new() };
    let outcome = match content {
        Content::Patients(lines) => import.read_patients(lines).await,
        Content::Rows(rows) => import.read_rows(*rows).await,
        Content::Messages(messages) => {
            import.read_messages(messages, member, now, &config.mllp.processing_ids).await
        }
    };
    progress.finish_and_clear();
    let Import { tally, rejects, .. } = import;
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
    // What was done stays done, so it is told in either case.
    let rejected = rejects.close()?;
    tally.print(rejected.as_deref())?;
    outcome.context(
        "the import ended early; run it again when this is mended: what is done changes nothing",
    )?;
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

impl Format {
    /// What bytes at the beginning of a file look like.
    fn of(begin: &[u8]) -> Self {
        let begin = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin).trim_ascii_start();
        // VT is white space to nobody but us: it begins an MLLP frame.
        let begin = begin.strip_prefix(b"\x0b").unwrap_or(begin);
        match begin {
            [b'{', ..] | [] => Self::Ndjson,
            _ if [&b"MSH"[..], b"FHS", b"BHS"].iter().any(|id| begin.starts_with(id)) => Self::Hl7,
            _ => Self::Csv,
        }
    }
}

/// An import under way.
struct Import<'a> {
    permit: FeedPermit,
    index: &'a Index,
    rejects: Rejects,
    tally: Tally,
    /// Registrations not yet handed over, and the lines that they are from.
    batch: Vec<(u64, Registration)>,
}

impl Import<'_> {
    /// Registers a record, together with others.
    async fn register(&mut self, line: u64, registration: Registration) -> anyhow::Result<()> {
        self.batch.push((line, registration));
        if self.batch.len() == BATCH_RECORDS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Registers what is left.
    async fn flush(&mut self) -> anyhow::Result<()> {
        let (lines, registrations): (Vec<u64>, Vec<Registration>) = self.batch.drain(..).unzip();
        let mut stopped = None;
        for (line, outcome) in lines.into_iter().zip(self.index.register_many(registrations).await)
        {
            match outcome {
                Ok(registered) => self.tally.registered(registered.outcome),
                Err(refused @ IndexError::SubsumedIdentifier) => {
                    self.reject(line, &refused.to_string())?;
                }
                // What the store did not take ends the import: the next would not be taken either.
                Err(error) => stopped = stopped.or(Some((line, error))),
            }
        }
        match stopped {
            None => Ok(()),
            Some((line, error)) => Err(error).with_context(|| format!("stopped at line {line}")),
        }
    }

    fn reject(&mut self, line: u64, reason: &str) -> std::io::Result<()> {
        self.tally.rejected += 1;
        self.rejects.write(line, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_beginning() {
        for (begin, format) in [
            (&b"{\"resourceType\""[..], Format::Ndjson),
            (b"\xef\xbb\xbf\n {", Format::Ndjson),
            (b"", Format::Ndjson),
            (b"MSH|^~\\&|", Format::Hl7),
            (b"\r\nFHS|^~\\&|", Format::Hl7),
            (b"\x0bMSH|^~\\&|", Format::Hl7),
            (b"record_id,source", Format::Csv),
        ] {
            assert_eq!(Format::of(begin), format, "{begin:?}");
        }
    }
}
