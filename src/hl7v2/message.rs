use std::{borrow::Cow, fmt, ops::Range};

use super::{Charset, Condition, Delimiters, Fault, Header, Location, escape};

/// The longest message that is read, in bytes; listeners may set a lower bound.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Segments of one message; an ADT message has some dozens.
const SEGMENTS_MAX: usize = 4_096;
/// Of a control id that could not be read as part of a message, in bytes.
const CONTROL_ID_SHOWN_MAX: usize = 64;
/// Repetitions of one field that are looked at.
const REPETITIONS_MAX: usize = 256;

/// An HL7 v2 message, decoded to text and cut into segments. Fields are read where they lie.
pub struct Message {
    text: String,
    delimiters: Delimiters,
    charset: Charset,
    segments: Vec<Range<usize>>,
    header: Header,
}

impl fmt::Debug for Message {
    // A message is full of names: only its kind and number may be told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}^{})", self.header.code, self.header.event)
    }
}

impl Message {
    /// Reads a message without its frame. Segments end with CR; LF and CR LF are taken for it.
    ///
    /// Fails where no acknowledgement could be trusted to mean this message, and where MSH-18 names
    /// a character set that the bytes are not of.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Fault::reject(Condition::SegmentSequence, "the message is too long"));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        let after = bytes.strip_prefix(b"MSH").ok_or_else(|| {
            let text = "the message does not begin with an MSH segment";
            Fault::reject(Condition::SegmentSequence, text).at(Location::segment("MSH"))
        })?;
        let delimiters = Delimiters::read(after)?;
        let charset = Charset::of(&told_charset(bytes, delimiters), bytes)?;
        let text = charset.decode(bytes)?.into_owned();
        let segments = segments(&text)?;
        let whole = &text[segments[0].clone()];
        let header = Header::read(Segment { text: whole, delimiters, charset });
        Ok(Self { text, delimiters, charset, segments, header })
    }

    /// MSH-10 of bytes that are no whole message, as far as it can be seen; plain letters, digits
    /// and marks only.
    pub fn control_id_of(bytes: &[u8]) -> String {
        let header = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let Some((separator, rest)) =
            header.strip_prefix(b"MSH").and_then(|rest| rest.split_first())
        else {
            return String::new();
        };
        let told = rest.split(|byte| byte == separator).nth(8).unwrap_or_default();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        let id = told.iter().copied().take_while(plain).take(CONTROL_ID_SHOWN_MAX);
        id.map(char::from).collect()
    }

    /// What MSH says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The characters that part it.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// How its characters were written.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// All segments, MSH first.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.segments.iter().map(|range| Segment {
            text: &self.text[range.clone()],
            delimiters: self.delimiters,
            charset: self.charset,
        })
    }

    /// The first segment with this id.
    pub fn segment(&self, id: &str) -> Option<Segment<'_>> {
        self.segments_of(id).next()
    }

    /// The segments with this id, in order.
    pub fn segments_of(&self, id: &str) -> impl Iterator<Item = Segment<'_>> {
        self.segments().filter(move |segment| segment.id() == id)
    }

    /// The message in ER7 form, its segments ended by CR: what it was read from, its line ends and
    /// blank lines aside.
    pub fn to_er7(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 1);
        for segment in self.segments() {
            out.push_str(segment.text);
            out.push('\r');
        }
        out
    }
}

/// MSH-18 from the bytes, before anybody knows how the others are to be read.
fn told_charset(bytes: &[u8], delimiters: Delimiters) -> String {
    let header = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let field = header.split(|byte| char::from(*byte) == delimiters.field).nth(17);
    let first =
        |byte: &u8| ![delimiters.repetition, delimiters.component].contains(&char::from(*byte));
    let told = field.unwrap_or_default().iter().copied().take_while(first);
    told.map(char::from).collect::<String>().trim().to_owned()
}

fn segments(text: &str) -> Result<Vec<Range<usize>>, Fault> {
    let mut segments = Vec::new();
    let mut start = 0;
    for line in text.split(['\r', '\n']) {
        let end = start + line.len();
        if !line.trim().is_empty() {
            if segments.len() == SEGMENTS_MAX {
                let text = "the message has more segments than are taken";
                return Err(Fault::reject(Condition::SegmentSequence, text));
            }
            let name = line.as_bytes().get(..3).unwrap_or_default();
            let named = name.len() == 3
                && name[0].is_ascii_uppercase()
                && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            if !named {
                let text = "a line of the message is no segment";
                return Err(Fault::reject(Condition::SegmentSequence, text));
            }
            segments.push(start..end);
        }
        start = end + 1;
    }
    Ok(segments)
}

/// A segment, such as PID.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    text: &'a str,
    delimiters: Delimiters,
    charset: Charset,
}

impl<'a> Segment<'a> {
    /// Its id, three letters or digits.
    pub fn id(&self) -> &'a str {
        &self.text[..3]
    }

    /// Field by its number in the standard, from 1; empty where the segment ends before it.
    pub fn field(&self, number: usize) -> Part<'a> {
        // MSH-1 is the separator itself.
        let skipped = usize::from(self.id() == "MSH");
        let raw = match number.checked_sub(skipped) {
            Some(at) if at > 0 => self.text.split(self.delimiters.field).nth(at),
            _ => None,
        };
        self.part(raw.unwrap_or_default())
    }

    fn part(&self, raw: &'a str) -> Part<'a> {
        Part { raw, delimiters: self.delimiters, charset: self.charset }
    }
}

/// A field, a repetition, a component or a subcomponent.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    raw: &'a str,
    delimiters: Delimiters,
    charset: Charset,
}

impl<'a> Part<'a> {
    /// Its repetitions, without empty ones; at most 256.
    pub fn repetitions(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let whole = *self;
        let parts = self.raw.split(self.delimiters.repetition).take(REPETITIONS_MAX);
        parts.map(move |raw| Part { raw, ..whole }).filter(|part| !part.is_empty())
    }

    /// Component by its number, from 1, of the first repetition.
    #[must_use]
    pub fn component(&self, number: usize) -> Part<'a> {
        let raw = self.first(self.delimiters.repetition);
        let told =
            number.checked_sub(1).and_then(|at| raw.split(self.delimiters.component).nth(at));
        Part { raw: told.unwrap_or_default(), ..*self }
    }

    /// Subcomponent by its number, from 1, of the first component.
    #[must_use]
    pub fn subcomponent(&self, number: usize) -> Part<'a> {
        let raw = self.component(1).raw;
        let told =
            number.checked_sub(1).and_then(|at| raw.split(self.delimiters.subcomponent).nth(at));
        Part { raw: told.unwrap_or_default(), ..*self }
    }

    /// The text of its first subcomponent, escapes resolved, without blanks around it; empty for
    /// HL7's null.
    pub fn text(&self) -> Cow<'a, str> {
        let raw = self.subcomponent(1).raw.trim();
        if raw == NULL {
            return Cow::Borrowed("");
        }
        match escape::unescape(raw, self.delimiters, self.charset) {
            Cow::Borrowed(text) => Cow::Borrowed(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    /// As it stands in the message.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Nothing is told: what was known stays.
    pub fn is_empty(&self) -> bool {
        let delimiters = self.delimiters;
        let parts = [delimiters.component, delimiters.repetition, delimiters.subcomponent];
        self.raw.chars().all(|c| c.is_whitespace() || parts.contains(&c))
    }

    /// `""`: what was known is to be deleted (HL7 v2.5 §2.5.3).
    pub fn is_null(&self) -> bool {
        self.raw.trim() == NULL
    }

    fn first(&self, delimiter: char) -> &'a str {
        self.raw.split(delimiter).next().unwrap_or_default()
    }
}

/// HL7's null.
const NULL: &str = "\"\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::parse(text.as_bytes()).expect("a message")
    }

    #[test]
    fn parts_are_found_by_their_numbers_in_the_standard() {
        let message = message(
            "MSH|^~\\&|APP|FAC^1.2.3^ISO\rPID|1||A1^^^NS&1.2&ISO^MR~B2^^^X\rZZZ|x\rPID|2\r",
        );
        let header = message.segment("MSH").expect("there");
        assert_eq!(header.field(3).text(), "APP");
        assert_eq!(header.field(4).component(2).text(), "1.2.3");
        let pid = message.segment("PID").expect("there");
        let ids: Vec<_> = pid.field(3).repetitions().collect();
        assert_eq!(ids.len(), 2);
        assert_eq!(ids[0].component(4).subcomponent(2).text(), "1.2");
        assert_eq!(ids[0].component(5).text(), "MR");
        assert_eq!((ids[1].text().as_ref(), ids[1].component(4).text().as_ref()), ("B2", "X"));
        assert_eq!(pid.field(99).text(), "");
        assert_eq!(message.segments_of("PID").count(), 2);
        assert_eq!(message.segments().count(), 4);
    }

    #[test]
    fn other_delimiters_work_as_well() {
        let message = message("MSH!@#$%!APP\rPID!1!!A1@@@NS%1.2%ISO#B2!!O$T$M@S$F$T");
        let pid = message.segment("PID").expect("there");
        assert_eq!(pid.field(3).repetitions().count(), 2);
        assert_eq!(pid.field(3).component(4).subcomponent(3).text(), "ISO");
        assert_eq!(pid.field(5).text(), "O%M");
        assert_eq!(pid.field(5).component(2).text(), "S!T");
    }

    #[test]
    fn line_ends_of_other_systems_are_taken() {
        for end in ["\r", "\n", "\r\n", "\r\r\n"] {
            let told = format!("MSH|^~\\&|A{end}PID|1{end}{end}");
            assert_eq!(message(&told).to_er7(), "MSH|^~\\&|A\rPID|1\r", "{end:?}");
        }
    }

    #[test]
    fn empty_is_not_null() {
        let message = message("MSH|^~\\&|A\rPID||\"\"||^^|x");
        let pid = message.segment("PID").expect("there");
        assert!(pid.field(1).is_empty() && !pid.field(1).is_null());
        assert!(pid.field(2).is_null() && !pid.field(2).is_empty());
        assert_eq!(pid.field(2).text(), "");
        assert!(pid.field(4).is_empty());
        assert_eq!(pid.field(4).repetitions().count(), 0);
    }

    #[test]
    fn what_is_no_message_is_rejected() {
        let long = format!("MSH|^~\\&|A\r{}", "PID|1\r".repeat(5_000));
        for bad in [
            "",
            "PID|1",
            "msh|^~\\&|A",
            "MSH",
            "MSH|",
            "MSH|^~\\&|A\rpid|1",
            "MSH|^~\\&|A\rXY",
            "MSH|^~\\&|A\r\u{fc}berall",
            &long,
        ] {
            let fault = Message::parse(bad.as_bytes()).expect_err(bad);
            assert_eq!(fault.condition, Condition::SegmentSequence);
        }
    }

    #[test]
    fn debug_shows_nobody() {
        let told = message("MSH|^~\\&|A|||||| ADT^A01\rPID|1||4711||Okafor^Ada");
        assert!(!format!("{told:?}").contains("Okafor"));
    }
}
