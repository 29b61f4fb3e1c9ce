//! Request bodies, read within a bound.

use actix_web::{error::PayloadError, web};
use bytes::Bytes;

use super::error::ApiError;

/// Reads a body of at most `bytes_max` bytes.
pub(super) async fn read(payload: web::Payload, bytes_max: usize) -> Result<Bytes, ApiError> {
    match payload.to_bytes_limited(bytes_max).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(match error.as_error::<PayloadError>() {
            Some(PayloadError::Overflow) => ApiError::BodyTooLarge { bytes_max },
            _ => ApiError::BodyUnreadable,
        }),
        Err(_) => Err(ApiError::BodyTooLarge { bytes_max }),
    }
}
