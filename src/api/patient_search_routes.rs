//! `GET /fhir/Patient?…` and `POST /fhir/Patient/_search` (IHE PDQm ITI-78).

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::json;
use uuid::Uuid;

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    negotiate::{check_accept, check_form, is_strict},
    patient_search::{AskedSearch, OFFSET, SEARCH},
    render::{fhir_json, instant},
    searchset::{Mode, Searchset},
};
use crate::{
    access::Interaction,
    exchange::{FoundPatients, next_patients, search_patients},
    fhir::search::SearchQuery,
};

/// `GET /fhir/Patient?…`.
pub(super) async fn get_patients(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
) -> HttpResponse {
    let answer = search(&gateway, &caller, &request, None).await;
    caller.conclude(&gateway, Interaction::PatientSearch, answer).await
}

/// `POST /fhir/Patient/_search`, with parameters in the form, the URL, or both.
pub(super) async fn post_search(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = search(&gateway, &caller, &request, Some(payload)).await;
    caller.conclude(&gateway, Interaction::PatientSearch, answer).await
}

async fn search(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    form: Option<web::Payload>,
) -> Result<HttpResponse, ApiError> {
    check_accept(request)?;
    let mut query = SearchQuery::parse(request.query_string())?;
    let mut call = caller.call().clone();
    if let Some(form) = form {
        let body = body::read(form, gateway.settings.body_bytes_max).await?;
        if !body.is_empty() {
            check_form(request)?;
        }
        query.extend(std::str::from_utf8(&body).map_err(|_| ApiError::BodyUnreadable)?)?;
        call = caller.with_body(&body);
    }
    let asked = AskedSearch::read(query, is_strict(request))?;
    let exchange = &gateway.exchange;
    let found = match asked.token {
        Some(token) => next_patients(exchange, &call, token, asked.page).await?,
        None => search_patients(exchange, &call, asked.search.clone(), asked.page).await?,
    };
    Ok(fhir_json(StatusCode::OK).body(render(gateway, &asked, &found.into_inner())))
}

fn render(gateway: &Gateway, asked: &AskedSearch, found: &FoundPatients) -> Vec<u8> {
    let base = &gateway.settings.base_url;
    let now = instant(gateway.exchange.clock.now());
    let mut set = Searchset::new(Uuid::new_v4().to_string(), now);
    set.total(found.total);
    set.link("self", format!("{base}/Patient?{}", asked.heeded.encode()));
    let (offset, count) = (asked.page.offset, asked.page.count);
    if let Some(token) = found.token {
        let format = asked.heeded.named("_format").next();
        let format = format.map_or_else(String::new, |told| format!("&_format={}", told.text()));
        let page =
            |at| format!("{base}/Patient?{SEARCH}={token}&{OFFSET}={at}&_count={count}{format}");
        if offset > 0 {
            set.link("previous", page(offset.saturating_sub(count)));
        }
        let next = offset.saturating_add(count);
        if count > 0 && next < found.total {
            set.link("next", page(next));
        }
    }
    if count > 0 && offset == 0 {
        for (gone, into) in &found.replaced {
            let patient = json!({
                "resourceType": "Patient",
                "id": gone.to_string(),
                "active": false,
                "link": [{
                    "other": { "reference": format!("Patient/{into}") },
                    "type": "replaced-by",
                }],
            });
            let url = format!("{base}/Patient/{gone}");
            set.push(Some(&url), &patient.to_string(), Mode::Match);
        }
    }
    let replacing = |person| found.replaced.iter().any(|(_, into)| *into == person);
    for patient in &found.patients {
        let person = patient.person();
        let mode = if replacing(person) { Mode::Include } else { Mode::Match };
        set.push(Some(&format!("{base}/Patient/{person}")), &patient.to_json(), mode);
    }
    set.into_json()
}
