//! Files of HL7 v2 messages: one after another, in a batch envelope, in MLLP frames, or all of it.

use std::io::{self, BufRead};

/// A frame begins and ends with these.
const FRAME: [u8; 2] = [0x0b, 0x1c];

/// What stands in a file, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A message, its segments ended by CR.
    Message {
        /// From 1.
        number: u64,
        /// The line of its MSH, from 1; a segment is a line, whatever ends it.
        line: u64,
        /// As it stands there.
        bytes: Vec<u8>,
    },
    /// Something that is none, or an envelope that does not count what it holds.
    Fault {
        /// Where.
        line: u64,
        /// What is wrong.
        problem: String,
    },
}

/// Reads such a file part by part.
pub(super) struct MessageFile<R> {
    input: R,
    bytes_max: usize,
    line: u64,
    messages: u64,
    /// The message being read.
    open: Option<Open>,
    /// Whether the lines before belonged to no message; told once.
    astray: bool,
    batch: Envelope,
    file: Envelope,
    ready: Vec<Part>,
    ended: bool,
}

struct Open {
    number: u64,
    line: u64,
    bytes: Vec<u8>,
    too_long: bool,
}

/// An envelope, and how much it has held since it began.
#[derive(Default)]
struct Envelope {
    begun: Option<u64>,
    held: u64,
}

impl<R: BufRead> MessageFile<R> {
    /// Reads messages of at most so many bytes.
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self {
            input,
            bytes_max,
            line: 0,
            messages: 0,
            open: None,
            astray: false,
            batch: Envelope::default(),
            file: Envelope::default(),
            ready: Vec::new(),
            ended: false,
        }
    }

    /// The next part; `None` at the end.
    pub(super) fn next_part(&mut self) -> io::Result<Option<Part>> {
        let mut line = Vec::new();
        while self.ready.is_empty() && !self.ended {
            let whole = match read_line(&mut self.input, self.bytes_max, &mut line)? {
                Line::Whole => true,
                Line::Cut => false,
                Line::End => {
                    self.end();
                    break;
                }
            };
            self.line += 1;
            self.take(trimmed(&line, self.line), whole);
        }
        Ok((!self.ready.is_empty()).then(|| self.ready.remove(0)))
    }

    fn take(&mut self, line: &[u8], whole: bool) {
        match line.get(..3) {
            _ if line.is_empty() => {}
            Some(b"MSH") => {
                self.close();
                self.messages += 1;
                self.batch.held += 1;
                let bytes = [line, b"\r"].concat();
                self.open =
                    Some(Open { number: self.messages, line: self.line, bytes, too_long: !whole });
                self.astray = false;
            }
            Some(b"FHS") => {
                self.close();
                self.file = Envelope { begun: Some(self.line), held: 0 };
            }
            Some(b"BHS") => {
                self.close();
                self.file.held += 1;
                self.batch = Envelope { begun: Some(self.line), held: 0 };
            }
            Some(b"BTS") => {
                self.close();
                let held = std::mem::take(&mut self.batch).held;
                self.check_count(line, held, "messages");
            }
            Some(b"FTS") => {
                self.close();
                let held = std::mem::take(&mut self.file).held;
                self.check_count(line, held, "batches");
            }
            _ => self.take_segment(line, whole),
        }
    }

    fn take_segment(&mut self, line: &[u8], whole: bool) {
        let Some(open) = &mut self.open else {
            if !self.astray {
                self.fault(self.line, "belongs to no message: none has begun with MSH".to_owned());
            }
            self.astray = true;
            return;
        };
        open.too_long |= !whole || open.bytes.len() + line.len() >= self.bytes_max;
        if !open.too_long {
            open.bytes.extend_from_slice(line);
            open.bytes.push(b'\r');
        }
    }

    /// Compares what a trailer counts, where it counts, with what came.
    fn check_count(&mut self, trailer: &[u8], held: u64, what: &str) {
        let separator = trailer.get(3).copied().unwrap_or(b'|');
        let told = trailer.split(|byte| *byte == separator).nth(1).unwrap_or_default();
        let told = std::str::from_utf8(told).unwrap_or_default().trim();
        if !told.is_empty() && told.parse() != Ok(held) {
            self.fault(
                self.line,
                format!("the trailer counts other than the {held} {what} that came"),
            );
        }
    }

    fn close(&mut self) {
        let Some(Open { number, line, bytes, too_long }) = self.open.take() else { return };
        self.ready.push(if too_long {
            let problem = format!("message {number}: longer than {} bytes", self.bytes_max);
            Part::Fault { line, problem }
        } else {
            Part::Message { number, line, bytes }
        });
    }

    fn end(&mut self) {
        self.close();
        self.ended = true;
        for (envelope, trailer) in [(&self.batch, "BTS"), (&self.file, "FTS")] {
            if let Some(line) = envelope.begun {
                let problem = format!("its trailer {trailer} is missing: is the file whole?");
                self.ready.push(Part::Fault { line, problem });
            }
        }
    }

    fn fault(&mut self, line: u64, problem: String) {
        self.ready.push(Part::Fault { line, problem });
    }
}

/// A line without its frame's bytes, and without the mark that a file may begin with.
fn trimmed(line: &[u8], number: u64) -> &[u8] {
    let mark = &b"\xef\xbb\xbf"[..];
    let mut line = if number == 1 { line.strip_prefix(mark).unwrap_or(line) } else { line };
    while let [first, rest @ ..] = line
        && FRAME.contains(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && (FRAME.contains(last) || last.is_ascii_whitespace())
    {
        line = rest;
    }
    line
}

enum Line {
    Whole,
    /// Longer than the bound: only its beginning is there.
    Cut,
    End,
}

/// Reads to the next CR, LF or CR LF, which is not kept; within memory's bound.
fn read_line(input: &mut impl BufRead, bytes_max: usize, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let (mut cut, mut any) = (false, false);
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(match (any, cut) {
                (false, _) => Line::End,
                (true, true) => Line::Cut,
                (true, false) => Line::Whole,
            });
        }
        any = true;
        let end = chunk.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let told = &chunk[..end.unwrap_or(chunk.len())];
        let room = bytes_max.saturating_sub(line.len());
        cut |= told.len() > room;
        line.extend_from_slice(&told[..told.len().min(room)]);
        let (used, was_return) = match end {
            Some(at) => (at + 1, chunk[at] == b'\r'),
            None => (chunk.len(), false),
        };
        input.consume(used);
        if end.is_some() {
            if was_return && input.fill_buf()?.first() == Some(&b'\n') {
                input.consume(1);
            }
            return Ok(if cut { Line::Cut } else { Line::Whole });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// What stands in a file, read in small pieces: messages as `number line bytes`.
    fn parts(text: &str) -> Vec<String> {
        let mut file = MessageFile::new(BufReader::with_capacity(3, text.as_bytes()), 40);
        let mut told = Vec::new();
        while let Some(part) = file.next_part().expect("it reads") {
            told.push(match part {
                Part::Message { number, line, bytes } => {
                    format!("{number} {line} {}", String::from_utf8(bytes).expect("text"))
                }
                Part::Fault { line, problem } => format!("{line}: {problem}"),
            });
        }
        told
    }

    #[test]
    fn messages_come_one_after_another_however_lines_end() {
        let expected = ["1 1 MSH|1\rPID|1\r", "2 3 MSH|2\rPID|2\r"];
        for text in [
            "MSH|1\rPID|1\rMSH|2\rPID|2",
            "MSH|1\nPID|1\nMSH|2\nPID|2\n",
            "\u{feff}MSH|1\r\nPID|1\r\nMSH|2\r\nPID|2\r\n",
        ] {
            assert_eq!(parts(text), expected, "{text:?}");
        }
        assert_eq!(parts("MSH|1\n\n\nPID|1\n \n"), ["1 1 MSH|1\rPID|1\r"]);
        assert!(parts("").is_empty() && parts("\n\n").is_empty());
    }

    #[test]
    fn frames_are_taken_off() {
        let framed = "\u{b}MSH|1\rPID|1\r\u{1c}\r\u{b}MSH|2\rPID|2\u{1c}\r";
        assert_eq!(parts(framed), ["1 1 MSH|1\rPID|1\r", "2 4 MSH|2\rPID|2\r"]);
    }

    #[test]
    fn an_envelope_is_counted() {
        let whole = "FHS|^~\\&|\rBHS|^~\\&|\rMSH|1\rMSH|2\rBTS|2\rBHS|\rMSH|3\rBTS\rFTS|2\r";
        assert_eq!(parts(whole).len(), 3, "{:?}", parts(whole));
        let short = parts("BHS|\rMSH|1\rBTS|2\r");
        assert_eq!(short[1], "3: the trailer counts other than the 1 messages that came");
        assert_eq!(
            parts("FHS|\rBHS|\rBTS|0\rFTS|9\r")[0],
            "4: the trailer counts other than the 1 batches that came"
        );
        let cut = parts("FHS|\rBHS|\rMSH|1\r");
        assert_eq!(cut[1], "2: its trailer BTS is missing: is the file whole?");
        assert_eq!(cut[2], "1: its trailer FTS is missing: is the file whole?");
    }

    #[test]
    fn what_belongs_to_no_message_is_told_once_and_nothing_else_is_lost() {
        let told = parts("PID|0\nPV1|0\nMSH|1\nPID|1\n");
        assert_eq!(
            told,
            ["1: belongs to no message: none has begun with MSH", "1 3 MSH|1\rPID|1\r"]
        );
        let long = format!("MSH|1\rPID|{}\rPV1\rMSH|2\rNK1\r", "x".repeat(50));
        assert_eq!(parts(&long), ["1: message 1: longer than 40 bytes", "2 4 MSH|2\rNK1\r"]);
        let many = format!("MSH|1\r{}MSH|2\r", "PV1|22\r".repeat(9));
        assert_eq!(parts(&many), ["1: message 1: longer than 40 bytes", "2 11 MSH|2\r"]);
    }
}
