//! Person records in CSV files, as linkage reads them: streamed, normalized on all cores.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use hashbrown::HashMap;
use rayon::prelude::*;
use thiserror::Error;

use crate::matching::{FlatRecord, NormalizedRecord};

/// Columns that a file must have. `source` and those of persons only where they are asked for.
const COLUMNS: [&str; 15] = [
    "record_id",
    "given",
    "middle",
    "family",
    "suffix",
    "sex",
    "birth_date",
    "ssn",
    "phone",
    "email",
    "address_line",
    "city",
    "postal_code",
    "mrn",
    "state",
];
const SOURCE: &str = "source";
/// Rows normalized at a time.
const CHUNK_ROWS: usize = 8_192;

/// What is wrong with a file; one sentence, with file and line.
#[derive(Debug, Error)]
pub(super) enum CsvProblem {
    /// It cannot be opened.
    #[error("{file}: cannot be opened: {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// A column is missing.
    #[error("{file}: line 1: column `{column}` is missing")]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
    },
    /// A line is not CSV, or not like the header.
    #[error("{file}: line {line}: {reason}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to link.
    #[error("{files}: no usable record: none has a name, a birth date, a number or a contact")]
    NothingUsable {
        /// The files.
        files: String,
    },
}

/// What to read beside the demographics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading<'a> {
    /// The column that tells the true person, where one is asked for.
    pub(super) truth: Option<&'a str>,
    /// The column that tells the person a record is known to be of, where one is asked for.
    pub(super) labels: Option<&'a str>,
    /// Whether to read `source`.
    pub(super) sources: bool,
}

/// What was read beside the demographics, in the order of the records.
#[derive(Default)]
pub(super) struct ReadColumns {
    ids: Vec<u8>,
    id_ends: Vec<u32>,
    /// The true person of each record, from 1; 0 where the file does not tell.
    pub(super) truth: Vec<u32>,
    /// The person that each record is known to be of, from 1; 0 where nobody knows.
    pub(super) labels: Vec<u32>,
    /// The source of each record.
    pub(super) sources: Vec<u16>,
    truths: HashMap<Vec<u8>, u32>,
    labelled: HashMap<Vec<u8>, u32>,
    known_sources: HashMap<Vec<u8>, u16>,
    usable: bool,
}

impl ReadColumns {
    /// How many records were read.
    pub(super) fn len(&self) -> usize {
        self.id_ends.len()
    }

    /// The id of a record, as the file tells it.
    pub(super) fn id(&self, record: usize) -> &[u8] {
        let start = if record == 0 { 0 } else { self.id_ends[record - 1] as usize };
        &self.ids[start..self.id_ends[record] as usize]
    }

    fn note(&mut self, row: &ByteRecord, columns: &Columns) {
        self.ids.extend_from_slice(columns.field(row, columns.known[0]));
        self.id_ends.push(self.ids.len() as u32);
        if let Some(column) = columns.truth {
            self.truth.push(number_of(&mut self.truths, columns.field(row, column)));
        }
        if let Some(column) = columns.labels {
            self.labels.push(number_of(&mut self.labelled, columns.field(row, column)));
        }
        if let Some(column) = columns.source {
            let next = self.known_sources.len() as u16;
            let text = columns.field(row, column);
            self.sources.push(*self.known_sources.entry_ref(text).or_insert(next));
        }
    }
}

/// The number of a person, from 1 in the order of their coming; 0 for nobody.
fn number_of(persons: &mut HashMap<Vec<u8>, u32>, name: &[u8]) -> u32 {
    let next = persons.len() as u32 + 1;
    match name {
        [] => 0,
        name => *persons.entry_ref(name).or_insert(next),
    }
}

/// Reads all files, handing on the normalized records in order.
pub(super) fn read_files(
    files: &[PathBuf],
    reading: Reading<'_>,
    mut take: impl FnMut(&[NormalizedRecord]) + Send,
) -> Result<ReadColumns, CsvProblem> {
    let mut read = ReadColumns::default();
    for file in files {
        read_file(file, reading, &mut read, &mut take)?;
    }
    if !read.usable {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return Err(CsvProblem::NothingUsable { files: files.join(", ") });
    }
    Ok(read)
}

/// While one chunk is taken in, the next is read and normalized.
fn read_file(
    file: &Path,
    reading: Reading<'_>,
    read: &mut ReadColumns,
    take: &mut (impl FnMut(&[NormalizedRecord]) + Send),
) -> Result<(), CsvProblem> {
    let opened = File::open(file)
        .map_err(|reason| CsvProblem::Unreadable { file: file.to_owned(), reason })?;
    let mut reader = ReaderBuilder::new().buffer_capacity(1 << 20).from_reader(opened);
    let columns = Columns::find(file, &mut reader, reading)?;
    let mut rows = vec![ByteRecord::new(); CHUNK_ROWS];
    let mut normalized: Vec<NormalizedRecord> = Vec::new();
    loop {
        let ready = std::mem::take(&mut normalized);
        let (next, ()) =
            rayon::join(|| read_chunk(file, &mut reader, &columns, &mut rows), || take(&ready));
        drop(ready);
        let count;
        (normalized, count) = next?;
        for row in &rows[..count] {
            read.note(row, &columns);
        }
        read.usable |= normalized.iter().any(NormalizedRecord::is_usable);
        if count == 0 {
            return Ok(());
        }
    }
}

fn read_chunk(
    file: &Path,
    reader: &mut Reader<File>,
    columns: &Columns,
    rows: &mut [ByteRecord],
) -> Result<(Vec<NormalizedRecord>, usize), CsvProblem> {
    let mut count = 0;
    while count < rows.len() {
        let more = reader.read_byte_record(&mut rows[count]).map_err(|e| malformed(file, &e))?;
        if !more {
            break;
        }
        count += 1;
    }
    let normalized: Result<Vec<_>, CsvProblem> = rows[..count]
        .par_iter()
        .with_min_len(256)
        .map(|row| columns.normalize(file, row))
        .collect();
    Ok((normalized?, count))
}

fn malformed(file: &Path, error: &csv::Error) -> CsvProblem {
    let line = error.position().map_or(0, csv::Position::line);
    let reason = match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        ErrorKind::Io(error) => format!("cannot be read: {error}"),
        _ => "not CSV".to_owned(),
    };
    CsvProblem::Malformed { file: file.to_owned(), line, reason }
}

/// Where the columns stand in one file.
struct Columns {
    known: [usize; COLUMNS.len()],
    truth: Option<usize>,
    labels: Option<usize>,
    source: Option<usize>,
}

impl Columns {
    fn find(
        file: &Path,
        reader: &mut Reader<File>,
        reading: Reading<'_>,
    ) -> Result<Self, CsvProblem> {
        let header = reader.byte_headers().map_err(|error| malformed(file, &error))?;
        let place = |column: &str| {
            let matches = |name: &[u8]| name.trim_ascii() == column.as_bytes();
            header.iter().position(matches).ok_or_else(|| CsvProblem::MissingColumn {
                file: file.to_owned(),
                column: column.to_owned(),
            })
        };
        let mut known = [0; COLUMNS.len()];
        for (slot, column) in known.iter_mut().zip(COLUMNS) {
            *slot = place(column)?;
        }
        Ok(Self {
            known,
            truth: reading.truth.map(place).transpose()?,
            labels: reading.labels.map(place).transpose()?,
            source: reading.sources.then(|| place(SOURCE)).transpose()?,
        })
    }

    #[expect(clippy::unused_self, reason = "reads as: the column's field")]
    fn field<'a>(&self, row: &'a ByteRecord, column: usize) -> &'a [u8] {
        row.get(column).unwrap_or_default().trim_ascii()
    }

    fn normalize(&self, file: &Path, row: &ByteRecord) -> Result<NormalizedRecord, CsvProblem> {
        let mut texts = [""; COLUMNS.len()];
        for (text, column) in texts.iter_mut().zip(self.known) {
            *text = std::str::from_utf8(self.field(row, column)).map_err(|_| {
                let line = row.position().map_or(0, csv::Position::line);
                let reason = "not UTF-8".to_owned();
                CsvProblem::Malformed { file: file.to_owned(), line, reason }
            })?;
        }
        let [_, given, middle, family, suffix, sex, birth_date, ssn, phone, email, ..] = texts;
        let [.., address_line, city, postal_code, record_number, _state] = texts;
        Ok(NormalizedRecord::from_flat(&FlatRecord {
            given,
            middle,
            family,
            suffix,
            sex,
            birth_date,
            ssn,
            phone,
            email,
            address_line,
            city,
            postal_code,
            record_number,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const HEADER: &str = "record_id,source,cluster_id,given,middle,family,suffix,sex,birth_date,ssn,\
                          phone,email,address_line,city,state,postal_code,mrn";

    fn read(text: &str, reading: Reading<'_>) -> Result<(ReadColumns, usize), String> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        let mut records = 0;
        let path = file.path().to_owned();
        read_files(std::slice::from_ref(&path), reading, |some| records += some.len())
            .map_err(|problem| problem.to_string().replace(&path.display().to_string(), "FILE"))
            .map(|read| (read, records))
    }

    fn check(text: &str, problem: &str) {
        assert_eq!(read(text, Reading::default()).err().as_deref(), Some(problem), "{text}");
    }

    #[test]
    fn records_are_read_in_order_with_truth_and_source() {
        let text = format!(
            "{HEADER}\nr1,A,p1,Ann,,Lee,,F,1984-03-05,,,,,,,,\nr2,B,p1,Bo,,Poe,,,,,,,,,,,m7\n"
        );
        let reading = Reading { truth: Some("cluster_id"), labels: Some("mrn"), sources: true };
        let (columns, records) = read(&text, reading).expect("well formed");
        assert_eq!((columns.len(), records), (2, 2));
        assert_eq!((columns.id(0), columns.id(1)), (&b"r1"[..], &b"r2"[..]));
        assert_eq!((columns.truth, columns.sources), (vec![1, 1], vec![0, 1]));
        assert_eq!(columns.labels, [0, 1], "empty where nobody knows");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        check("given,family\nAnn,Lee\n", "FILE: line 1: column `record_id` is missing");
        check(&format!("{HEADER}\nr1,A\n"), "FILE: line 2: 2 fields where the header has 17");
        check(
            &format!("{HEADER}\nr1,A,p1,,,,,,,,,,,,,,\n"),
            "FILE: no usable record: none has a name, a birth date, a number or a contact",
        );
        check(
            &format!("{HEADER}\nr1,A,p1,Ann,,Lee,,,,,,,,,,,\n\"r2,A\n"),
            "FILE: line 3: 1 fields where the header has 17",
        );
        let labelled = Reading { labels: Some("known"), ..Reading::default() };
        let problem = read(&format!("{HEADER}\nr1,A,p1,Ann,,Lee,,,,,,,,,,,\n"), labelled).err();
        assert_eq!(problem.as_deref(), Some("FILE: line 1: column `known` is missing"));
        check(
            HEADER,
            "FILE: no usable record: none has a name, a birth date, a number or a contact",
        );
    }
}
