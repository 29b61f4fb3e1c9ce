//! Rows of CSV, under a header that names their columns.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use csv::{Reader, ReaderBuilder, StringRecord};

use super::{BYTES_MAX, Import, ImportArgs};
use crate::{
    cli::{
        person_row::{COLUMNS, Row, read_row},
        unusable::UnusableInput,
    },
    directory::Member,
    domain::LocalId,
    index::Registration,
};

/// A file of rows whose header was read.
pub(super) struct Rows<R> {
    reader: Reader<Bounded<R>>,
    /// How much was read since the last row began.
    read: Arc<AtomicUsize>,
    header: StringRecord,
    system: String,
    number_column: String,
    source: Option<String>,
}

impl<R: Read> Rows<R> {
    /// Reads the header; says what of it, or of the arguments, cannot be used.
    pub(super) fn begin(args: &ImportArgs, member: &Member, input: R) -> anyhow::Result<Self> {
        let wrong = |problem: String| UnusableInput::line(&args.file, 1, problem);
        let read = Arc::new(AtomicUsize::new(0));
        let input = Bounded { input, read: Arc::clone(&read) };
        let mut reader = ReaderBuilder::new().from_reader(input);
        let header = reader.headers().map_err(|error| wrong(problem(&error)))?.clone();
        for (at, name) in header.iter().enumerate() {
            if !COLUMNS.contains(&name) {
                let known = COLUMNS.join(", ");
                let told = format!("column {} is none that is known here ({known})", at + 1);
                return Err(wrong(told).into());
            }
            if header.iter().take(at).any(|other| other == name) {
                return Err(wrong(format!("column {name} is there twice")).into());
            }
        }
        let source_column = args.source.as_ref().map(|_| "source");
        for needed in [Some(args.number_column.as_str()), source_column].into_iter().flatten() {
            if !header.iter().any(|name| name == needed) {
                return Err(wrong(format!("column {needed} is missing")).into());
            }
        }
        Ok(Self {
            reader,
            read,
            header,
            system: system(args, member)?,
            number_column: args.number_column.clone(),
            source: args.source.clone(),
        })
    }
}

/// The namespace of the record numbers.
fn system(args: &ImportArgs, member: &Member) -> anyhow::Result<String> {
    let own = member.identifier_systems();
    match (&args.system, own) {
        (Some(told), _) if own.contains(told) => Ok(told.clone()),
        (Some(_), _) => {
            anyhow::bail!("--system is none of the identifier systems of {}", args.member)
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => anyhow::bail!(
            "{} has several identifier systems; --system says which one the numbers are of",
            args.member
        ),
    }
}

impl Import<'_> {
    /// Registers the patients of the rows.
    pub(super) async fn read_rows<R: Read>(&mut self, mut rows: Rows<R>) -> anyhow::Result<()> {
        let mut record = StringRecord::new();
        loop {
            let line = rows.reader.position().line();
            rows.read.store(0, Ordering::Relaxed);
            match rows.reader.read_record(&mut record) {
                Ok(false) => return self.flush().await,
                Ok(true) => {}
                Err(error) if error.is_io_error() => {
                    self.flush().await?;
                    return Err(error).with_context(|| format!("stopped at line {line}"));
                }
                Err(error) => {
                    self.reject(line, &problem(&error))?;
                    continue;
                }
            }
            let line = record.position().map_or(line, csv::Position::line);
            let row: Row = record.deserialize(Some(&rows.header))?;
            if rows.source.as_ref().is_some_and(|wanted| row.get("source") != Some(wanted)) {
                self.tally.passed_over += 1;
                continue;
            }
            match self.registration_of(line, &row, &rows) {
                Ok(registration) => self.register(line, registration).await?,
                Err(reason) => self.reject(line, &reason)?,
            }
        }
    }

    fn registration_of<R>(
        &self,
        line: u64,
        row: &Row,
        rows: &Rows<R>,
    ) -> Result<Registration, String> {
        let column = &rows.number_column;
        let number = row.get(column).map(String::as_str).unwrap_or_default();
        let number = LocalId::parse(&rows.system, number)
            .map_err(|invalid| format!("{column}: {invalid}"))?;
        let reading = read_row(row, Some(&number));
        if !reading.faults.is_empty() {
            return Err(reading.faults.join("; "));
        }
        Ok(Registration {
            record: self.permit.record(number).map_err(|refusal| refusal.to_string())?,
            demographics: reading.demographics,
            event_time: None,
            source_message: Some(format!("line {line}")),
            fed_by: self.permit.fed_by().to_owned(),
        })
    }
}

/// What is wrong with a row, without quoting it.
fn problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} columns where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => {
            format!("column {} is not UTF-8", err.field() + 1)
        }
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => "is not CSV".to_owned(),
    }
}

/// Ends with an error where one row does not end, as where a quote is not closed.
struct Bounded<R> {
    input: R,
    read: Arc<AtomicUsize>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What was read ahead of a row counts for it, so a little more than the bound may pass.
        if self.read.load(Ordering::Relaxed) > BYTES_MAX {
            let text = format!("a row is longer than {BYTES_MAX} bytes; is a quote not closed?");
            return Err(io::Error::other(text));
        }
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }
}
