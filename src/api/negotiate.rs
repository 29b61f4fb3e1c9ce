//! Which representation is asked for. This gateway speaks FHIR JSON; other formats get 406 or 415.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName},
};

use super::error::ApiError;

/// Refuses a request whose answer could not be FHIR JSON (FHIR R4 §3.1.0.1.8; `_format` overrides `Accept`).
pub(super) fn check_accept(request: &HttpRequest) -> Result<(), ApiError> {
    if let Some(format) = query_value(request.query_string(), "_format") {
        return if is_json(&format) { Ok(()) } else { Err(ApiError::NotAcceptable) };
    }
    let Some(accept) = request.headers().get(header::ACCEPT) else { return Ok(()) };
    let accept = accept.to_str().map_err(|_| ApiError::NotAcceptable)?;
    let acceptable = accept.split(',').any(|range| {
        let media = range.split(';').next().unwrap_or_default().trim();
        media.is_empty() || media == "*/*" || media == "application/*" || is_json(media)
    });
    if acceptable { Ok(()) } else { Err(ApiError::NotAcceptable) }
}

/// Whether a `Binary` is asked for as a FHIR resource rather than as its bytes.
pub(super) fn wants_fhir(request: &HttpRequest) -> bool {
    if let Some(format) = query_value(request.query_string(), "_format") {
        return is_json(&format);
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|told| told.to_str().ok());
    accept.is_some_and(|accept| {
        accept.split(',').any(|range| {
            let media = range.split(';').next().unwrap_or_default().trim();
            media.eq_ignore_ascii_case("application/fhir+json")
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

/// Refuses a body that does not claim to be FHIR JSON.
pub(super) fn check_content_type(request: &HttpRequest) -> Result<(), ApiError> {
    if is_json(content_type(request)) { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
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
    let told = request.headers().get_all(HeaderName::from_static("prefer"));
    told.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|one| one.trim().eq_ignore_ascii_case("handling=strict"))
}

fn content_type(request: &HttpRequest) -> &str {
    let told = request.headers().get(header::CONTENT_TYPE);
    let told = told.and_then(|told| told.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim()
}

// In a URL the plus of `fhir+json` must be escaped; many clients forget, and it arrives as a space.
fn is_json(media: &str) -> bool {
    matches!(
        media.to_ascii_lowercase().as_str(),
        "json"
            | "application/json"
            | "text/json"
            | "application/fhir+json"
            | "application/fhir json"
    )
}

fn query_value(query: &str, name: &str) -> Option<String> {
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
    fn other_formats_are_not_acceptable() {
        assert!(!accepts("/", "application/fhir+xml"));
        assert!(!accepts("/?_format=xml", "application/fhir+json"));
    }
}
