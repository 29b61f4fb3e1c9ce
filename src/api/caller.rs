//! Who asks, read from the connection's certificate and the request's headers.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{HeaderName, HeaderValue},
    web,
};
use uuid::Uuid;

use super::{Gateway, error::ApiError};
use crate::{
    access::{Interaction, RawRequest, Refusal},
    domain::RequestId,
    exchange::{Call, reject},
    tls::ClientCertificate,
};

/// Chooses among the client's purposes of use, by HL7 `v3-ActReason` code.
const PURPOSE_HEADER: &str = "Purpose-Of-Use";
/// The longest code of a purpose that is looked at, in characters.
const PURPOSE_CHARS_MAX: usize = 64;

/// A request's caller, authenticated or not; the journey refuses, so that refusals are audited.
pub(super) struct Caller(Call);

impl Caller {
    /// The call as the journeys take it.
    pub(super) fn call(&self) -> &Call {
        &self.0
    }

    /// The call, with the body as it came for the audit.
    pub(super) fn with_body(&self, body: &[u8]) -> Call {
        let mut call = self.0.clone();
        call.raw.body = body.to_vec();
        call
    }

    /// Turns the end of a request into its answer. What failed before a journey began is audited
    /// here; and whoever may not ask at all learns nothing but that.
    pub(super) async fn conclude(
        &self,
        gateway: &Gateway,
        interaction: Interaction,
        answer: Result<HttpResponse, ApiError>,
    ) -> HttpResponse {
        let mut response = match answer {
            Ok(response) => response,
            Err(error @ ApiError::Exchange(_)) => error.response(),
            Err(error) => match reject(&gateway.exchange, &self.0, interaction).await {
                Ok(()) => error.response(),
                Err(refused) => ApiError::from(refused).response(),
            },
        };
        if let Ok(id) = HeaderValue::from_str(&self.0.request_id.to_string()) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        response
    }
}

impl FromRequest for Caller {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(gateway) = request.app_data::<web::Data<Gateway>>() else {
            return ready(Err(actix_web::error::ErrorInternalServerError("not configured")));
        };
        let exchange = &gateway.exchange;
        let requester = request
            .conn_data::<ClientCertificate>()
            .ok_or(Refusal::UnreadableCertificate)
            .and_then(|leaf| exchange.clients.authenticate(leaf.der(), exchange.clock.now()));
        let told_purpose = request.headers().get(PURPOSE_HEADER).map(|value| {
            // What cannot be read is told as an unknown purpose rather than passed over.
            let text = value.to_str().unwrap_or("?");
            text.chars().take(PURPOSE_CHARS_MAX).collect()
        });
        ready(Ok(Self(Call {
            request_id: RequestId::new(Uuid::new_v4()),
            requester,
            client_address: request.peer_addr().map(|address| address.ip()),
            told_purpose,
            raw: RawRequest {
                method: request.method().to_string(),
                path: request.path().to_owned(),
                query_string: request.query_string().to_owned(),
                body: Vec::new(),
            },
        })))
    }
}
