//! Writes searchset Bundles around entries that stay raw.

use serde::Serialize;
use serde_json::{Value, json};

/// A searchset Bundle in the making: FHIR R4 `Bundle`, `type` = searchset.
pub(super) struct Searchset {
    id: String,
    timestamp: String,
    total: Option<usize>,
    links: Vec<(&'static str, String)>,
    entries: Vec<u8>,
}

/// FHIR R4 `search-entry-mode`.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    Match,
    Include,
    Outcome,
}

impl Mode {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Include => "include",
            Self::Outcome => "outcome",
        }
    }

    /// The whole `entry.search`.
    const fn search(self) -> &'static str {
        match self {
            Self::Match => r#"{"mode":"match"}"#,
            Self::Include => r#"{"mode":"include"}"#,
            Self::Outcome => r#"{"mode":"outcome"}"#,
        }
    }
}

impl Searchset {
    /// An empty Bundle. `timestamp` is when it was put together, as a FHIR instant.
    pub(super) fn new(id: String, timestamp: String) -> Self {
        Self { id, timestamp, total: None, links: Vec::new(), entries: Vec::new() }
    }

    /// The number of matches over all pages; left out where it is not known for sure.
    pub(super) fn total(&mut self, total: usize) {
        self.total = Some(total);
    }

    pub(super) fn link(&mut self, relation: &'static str, url: String) {
        self.links.push((relation, url));
    }

    /// Adds a resource as it stands.
    pub(super) fn push(&mut self, full_url: Option<&str>, resource: &str, mode: Mode) {
        self.entry(full_url, resource, mode.search());
    }

    /// Adds a resource with a whole `entry.search`, as `$match` needs it.
    pub(super) fn push_with_search(
        &mut self,
        full_url: Option<&str>,
        resource: &str,
        search: &Value,
    ) {
        self.entry(full_url, resource, &search.to_string());
    }

    /// Makes room for so many bytes of entries.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.entries.reserve(bytes);
    }

    fn entry(&mut self, full_url: Option<&str>, resource: &str, search: &str) {
        if !self.entries.is_empty() {
            self.entries.push(b',');
        }
        self.entries.push(b'{');
        if let Some(url) = full_url {
            self.entries.extend_from_slice(b"\"fullUrl\":");
            serde_json::to_writer(&mut self.entries, url).expect("a string is always JSON");
            self.entries.push(b',');
        }
        for part in ["\"resource\":", resource, ",\"search\":", search, "}"] {
            self.entries.extend_from_slice(part.as_bytes());
        }
    }

    /// The whole Bundle as JSON.
    pub(super) fn into_json(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() + 512);
        out.extend_from_slice(b"{\"resourceType\":\"Bundle\",\"id\":");
        out.extend_from_slice(text(&self.id).as_bytes());
        out.extend_from_slice(b",\"meta\":{\"lastUpdated\":");
        out.extend_from_slice(text(&self.timestamp).as_bytes());
        out.extend_from_slice(b"},\"type\":\"searchset\"");
        if let Some(total) = self.total {
            out.extend_from_slice(format!(",\"total\":{total}").as_bytes());
        }
        if !self.links.is_empty() {
            let links: Vec<Value> = self
                .links
                .iter()
                .map(|(relation, url)| json!({ "relation": relation, "url": url }))
                .collect();
            out.extend_from_slice(b",\"link\":");
            out.extend_from_slice(Value::Array(links).to_string().as_bytes());
        }
        // An empty list is not FHIR: the element is then left out (R4 §2.6.2).
        if !self.entries.is_empty() {
            out.extend_from_slice(b",\"entry\":[");
            out.extend_from_slice(&self.entries);
            out.push(b']');
        }
        out.push(b'}');
        out
    }
}

fn text(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("a string is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::Bundle;

    #[test]
    fn entries_keep_their_bytes() {
        let mut set = Searchset::new("b1".to_owned(), "2026-01-01T00:00:00Z".to_owned());
        set.total(1);
        set.link("self", "https://gw/fhir/Patient/1/$everything".to_owned());
        let raw = r#"{"resourceType":"Observation","id":"m.1","x":1.50}"#;
        set.push(Some("https://gw/fhir/Observation/m.1"), raw, Mode::Match);
        set.push(None, r#"{"resourceType":"OperationOutcome","issue":[]}"#, Mode::Outcome);
        let json = set.into_json();
        let bundle = Bundle::parse(&json).expect("a Bundle");
        assert_eq!(bundle.entries[0].resource.json(), raw);
        assert_eq!(bundle.entries[1].search_mode.as_deref(), Some("outcome"));
        assert_eq!(bundle.total, Some(1));
    }

    #[test]
    fn an_empty_set_has_no_entry_element() {
        let set = Searchset::new("b1".to_owned(), "2026-01-01T00:00:00Z".to_owned());
        assert!(!String::from_utf8(set.into_json()).expect("UTF-8").contains("entry"));
    }
}
