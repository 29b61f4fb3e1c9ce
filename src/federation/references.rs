//! References anywhere in a resource, found without building a tree of it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::fhir::{InvalidResource, Resource};

/// Every `reference` and `url` string in a resource: `Reference.reference`, `Attachment.url`, and
/// canonical URLs, which lead nowhere on a member's base and so do no harm.
pub(super) fn references(resource: &Resource) -> Result<Vec<String>, InvalidResource> {
    let mut found = Vec::new();
    let mut json = serde_json::Deserializer::from_str(resource.json());
    json.deserialize_any(Scan { found: &mut found, wanted: false })
        .map_err(|error| InvalidResource::Json { line: error.line(), column: error.column() })?;
    Ok(found)
}

/// Walks any JSON; a string is kept where it stands under a wanted name.
struct Scan<'f> {
    found: &'f mut Vec<String>,
    wanted: bool,
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.wanted {
            self.found.push(text.to_owned());
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(NameOf)? {
            match name {
                // Narrative is text; what links in it leads nowhere that matters here.
                Name::Skipped => drop(map.next_value::<IgnoredAny>()?),
                Name::Reference => {
                    map.next_value_seed(Scan { found: &mut *self.found, wanted: true })?;
                }
                Name::Other => {
                    map.next_value_seed(Scan { found: &mut *self.found, wanted: false })?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Scan { found: &mut *self.found, wanted: false })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

enum Name {
    Reference,
    Skipped,
    Other,
}

struct NameOf;

impl<'de> DeserializeSeed<'de> for NameOf {
    type Value = Name;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Name, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for NameOf {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(match name {
            "reference" | "url" => Name::Reference,
            "div" => Name::Skipped,
            _ => Name::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_at_any_depth() {
        let json = r#"{"resourceType":"X","a":[{"b":{"reference":"Practitioner/1","display":"x"}}],
            "contained":[{"resourceType":"Y","c":{"reference":"Organization/2"}}],"n":1.5,"t":true,
            "content":[{"attachment":{"url":"Binary/3"}}],"text":{"div":"<a>reference</a>"},
            "reference":{"reference":"Location/4"},"z":null,"d":-1}"#;
        let resource = Resource::parse(json.as_bytes()).expect("a resource");
        let found = references(&resource).expect("well formed");
        assert_eq!(found, ["Practitioner/1", "Organization/2", "Binary/3", "Location/4"]);
    }
}
