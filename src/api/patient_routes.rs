//! `Patient`: the feed, `$match` and read.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::json;

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    everything_routes::get_by_gateway_id,
    match_input::MatchInput,
    negotiate::check_accept,
    render::{fhir_json, instant},
    searchset::{Mode, Searchset},
};
use crate::{
    access::Interaction,
    domain::EnterpriseId,
    exchange::{MatchQuery, Matched, match_patient, read_patient},
    fhir::{Issue, IssueSeverity, IssueType, OperationOutcome, patient::Fault},
    matching::MatchGrade,
};

/// Persons in a `$match` answer where the caller names no bound, and the most it may name.
const MATCHES_DEFAULT: usize = 10;
const MATCHES_MAX: usize = 50;

const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

/// `POST /fhir/Patient/$match` (FHIR R4, IHE ITI-119).
pub(super) async fn post_match(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = find(&gateway, &caller, &request, payload).await;
    caller.conclude(&gateway, Interaction::Match, answer).await
}

async fn find(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::fhir(gateway, request, payload).await?;
    let input = MatchInput::parse(&body)?;
    let call = caller.with_body(&body);
    let query = MatchQuery {
        only_certain: input.only_certain,
        count: input.count.unwrap_or(MATCHES_DEFAULT).min(MATCHES_MAX),
        only_single: input.only_single,
    };
    let matched = match_patient(&gateway.exchange, &call, &input.patient, query).await?;
    let json = match_answer(gateway, &call.request_id.to_string(), &matched.into_inner());
    Ok(fhir_json(StatusCode::OK).body(json))
}

fn match_answer(gateway: &Gateway, id: &str, matched: &Matched) -> Vec<u8> {
    let now = instant(gateway.exchange.clock.now());
    let mut set = Searchset::new(id.to_owned(), now);
    set.total(matched.patients.len());
    for one in &matched.patients {
        let search = json!({
            "extension": [{ "url": MATCH_GRADE, "valueCode": grade_code(one.grade) }],
            "mode": Mode::Match.code(),
            // Rounded: more digits would claim more than a score can.
            "score": (one.score * 10_000.0).round() / 10_000.0,
        });
        let url = format!("{}/Patient/{}", gateway.settings.base_url, one.view.person());
        set.push_with_search(Some(&url), &one.view.to_json(), &search);
    }
    // No error: the rest was understood, and was asked (ITI-119, case 10).
    let passed_over = matched.faults.iter().map(|fault: &Fault| {
        let words = format!("passed over: {}", fault.problem);
        Issue::new(IssueSeverity::Warning, IssueType::Value, words).at(fault.expression)
    });
    let doubts = matched.patients.iter().flat_map(|one| one.view.warnings());
    let warnings: Vec<Issue> = passed_over.chain(doubts).collect();
    if !warnings.is_empty() {
        let outcome = OperationOutcome::new(warnings);
        let outcome = serde_json::to_string(&outcome).expect("an outcome is plain data");
        set.push(None, &outcome, Mode::Outcome);
    }
    set.into_json()
}

/// FHIR `match-grade`.
const fn grade_code(grade: MatchGrade) -> &'static str {
    match grade {
        MatchGrade::Certain => "certain",
        MatchGrade::Probable => "probable",
        MatchGrade::Possible => "possible",
        MatchGrade::CertainlyNot => "certainly-not",
    }
}

/// `GET /fhir/Patient/{enterprise id}`, or one member's own Patient as `{member}.{id}`.
pub(super) async fn get_patient(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    if id.contains('.') {
        return get_by_gateway_id(&gateway, &caller, &request, "Patient", &id).await;
    }
    let answer = read(&gateway, &caller, &request, &id).await;
    caller.conclude(&gateway, Interaction::PatientRead, answer).await
}

async fn read(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    check_accept(request)?;
    let id = enterprise_id(id)?;
    let view = read_patient(&gateway.exchange, caller.call(), id).await?.into_inner();
    Ok(fhir_json(StatusCode::OK).body(view.to_json()))
}

/// A person's logical id; what cannot be one is nobody's.
pub(super) fn enterprise_id(text: &str) -> Result<EnterpriseId, ApiError> {
    EnterpriseId::parse(text).map_err(|_| ApiError::UnknownId)
}
