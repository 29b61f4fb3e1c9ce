//! Escape sequences (HL7 v2.5 §2.7): what stands for a delimiter, a byte, a line break.

use std::borrow::Cow;

use super::{Charset, Delimiters};

/// The longest escape sequence that is looked at, in bytes between its two escape characters.
const SEQUENCE_BYTES_MAX: usize = 256;

/// Text with its escape sequences resolved. Highlighting is dropped; a sequence that is not
/// understood stays as it stands, so that nothing is lost.
pub(super) fn unescape(raw: &str, delimiters: Delimiters, charset: Charset) -> Cow<'_, str> {
    if !raw.contains(delimiters.escape) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    // Bytes of neighboring sequences may form one character together.
    let mut bytes = Vec::new();
    let mut rest = raw;
    while let Some(start) = rest.find(delimiters.escape) {
        let after = &rest[start + 1..];
        let end = after.find(delimiters.escape).filter(|end| *end <= SEQUENCE_BYTES_MAX);
        if start > 0 {
            flush(&mut bytes, charset, &mut out);
            out.push_str(&rest[..start]);
        }
        let Some(end) = end else {
            rest = &rest[start..];
            break;
        };
        match sequence(&after[..end], delimiters) {
            Sequence::Text(text) => {
                flush(&mut bytes, charset, &mut out);
                out.push_str(text);
            }
            Sequence::Char(c) => {
                flush(&mut bytes, charset, &mut out);
                out.push(c);
            }
            Sequence::Bytes(told) => bytes.extend(told),
            Sequence::Unknown => {
                flush(&mut bytes, charset, &mut out);
                out.push_str(&rest[start..start + end + 2]);
            }
        }
        rest = &after[end + 1..];
    }
    flush(&mut bytes, charset, &mut out);
    out.push_str(rest);
    Cow::Owned(out)
}

enum Sequence {
    Text(&'static str),
    Char(char),
    Bytes(Vec<u8>),
    Unknown,
}

fn sequence(name: &str, delimiters: Delimiters) -> Sequence {
    match name {
        "F" => Sequence::Char(delimiters.field),
        "S" => Sequence::Char(delimiters.component),
        "T" => Sequence::Char(delimiters.subcomponent),
        "R" => Sequence::Char(delimiters.repetition),
        "E" => Sequence::Char(delimiters.escape),
        "H" | "N" => Sequence::Text(""),
        ".br" | ".sp" | ".ce" => Sequence::Text("\n"),
        _ => {
            name.strip_prefix('X').and_then(hexadecimal).map_or(Sequence::Unknown, Sequence::Bytes)
        }
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

fn flush(bytes: &mut Vec<u8>, charset: Charset, out: &mut String) {
    if !bytes.is_empty() {
        out.push_str(&charset.decode_lossy(bytes));
        bytes.clear();
    }
}

/// Appends text as it may stand between delimiters. Line ends, which would end the segment, become
/// `\.br\`; other control characters become `\Xhh\`.
pub(super) fn escape(text: &str, delimiters: Delimiters, out: &mut String) {
    for c in text.chars() {
        let name = match c {
            c if c == delimiters.field => "F",
            c if c == delimiters.component => "S",
            c if c == delimiters.subcomponent => "T",
            c if c == delimiters.repetition => "R",
            c if c == delimiters.escape => "E",
            '\n' => ".br",
            c if c.is_ascii_control() => &format!("X{:02X}", c as u32),
            c => {
                out.push(c);
                continue;
            }
        };
        out.push(delimiters.escape);
        out.push_str(name);
        out.push(delimiters.escape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, text: &str) {
        assert_eq!(unescape(raw, Delimiters::default(), Charset::Utf8), text, "{raw}");
    }

    #[test]
    fn sequences_stand_for_delimiters_and_bytes() {
        check("plain", "plain");
        check(r"A\T\E", "A&E");
        check(r"\F\\S\\R\\E\\T\", r"|^~\&");
        check(r"x\.br\y", "x\ny");
        check(r"\H\bold\N\", "bold");
        check(r"M\XC3BC\ller", "Müller");
        check(r"M\XC3\\XBC\ller", "Müller");
    }

    #[test]
    fn what_is_not_understood_stays() {
        check(r"\Zlocal\x", r"\Zlocal\x");
        check(r"\X0\", r"\X0\");
        check(r"\XGG\", r"\XGG\");
        check(r"C:\dir", r"C:\dir");
        check("\\", "\\");
        let long = format!(r"\{}\", "F".repeat(1_000));
        check(&long, &long);
    }

    #[test]
    fn bytes_are_of_the_message_s_charset() {
        let latin = Charset::told("8859/1").expect("known");
        assert_eq!(unescape(r"M\XFC\ller", Delimiters::default(), latin), "Müller");
    }
}
