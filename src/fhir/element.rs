//! Elements of a resource, found in its raw JSON without a parse of the whole.
//!
//! The JSON is well formed and of bounded nesting ([`crate::fhir::Resource`] sees to it), so the
//! walk only has to find where values end. An element of an unexpected shape is simply absent.

use std::borrow::Cow;

use super::outline::Outline;

/// One JSON value, as its source wrote it.
#[derive(Clone, Copy)]
pub struct Element<'a>(&'a str);

impl<'a> Element<'a> {
    /// The value that well-formed JSON is.
    pub fn new(json: &'a str) -> Self {
        Self(json.trim_matches(is_space))
    }

    /// The JSON text of the value.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Members of an object, in the order told; none of anything else.
    pub fn fields(self) -> Fields<'a> {
        let inside = if self.0.starts_with('{') { 1 } else { self.0.len() };
        Fields { json: self.0, at: inside }
    }

    /// Items of an array; the value itself where it is an object, so that `0..1` reads like `0..*`.
    pub fn items(self) -> Items<'a> {
        match self.0.as_bytes().first() {
            Some(b'[') => Items { json: self.0, at: 1, one: None },
            Some(b'{') => Items { json: self.0, at: self.0.len(), one: Some(self) },
            _ => Items { json: self.0, at: self.0.len(), one: None },
        }
    }

    /// A member of an object by name.
    pub fn field(self, name: &str) -> Option<Element<'a>> {
        self.fields().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Every element at a dotted path, through arrays.
    pub fn at(self, path: &str) -> Vec<Element<'a>> {
        let mut found = vec![self];
        for name in path.split('.') {
            found = found
                .into_iter()
                .flat_map(Element::items)
                .filter_map(|element| element.field(name))
                .collect();
        }
        found
    }

    /// The first element at a dotted path, through arrays.
    pub fn first_at(self, path: &str) -> Option<Element<'a>> {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        self.items().find_map(|item| {
            let found = item.field(name)?;
            if rest.is_empty() { Some(found) } else { found.first_at(rest) }
        })
    }

    /// The text of a JSON string.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        unescape(inside)
    }

    /// A member's text by name.
    pub fn text_of(self, name: &str) -> Option<Cow<'a, str>> {
        self.field(name).and_then(Element::text)
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether it is a list.
    pub fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    /// Whether it is `true`.
    pub fn is_true(self) -> bool {
        self.0 == "true"
    }
}

/// A resource's top-level elements, as its outline tells where they stand.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    json: &'a str,
    outline: &'a Outline,
}

impl<'a> Head<'a> {
    pub(super) const fn new(json: &'a str, outline: &'a Outline) -> Self {
        Self { json, outline }
    }

    /// The resource itself.
    pub const fn resource(self) -> Element<'a> {
        Element(self.json)
    }

    /// The top-level elements, in the order told.
    pub fn fields(self) -> impl Iterator<Item = (Cow<'a, str>, Element<'a>)> {
        self.outline.fields.iter().filter_map(move |field| {
            Some((unescape(field.name.text(self.json))?, Element(field.value.text(self.json))))
        })
    }

    /// A top-level element by name.
    pub fn field(self, name: &str) -> Option<Element<'a>> {
        if self.outline.has_escaped_names {
            return self.fields().find(|(told, _)| told == name).map(|(_, value)| value);
        }
        let mut fields = self.outline.fields.iter();
        let found = fields.find(|field| field.name.is(self.json, name));
        found.map(|field| Element(field.value.text(self.json)))
    }

    /// A top-level element's text by name.
    pub fn text_of(self, name: &str) -> Option<Cow<'a, str>> {
        self.field(name).and_then(Element::text)
    }

    /// The first element at a dotted path, through arrays.
    pub fn first_at(self, path: &str) -> Option<Element<'a>> {
        match path.split_once('.') {
            None => self.field(path),
            Some((first, rest)) => self.field(first)?.first_at(rest),
        }
    }

    /// Every element at a dotted path, through arrays. `value[x]` stands for whichever type of it
    /// is told.
    pub fn at(self, path: &str) -> Vec<Element<'a>> {
        if let Some(stem) = path.strip_suffix("[x]") {
            let is_choice = |name: &str| {
                let kind = name.strip_prefix(stem);
                kind.is_some_and(|kind| kind.starts_with(|first: char| first.is_ascii_uppercase()))
            };
            let told = self.fields().filter(|(name, _)| is_choice(name));
            return told.map(|(_, value)| value).collect();
        }
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        match (self.field(first), rest) {
            (None, _) => Vec::new(),
            (Some(value), "") => vec![value],
            (Some(value), rest) => value.at(rest),
        }
    }
}

/// Members of an object.
pub struct Fields<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Cow<'a, str>, Element<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.json.as_bytes();
        let start = skip_to(bytes, self.at, b"\"}");
        if bytes.get(start) != Some(&b'"') {
            return None;
        }
        let (end, _) = string_end(bytes, start);
        let key = unescape(self.json.get(start + 1..end.checked_sub(1)?)?)?;
        let value = skip_space(bytes, skip_to(bytes, end, b":") + 1);
        self.at = value_end(bytes, value);
        Some((key, Element(self.json.get(value..self.at)?)))
    }
}

/// Items of an array.
pub struct Items<'a> {
    json: &'a str,
    at: usize,
    one: Option<Element<'a>>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(one) = self.one.take() {
            return Some(one);
        }
        let bytes = self.json.as_bytes();
        let mut start = self.at;
        while bytes.get(start).is_some_and(|b| is_space(char::from(*b)) || *b == b',') {
            start += 1;
        }
        if bytes.get(start).is_none_or(|b| *b == b']') {
            return None;
        }
        self.at = value_end(bytes, start);
        Some(Element(self.json.get(start..self.at)?))
    }
}

pub(super) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|b| is_space(char::from(*b))) {
        at += 1;
    }
    at
}

fn skip_to(bytes: &[u8], at: usize, stops: &[u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|b| stops.contains(b)).map_or(bytes.len(), |found| at + found)
}

/// One past the closing quote of the string that opens at `at`, and whether it holds an escape.
pub(super) fn string_end(bytes: &[u8], at: usize) -> (usize, bool) {
    let (mut i, mut escaped) = (at + 1, false);
    loop {
        // Eight bytes at a time, as long as none of them is a quote or a backslash.
        while let Some(eight) = bytes.get(i..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*eight);
            let met = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
            if met != 0 {
                i += (met.trailing_zeros() / 8) as usize;
                break;
            }
            i += 8;
        }
        match bytes.get(i) {
            None => return (bytes.len(), escaped),
            Some(b'"') => return (i + 1, escaped),
            Some(b'\\') => {
                escaped = true;
                i += 2;
            }
            Some(_) => i += 1,
        }
    }
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

/// The high bit of the first zero byte of a word, and perhaps of later ones (Hacker's Delight §6-1).
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// One past the value that begins at `at`.
fn value_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at).0,
        Some(b'{' | b'[') => {
            let (mut i, mut depth) = (at, 0_usize);
            while let Some(byte) = bytes.get(i) {
                match byte {
                    b'"' => {
                        i = string_end(bytes, i).0;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                i += 1;
                if depth == 0 {
                    return i;
                }
            }
            bytes.len()
        }
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let end = rest
                .iter()
                .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
            end.map_or(bytes.len(), |found| at + found)
        }
    }
}

/// The text between the quotes of a JSON string.
pub(super) fn unescape(inside: &str) -> Option<Cow<'_, str>> {
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str::<String>(&format!("\"{inside}\"")).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_at_their_path() {
        let json =
            r#" { "a" : [ {"b":"x"}, {"b" : "y\"]}"} ,3 ], "c":{"d":true,"e":[]}, "n":-1.50e3 } "#;
        let element = Element::new(json);
        let texts: Vec<_> = element.at("a.b").into_iter().filter_map(Element::text).collect();
        assert_eq!(texts, ["x", "y\"]}"]);
        assert!(element.at("c.d")[0].is_true());
        assert_eq!(element.field("n").map(Element::raw), Some("-1.50e3"));
        assert_eq!(element.fields().count(), 3);
        assert_eq!(element.at("c.e")[0].items().count(), 0);
    }

    #[test]
    fn a_string_ends_at_its_own_quote_wherever_that_stands() {
        for length in 0..40 {
            let plain = format!("\"{}\",\"x\"", "a".repeat(length));
            assert_eq!(string_end(plain.as_bytes(), 0), (length + 2, false));
            let escaped = format!("\"{}\\\"b\\\\\",\"x\"", "ä".repeat(length));
            assert_eq!(string_end(escaped.as_bytes(), 0), (2 * length + 7, true));
            let open = format!("\"{}\\", "a".repeat(length));
            assert_eq!(string_end(open.as_bytes(), 0).0, open.len());
        }
    }

    #[test]
    fn an_unexpected_shape_is_absent() {
        let element = Element::new(r#"{"code":"text","list":[[1],null]}"#);
        assert!(element.at("code.coding.code").is_empty());
        assert!(element.at("list.x").is_empty());
        assert!(element.field("list").and_then(Element::text).is_none());
    }

    #[test]
    fn an_escaped_key_is_read_as_what_it_says() {
        let element = Element::new(r#"{"\u0069d":"1"}"#);
        assert_eq!(element.text_of("id").as_deref(), Some("1"));
    }

    #[test]
    fn broken_json_ends_the_walk() {
        for broken in ["{", "{\"a", "{\"a\":", "{\"a\":[", "[1,", "\"", ""] {
            let element = Element::new(broken);
            let _ = (element.fields().count(), element.items().count(), element.text());
        }
    }
}
