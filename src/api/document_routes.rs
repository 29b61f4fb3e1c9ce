//! `Binary/{member}.{id}`: the bytes of a document, as they are or as a FHIR resource.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Gateway, caller::Caller, error::ApiError, negotiate::wants_fhir, render::fhir_json};
use crate::{
    access::Interaction,
    exchange::{DocumentContent, read_document},
};

/// `GET /fhir/Binary/{member}.{id}` (FHIR R4 §2.39, IHE MHD ITI-68).
pub(super) async fn get_binary(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        let read = read_document(&gateway.exchange, caller.call(), &id).await?.into_inner();
        Ok::<_, ApiError>(respond(&request, &id, read))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ResourceRead, answer).await
}

fn respond(request: &HttpRequest, id: &str, read: DocumentContent) -> HttpResponse {
    if wants_fhir(request) {
        let binary = json!({
            "resourceType": "Binary",
            "id": id,
            "contentType": read.content_type,
            "data": STANDARD.encode(&read.bytes),
        });
        return fhir_json(StatusCode::OK).body(binary.to_string());
    }
    let content_type = header::HeaderValue::from_str(&read.content_type)
        .unwrap_or(header::HeaderValue::from_static("application/octet-stream"));
    // A member's document is not to be run as a page of ours.
    HttpResponse::build(StatusCode::OK)
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"))
        .body(read.bytes)
}
