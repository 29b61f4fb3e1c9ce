//! Which representation is asked for, and which one a body claims to be: FHIR JSON or FHIR XML.
//! Other formats get 406 or 415.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName},
};

use super::error::ApiError;
use crate::fhir::{FHIR_JSON, xml::FHIR_XML};

/// One FHIR resource a line.
pub(super) const FHIR_NDJSON: &str = "application/fhir+ndjson";

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// In XML, else in JSON.
    pub(super) is_xml: bool,
    /// As which media type: that of FHIR, or the general one where that was asked for.
    pub(super) media: &'static str,
}

impl Format {
    const JSON: Self = Self { is_xml: false, media: FHIR_JSON };
    const XML: Self = Self { is_xml: true, media: FHIR_XML };

    /// The names that FHIR R4 has for its formats (§3.1.0.1.11).
    fn named(name: &str) -> Option<Self> {
        // In a URL the plus of `fhir+json` must be escaped; many clients forget, and it arrives as a
        // space.
        match name.to_ascii_lowercase().replace("fhir ", "fhir+").as_str() {
            "json" | "text/json" | FHIR_JSON | "application/json+fhir" => Some(Self::JSON),
            "application/json" => Some(Self { media: "application/json", ..Self::JSON }),
            "xml" | FHIR_XML | "application/xml+fhir" => Some(Self::XML),
            "text/xml" => Some(Self { media: "text/xml", ..Self::XML }),
            "application/xml" => Some(Self { media: "application/xml", ..Self::XML }),
            _ => None,
        }
    }
}

/// The format of the answer; `None` where none of those asked for is offered. `_format` goes before
/// `Accept`, there the highest quality, then the first.
pub(super) fn answer_format(request: &HttpRequest) -> Option<Format> {
    if let Some(format) = query_value(request.query_string(), "_format") {
        let named = Format::named(format.split(';').next().unwrap_or_default().trim())?;
        return Some(if named.is_xml { Format::XML } else { Format::JSON });
    }
    let Some(accept) = request.headers().get(header::ACCEPT) else { return Some(Format::JSON) };
    let mut best: Option<(f32, Format)> = None;
    for range in accept.to_str().ok()?.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality: f32 = quality.map_or(Some(1.0), |told| told.parse().ok()).unwrap_or(0.0);
        let named = match media {
            "" | "*/*" | "application/*" => Some(Format::JSON),
            media => Format::named(media),
        };
        if let Some(format) = named
            && quality > best.map_or(0.0, |(best, _)| best)
        {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format)
}

/// Refuses a request whose answer could be neither (FHIR R4 §3.1.0.1.8).
pub(super) fn check_accept(request: &HttpRequest) -> Result<(), ApiError> {
    answer_format(request).map(|_| ()).ok_or(ApiError::NotAcceptable)
}

/// The oldest kept answer of a member that the caller takes: `Cache-Control: no-cache` none,
/// `max-age=N` one of N seconds (RFC 9111 §5.2.1). What cannot be read asks for nothing kept.
pub(super) fn kept_age_max(request: &HttpRequest) -> Duration {
    let told = request.headers().get_all(header::CACHE_CONTROL);
    let pragma = request.headers().get_all(header::PRAGMA);
    let directives = told.chain(pragma).flat_map(|value| {
        let text = value.to_str().unwrap_or("no-cache");
        text.split(',').map(|one| one.trim().to_ascii_lowercase()).collect::<Vec<String>>()
    });
    let ages = directives.filter_map(|directive| match directive.split_once('=') {
        Some(("max-age", seconds)) => {
            Some(Duration::from_secs(seconds.trim_matches('"').parse().unwrap_or_default()))
        }
        None if ["no-cache", "no-store"].contains(&directive.as_str()) => Some(Duration::ZERO),
        _ => None,
    });
    ages.min().unwrap_or(Duration::MAX)
}

/// Whether a `Binary` is asked for as a FHIR resource rather than as its bytes.
pub(super) fn wants_fhir(request: &HttpRequest) -> bool {
    if let Some(format) = query_value(request.query_string(), "_format") {
        return Format::named(&format).is_some();
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|told| told.to_str().ok());
    accept.is_some_and(|accept| {
        accept.split(',').any(|range| {
            let media = range.split(';').next().unwrap_or_default().trim();
            [FHIR_JSON, FHIR_XML].iter().any(|fhir| media.eq_ignore_ascii_case(fhir))
        })
    })
}

/// Whether plain text is asked for, where an operation has it: by `_format`, or in `Accept` before
/// anything else.
pub(super) fn wants_text(request: &HttpRequest) -> bool {
    const TEXT: &str = "text/plain";
    if let Some(format) = query_value(request.query_string(), "_format") {
        return format.eq_ignore_ascii_case(TEXT);
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|told| told.to_str().ok());
    let first = accept.and_then(|accept| accept.split([',', ';']).next()).unwrap_or_default();
    first.trim().eq_ignore_ascii_case(TEXT)
}

/// Whether a record is asked for as NDJSON, one resource a line, as members answer: by `_format`, or in
/// `Accept` before anything else.
pub(super) fn wants_ndjson(request: &HttpRequest) -> bool {
    let named = |name: &str| {
        let name = name.trim().to_ascii_lowercase().replace("fhir ", "fhir+");
        [FHIR_NDJSON, "application/ndjson", "application/x-ndjson", "ndjson"]
            .contains(&name.as_str())
    };
    if let Some(format) = query_value(request.query_string(), "_format") {
        return named(&format);
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|told| told.to_str().ok());
    named(accept.and_then(|accept| accept.split([',', ';']).next()).unwrap_or_default())
}

/// Refuses a body that does not claim to be FHIR; that of XML is JSON by now.
pub(super) fn check_content_type(request: &HttpRequest) -> Result<(), ApiError> {
    let format = Format::named(content_type(request)).filter(|format| !format.is_xml);
    format.map(|_| ()).ok_or(ApiError::UnsupportedMediaType)
}

/// Whether the body claims to be FHIR XML.
pub(super) fn is_xml_body(request: &HttpRequest) -> bool {
    Format::named(content_type(request)).is_some_and(|format| format.is_xml)
}

/// Whether the body claims to be a form.
pub(super) fn is_form(request: &HttpRequest) -> bool {
    content_type(request).eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Refuses a body that does not claim to be a form.
pub(super) fn check_form(request: &HttpRequest) -> Result<(), ApiError> {
    if is_form(request) { Ok(()) } else { Err(ApiError::NotAForm) }
}

/// Whether parameters that are not known are to be refused (FHIR R4 §3.1.1.3, `Prefer`).
pub(super) fn is_strict(request: &HttpRequest) -> bool {
    prefers(request, "handling=strict")
}

/// Whether the answer may come later (RFC 7240 §4.1).
pub(super) fn responds_async(request: &HttpRequest) -> bool {
    prefers(request, "respond-async")
}

/// Whether the caller prefers this.
fn prefers(request: &HttpRequest, what: &str) -> bool {
    let told = request.headers().get_all(HeaderName::from_static("prefer"));
    told.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|one| one.trim().eq_ignore_ascii_case(what))
}

fn content_type(request: &HttpRequest) -> &str {
    let told = request.headers().get(header::CONTENT_TYPE);
    let told = told.and_then(|told| told.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim()
}

/// A parameter of a URL.
pub(super) fn query_value(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn accepts(uri: &str, accept: &str) -> bool {
        let request =
            TestRequest::with_uri(uri).insert_header((header::ACCEPT, accept)).to_http_request();
        check_accept(&request).is_ok()
    }

    #[test]
    fn json_in_any_of_its_names_is_served() {
        for accept in [
            "application/fhir+json",
            "application/fhir+json; fhirVersion=4.0",
            "text/html, */*;q=0.8",
            "application/json",
        ] {
            assert!(accepts("/", accept), "{accept}");
        }
        assert!(accepts("/?_format=application/fhir+json", "application/fhir+xml"));
    }

    #[test]
    fn the_format_is_that_of_the_highest_quality_then_the_first() {
        let format = |uri: &str, accept: &str| {
            let request = TestRequest::with_uri(uri).insert_header((header::ACCEPT, accept));
            answer_format(&request.to_http_request()).map(|format| (format.is_xml, format.media))
        };
        let (json, xml) = (Some((false, FHIR_JSON)), Some((true, FHIR_XML)));
        for (uri, accept, expected) in [
            ("/", "application/fhir+xml", xml),
            ("/", "application/fhir+json;q=0.5, application/fhir+xml; fhirVersion=4.0", xml),
            ("/", "application/fhir+json, application/fhir+xml", json),
            ("/", "application/fhir+xml, application/fhir+json", xml),
            ("/", "text/html, application/xml;q=0.9, */*;q=0.8", Some((true, "application/xml"))),
            ("/", "application/json", Some((false, "application/json"))),
            ("/", "application/fhir+xml;q=0, */*", json),
            ("/?_format=xml", "application/fhir+json", xml),
            ("/?_format=application/fhir+json", "application/fhir+xml", json),
            ("/?_format=text/xml", "", xml),
            ("/?_format=ttl", "application/fhir+json", None),
        ] {
            assert_eq!(format(uri, accept), expected, "{uri} {accept}");
        }
    }

    #[test]
    fn other_formats_are_not_acceptable() {
        assert!(!accepts("/", "text/turtle"));
        assert!(!accepts("/", "application/fhir+xml;q=0"));
        assert!(!accepts("/?_format=html", "application/fhir+json"));
    }
}
