//! Request bodies, read within a bound.

use actix_web::{HttpRequest, error::PayloadError, web};
use bytes::Bytes;

use super::{
    Gateway,
    error::ApiError,
    negotiate::{check_accept, check_content_type},
};
use crate::fhir::xml::InvalidXml;

/// Reads the body of a request that brings FHIR and wants FHIR back.
pub(super) async fn fhir(
    gateway: &Gateway,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Bytes, ApiError> {
    check_accept(request)?;
    of_fhir(gateway, request, payload).await
}

/// Reads the body of a request that brings FHIR, whatever it wants back.
pub(super) async fn of_fhir(
    gateway: &Gateway,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Bytes, ApiError> {
    check_content_type(request)?;
    read(payload, gateway.settings.body_bytes_max).await
}

/// Reads a body of at most `bytes_max` bytes.
pub(super) async fn read(payload: web::Payload, bytes_max: usize) -> Result<Bytes, ApiError> {
    match payload.to_bytes_limited(bytes_max).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(match error.as_error::<PayloadError>() {
            Some(PayloadError::Overflow) => ApiError::BodyTooLarge { bytes_max },
            Some(PayloadError::Io(error)) => invalid_xml(error),
            _ => ApiError::BodyUnreadable,
        }),
        Err(_) => Err(ApiError::BodyTooLarge { bytes_max }),
    }
}

/// A body of XML is translated on its way here, and may be none.
fn invalid_xml(error: &std::io::Error) -> ApiError {
    let invalid = error.get_ref().and_then(|inner| inner.downcast_ref::<InvalidXml>());
    invalid.cloned().map_or(ApiError::BodyUnreadable, ApiError::Xml)
}
