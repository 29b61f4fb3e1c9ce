use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use thiserror::Error;

/// The exit code that says: mend your input.
const EXIT_UNUSABLE: u8 = 2;

/// Input that an operator must mend, said in one sentence that quotes no patient.
#[derive(Debug, Error)]
pub(super) enum UnusableInput {
    /// The file cannot be opened or read.
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One line is not what it should be.
    #[error("{}, line {line}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A file is well formed, but tells nothing that could be compared.
    #[error("{} holds no usable record", file.display())]
    NoRecord {
        /// The file.
        file: PathBuf,
    },
}

impl UnusableInput {
    /// What is wrong with one line.
    pub(super) fn line(file: &Path, line: u64, problem: impl Into<String>) -> Self {
        Self::Line { file: file.to_owned(), line, problem: problem.into() }
    }

    /// What is wrong with a line's JSON, without quoting it: serde's own words may quote a value.
    pub(super) fn json_problem(error: &serde_json::Error) -> String {
        let column = error.column();
        let told = error.to_string();
        match error.classify() {
            serde_json::error::Category::Data => match told.strip_prefix("missing field `") {
                Some(rest) => format!("has no {}", rest.split('`').next().unwrap_or_default()),
                None => format!("has a value of another shape than expected at column {column}"),
            },
            _ => format!("is not JSON (column {column})"),
        }
    }
}

/// Ends a command: unusable input is said on standard error and exits with 2, any other error is passed on.
pub(super) fn settle(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let error = match result {
        Ok(code) => return Ok(code),
        Err(error) => error,
    };
    let Some(unusable) = error.downcast_ref::<UnusableInput>() else { return Err(error) };
    writeln!(io::stderr().lock(), "tessera: {unusable}")?;
    Ok(ExitCode::from(EXIT_UNUSABLE))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Line {
        #[expect(dead_code, reason = "only its shape is read")]
        number: u8,
    }

    fn check(json: &str, problem: &str) {
        let error = serde_json::from_str::<Line>(json).expect_err("not a line");
        assert_eq!(UnusableInput::json_problem(&error), problem, "{json}");
    }

    #[test]
    fn a_problem_is_told_without_the_value() {
        check(r#"{"number": 1"#, "is not JSON (column 12)");
        check("{}", "has no number");
        check(r#"{"number": "Okafor"}"#, "has a value of another shape than expected at column 19");
    }

    #[test]
    fn only_unusable_input_is_settled_here() {
        let error = UnusableInput::line(Path::new("a.jsonl"), 3, "is not JSON (column 1)");
        assert_eq!(error.to_string(), "a.jsonl, line 3: is not JSON (column 1)");
        assert!(settle(Err(error.into())).is_ok());
        assert!(settle(Err(anyhow::anyhow!("no disk"))).is_err());
    }
}
