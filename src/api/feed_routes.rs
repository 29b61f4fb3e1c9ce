//! Feeds of `Patient`: add or revise, resolve a duplicate, remove; by identifier (IHE PIXm ITI-104) or
//! by the id that the Patient has at its member.

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
    access::{Interaction, Released},
    domain::{InvalidLogicalId, LocalId, LogicalId, MemberCode},
    exchange::{
        ExchangeError, FedById, PutById, Told, last_updated, merge_records, put_by_id,
        register_patient, retire_by_id, retire_record, told_merge,
    },
    fhir::Resource,
    index::{Followed, LocalRefusal, Outcome, Registered},
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
    let if_version = if_version(request)?;
    if let Some((subsumed, survivor)) = told_merge(&patient, &identifiers) {
        no_version(if_version)?;
        let told = Told { event_time: last_updated(&patient), source_message: None };
        let followed = merge_records(&gateway.exchange, &call, subsumed, survivor, told).await?;
        return Ok(merged(gateway, &followed.into_inner().person.to_string()));
    }
    let registered =
        register_patient(&gateway.exchange, &call, identifiers, &patient, if_version).await?;
    let registered = registered.into_inner();
    Ok(fed(gateway, &registered, &registered.person.to_string()))
}

/// The answer to a registration; `id` is that of the Patient that was written.
fn fed(gateway: &Gateway, registered: &Registered, id: &str) -> HttpResponse {
    let status = match registered.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged | Outcome::Stale => StatusCode::OK,
    };
    fhir_json(status)
        .insert_header((header::LOCATION, format!("{}/Patient/{id}", gateway.settings.base_url)))
        .insert_header((header::ETAG, format!("W/\"{}\"", registered.record_version)))
        .finish()
}

/// The answer to a merge; `id` is that of the Patient that was written.
fn merged(gateway: &Gateway, id: &str) -> HttpResponse {
    let location = format!("{}/Patient/{id}", gateway.settings.base_url);
    fhir_json(StatusCode::OK).insert_header((header::LOCATION, location)).finish()
}

/// The version that `If-Match` asks for, as an `ETag` of a feed's answer told it.
fn if_version(request: &HttpRequest) -> Result<Option<u32>, ApiError> {
    let Some(told) = request.headers().get(header::IF_MATCH) else { return Ok(None) };
    let told = told.to_str().unwrap_or_default().trim();
    let version = told.strip_prefix("W/").unwrap_or(told);
    let version = version.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = version.and_then(|digits| digits.parse().ok());
    version.map(Some).ok_or(ApiError::invalid("If-Match", "needs one version, as W/\"3\""))
}

fn no_version(if_version: Option<u32>) -> Result<(), ApiError> {
    match if_version {
        None => Ok(()),
        Some(_) => Err(ApiError::NotSupported("If-Match is taken with an update alone")),
    }
}

/// `PUT /fhir/Patient/{member}.{id}`: the member's Patient of this id.
pub(super) async fn put_patient_by_id(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = feed_by_id(&gateway, &caller, &request, &id, payload).await;
    caller.conclude(&gateway, Interaction::Feed, answer).await
}

async fn feed_by_id(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    id: &str,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (member, own_id) = member_and_id(id)?;
    let body = body::fhir(gateway, request, payload).await?;
    let patient = Resource::parse(&body)?;
    if patient.resource_type() != "Patient" {
        return Err(ApiError::invalid("resourceType", "must be Patient"));
    }
    // Its own id there, or the one that it has here.
    if !patient.id().is_some_and(|told| told == id || told == own_id.as_str()) {
        return Err(ApiError::invalid("Patient.id", "must be the id of the URL"));
    }
    let base = &gateway.settings.base_url;
    let reference = |told: &str| {
        let path =
            told.strip_prefix(base.as_str()).map_or(Some(told), |rest| rest.strip_prefix('/'));
        let (code, id) = path?.strip_prefix("Patient/")?.split_once('.')?;
        LogicalId::parse(id).ok().filter(|_| code == member.as_str())
    };
    let fed_by_id = FedById {
        member: member.clone(),
        id: own_id,
        patient: &patient,
        reference: &reference,
        told: Told::default(),
        if_version: if_version(request)?,
    };
    let put = put_by_id(&gateway.exchange, &caller.with_body(&body), fed_by_id).await?;
    Ok(match put.into_inner() {
        PutById::Registered(registered) => fed(gateway, &registered, id),
        PutById::Merged(_) => merged(gateway, id),
    })
}

/// `DELETE /fhir/Patient/{member}.{id}`.
pub(super) async fn delete_patient_by_id(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        let (member, id) = member_and_id(&id)?;
        check_accept(&request)?;
        no_version(if_version(&request)?)?;
        let call = caller.call();
        let told = Told::default();
        removed(retire_by_id(&gateway.exchange, call, &member, &id, told).await)
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::FeedRemoval, answer).await
}

/// A member's code and its own id, of a gateway id. Nobody writes to a person of the exchange.
fn member_and_id(id: &str) -> Result<(MemberCode, LogicalId), ApiError> {
    let wrong = |_| ApiError::invalid("id", "must be a member's code, a dot and a FHIR id");
    let (member, own_id) = id.split_once('.').ok_or(ApiError::MethodNotAllowed)?;
    LogicalId::parse(id).map_err(wrong)?;
    let member = MemberCode::parse(member).map_err(|_| wrong(InvalidLogicalId))?;
    Ok((member, LogicalId::parse(own_id).map_err(wrong)?))
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
    no_version(if_version(request)?)?;
    removed(retire_record(&gateway.exchange, caller.call(), identifier, Told::default()).await)
}

/// Deleting what is not there is deleting all the same (FHIR R4 §3.1.0.7.1).
fn removed(outcome: Result<Released<Followed>, ExchangeError>) -> Result<HttpResponse, ApiError> {
    match outcome {
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
