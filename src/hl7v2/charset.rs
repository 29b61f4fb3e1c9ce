//! Character sets (HL7 table 0211), by MSH-18.

use std::borrow::Cow;

use encoding_rs::Encoding;

use super::{Condition, Fault, Location};

/// How a message's characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// `UNICODE UTF-8`; and `ASCII`, which is part of it.
    Utf8,
    /// Not told, and not UTF-8: taken for ISO 8859-1.
    Latin1,
    /// Another one that MSH-18 names.
    Other(&'static Encoding),
}

impl Charset {
    /// The character set of a code of table 0211. UTF-16 and UTF-32 cannot be framed by MLLP and
    /// are not taken.
    pub(super) fn told(code: &str) -> Option<Self> {
        let label = match code.trim().to_ascii_uppercase().as_str() {
            "ASCII" | "ISO IR6" | "UNICODE UTF-8" | "UTF-8" | "UTF8" | "UNICODE" => {
                return Some(Self::Utf8);
            }
            "8859/1" | "ISO IR100" => "iso-8859-1",
            "8859/2" | "ISO IR101" => "iso-8859-2",
            "8859/3" | "ISO IR109" => "iso-8859-3",
            "8859/4" | "ISO IR110" => "iso-8859-4",
            "8859/5" | "ISO IR144" => "iso-8859-5",
            "8859/6" | "ISO IR127" => "iso-8859-6",
            "8859/7" | "ISO IR126" => "iso-8859-7",
            "8859/8" | "ISO IR138" => "iso-8859-8",
            "8859/9" | "ISO IR148" => "iso-8859-9",
            "8859/15" => "iso-8859-15",
            "BIG-5" | "BIG5" => "big5",
            "GB 18030-2000" | "GB18030" => "gb18030",
            "KS X 1001" => "euc-kr",
            _ => return None,
        };
        Encoding::for_label(label.as_bytes()).map(Self::Other)
    }

    /// The character set of a message: as its MSH-18 tells, or else what its bytes are.
    pub(super) fn of(told: &str, message: &[u8]) -> Result<Self, Fault> {
        // Repetitions name sets that escape sequences switch to; the first is the message's own.
        if !told.is_empty() {
            return Self::told(told).ok_or_else(|| {
                Fault::reject(Condition::TableValue, "the character set is not taken here")
                    .at(Location::field("MSH", 18))
            });
        }
        Ok(if std::str::from_utf8(message).is_ok() { Self::Utf8 } else { Self::Latin1 })
    }

    /// The bytes as text; a fault where they are not of this character set.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, Fault> {
        let encoding = self.encoding();
        encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or_else(|| {
            Fault::error(Condition::DataType, "bytes that are not of the character set of MSH-18")
        })
    }

    pub(super) fn decode_lossy(self, bytes: &[u8]) -> Cow<'_, str> {
        self.encoding().decode_without_bom_handling(bytes).0
    }

    /// Text as bytes; a character that the set lacks becomes a question mark.
    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        let encoding = self.encoding();
        let (bytes, _, lacking) = encoding.encode(text);
        if !lacking {
            return bytes.into_owned();
        }
        let mut buffer = [0; 4];
        text.chars()
            .flat_map(|c| {
                let (bytes, _, lacking) = encoding.encode(c.encode_utf8(&mut buffer));
                if lacking { vec![b'?'] } else { bytes.into_owned() }
            })
            .collect()
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Utf8 => encoding_rs::UTF_8,
            // The superset that the web calls ISO 8859-1, and that senders mean by it.
            Self::Latin1 => encoding_rs::WINDOWS_1252,
            Self::Other(encoding) => encoding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_come_in_the_set_that_the_header_names() {
        for (code, bytes, text) in [
            ("UNICODE UTF-8", &b"M\xc3\xbcller"[..], "Müller"),
            ("8859/1", b"M\xfcller", "Müller"),
            ("8859/2", b"\xa3ukasz", "Łukasz"),
            ("8859/5", b"\xb8\xd2\xd0\xdd", "Иван"),
            ("GB 18030-2000", b"\xc0\xee", "李"),
            ("BIG-5", b"\xa7\xf5", "李"),
            ("KS X 1001", b"\xb1\xe8", "김"),
        ] {
            let charset = Charset::of(code, bytes).expect("known");
            assert_eq!(charset.decode(bytes).expect("whole"), text, "{code}");
            assert_eq!(charset.encode(text), bytes, "{code}");
        }
    }

    #[test]
    fn without_a_word_bytes_are_utf_8_or_else_latin_1() {
        let read = |bytes: &'static [u8]| {
            Charset::of("", bytes).expect("taken").decode(bytes).expect("whole").into_owned()
        };
        assert_eq!(read(b"M\xc3\xbcller"), "Müller");
        assert_eq!(read(b"M\xfcller"), "Müller");
    }

    #[test]
    fn unknown_sets_and_broken_bytes_are_refused() {
        assert!(Charset::of("UNICODE UTF-16", b"").is_err());
        assert!(Charset::of("UNICODE UTF-8", b"").expect("known").decode(b"M\xfc").is_err());
    }

    #[test]
    fn a_character_that_the_set_lacks_is_a_question_mark() {
        assert_eq!(Charset::told("8859/1").expect("known").encode("Łü"), b"?\xfc");
    }
}
