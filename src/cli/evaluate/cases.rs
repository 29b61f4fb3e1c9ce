use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _},
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
            let read =
                (&mut reader).take(LINE_BYTES_MAX).read_line(&mut line).map_err(unreadable)?;
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
                judge(line).map_err(|problem| UnusableInput::line(path, *number, problem))
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
