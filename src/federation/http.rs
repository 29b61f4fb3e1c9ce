//! HTTP over mutual TLS: the one way in which bytes come from a member.

use std::{error::Error, io, time::Duration};

use bytes::BytesMut;
use reqwest::{
    Client, Response, StatusCode,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    },
    redirect,
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

use super::{
    member_client::{Ask, AskError, Reply, Sending, Transport, TransportError},
    settings::FederationSettings,
    token::TokenSource,
};
use crate::fhir::FHIR_JSON;

/// How long an unused connection is kept: below the minute after which many servers drop it.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// Header lines of one response: real ones stay below 8 KiB.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// A pool of connections to one member, and the tokens that it wants.
pub(super) struct HttpTransport {
    client: Client,
    tokens: Option<TokenSource>,
}

impl HttpTransport {
    /// Connects as `tls` says, and in no other way: no plain HTTP, no proxy, no redirect.
    pub(super) fn new(
        tls: rustls::ClientConfig,
        connections_max: usize,
        settings: &FederationSettings,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(settings.connect_timeout())
            .pool_max_idle_per_host(connections_max)
            .pool_idle_timeout(IDLE_MAX)
            .http2_adaptive_window(true)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .build()?;
        Ok(Self { client, tokens: None })
    }

    /// The connections, for those who ask for tokens.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Sends a token with each request.
    pub(super) fn with_tokens(self, tokens: Option<TokenSource>) -> Self {
        Self { tokens, ..self }
    }

    /// Gets a token as a request to `url` would; an error where none is given.
    pub(super) async fn token_for(&self, url: &Url) -> Result<(), AskError> {
        let Some(tokens) = &self.tokens else { return Ok(()) };
        tokens.bearer(url).await.map(|_| ()).map_err(AskError::of_transport)
    }

    async fn send_once(
        &self,
        ask: &Ask,
        bearer: Option<&HeaderValue>,
    ) -> Result<Response, TransportError> {
        let mut request = match (&ask.sending, posted(ask)) {
            (Sending::Operation(json), _) => {
                self.client.post(ask.url.clone()).header(CONTENT_TYPE, FHIR_JSON).body(json.clone())
            }
            (Sending::PostedSearch, Some((url, form))) => self
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form),
            (Sending::PostedSearch, None) | (Sending::Get, _) => self.client.get(ask.url.clone()),
        };
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        request.header(ACCEPT, FHIR_JSON).send().await.map_err(|error| cause(&error))
    }

    /// With a token where one is wanted; with another where the first was not honored.
    async fn send_authorized(&self, ask: &Ask) -> Result<Response, TransportError> {
        let Some(tokens) = &self.tokens else { return self.send_once(ask, None).await };
        let bearer = tokens.bearer(&ask.url).await?;
        let response = self.send_once(ask, bearer.as_ref()).await?;
        match bearer {
            Some(bearer) if response.status() == StatusCode::UNAUTHORIZED => {
                tokens.forget(&bearer).await;
                let bearer = tokens.bearer(&ask.url).await?;
                self.send_once(ask, bearer.as_ref()).await
            }
            _ => Ok(response),
        }
    }
}

impl Transport for HttpTransport {
    async fn send(&self, ask: &Ask, bytes_max: usize) -> Result<Reply, TransportError> {
        let response = self.send_authorized(ask).await?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        // The body of a failure is never shown, so it is not read.
        let body = if response.status().is_success() {
            read_body(response, bytes_max).await?
        } else {
            bytes::Bytes::new()
        };
        Ok(Reply { status, retry_after, body })
    }
}

/// The address and form of `POST [base]/[type]/_search` (FHIR R4 §3.1.0.1.4).
fn posted(ask: &Ask) -> Option<(Url, String)> {
    let form = ask.url.query()?.to_owned();
    let mut url = ask.url.clone();
    url.set_query(None);
    url.path_segments_mut().ok()?.push("_search");
    Some((url, form))
}

/// Reads a body as it inflates, so that a small one that inflates without end is stopped in time.
pub(super) async fn read_body(
    mut response: Response,
    bytes_max: usize,
) -> Result<bytes::Bytes, TransportError> {
    if response.content_length().is_some_and(|told| told > bytes_max as u64) {
        return Err(TransportError::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| TransportError::Broken)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// `Retry-After` in seconds, or as a date measured against the member's own `Date` (RFC 9110
/// §10.2.3), so that a wrong clock does not matter.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let told = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = told.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let moment = |text: &str| OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok();
    let wait = moment(told)? - moment(text(DATE)?)?;
    Some(wait.try_into().unwrap_or_default())
}

/// What kind of failure it was. The error itself names the URL, and so stays here.
pub(super) fn cause(error: &reqwest::Error) -> TransportError {
    if is_tls(error) {
        TransportError::Tls
    } else if error.is_connect() || error.is_timeout() {
        TransportError::Connect
    } else {
        TransportError::Broken
    }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(one) = next {
        let io = one.downcast_ref::<io::Error>();
        // An io::Error's own source skips the error that it wraps.
        let wrapped = io.and_then(io::Error::get_ref);
        // A late alert comes as text: before a response nothing else is invalid data.
        let is_alert = io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData);
        if is_alert || one.is::<rustls::Error>() || wrapped.is_some_and(|inner| is_tls(inner)) {
            return true;
        }
        next = one.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let check = |pairs: &[(HeaderName, &'static str)], expected: Option<u64>| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| {
                    (name.clone(), reqwest::header::HeaderValue::from_static(value))
                })
                .collect();
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs));
        };
        check(&[(RETRY_AFTER, "7")], Some(7));
        check(&[(RETRY_AFTER, "soon")], None);
        check(&[], None);
        let date = (DATE, "Fri, 06 Mar 2026 10:00:00 GMT");
        check(&[(RETRY_AFTER, "Fri, 06 Mar 2026 10:00:30 GMT"), date.clone()], Some(30));
        check(&[(RETRY_AFTER, "Fri, 06 Mar 2026 09:00:00 GMT"), date], Some(0));
    }

    #[test]
    fn a_posted_search_carries_its_query_in_the_body() {
        let url = Url::parse("https://a.example/fhir/Patient?identifier=a%7Cb").expect("a URL");
        let (to, form) = posted(&Ask::search(url, true)).expect("a query");
        assert_eq!(to.as_str(), "https://a.example/fhir/Patient/_search");
        assert_eq!(form, "identifier=a%7Cb");
    }
}
