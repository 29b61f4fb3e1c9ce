use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// Rejects that are said on standard error too; the file has all of them.
const SAID_MAX: u64 = 10;

/// What was not taken: a file of lines and reasons, made with its first; never of contents.
pub(super) struct Rejects {
    input: PathBuf,
    path: PathBuf,
    writer: Option<BufWriter<File>>,
    said: u64,
}

impl Rejects {
    /// Of the input file, kept at `path` or beside it.
    pub(super) fn new(input: &Path, path: Option<PathBuf>) -> Self {
        let path = path.unwrap_or_else(|| {
            let mut name = input.as_os_str().to_owned();
            name.push(".rejects.csv");
            PathBuf::from(name)
        });
        Self { input: input.to_owned(), path, writer: None, said: 0 }
    }

    /// Writes one down.
    pub(super) fn write(&mut self, line: u64, reason: &str) -> io::Result<()> {
        self.say(line, reason)?;
        let writer = if let Some(writer) = &mut self.writer {
            writer
        } else {
            let mut writer = BufWriter::new(File::create(&self.path)?);
            writeln!(writer, "line,reason")?;
            self.writer.insert(writer)
        };
        writeln!(writer, "{line},\"{}\"", reason.replace('"', "\"\""))
    }

    fn say(&mut self, line: u64, reason: &str) -> io::Result<()> {
        self.said += 1;
        let mut out = io::stderr().lock();
        match self.said {
            1..=SAID_MAX => writeln!(out, "{}, line {line}: {reason}", self.input.display()),
            _ if self.said == SAID_MAX + 1 => {
                writeln!(out, "and more: see {}", self.path.display())
            }
            _ => Ok(()),
        }
    }

    /// Where they are, if there are any; on the disk once this returns.
    pub(super) fn close(self) -> io::Result<Option<PathBuf>> {
        let Some(writer) = self.writer else { return Ok(None) };
        writer.into_inner()?.sync_all()?;
        Ok(Some(self.path))
    }
}
