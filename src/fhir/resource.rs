use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{
    element::{Element, Head, unescape},
    outline::{Field, LinkAt, Outline, Span},
};

/// The deepest nesting of objects and arrays that is read. Real resources stay below 20;
/// `RawValue` skips serde's own recursion limit, so a hostile resource must be stopped here.
pub const NESTING_MAX: usize = 64;

/// One FHIR R4 resource: its JSON as the source wrote it, and where its parts stand in it.
#[derive(Clone)]
pub struct Resource {
    body: Arc<Body>,
}

struct Body {
    raw: Box<RawValue>,
    outline: Outline,
    resource_type: Name,
    id: Option<Name>,
}

/// Text of the JSON, or what its escapes stand for.
enum Name {
    Told(Span),
    Unescaped(Box<str>),
}

/// A string in a resource that may lead to another one.
#[derive(Clone, Copy)]
pub struct Link<'a> {
    json: &'a str,
    at: LinkAt,
}

impl<'a> Link<'a> {
    /// What it says.
    pub fn text(self) -> Option<Cow<'a, str>> {
        Element::new(self.at.value.text(self.json)).text()
    }

    /// The bytes of its value in the resource's JSON, quotes included.
    pub fn range(self) -> Range<usize> {
        self.at.value.range()
    }

    /// Whether it is the `url` of an Attachment, and no `Reference.reference`.
    pub fn is_attachment(self) -> bool {
        self.at.is_attachment
    }
}

impl Resource {
    /// Parses one resource from JSON text of bounded nesting.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidResource> {
        let raw: Box<RawValue> = serde_json::from_slice(json).map_err(|error| {
            // A body cut off in its depths is told as deep.
            check_nesting(json).err().unwrap_or_else(|| InvalidResource::json(error))
        })?;
        Self::from_raw(raw)
    }

    /// Reads the head of JSON that is known to be well formed.
    pub fn from_raw(raw: Box<RawValue>) -> Result<Self, InvalidResource> {
        let json = raw.get();
        if !json.starts_with('{') {
            return Err(InvalidResource::Head);
        }
        let outline = Outline::of(json)?;
        let resource_type = single(json, &outline, "resourceType")?.ok_or(InvalidResource::Head)?;
        let id = single(json, &outline, "id")?;
        if !is_type_name(resource_type.text(json)) {
            return Err(InvalidResource::Type);
        }
        Ok(Self { body: Arc::new(Body { raw, outline, resource_type, id }) })
    }

    /// Wraps a resource that this program composed itself.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, InvalidResource> {
        let raw = serde_json::value::to_raw_value(value).map_err(InvalidResource::json)?;
        Self::from_raw(raw)
    }

    /// `resourceType`, such as `Observation`.
    pub fn resource_type(&self) -> &str {
        self.body.resource_type.text(self.json())
    }

    /// The logical id at its source, where it has one.
    pub fn id(&self) -> Option<&str> {
        self.body.id.as_ref().map(|id| id.text(self.json()))
    }

    /// The JSON, byte for byte as it came.
    pub fn json(&self) -> &str {
        self.body.raw.get()
    }

    /// The JSON, to be written into other JSON as it is.
    pub fn raw(&self) -> &RawValue {
        &self.body.raw
    }

    /// Its top-level elements.
    pub fn head(&self) -> Head<'_> {
        Head::new(self.json(), &self.body.outline)
    }

    /// Every `Reference.reference` and every attachment's `url`, at any depth and in order of place.
    pub fn links(&self) -> impl Iterator<Item = Link<'_>> {
        let json = self.json();
        self.body.outline.links.iter().map(move |at| Link { json, at: *at })
    }

    /// The bytes of each `meta.source` in the JSON.
    pub fn source_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.body.outline.sources.iter().map(|at| at.range())
    }

    /// The bytes of the values of a top-level element, each where the JSON says it twice.
    pub fn field_ranges<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let json = self.json();
        let named =
            move |field: &&Field| unescape(field.name.text(json)).is_some_and(|told| told == name);
        self.body.outline.fields.iter().filter(named).map(|field| field.value.range())
    }

    /// How many elements it states, however deep: a measure of how much it says.
    pub fn elements(&self) -> u32 {
        self.body.outline.elements
    }

    /// Reads the elements that `T` names and nothing else.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, InvalidResource> {
        serde_json::from_str(self.json()).map_err(InvalidResource::json)
    }
}

impl fmt::Debug for Resource {
    // The body is PHI, and an id may be a record number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({}/…)", self.resource_type())
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.raw.serialize(serializer)
    }
}

/// Why JSON is not a resource. Messages name places, never values.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidResource {
    /// Not JSON, or an element of another shape than FHIR gives it.
    #[error("not well-formed at line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// No `resourceType`, or a doubled one.
    #[error("not a resource: it needs exactly one resourceType and at most one id, both strings")]
    Head,
    /// `resourceType` is no type name.
    #[error("resourceType is not the name of a resource type")]
    Type,
    /// Nested deeper than [`NESTING_MAX`].
    #[error("nested deeper than {NESTING_MAX} levels")]
    Nesting,
    /// Longer than 4 GiB.
    #[error("longer than 4 GiB")]
    Length,
}

impl InvalidResource {
    #[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
    fn json(error: serde_json::Error) -> Self {
        Self::Json { line: error.line(), column: error.column() }
    }
}

impl Name {
    fn text<'a>(&'a self, json: &'a str) -> &'a str {
        match self {
            Self::Told(span) => span.text(json),
            Self::Unescaped(text) => text,
        }
    }
}

/// The text of an element that may be told once; `None` where it is absent or `null`.
fn single(json: &str, outline: &Outline, name: &str) -> Result<Option<Name>, InvalidResource> {
    let mut told = outline.fields.iter().filter(|field| {
        let own = field.name.text(json);
        own == name || outline.has_escaped_names && unescape(own).as_deref() == Some(name)
    });
    let Some(field) = told.next() else { return Ok(None) };
    if told.next().is_some() {
        return Err(InvalidResource::Head);
    }
    let value = field.value.text(json);
    if value == "null" {
        return Ok(None);
    }
    match Element::new(value).text().ok_or(InvalidResource::Head)? {
        Cow::Borrowed(_) => Ok(Some(Name::Told(field.value.inside()))),
        Cow::Owned(text) => Ok(Some(Name::Unescaped(text.into()))),
    }
}

/// Resource type names are ASCII letters with a capital first (FHIR R4 `resource-types`).
fn is_type_name(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphabetic())
        && text.bytes().next().is_some_and(|b| b.is_ascii_uppercase())
}

/// Refuses JSON nested deeper than [`NESTING_MAX`], in one pass and without a stack.
pub fn check_nesting(json: &[u8]) -> Result<(), InvalidResource> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(InvalidResource::Nesting);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_survives_byte_for_byte() {
        let json = r#"{"resourceType":"Observation", "id":"a", "valueQuantity":{"value":3.10}}"#;
        let resource = Resource::parse(json.as_bytes()).expect("it is a resource");
        assert_eq!(resource.json(), json);
        assert_eq!((resource.resource_type(), resource.id()), ("Observation", Some("a")));
    }

    #[test]
    fn what_is_no_resource_is_refused_with_its_place() {
        let error = |json: &str| Resource::parse(json.as_bytes()).expect_err("refused");
        assert_eq!(error("{\n \"resourceType\": }"), InvalidResource::Json { line: 2, column: 18 });
        assert_eq!(error(r#"{"id":"a"}"#), InvalidResource::Head);
        assert_eq!(error(r#"{"resourceType":"Patient","id":7}"#), InvalidResource::Head);
        assert_eq!(error(r#"{"resourceType":"Patient","id":"a","id":"b"}"#), InvalidResource::Head);
        assert_eq!(error(r#"{"resourceType":"../etc"}"#), InvalidResource::Type);
        let nested = format!(
            r#"{{"resourceType":"Basic","x":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(error(&nested), InvalidResource::Nesting);
        assert_eq!(error(&"[".repeat(100_000)), InvalidResource::Nesting);
        assert_eq!(error("[]"), InvalidResource::Head);
    }

    #[test]
    fn a_name_written_with_escapes_is_read_as_what_it_says() {
        let json = r#"{"resource\u0054ype":"Bas\u0069c","id":"\u0061"}"#;
        let resource = Resource::parse(json.as_bytes()).expect("it is a resource");
        assert_eq!((resource.resource_type(), resource.id()), ("Basic", Some("a")));
    }

    #[test]
    fn brackets_inside_strings_are_no_nesting() {
        let json = format!(r#"{{"resourceType":"Basic","x":"\"{}"}}"#, "[".repeat(1000));
        assert!(Resource::parse(json.as_bytes()).is_ok());
    }
}
