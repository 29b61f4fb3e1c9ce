//! A member's FHIR base, and the URLs that may be asked there.

use thiserror::Error;
use url::Url;

use crate::domain::LocalId;

/// The base of one member's FHIR server: `https`, without user info, query or fragment.
#[derive(Clone, Debug)]
pub struct MemberBase {
    url: Url,
    text: String,
}

impl MemberBase {
    /// Parses a base such as `https://fhir.example.org/r4`.
    pub fn parse(text: &str) -> Result<Self, InvalidMemberBase> {
        let url = Url::parse(text.trim_end_matches('/')).map_err(|_| InvalidMemberBase)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if url.scheme() != "https" || url.host().is_none() || !plain {
            return Err(InvalidMemberBase);
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, text })
    }

    /// The base without a trailing slash, as references spell it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `GET {base}/metadata`.
    pub(super) fn metadata(&self) -> Url {
        self.below(&["metadata"])
    }

    /// `GET {base}/Patient?identifier=system|value`.
    pub(super) fn patients_with(&self, local_id: &LocalId) -> Url {
        let token = format!("{}|{}", escaped(local_id.system()), escaped(local_id.value()));
        let mut url = self.below(&["Patient"]);
        url.query_pairs_mut().append_pair("identifier", &token);
        url
    }

    /// `{base}/Patient?family=…,…&birthdate=…`.
    pub(super) fn patients_like(
        &self,
        families: &[String],
        born: &str,
        given: Option<&str>,
        count: Option<usize>,
    ) -> Url {
        let families: Vec<String> = families.iter().map(|family| escaped(family)).collect();
        let mut url = self.below(&["Patient"]);
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("family", &families.join(",")).append_pair("birthdate", born);
            if let Some(given) = given {
                pairs.append_pair("given", &escaped(given));
            }
            if let Some(count) = count {
                pairs.append_pair("_count", &count.to_string());
            }
        }
        url
    }

    /// `GET {base}/{segments}`, each segment percent-encoded.
    pub(super) fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A `next` link of `page`: opaque, but on the member's origin and below its base, so that
    /// neither our certificate nor what it opens is led elsewhere.
    pub(super) fn follow(&self, page: &Url, link: &str) -> Result<Url, ForeignLink> {
        let mut url = page.join(link).map_err(|_| ForeignLink)?;
        url.set_fragment(None);
        let same_origin = url.scheme() == self.url.scheme()
            && url.host() == self.url.host()
            && url.port_or_known_default() == self.url.port_or_known_default();
        let no_user = url.username().is_empty() && url.password().is_none();
        let base_path = self.url.path().trim_end_matches('/');
        let below = url
            .path()
            .strip_prefix(base_path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if same_origin && no_user && below { Ok(url) } else { Err(ForeignLink) }
    }
}

/// Whether an id from a member's answer can be a segment of a path there.
pub(super) fn is_addressable(id: &str) -> bool {
    !id.is_empty() && id.len() <= 256 && id != "." && id != ".." && !id.contains(char::is_control)
}

/// Escapes a value inside a token (FHIR R4 §3.1.1.4.0.1: `\`, `,`, `|`, `$`).
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | ',' | '|' | '$') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Not a base to ask.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a member's FHIR base is an https URL without user info, query or fragment")]
pub struct InvalidMemberBase;

/// A link that leaves the member.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a page link leads away from the member's base")]
pub(super) struct ForeignLink;

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> MemberBase {
        MemberBase::parse("https://a.example:8443/fhir/").expect("a base")
    }

    #[test]
    fn a_base_is_https_and_plain() {
        assert_eq!(base().as_str(), "https://a.example:8443/fhir");
        for bad in ["http://a.example/fhir", "https://u:p@a.example/", "https://a/?x=1", "a", ""] {
            assert!(MemberBase::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_escaped_for_fhir_and_for_the_url() {
        let id = LocalId::parse("urn:oid:1.2", "A|1&x=2,3").expect("whole");
        assert_eq!(
            base().patients_with(&id).as_str(),
            r"https://a.example:8443/fhir/Patient?identifier=urn%3Aoid%3A1.2%7CA%5C%7C1%26x%3D2%5C%2C3"
        );
        assert_eq!(base().below(&["Patient", "a/../b?c"]).path(), "/fhir/Patient/a%2F..%2Fb%3Fc");
    }

    #[test]
    fn next_links_stay_at_home() {
        let base = base();
        let page = base.below(&["Observation"]);
        let check = |link: &str, allowed: bool| {
            assert_eq!(base.follow(&page, link).is_ok(), allowed, "{link}");
        };
        check("https://a.example:8443/fhir?_getpages=1", true);
        check("https://a.example:8443/fhir/Observation?page=2", true);
        check("Observation?page=2", true);
        check("?page=2", true);
        check("http://a.example:8443/fhir?page=2", false);
        check("https://a.example/fhir?page=2", false);
        check("https://b.example:8443/fhir?page=2", false);
        check("//b.example:8443/fhir?page=2", false);
        check("https://x@a.example:8443/fhir?page=2", false);
        check("https://a.example:8443/fhir-admin/x", false);
        check("https://a.example:8443/fhir/../admin", false);
        check("https://a.example:8443/fhir/%2e%2e/admin", false);
        check("file:///etc/passwd", false);
    }
}
