//! `Patient`: the feed, `$match` and read.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde_json::json;

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    everything_routes::get_by_gateway_id,
    match_input::MatchInput,
    negotiate::{check_accept, check_content_type},
    render::{fhir_json, instant},
    searchset::{Mode, Searchset},
};
use crate::{
    access::Interaction,
    domain::{EnterpriseId, LocalId},
    exchange::{MatchQuery, Matched, match_patient, read_patient, register_patient},
    fhir::{Issue, IssueSeverity, IssueType, OperationOutcome, Resource, patient::Fault},
    index::Outcome,
    matching::MatchGrade,
};

/// Persons in a `$match` answer where the caller names no bound, and the most it may name.
const MATCHES_DEFAULT: usize = 10;
const MATCHES_MAX: usize = 50;
/// Identifiers in one conditional update; a record has a handful.
const IDENTIFIERS_MAX: usize = 10;

const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

/// `PUT /fhir/Patient?identifier=system|value` (IHE ITI-104).
pub(super) async fn put_patient(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = feed(&gateway, &caller, &request, payload).await;
    caller.conclude(&gateway, Interaction::Feed, answer).await
}

async fn feed(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    check_accept(request)?;
    check_content_type(request)?;
    let identifiers = identifiers(request.query_string())?;
    let body = body::read(payload, gateway.settings.body_bytes_max).await?;
    let patient = Resource::parse(&body)?;
    if patient.resource_type() != "Patient" {
        return Err(ApiError::invalid("resourceType", "must be Patient"));
    }
    let call = caller.with_body(&body);
    let registered = register_patient(&gateway.exchange, &call, identifiers, &patient).await?;
    let registered = registered.into_inner();
    let status = match registered.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged | Outcome::Stale => StatusCode::OK,
    };
    let location = format!("{}/Patient/{}", gateway.settings.base_url, registered.person);
    Ok(fhir_json(status)
        .insert_header((header::LOCATION, location))
        .insert_header((header::ETAG, format!("W/\"{}\"", registered.record_version)))
        .finish())
}

/// The identifiers that a conditional update searches by: `identifier=system|value`, commas for *or*.
fn identifiers(query: &str) -> Result<Vec<LocalId>, ApiError> {
    const PLACE: &str = "identifier";
    let mut told = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "identifier" if told.is_some() => {
                return Err(ApiError::invalid(PLACE, "given more than once"));
            }
            "identifier" => told = Some(value.into_owned()),
            "_format" | "_pretty" => {}
            _ => return Err(ApiError::NotSupported("only identifier may be searched by here")),
        }
    }
    let told = told.ok_or(ApiError::invalid(PLACE, "is missing: identifier=system|value"))?;
    let identifiers: Vec<LocalId> = told
        .split(',')
        .map(|token| {
            let (system, value) = token
                .split_once('|')
                .ok_or(ApiError::invalid(PLACE, "needs both parts: system|value"))?;
            LocalId::parse(system, value).map_err(|_| {
                ApiError::invalid(PLACE, "needs a system and a value of bounded length")
            })
        })
        .collect::<Result<_, _>>()?;
    if identifiers.len() > IDENTIFIERS_MAX {
        return Err(ApiError::invalid(PLACE, "names more than 10 identifiers"));
    }
    Ok(identifiers)
}

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
    check_accept(request)?;
    check_content_type(request)?;
    let body = body::read(payload, gateway.settings.body_bytes_max).await?;
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
    if !matched.faults.is_empty() {
        // No error: the rest was understood, and was asked (ITI-119, case 10).
        let issue = |fault: &Fault| {
            let words = format!("passed over: {}", fault.problem);
            Issue::new(IssueSeverity::Warning, IssueType::Value, words).at(fault.expression)
        };
        let outcome = OperationOutcome::new(matched.faults.iter().map(issue).collect());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conditional_update_names_identifiers_with_both_parts() {
        let ids = identifiers("identifier=urn:oid:1.2%7CA1,urn:oid:1.2|B2").expect("two");
        assert_eq!((ids.len(), ids[0].value()), (2, "A1"));
        for bad in
            ["", "identifier=A1", "identifier=urn:x|", "identifier=a|1&identifier=a|2", "name=x"]
        {
            assert!(identifiers(bad).is_err(), "{bad}");
        }
        let many = ["urn:x|1"; 11].join(",");
        assert!(identifiers(&format!("identifier={many}")).is_err());
    }
}
