//! Records that are fetched later (FHIR R4 asynchronous pattern): `Prefer: respond-async`, the status of
//! a job, its result as NDJSON files by type.

use std::{collections::BTreeMap, time::SystemTime};

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HttpDate},
    },
    web,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Gateway,
    caller::Caller,
    error::ApiError,
    everything_routes::{fhir_path, outcome_json},
    everything_stream::push,
    negotiate::FHIR_NDJSON,
    render::instant,
};
use crate::{
    access::Interaction,
    domain::EnterpriseId,
    exchange::{
        EverythingQuery, ExchangeError, JobResult, JobStatus, Snapshot, cancel_job, job_status,
        start_job,
    },
};

/// The type whose file is the completeness statement.
const STATEMENT: &str = "OperationOutcome";

/// Begins, and says where to look.
pub(super) async fn begin(
    gateway: &Gateway,
    caller: &Caller,
    id: EnterpriseId,
    query: EverythingQuery,
) -> Result<HttpResponse, ApiError> {
    let base = &gateway.settings.base_url;
    let request = format!("{base}{}", fhir_path(caller));
    let token = start_job(&gateway.exchange, caller.call().clone(), id, query, request).await?;
    let mut response = HttpResponse::Accepted();
    response
        .insert_header((header::CONTENT_LOCATION, format!("{base}/$job/{token}")))
        .insert_header(("Preference-Applied", "respond-async"))
        .insert_header((header::RETRY_AFTER, "1"))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(response.finish())
}

/// `GET /fhir/$job/{token}`: 202 while members are asked, then the manifest.
pub(super) async fn get_job(
    gateway: web::Data<Gateway>,
    caller: Caller,
    token: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        let token = parse(&token)?;
        Ok(match job_status(&gateway.exchange, caller.call(), token).await? {
            JobStatus::UnderWay { heard } => under_way(heard),
            JobStatus::Ready(result) => manifest(&gateway, token, &result.into_inner()),
        })
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Everything, answer).await
}

/// `GET /fhir/$job/{token}/{type}`: the entries of one type.
pub(super) async fn get_file(
    gateway: web::Data<Gateway>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (token, kind) = path.into_inner();
    let answer = async {
        let status = job_status(&gateway.exchange, caller.call(), parse(&token)?).await?;
        let JobStatus::Ready(result) = status else { return Ok(under_way(0)) };
        let lines = lines(&result.into_inner().snapshot, &kind);
        let lines = lines.ok_or(ApiError::from(ExchangeError::UnknownJob))?;
        let mut response = HttpResponse::Ok();
        response
            .insert_header((header::CONTENT_TYPE, FHIR_NDJSON))
            .insert_header((header::CACHE_CONTROL, "no-store"));
        Ok(response.body(lines))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Everything, answer).await
}

/// `DELETE /fhir/$job/{token}`.
pub(super) async fn delete_job(
    gateway: web::Data<Gateway>,
    caller: Caller,
    token: web::Path<String>,
) -> HttpResponse {
    let cancelled = parse(&token)
        .and_then(|token| Ok(cancel_job(&gateway.exchange, caller.call(), token)?))
        .map(|()| HttpResponse::new(StatusCode::ACCEPTED));
    caller.conclude(&gateway, Interaction::Everything, cancelled).await
}

fn parse(token: &str) -> Result<Uuid, ApiError> {
    Uuid::parse_str(token).map_err(|_| ApiError::from(ExchangeError::UnknownJob))
}

fn under_way(heard: usize) -> HttpResponse {
    let members = if heard == 1 { "member has" } else { "members have" };
    let mut response = HttpResponse::Accepted();
    response
        .insert_header(("X-Progress", format!("{heard} {members} been heard")))
        .insert_header((header::RETRY_AFTER, "1"))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response.finish()
}

/// What there is to fetch, in the shape of bulk data (FHIR R4 asynchronous pattern).
fn manifest(gateway: &Gateway, token: Uuid, result: &JobResult) -> HttpResponse {
    let snapshot = &result.snapshot;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::from([("Patient", 1)]);
    for entry in snapshot.record.entries() {
        *counts.entry(entry.resource_type).or_default() += 1;
    }
    let file = |kind: &str, count: usize| {
        let url = format!("{}/$job/{token}/{kind}", gateway.settings.base_url);
        json!({ "type": kind, "url": url, "count": count })
    };
    let output: Vec<_> = counts.into_iter().map(|(kind, count)| file(kind, count)).collect();
    let until: SystemTime = result.until.into();
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::EXPIRES, HttpDate::from(until).to_string()))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response.json(json!({
        "transactionTime": instant(snapshot.taken),
        "request": result.request,
        "requiresAccessToken": false,
        "output": output,
        "error": [file(STATEMENT, 1)],
    }))
}

/// The entries of a type in the order of the record, the person before other Patients.
fn lines(snapshot: &Snapshot, kind: &str) -> Option<Vec<u8>> {
    let mut lines = Vec::new();
    match kind {
        STATEMENT => push(&mut lines, &outcome_json(&snapshot.statement)),
        "Patient" => push(&mut lines, &snapshot.view.to_json()),
        _ => {}
    }
    for entry in snapshot.record.entries().filter(|entry| entry.resource_type == kind) {
        push(&mut lines, entry.json);
    }
    (!lines.is_empty()).then_some(lines)
}
