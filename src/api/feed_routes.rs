//! Feeds of `Patient` (IHE PIXm ITI-104): add or revise, resolve a duplicate, remove.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};

use super::{
    Gateway, body, caller::Caller, error::ApiError, identifier_routes::local_id,
    negotiate::check_accept, render::fhir_json,
};
use crate::{
    access::Interaction,
    domain::LocalId,
    exchange::{
        ExchangeError, Told, last_updated, merge_records, register_patient, retire_record,
        told_merge,
    },
    fhir::Resource,
    index::{LocalRefusal, Outcome},
};

/// Identifiers in one conditional update; a record has a handful.
const IDENTIFIERS_MAX: usize = 10;

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
    let body = body::fhir(gateway, request, payload).await?;
    let identifiers = identifiers(request.query_string())?;
    let patient = Resource::parse(&body)?;
    if patient.resource_type() != "Patient" {
        return Err(ApiError::invalid("resourceType", "must be Patient"));
    }
    let call = caller.with_body(&body);
    if let Some((subsumed, survivor)) = told_merge(&patient, &identifiers) {
        let told = Told { event_time: last_updated(&patient), source_message: None };
        let followed = merge_records(&gateway.exchange, &call, subsumed, survivor, told).await?;
        let location =
            format!("{}/Patient/{}", gateway.settings.base_url, followed.into_inner().person);
        return Ok(fhir_json(StatusCode::OK).insert_header((header::LOCATION, location)).finish());
    }
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

/// `DELETE /fhir/Patient?identifier=system|value` (IHE ITI-104, remove).
pub(super) async fn delete_patient(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
) -> HttpResponse {
    let answer = remove(&gateway, &caller, &request).await;
    caller.conclude(&gateway, Interaction::FeedRemoval, answer).await
}

async fn remove(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    check_accept(request)?;
    let mut identifiers = identifiers(request.query_string())?;
    let Some(identifier) = identifiers.pop().filter(|_| identifiers.is_empty()) else {
        return Err(ApiError::NotSupported("one identifier is deleted at a time"));
    };
    match retire_record(&gateway.exchange, caller.call(), identifier, Told::default()).await {
        // Deleting what is not there is deleting all the same (FHIR R4 §3.1.0.7.1).
        Ok(_) | Err(ExchangeError::Local(LocalRefusal::UnknownRecord)) => {
            Ok(fhir_json(StatusCode::NO_CONTENT).finish())
        }
        Err(error) => Err(error.into()),
    }
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
    let identifiers: Vec<LocalId> =
        told.split(',').map(|token| local_id(PLACE, token)).collect::<Result<_, _>>()?;
    if identifiers.len() > IDENTIFIERS_MAX {
        return Err(ApiError::invalid(PLACE, "names more than 10 identifiers"));
    }
    Ok(identifiers)
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
