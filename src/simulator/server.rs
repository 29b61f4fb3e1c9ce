//! HTTP: a request becomes a question, its answer a response, and faults spoil it on its way out.

use std::{
    io::{self, Read as _},
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{Method, StatusCode, header, uri::Authority},
    web,
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt as _, stream};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{
    answer::{Answer, Answerer, Asked, Question, Refusal},
    faults::{AnswerFault, CertificateFault, Faults},
    pages::PageToken,
    running::{SimulatorOptions, TlsFaults},
    search::Handling,
    tokens::{Tokens, unauthorized},
};
use crate::fhir::{
    FHIR_JSON, IssueType, OperationOutcome, Resource,
    search::{InvalidSearch, QUERY_BYTES_MAX, SearchQuery},
};

/// How long a stalled body stays open at most, so that nothing is held for ever.
const STALL_MAX: Duration = Duration::from_mins(5);

/// What a bomb inflates to at most: making it costs us time too.
const BOMB_BYTES_MAX: u64 = 1 << 30;

/// RFC 9110 §5.6.7.
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// What the workers of one server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) answerer: Answerer,
    faults: ArcSwap<Faults>,
    tls_faults: OnceLock<TlsFaults>,
    /// How many answers are still to be spoiled.
    to_spoil: AtomicU32,
    requests: AtomicU64,
    pub(super) tokens: Tokens,
    /// `host:port` for clients that name none.
    own_authority: String,
}

impl Shared {
    pub(super) fn new(answerer: Answerer, own_authority: String) -> Self {
        Self {
            answerer,
            faults: ArcSwap::default(),
            tls_faults: OnceLock::new(),
            to_spoil: AtomicU32::new(u32::MAX),
            requests: AtomicU64::new(0),
            tokens: Tokens::default(),
            own_authority,
        }
    }

    /// Misbehaves so from now on; an error where a fault of certificates cannot be played, and then
    /// nothing changes.
    pub(super) fn set_faults(&self, faults: Faults) -> Result<(), CannotPlay> {
        match self.tls_faults.get() {
            Some(tls) => tls.play(faults.certificate).map_err(|_| CannotPlay)?,
            None if faults.certificate != CertificateFault::None => return Err(CannotPlay),
            None => {}
        }
        self.to_spoil.store(faults.answers_spoiled_max.unwrap_or(u32::MAX), Ordering::SeqCst);
        self.faults.store(faults.into());
        Ok(())
    }

    pub(super) fn allow_tls_faults(&self, faults: TlsFaults) {
        // A second permission says nothing new.
        let _ = self.tls_faults.set(faults);
    }

    pub(super) fn faults(&self) -> Faults {
        Faults::clone(&self.faults.load())
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The fault of this answer; counts it where the number of spoiled answers is bounded.
    fn spoil(&self, faults: &Faults) -> AnswerFault {
        if faults.answer == AnswerFault::None {
            return AnswerFault::None;
        }
        if faults.answers_spoiled_max.is_none() {
            return faults.answer.clone();
        }
        let one_less = |left: u32| left.checked_sub(1);
        match self.to_spoil.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => faults.answer.clone(),
            Err(_) => AnswerFault::None,
        }
    }
}

/// A fault of certificates, and no certificates to play it with.
#[derive(Debug)]
pub(super) struct CannotPlay;

/// Answers any request.
pub(super) async fn handle(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let faults = shared.faults.load_full();
    let delay = faults.delay(fastrand::f64());
    if !delay.is_zero() {
        actix_web::rt::time::sleep(delay).await;
    }
    let fault = shared.spoil(&faults);
    if let Some(response) = instead_of_answer(&fault) {
        return response;
    }
    let mut payload = Some(payload);
    if let Some(response) = authorize(&shared, &request, &mut payload, &faults).await {
        return response;
    }
    let Some(payload) = payload else { return unauthorized() };
    match answer(&shared, &request, payload, &faults).await {
        Ok(answer) => respond(&request, answer, &fault),
        Err(refusal) => refuse(&refusal),
    }
}

/// What the authorization server answers: tokens, and refusals of those who have none.
async fn authorize(
    shared: &Shared,
    request: &HttpRequest,
    payload: &mut Option<web::Payload>,
    faults: &Faults,
) -> Option<HttpResponse> {
    let rules = shared.answerer.options.authorization.as_ref()?;
    let origin = format!("https://{}", authority(shared, request));
    match request.path() {
        "/fhir/.well-known/smart-configuration" => Some(Tokens::configuration(&origin)),
        "/token" => match form(request, payload.take()?).await {
            Ok(form) => Some(shared.tokens.give(rules, request, &form, &origin, faults.token)),
            Err(refusal) => Some(refuse(&refusal)),
        },
        "/fhir/metadata" => None,
        _ if shared.tokens.admits(request) => None,
        _ => Some(unauthorized()),
    }
}

async fn answer(
    shared: &Shared,
    request: &HttpRequest,
    payload: web::Payload,
    faults: &Faults,
) -> Result<Answer, Refusal> {
    let question = question(request, payload, &shared.answerer.options).await?;
    accepts_json(request)?;
    let base = format!("https://{}/fhir", authority(shared, request));
    let asked = Asked { base: &base, handling: handling(request) };
    shared.answerer.answer(question, asked, faults)
}

async fn question(
    request: &HttpRequest,
    payload: web::Payload,
    options: &SimulatorOptions,
) -> Result<Question, Refusal> {
    let path = request.path().strip_prefix("/fhir").ok_or(Refusal::UnknownAddress)?;
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let told = |text: &str| SearchQuery::parse(text);
    let query = request.query_string();
    let get = request.method() == Method::GET;
    match segments.as_slice() {
        ["metadata"] if get => Ok(Question::Capabilities),
        [] if get => page(&told(query)?),
        ["Patient", "$match"] if request.method() == Method::POST => {
            let body = posted(request, payload, "json").await?;
            Resource::parse(&body).map(Question::Match).map_err(|_| Refusal::NoPatient)
        }
        [_, "_search"] if request.method() == Method::POST && !options.posted_searches => {
            Err(Refusal::PostedSearch)
        }
        [kind, "_search"] if request.method() == Method::POST => {
            let mut query = told(query)?;
            query.extend(&form(request, payload).await?)?;
            Ok(Question::Search { resource_type: (*kind).to_owned(), query })
        }
        [kind] if get => {
            Ok(Question::Search { resource_type: (*kind).to_owned(), query: told(query)? })
        }
        ["Patient", id, "$everything"] if get => {
            Ok(Question::Everything { id: (*id).to_owned(), query: told(query)? })
        }
        [kind, id] if get => {
            Ok(Question::Read { resource_type: (*kind).to_owned(), id: (*id).to_owned() })
        }
        ["metadata" | _] | [] | [_, _] | ["Patient", _, "$everything"] => Err(Refusal::Method),
        _ => Err(Refusal::UnknownAddress),
    }
}

/// The base itself answers only the links of its own pages.
fn page(query: &SearchQuery) -> Result<Question, Refusal> {
    let token = query.single("_page")?.ok_or(Refusal::UnknownAddress)?;
    PageToken::parse(token).map(Question::Page).ok_or(Refusal::ForgottenPage)
}

async fn form(request: &HttpRequest, payload: web::Payload) -> Result<String, Refusal> {
    let body = posted(request, payload, "x-www-form-urlencoded").await?;
    String::from_utf8(body.into()).map_err(|_| InvalidSearch::Characters.into())
}

/// A body of this media type, the part after `application/` or after the plus.
async fn posted(
    request: &HttpRequest,
    payload: web::Payload,
    media: &str,
) -> Result<Bytes, Refusal> {
    let kind = header_text(request, &header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let told = kind.strip_prefix("application/").map(|kind| kind.rsplit('+').next() == Some(media));
    if told != Some(true) {
        return Err(Refusal::MediaType);
    }
    let body = payload.to_bytes_limited(QUERY_BYTES_MAX).await.map_err(|_| Refusal::TooLarge)?;
    // A body that breaks off is a question that nobody asked.
    Ok(body.map_err(|_| InvalidSearch::Characters)?)
}

fn accepts_json(request: &HttpRequest) -> Result<(), Refusal> {
    let query = SearchQuery::parse(request.query_string())?;
    // In a URL the plus of `fhir+json` reads as a space unless it was escaped.
    let format = query.single("_format")?.map(|format| format.replace(' ', "+"));
    let wanted = format.as_deref().or_else(|| header_text(request, &header::ACCEPT));
    let json = |kind: &str| {
        kind.contains("json") || kind.contains("*/*") || kind.contains("application/*")
    };
    if wanted.is_none_or(json) { Ok(()) } else { Err(Refusal::NotAcceptable) }
}

fn handling(request: &HttpRequest) -> Handling {
    let strict = request.headers().get_all("prefer").any(|value| {
        let told = value.to_str().unwrap_or_default();
        told.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("handling=strict"))
    });
    if strict { Handling::Strict } else { Handling::Lenient }
}

/// The host as the client named it, so that links stay on the origin that it uses.
fn authority(shared: &Shared, request: &HttpRequest) -> String {
    let named = request.uri().authority().cloned();
    let in_header = || header_text(request, &header::HOST)?.parse::<Authority>().ok();
    named
        .or_else(in_header)
        .map_or_else(|| shared.own_authority.clone(), |authority| authority.to_string())
}

fn header_text<'a>(request: &'a HttpRequest, name: &header::HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The faults that need no answer to spoil.
fn instead_of_answer(fault: &AnswerFault) -> Option<HttpResponse> {
    match fault {
        AnswerFault::Status { status, retry_after_s } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = HttpResponse::build(status);
            if let Some(seconds) = retry_after_s {
                response.insert_header((header::RETRY_AFTER, *seconds));
            }
            let code = match status.as_u16() {
                429 => IssueType::Throttled,
                503 => IssueType::Transient,
                _ => IssueType::Exception,
            };
            Some(write_outcome(response, code, "this member is in trouble"))
        }
        AnswerFault::Html => Some(
            HttpResponse::Ok()
                .content_type("text/html; charset=utf-8")
                .body("<!doctype html><title>Sign in</title><p>Your session has ended."),
        ),
        AnswerFault::GzipBomb { bytes } => Some(
            HttpResponse::Ok()
                .content_type(FHIR_JSON)
                .insert_header((header::CONTENT_ENCODING, "gzip"))
                .body(gzip_bomb(*bytes)),
        ),
        AnswerFault::None
        | AnswerFault::Malformed
        | AnswerFault::Truncated { .. }
        | AnswerFault::Trickled { .. }
        | AnswerFault::Broken { .. }
        | AnswerFault::Stalled { .. } => None,
    }
}

fn respond(request: &HttpRequest, answer: Answer, fault: &AnswerFault) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(version) = &answer.version {
        if header_text(request, &header::IF_NONE_MATCH) == Some(version.etag.as_str()) {
            return HttpResponse::NotModified().finish();
        }
        response.insert_header((header::ETAG, version.etag.as_str()));
        if let Some(date) = http_date(version.last_modified) {
            response.insert_header((header::LAST_MODIFIED, date));
        }
    }
    response.content_type(FHIR_JSON);
    spoil_body(response, Bytes::from(answer.json), fault)
}

fn http_date(moment: OffsetDateTime) -> Option<String> {
    moment.to_offset(time::UtcOffset::UTC).format(HTTP_DATE).ok()
}

fn spoil_body(mut response: HttpResponseBuilder, json: Bytes, fault: &AnswerFault) -> HttpResponse {
    let whole = json.len() as u64;
    let first = |bytes: usize| json.slice(..bytes.min(json.len()));
    let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
    match *fault {
        AnswerFault::Truncated { bytes } => response.body(first(bytes)),
        AnswerFault::Broken { bytes } => {
            let parts = stream::iter([Ok(first(bytes)), Err(broken())]);
            response.body(SizedStream::new(whole, parts))
        }
        AnswerFault::Stalled { bytes } => {
            let stalled = stream::once(async move {
                actix_web::rt::time::sleep(STALL_MAX).await;
                Err(broken())
            });
            let parts = stream::iter([Ok(first(bytes))]).chain(stalled);
            response.body(SizedStream::new(whole, Box::pin(parts)))
        }
        AnswerFault::Malformed => {
            let (start, end) = json.split_at(json.len() / 2);
            response.body([start, b"\x01}{\"", end].concat())
        }
        AnswerFault::Trickled { pause_ms } => {
            let pause = Duration::from_millis(pause_ms);
            let bytes = stream::unfold(json, move |mut left| async move {
                if left.is_empty() {
                    return None;
                }
                actix_web::rt::time::sleep(pause).await;
                Some((Ok::<_, io::Error>(left.split_to(1)), left))
            });
            response.body(SizedStream::new(whole, Box::pin(bytes)))
        }
        AnswerFault::None
        | AnswerFault::Html
        | AnswerFault::GzipBomb { .. }
        | AnswerFault::Status { .. } => response.body(json),
    }
}

/// Spaces, packed a thousand to one.
fn gzip_bomb(bytes: u64) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes all that is written.
    let _ = io::copy(&mut io::repeat(b' ').take(bytes.min(BOMB_BYTES_MAX)), &mut packed);
    packed.finish().unwrap_or_default()
}

fn refuse(refusal: &Refusal) -> HttpResponse {
    let (status, code) = match refusal {
        Refusal::Search(_) => (StatusCode::BAD_REQUEST, IssueType::Value),
        Refusal::UnknownParameter(_) => (StatusCode::BAD_REQUEST, IssueType::NotSupported),
        Refusal::UnknownResource => (StatusCode::NOT_FOUND, IssueType::NotFound),
        Refusal::UnknownAddress => (StatusCode::NOT_FOUND, IssueType::NotSupported),
        Refusal::Method | Refusal::PostedSearch => {
            (StatusCode::METHOD_NOT_ALLOWED, IssueType::NotSupported)
        }
        Refusal::NoPatient => (StatusCode::BAD_REQUEST, IssueType::Required),
        Refusal::ForgottenPage => (StatusCode::GONE, IssueType::Expired),
        Refusal::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, IssueType::NotSupported),
        Refusal::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueType::NotSupported),
        Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, IssueType::TooLong),
        Refusal::Unwritten(_) => (StatusCode::INTERNAL_SERVER_ERROR, IssueType::Exception),
    };
    write_outcome(HttpResponse::build(status), code, &refusal.to_string())
}

fn write_outcome(mut response: HttpResponseBuilder, code: IssueType, text: &str) -> HttpResponse {
    let json = serde_json::to_vec(&OperationOutcome::error(code, text)).unwrap_or_default();
    response.content_type(FHIR_JSON).body(json)
}
