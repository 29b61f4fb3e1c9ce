//! FHIR XML at the door: bodies become JSON before a handler reads them, answers become XML after.

use std::io;

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody, to_bytes},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::header::{self, HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use bytes::Bytes;
use futures_util::{future::ready, stream};

use super::{
    Gateway, body,
    error::ApiError,
    negotiate::{Format, answer_format, is_xml_body},
};
use crate::fhir::{
    FHIR_JSON,
    xml::{to_json, to_xml},
};

/// Names the request in its answer and in the audit trail.
const REQUEST_ID: &str = "x-request-id";
/// Longer texts are translated by a thread that serves nobody meanwhile, in bytes.
const IN_PLACE_MAX: usize = 256 << 10;

/// Translates between the caller's XML and the handlers' JSON, for every interaction.
pub(super) async fn translated(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if is_xml_body(request.request()) {
        let gateway = request.app_data::<web::Data<Gateway>>();
        let bytes_max = gateway.map_or(0, |gateway| gateway.settings.body_bytes_max);
        let payload = request.extract::<web::Payload>().await?;
        let json = read_json(payload, bytes_max).await;
        request.set_payload(Payload::Stream { payload: Box::pin(stream::once(ready(json))) });
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    }
    let format = answer_format(request.request());
    let response = next.call(request).await?.map_into_boxed_body();
    match format {
        Some(format) if is_fhir_json(response.response()) => Ok(written(response, format).await),
        _ => Ok(response),
    }
}

/// Reads a body of XML as JSON. What is wrong with it reaches the handler as the error of its
/// payload, so that it is audited with the rest of the request.
async fn read_json(payload: web::Payload, bytes_max: usize) -> Result<Bytes, PayloadError> {
    let xml = body::read(payload, bytes_max).await.map_err(|error| match error {
        ApiError::BodyTooLarge { .. } => PayloadError::Overflow,
        _ => PayloadError::Incomplete(None),
    })?;
    if xml.is_empty() {
        return Ok(xml);
    }
    let json = translate(xml.len(), move || to_json(&xml)).await;
    let json = json.ok_or(PayloadError::Incomplete(None))?;
    json.map(Bytes::from)
        .map_err(|invalid| PayloadError::Io(io::Error::new(io::ErrorKind::InvalidData, invalid)))
}

fn is_fhir_json(response: &HttpResponse<BoxBody>) -> bool {
    let told = response.headers().get(header::CONTENT_TYPE);
    told.and_then(|told| told.to_str().ok()).is_some_and(|told| told.starts_with(FHIR_JSON))
}

/// The same answer in the format asked for; 406, where it is of a type that R4 has no XML for.
async fn written(response: ServiceResponse<BoxBody>, format: Format) -> ServiceResponse<BoxBody> {
    let (request, response) = response.into_parts();
    let (mut head, body) = response.into_parts();
    let request_id = head.headers().get(REQUEST_ID).cloned();
    let told = HeaderValue::from_str(&format!("{}; charset=utf-8", format.media));
    head.headers_mut().insert(header::CONTENT_TYPE, told.expect("a media type is plain ASCII"));
    if !format.is_xml {
        return ServiceResponse::new(request, head.set_body(body));
    }
    let Ok(json) = to_bytes(body).await else { return not_acceptable(request, request_id) };
    if json.is_empty() {
        return ServiceResponse::new(request, head.set_body(BoxBody::new(json)));
    }
    let bytes = json.len();
    let write = move || to_xml(std::str::from_utf8(&json).ok()?).ok();
    match translate(bytes, write).await.flatten() {
        Some(xml) => ServiceResponse::new(request, head.set_body(BoxBody::new(xml))),
        None => not_acceptable(request, request_id),
    }
}

/// Does it here where it takes no time, elsewhere where it does; `None` where it did not end.
async fn translate<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if bytes <= IN_PLACE_MAX { Some(work()) } else { web::block(work).await.ok() }
}

fn not_acceptable(request: HttpRequest, id: Option<HeaderValue>) -> ServiceResponse<BoxBody> {
    let mut response = ApiError::NotAcceptable.response();
    if let Some(id) = id {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
    }
    ServiceResponse::new(request, response)
}
