//! References between resources, taken apart without a lookup.

/// A `Reference.reference` (FHIR R4 §2.3.0.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// `Type/id`, or `Type/id/_history/v`.
    Relative {
        /// Resource type.
        resource_type: &'a str,
        /// Logical id.
        id: &'a str,
    },
    /// `https://server/base/Type/id`, perhaps with a version.
    Absolute {
        /// Everything before `/Type/id`.
        base: &'a str,
        /// Resource type.
        resource_type: &'a str,
        /// Logical id.
        id: &'a str,
    },
    /// `#id` of a contained resource; `#` alone is the container.
    Contained(&'a str),
    /// `urn:uuid:…`, `urn:oid:…`, a conditional reference, or anything else.
    Opaque(&'a str),
}

impl<'a> Reference<'a> {
    /// Takes a reference apart.
    pub fn parse(text: &'a str) -> Self {
        if let Some(id) = text.strip_prefix('#') {
            return Self::Contained(id);
        }
        let unversioned = text.split_once("/_history/").map_or(text, |(before, _)| before);
        let Some((front, id)) = unversioned.rsplit_once('/') else { return Self::Opaque(text) };
        if !is_id(id) {
            return Self::Opaque(text);
        }
        match front.rsplit_once('/') {
            None if is_type(front) => Self::Relative { resource_type: front, id },
            Some((base, kind)) if is_type(kind) && is_http(base) => {
                Self::Absolute { base, resource_type: kind, id }
            }
            _ => Self::Opaque(text),
        }
    }

    /// Type and id as seen from a server whose base is `base`; `None` where it leads elsewhere.
    pub fn on_server(self, base: &str) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Relative { resource_type, id } => Some((resource_type, id)),
            Self::Absolute { base: other, resource_type, id } if same_base(base, other) => {
                Some((resource_type, id))
            }
            _ => None,
        }
    }
}

/// Whether two bases are one server: `http` and `https` with an equal rest name the same resource (FHIR R4 §3.1.0.1.3).
fn same_base(a: &str, b: &str) -> bool {
    fn rest(url: &str) -> &str {
        let url = url.trim_end_matches('/');
        url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url)
    }
    rest(a) == rest(b)
}

fn is_http(base: &str) -> bool {
    base.starts_with("https://") || base.starts_with("http://")
}

fn is_type(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_alphabetic())
}

// Longer and odder ids than FHIR's `[A-Za-z0-9\-\.]{1,64}` occur; only what cannot be an id is refused.
fn is_id(text: &str) -> bool {
    !text.is_empty() && !text.contains(['?', '#', '|', '&', '='])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Reference<'_>) {
        assert_eq!(Reference::parse(text), expected);
    }

    #[test]
    fn references_are_taken_apart() {
        let (resource_type, id) = ("Patient", "1");
        check("Patient/1", Reference::Relative { resource_type, id });
        check("Patient/1/_history/3", Reference::Relative { resource_type, id });
        let base = "https://a.example/fhir";
        check("https://a.example/fhir/Patient/1", Reference::Absolute { base, resource_type, id });
        check("#med", Reference::Contained("med"));
        for opaque in ["urn:uuid:1-2", "Practitioner?identifier=a|b", "patient/1", "Patient/", ""] {
            check(opaque, Reference::Opaque(opaque));
        }
    }

    #[test]
    fn an_absolute_reference_counts_only_on_its_own_server() {
        let reference = Reference::parse("http://a.example/fhir/Patient/1");
        assert_eq!(reference.on_server("https://a.example/fhir/"), Some(("Patient", "1")));
        assert_eq!(reference.on_server("https://b.example/fhir"), None);
        assert_eq!(Reference::parse("#p").on_server("https://a.example/fhir"), None);
    }
}
