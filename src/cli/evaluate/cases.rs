use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read as _},
    path::Path,
};

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::{
    cli::unusable::UnusableInput,
    domain::{Demographics, PartialDate},
    fhir::{Resource, patient::read_patient},
};

/// Longest line that is read: many times the largest case.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Lines that are held at once.
const CHUNK_LINES: usize = 4_096;

/// Reads JSON lines, many at a time, in the order of the file. Blank lines are skipped.
///
/// `judge` says what is wrong with a line in words that quote none of it.
pub(super) fn read_lines<T: Send>(
    path: &Path,
    judge: impl Fn(&str) -> Result<T, String> + Sync,
) -> Result<Vec<T>, UnusableInput> {
    let unreadable = |source| UnusableInput::Unreadable { file: path.to_owned(), source };
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(unreadable)?);
    let mut judged = Vec::new();
    let mut number = 0;
    loop {
        let mut chunk: Vec<(u64, String)> = Vec::new();
        while chunk.len() < CHUNK_LINES {
            let mut line = String::new();
            let read = (&mut reader).take(LINE_BYTES_MAX).read_line(&mut line);
            let read = read.map_err(|source| match source.kind() {
                ErrorKind::InvalidData => UnusableInput::line(path, number + 1, "is not UTF-8"),
                _ => unreadable(source),
            })?;
            if read == 0 {
                break;
            }
            number += 1;
            if read as u64 == LINE_BYTES_MAX {
                return Err(UnusableInput::line(path, number, "is too long"));
            }
            if !line.trim().is_empty() {
                chunk.push((number, line));
            }
        }
        if chunk.is_empty() {
            break;
        }
        let outcomes: Vec<Result<T, UnusableInput>> = chunk
            .par_iter()
            .map(|(number, line)| {
                judge(line.trim_end())
                    .map_err(|problem| UnusableInput::line(path, *number, problem))
            })
            .collect();
        for outcome in outcomes {
            judged.push(outcome?);
        }
    }
    if judged.is_empty() {
        return Err(UnusableInput::NoRecord { file: path.to_owned() });
    }
    Ok(judged)
}

/// Parses one line.
pub(super) fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| UnusableInput::json_problem(&error))
}

/// Reads a FHIR Patient, `named` by its key. Its id is a label and no evidence: it is not read.
pub(super) fn patient(raw: &RawValue, named: &str) -> Result<Demographics, String> {
    let resource = Resource::parse(raw.get().as_bytes());
    let reading = resource.and_then(|resource| read_patient(&resource));
    reading
        .map(|reading| reading.demographics)
        .map_err(|error| format!("{named} is no FHIR Patient: {error}"))
}

/// Today, for birth dates that cannot be.
pub(super) fn today() -> PartialDate {
    let today = OffsetDateTime::now_utc().date();
    let year = u16::try_from(today.year()).unwrap_or(u16::MAX);
    PartialDate::new(year, u8::from(today.month()), Some(today.day()))
        .expect("a calendar's day is a date")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> Result<Vec<u32>, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room for a line");
        let name = format!("{}", file.path().display());
        read_lines(file.path(), |line| parse(line))
            .map_err(|error| error.to_string().replace(&name, "cases.jsonl"))
    }

    #[test]
    fn lines_are_read_in_order_and_blank_ones_skipped() {
        let lines: Vec<String> = (0..10_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(read(&lines.concat()), Ok((0..10_000).collect()));
        assert_eq!(read("1\n\n  \n2"), Ok(vec![1, 2]));
    }

    #[test]
    fn the_first_bad_line_is_named() {
        assert_eq!(
            read("1\n2\n\n4x\n\"Okafor\"\n"),
            Err("cases.jsonl, line 4: is not JSON (column 2)".to_owned())
        );
        assert_eq!(
            read("1\n\"Okafor\"\n"),
            Err("cases.jsonl, line 2: has a value of another shape than expected at column 8"
                .into())
        );
    }

    #[test]
    fn an_empty_file_is_said_to_be_so() {
        assert_eq!(read(" \n\n"), Err("cases.jsonl holds no usable record".to_owned()));
    }

    #[test]
    fn a_patient_is_read_without_its_id() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let told = |id| {
            let json = format!(r#"{{"resourceType":"Patient","id":"{id}","gender":"female"}}"#);
            patient(&raw(&json), "source")
        };
        assert!(told("a").is_ok() && told("a") == told("b"));
        let problem = patient(&raw(r#"{"resourceType":"Group"}"#), "source").err();
        assert!(problem.is_some_and(|problem| problem.starts_with("source is no FHIR Patient")));
    }
}
