//! FHIR messages: a member's changes to its patients (IHE PMIR ITI-93).

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Gateway, body,
    caller::Caller,
    error::{ApiError, issues_of_entry},
    render::{fhir_json, instant},
};
use crate::{
    access::Interaction,
    exchange::{EntryOutcome, take_identity_message},
    fhir::{
        Issue, IssueSeverity, IssueType, OperationOutcome, Resource,
        identity_message::{IDENTITY_FEED, IdentityMessage, place_of_change},
    },
};

/// `POST /fhir/$process-message`.
pub(super) async fn process_message(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = process(&gateway, &caller, &request, payload).await;
    caller.conclude(&gateway, Interaction::FeedEntry, answer).await
}

async fn process(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    if query.any(|(name, value)| name == "response-url" || name == "async" && value == "true") {
        return Err(ApiError::NotSupported("a message is answered at once, where it was sent"));
    }
    let body = body::fhir(gateway, request, payload).await?;
    let message = IdentityMessage::read(&Resource::parse(&body)?).map_err(ApiError::BadMessage)?;
    let id = message.id.clone();
    let outcomes =
        take_identity_message(&gateway.exchange, &caller.with_body(&body), message).await?;
    let now = instant(gateway.exchange.clock.now());
    let answer = response(&gateway.settings.base_url, &id, &now, &outcomes);
    Ok(fhir_json(StatusCode::OK).body(answer.to_string()))
}

/// The response: a MessageHeader that says how it went, and what became of each entry.
fn response(base_url: &str, id: &str, now: &str, outcomes: &[EntryOutcome]) -> Value {
    let all_done = outcomes.iter().all(Result::is_ok);
    let issues = outcomes.iter().enumerate().flat_map(|(number, outcome)| match outcome {
        Ok(done) => {
            let information = IssueSeverity::Information;
            let issue = Issue::new(information, IssueType::Informational, done.words());
            vec![issue.at(place_of_change(number))]
        }
        Err(error) => issues_of_entry(number, error),
    });
    let details = OperationOutcome::new(issues.collect());
    let [header_url, details_url] = [(); 2].map(|()| format!("urn:uuid:{}", Uuid::new_v4()));
    json!({
        "resourceType": "Bundle",
        "id": Uuid::new_v4(),
        "type": "message",
        "timestamp": now,
        "entry": [
            {
                "fullUrl": header_url,
                "resource": {
                    "resourceType": "MessageHeader",
                    "id": Uuid::new_v4(),
                    "eventUri": format!("{IDENTITY_FEED}-response"),
                    "source": { "name": "Tessera", "endpoint": format!("{base_url}/$process-message") },
                    "response": {
                        "identifier": id,
                        "code": if all_done { "ok" } else { "fatal-error" },
                        "details": { "reference": details_url },
                    },
                },
            },
            { "fullUrl": details_url, "resource": details },
        ],
    })
}
