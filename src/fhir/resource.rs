use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

/// The deepest nesting of objects and arrays that is read. Real resources stay below 20;
/// `RawValue` skips serde's own recursion limit, so a hostile body must be stopped here.
pub const NESTING_MAX: usize = 64;

/// One FHIR R4 resource: its JSON as the source wrote it, and its head.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "resourceType is FHIR's word")]
pub struct Resource {
    raw: Arc<RawValue>,
    resource_type: Arc<str>,
    id: Option<Arc<str>>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "resourceType")]
    resource_type: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

impl Resource {
    /// Parses one resource from JSON text of bounded nesting.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidResource> {
        check_nesting(json)?;
        let raw: Box<RawValue> = serde_json::from_slice(json).map_err(InvalidResource::json)?;
        Self::from_raw(raw)
    }

    /// Reads the head of JSON that is known to be well formed and of bounded nesting.
    pub fn from_raw(raw: Box<RawValue>) -> Result<Self, InvalidResource> {
        let head: Head<'_> = serde_json::from_str(raw.get()).map_err(InvalidResource::head)?;
        if !is_type_name(&head.resource_type) {
            return Err(InvalidResource::Type);
        }
        let resource_type = Arc::from(&*head.resource_type);
        let id = head.id.map(|id| Arc::from(&*id));
        Ok(Self { raw: Arc::from(raw), resource_type, id })
    }

    /// Wraps a resource that this program composed itself.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, InvalidResource> {
        let raw = serde_json::value::to_raw_value(value).map_err(InvalidResource::json)?;
        Self::from_raw(raw)
    }

    /// `resourceType`, such as `Observation`.
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// The logical id at its source, where it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The JSON, byte for byte as it came.
    pub fn json(&self) -> &str {
        self.raw.get()
    }

    /// Reads the elements that `T` names and nothing else.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, InvalidResource> {
        serde_json::from_str(self.raw.get()).map_err(InvalidResource::json)
    }
}

impl fmt::Debug for Resource {
    // The body is PHI, and an id may be a record number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({}/…)", self.resource_type)
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
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
}

impl InvalidResource {
    #[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
    fn json(error: serde_json::Error) -> Self {
        Self::Json { line: error.line(), column: error.column() }
    }

    fn head(error: serde_json::Error) -> Self {
        if error.is_data() { Self::Head } else { Self::json(error) }
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
        assert_eq!(error(&"[".repeat(100_000)), InvalidResource::Nesting);
    }

    #[test]
    fn brackets_inside_strings_are_no_nesting() {
        let json = format!(r#"{{"resourceType":"Basic","x":"\"{}"}}"#, "[".repeat(1000));
        assert!(Resource::parse(json.as_bytes()).is_ok());
    }
}
