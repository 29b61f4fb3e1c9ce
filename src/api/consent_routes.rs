//! `Consent`: what patients allow and forbid.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};

use super::{Gateway, body, caller::Caller, error::ApiError, render::fhir_json};
use crate::{access::Interaction, exchange::record_consent, fhir::check_nesting};

/// `PUT /fhir/Consent/{id}`: a consent under an id of the caller's choice, or its next version.
pub(super) async fn put_consent(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = record(&gateway, &caller, &request, &id, payload).await;
    caller.conclude(&gateway, Interaction::ConsentWrite, answer).await
}

async fn record(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    id: &str,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::fhir(gateway, request, payload).await?;
    check_nesting(&body)?;
    let call = caller.with_body(&body);
    let recorded = record_consent(&gateway.exchange, &call, id, &body).await?.into_inner();
    let status = if recorded.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("{}/Consent/{id}", gateway.settings.base_url);
    Ok(fhir_json(status)
        .insert_header((header::LOCATION, location))
        .insert_header((header::ETAG, format!("W/\"{}\"", recorded.version)))
        .finish())
}
