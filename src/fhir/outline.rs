//! Where the parts of a resource stand in its JSON, found in one pass over its bytes.
//!
//! What is done with a resource later (whose it is, what it refers to, which fact it tells, how it
//! is rewritten) reads the outline, so that the bytes are walked once.

use std::ops::Range;

use super::{
    element::{skip_space, string_end, unescape},
    resource::{InvalidResource, NESTING_MAX},
};

/// A stretch of a resource's JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    // A text of more than 4 GiB has no outline: see `Outline::of`.
    const fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The text of the stretch.
    pub(super) fn text(self, json: &str) -> &str {
        json.get(self.range()).unwrap_or_default()
    }

    /// Whether the stretch is just this text.
    pub(super) fn is(self, json: &str, text: &str) -> bool {
        let length = self.end.wrapping_sub(self.start) as usize;
        length == text.len() && json.as_bytes().get(self.range()) == Some(text.as_bytes())
    }

    /// The stretch without its first and last byte: a string without its quotes.
    pub(super) const fn inside(self) -> Self {
        Self { start: self.start + 1, end: self.end.saturating_sub(1) }
    }

    /// Its bytes' places.
    pub(super) const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A top-level element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Between its quotes, escapes in place.
    pub(super) name: Span,
    pub(super) value: Span,
}

/// A string that may lead to another resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkAt {
    /// With its quotes.
    pub(super) value: Span,
    pub(super) is_attachment: bool,
}

/// Elements of type Attachment in R4. The `url` of an extension is no link.
const ATTACHMENTS: &[&str] = &[
    "attachment",
    "content",
    "contentAttachment",
    "data",
    "image",
    "photo",
    "presentedForm",
    "sourceAttachment",
    "valueAttachment",
];

/// The parts of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Outline {
    /// The top-level elements, in the order told.
    pub(super) fields: Vec<Field>,
    /// Whether a top-level name is written with escapes.
    pub(super) has_escaped_names: bool,
    /// References and attachment URLs at any depth, in order of place.
    pub(super) links: Vec<LinkAt>,
    /// Values of `meta.source`; more than one only where the JSON says it twice.
    pub(super) sources: Vec<Span>,
    /// How many elements it states, however deep.
    pub(super) elements: u32,
}

impl Outline {
    /// Reads the outline of a JSON object that is known to be well formed.
    pub(super) fn of(json: &str) -> Result<Self, InvalidResource> {
        if u32::try_from(json.len()).is_err() {
            return Err(InvalidResource::Length);
        }
        let mut walk = Walk {
            json,
            outline: Self { fields: Vec::with_capacity(16), ..Self::default() },
            open: [Level::default(); NESTING_MAX],
            depth: 0,
        };
        walk.run()?;
        Ok(walk.outline)
    }
}

/// An open object or array, and the name under which it stands. Items of an array stand under the
/// array's own name.
#[derive(Clone, Copy, Default)]
struct Level {
    name: Span,
    is_array: bool,
}

struct Walk<'a> {
    json: &'a str,
    outline: Outline,
    open: [Level; NESTING_MAX],
    depth: usize,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), InvalidResource> {
        let bytes = self.json.as_bytes();
        let mut name = Span::default();
        let mut i = 0;
        while let Some(byte) = bytes.get(i) {
            match byte {
                b'"' => {
                    let (end, escaped) = string_end(bytes, i);
                    let in_object = self.parent().is_some_and(|level| !level.is_array);
                    i = if in_object { self.member(i, end, escaped, &mut name) } else { end };
                }
                b'{' | b'[' => {
                    self.open(*byte == b'[', name)?;
                    i += 1;
                }
                b'}' | b']' => {
                    i += 1;
                    self.close(i);
                }
                _ => i += 1,
            }
        }
        Ok(())
    }

    fn parent(&self) -> Option<&Level> {
        self.open.get(self.depth.checked_sub(1)?)
    }

    fn open(&mut self, is_array: bool, name: Span) -> Result<(), InvalidResource> {
        let name = match self.parent() {
            Some(parent) if parent.is_array => parent.name,
            _ => name,
        };
        let level = self.open.get_mut(self.depth).ok_or(InvalidResource::Nesting)?;
        *level = Level { name, is_array };
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, end: usize) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 1
            && let Some(field) = self.outline.fields.last_mut()
        {
            field.value.end = end as u32;
        }
    }

    /// Takes the name of a member, and its value where that is a string; says where to go on.
    fn member(&mut self, quote: usize, end: usize, escaped: bool, name: &mut Span) -> usize {
        let bytes = self.json.as_bytes();
        let key = Span::new(quote + 1, end.saturating_sub(1));
        let at = skip_space(bytes, skip_space(bytes, end) + 1);
        self.outline.elements += 1;
        let first = bytes.get(at).copied().unwrap_or_default();
        if first == b'{' || first == b'[' {
            *name = key;
            self.note(key, Span::new(at, at), escaped);
            return at;
        }
        let after = if first == b'"' { string_end(bytes, at).0 } else { scalar_end(bytes, at) };
        let value = Span::new(at, after);
        self.note(key, value, escaped);
        if first == b'"' {
            self.link(key, value, escaped);
        }
        after
    }

    fn note(&mut self, name: Span, value: Span, escaped: bool) {
        if self.depth == 1 {
            self.outline.fields.push(Field { name, value });
            self.outline.has_escaped_names |= escaped;
        } else if self.depth == 2
            && value.start < value.end
            && self.is(name, "source", escaped)
            && self.parent().is_some_and(|level| !level.is_array && self.is_named(level, "meta"))
        {
            self.outline.sources.push(value);
        }
    }

    fn link(&mut self, name: Span, value: Span, escaped: bool) {
        let is_attachment = if self.is(name, "reference", escaped) {
            false
        } else if self.is(name, "url", escaped)
            && self.parent().is_some_and(|level| self.is_attachment(level))
        {
            true
        } else {
            return;
        };
        self.outline.links.push(LinkAt { value, is_attachment });
    }

    fn is(&self, name: Span, expected: &str, escaped: bool) -> bool {
        let told = name.text(self.json);
        told == expected || escaped && unescape(told).as_deref() == Some(expected)
    }

    fn is_named(&self, level: &Level, expected: &str) -> bool {
        unescape(level.name.text(self.json)).as_deref() == Some(expected)
    }

    fn is_attachment(&self, level: &Level) -> bool {
        let name = unescape(level.name.text(self.json));
        name.is_some_and(|name| ATTACHMENTS.contains(&name.as_ref()))
    }
}

/// One past the number or word that begins at `at`.
fn scalar_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_end = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
    rest.iter().position(is_end).map_or(bytes.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_where_it_stands() {
        let json = r#"{ "resourceType" : "X", "n":-1.50e3 ,"meta":{"source":"s"},"a":[ {"reference" : "P\"/1"},{"source":"no"} ],
            "photo":[{"url":"Binary/1"}],"extension":[{"url":"e"}],"t":true}"#;
        let outline = Outline::of(json).expect("an outline");
        let fields: Vec<(&str, &str)> = outline
            .fields
            .iter()
            .map(|field| (field.name.text(json), field.value.text(json)))
            .collect();
        assert_eq!(fields[0], ("resourceType", "\"X\""));
        assert_eq!(fields[1], ("n", "-1.50e3"));
        assert_eq!(fields[3], ("a", r#"[ {"reference" : "P\"/1"},{"source":"no"} ]"#));
        assert_eq!(fields[6], ("t", "true"));
        let links: Vec<(&str, bool)> =
            outline.links.iter().map(|link| (link.value.text(json), link.is_attachment)).collect();
        assert_eq!(links, [(r#""P\"/1""#, false), ("\"Binary/1\"", true)]);
        assert_eq!(outline.sources.iter().map(|at| at.text(json)).collect::<Vec<_>>(), ["\"s\""]);
        assert_eq!(outline.elements, 12);
    }

    #[test]
    fn escapes_hide_no_link() {
        let json = r#"{"x":{"\u0072eference":"Patient/7"},"\u0070hoto":{"url":"Binary/1"}}"#;
        let outline = Outline::of(json).expect("an outline");
        assert_eq!(outline.links.len(), 2);
        assert!(outline.has_escaped_names);
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth: usize| {
            format!(r#"{{"x":{}1{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        assert!(Outline::of(&nested(NESTING_MAX)).is_ok());
        let error = Outline::of(&nested(NESTING_MAX + 1)).expect_err("refused");
        assert_eq!(error, InvalidResource::Nesting);
    }
}
