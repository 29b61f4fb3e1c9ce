//! Who asks, read from the connection's certificate and the request's headers.

use std::future::{Ready, pending, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{HeaderName, HeaderValue},
    web,
};
use uuid::Uuid;

use super::{Gateway, error::ApiError, negotiate};
use crate::{
    access::{Interaction, RawRequest, Refusal},
    domain::RequestId,
    exchange::{Call, reject},
    tls::{ClientCertificate, ClientSocket},
};

/// Chooses among the client's purposes of use, by HL7 `v3-ActReason` code.
const PURPOSE_HEADER: &str = "Purpose-Of-Use";
/// The longest code of a purpose that is looked at, in characters.
const PURPOSE_CHARS_MAX: usize = 64;

/// A request's caller, authenticated or not; the journey refuses, so that refusals are audited.
pub(super) struct Caller {
    call: Call,
    socket: Option<ClientSocket>,
}

impl Caller {
    /// The call as the journeys take it.
    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    /// The call, with the body as it came for the audit.
    pub(super) fn with_body(&self, body: &[u8]) -> Call {
        let mut call = self.call.clone();
        call.raw.body = body.to_vec();
        call
    }

    /// Waits until the client has closed its connection. A single request that is taken back over
    /// HTTP/2 while the connection stays cannot be noticed before its answer is sent.
    pub(super) async fn gone(&self) {
        match &self.socket {
            Some(socket) => socket.closed().await,
            None => pending().await,
        }
    }

    /// A handle of the connection, for what outlives the request.
    pub(super) fn socket(&self) -> Option<ClientSocket> {
        self.socket.as_ref().and_then(|socket| socket.handle().ok())
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
            Err(error @ (ApiError::Exchange(_) | ApiError::ClientGone)) => error.response(),
            Err(error) => match reject(&gateway.exchange, &self.call, interaction).await {
                Ok(()) => error.response(),
                Err(refused) => ApiError::from(refused).response(),
            },
        };
        if let Ok(id) = HeaderValue::from_str(&self.call.request_id.to_string()) {
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
        let socket = request.conn_data::<ClientSocket>();
        let socket = socket.and_then(|socket| socket.handle().ok());
        let call = Call {
            request_id: RequestId::new(Uuid::new_v4()),
            requester,
            client_address: request.peer_addr().map(|address| address.ip()),
            told_purpose,
            kept_age_max: negotiate::kept_age_max(request),
            raw: RawRequest {
                method: request.method().to_string(),
                path: request.path().to_owned(),
                query_string: request.query_string().to_owned(),
                body: Vec::new(),
            },
        };
        ready(Ok(Self { call, socket }))
    }
}
