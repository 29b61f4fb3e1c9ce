//! Bundles: parsed as an envelope over raw entries, written without parsing them again.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{InvalidResource, Resource};

/// A Bundle as a server sent it.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// `Bundle.type`, such as `searchset`.
    pub kind: String,
    /// `Bundle.total`, where given.
    pub total: Option<u64>,
    /// `Bundle.link`: relation and URL.
    pub links: Vec<Link>,
    /// The entries that hold a resource, in order.
    pub entries: Vec<Entry>,
    /// How many entries held something that is no resource.
    pub malformed_entries: usize,
}

/// `Bundle.link`.
#[derive(Clone, Debug, Deserialize)]
pub struct Link {
    /// IANA relation: `self`, `next` …
    pub relation: String,
    /// Where it leads.
    pub url: String,
}

/// One `Bundle.entry` with a resource.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `entry.fullUrl`, where given.
    pub full_url: Option<String>,
    /// `entry.resource`.
    pub resource: Resource,
    /// `entry.search.mode`: match, include or outcome.
    pub search_mode: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "resourceType", borrow)]
    resource_type: Cow<'a, str>,
    #[serde(rename = "type", default, borrow)]
    kind: Cow<'a, str>,
    total: Option<u64>,
    #[serde(default)]
    link: Vec<Link>,
    #[serde(default, borrow)]
    entry: Vec<RawEntry<'a>>,
}

#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(rename = "fullUrl")]
    full_url: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    search: Option<Search>,
}

#[derive(Deserialize)]
struct Search {
    mode: Option<String>,
}

impl Bundle {
    /// Parses a Bundle; an entry that holds no resource, or one nested too deep, is counted and not
    /// fatal.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidResource> {
        let envelope: Envelope<'_> = serde_json::from_slice(json).map_err(|error| {
            if error.is_data() {
                InvalidResource::Head
            } else {
                InvalidResource::Json { line: error.line(), column: error.column() }
            }
        })?;
        if envelope.resource_type != "Bundle" {
            return Err(InvalidResource::Type);
        }
        let mut bundle = Self {
            kind: envelope.kind.into_owned(),
            total: envelope.total,
            links: envelope.link,
            ..Self::default()
        };
        for entry in envelope.entry {
            let Some(raw) = entry.resource else { continue };
            match Resource::from_raw(raw.to_owned()) {
                Ok(resource) => bundle.entries.push(Entry {
                    full_url: entry.full_url,
                    resource,
                    search_mode: entry.search.and_then(|search| search.mode),
                }),
                Err(_) => bundle.malformed_entries += 1,
            }
        }
        Ok(bundle)
    }

    /// The URL of a relation, such as `next`.
    pub fn link(&self, relation: &str) -> Option<&str> {
        self.links.iter().find(|link| link.relation == relation).map(|link| link.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_and_its_entries_stay_raw() {
        let json = br#"{"resourceType":"Bundle","type":"searchset","total":2,
            "link":[{"relation":"next","url":"https://a/x?page=2"}],
            "entry":[{"fullUrl":"https://a/Observation/1","resource":{"resourceType":"Observation","id":"1","x":1.0},
                      "search":{"mode":"match"}},{"resource":{"id":"none"}},{"fullUrl":"urn:empty"}]}"#;
        let bundle = Bundle::parse(json).expect("it is a Bundle");
        assert_eq!(
            (bundle.kind.as_str(), bundle.total, bundle.malformed_entries),
            ("searchset", Some(2), 1)
        );
        assert_eq!(bundle.link("next"), Some("https://a/x?page=2"));
        assert_eq!(
            bundle.entries[0].resource.json(),
            r#"{"resourceType":"Observation","id":"1","x":1.0}"#
        );
        assert_eq!(bundle.entries[0].search_mode.as_deref(), Some("match"));
    }

    #[test]
    fn one_resource_nested_too_deep_costs_no_other() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let json = format!(
            r#"{{"resourceType":"Bundle","x":{deep},"entry":[{{"resource":{{"resourceType":"Basic","x":{deep}}}}},
                {{"resource":{{"resourceType":"Basic","id":"1"}}}}]}}"#
        );
        let bundle = Bundle::parse(json.as_bytes()).expect("it is a Bundle");
        assert_eq!((bundle.entries.len(), bundle.malformed_entries), (1, 1));
    }

    #[test]
    fn another_resource_is_no_bundle() {
        let error = Bundle::parse(br#"{"resourceType":"OperationOutcome"}"#).expect_err("refused");
        assert_eq!(error, InvalidResource::Type);
        assert!(matches!(Bundle::parse(b"<html>"), Err(InvalidResource::Json { .. })));
    }
}
