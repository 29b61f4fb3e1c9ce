//! What a steward does with whole persons: merge, separate, undo, and read how they came about.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    negotiate::check_accept,
    parameters::Parameters,
    patient_routes::enterprise_id,
    render::fhir_json,
    review_render::{acted, story, wrongly_shown},
};
use crate::{
    access::Interaction,
    exchange::{merge_persons, person_history, separate_person, undo_decision, who_was_shown},
};

/// `POST /fhir/Patient/$merge-persons`.
pub(super) async fn post_merge(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (told, body) = read(&gateway, &request, payload).await?;
        let (source, target) = (told.patient("source")?, told.patient("target")?);
        let (call, reason) = (caller.with_body(&body), told.reason()?);
        let done = merge_persons(&gateway.exchange, &call, source, target, reason).await?;
        Ok(fhir_json(StatusCode::OK).body(acted(&done.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewWrite, answer).await
}

/// `POST /fhir/Patient/{id}/$separate-records`.
pub(super) async fn post_separate(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (told, body) = read(&gateway, &request, payload).await?;
        let (person, records) = (enterprise_id(&id)?, told.identifiers("record")?);
        let (call, reason) = (caller.with_body(&body), told.reason()?);
        let done = separate_person(&gateway.exchange, &call, person, records, reason).await?;
        Ok(fhir_json(StatusCode::OK).body(acted(&done.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewWrite, answer).await
}

/// `POST /fhir/Patient/$undo-decision`.
pub(super) async fn post_undo(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (told, body) = read(&gateway, &request, payload).await?;
        let (decision, reason) = (told.number("decision")?, told.reason()?);
        let call = caller.with_body(&body);
        let done = undo_decision(&gateway.exchange, &call, decision, reason).await?;
        Ok(fhir_json(StatusCode::OK).body(acted(&done.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewWrite, answer).await
}

async fn read(
    gateway: &Gateway,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Parameters, bytes::Bytes), ApiError> {
    let body = body::fhir(gateway, request, payload).await?;
    Ok((Parameters::parse(&body)?, body))
}

/// `GET /fhir/Patient/{id}/$identity-history`.
pub(super) async fn get_history(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let person = enterprise_id(&id)?;
        let told = person_history(&gateway.exchange, caller.call(), person).await?;
        Ok(fhir_json(StatusCode::OK).body(story(&told.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewRead, answer).await
}

/// `GET /fhir/Patient/$shown-while-mixed?decision=`.
pub(super) async fn get_shown(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        let told = pairs.into_iter().find(|(name, _)| name == "decision");
        let decision = told.and_then(|(_, value)| value.parse().ok());
        let decision =
            decision.ok_or(ApiError::invalid("decision", "needs a decision's number"))?;
        let told = who_was_shown(&gateway.exchange, caller.call(), decision).await?;
        Ok(fhir_json(StatusCode::OK).body(wrongly_shown(&told.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewRead, answer).await
}
