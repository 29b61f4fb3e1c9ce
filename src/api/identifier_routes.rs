//! Operations that begin with an identifier: `Patient/$ihe-pix` (IHE PIXm ITI-83) and
//! `Patient/$locate-records`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::{Value, json};

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    negotiate::{check_accept, check_content_type, is_form},
    parameters::{Parameters, write},
    patient_routes::enterprise_id,
    render::{fhir_json, instant},
};
use crate::{
    access::Interaction,
    domain::{EnterpriseId, LocalId},
    exchange::{
        Call, CrossReference, CrossReferenceQuery, FoundRecord, LocatedRecords, Referred,
        SourceIdentifier, Whom, cross_reference, in_doubt_extension, locate_records,
    },
};

/// Namespaces that one question may name.
const TARGETS_MAX: usize = 64;

/// `GET` or `POST /fhir/Patient/$ihe-pix`.
pub(super) async fn ihe_pix(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (call, pairs) = asked(&gateway, &caller, &request, payload).await?;
        let query = pix_query(pairs, &gateway.settings.base_url)?;
        let found = cross_reference(&gateway.exchange, &call, query).await?.into_inner();
        Ok(fhir_json(StatusCode::OK).body(pix_answer(&found).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::CrossReference, answer).await
}

/// `GET` or `POST /fhir/Patient/$locate-records`, by identifier.
pub(super) async fn locate_by_identifier(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (call, pairs) = asked(&gateway, &caller, &request, payload).await?;
        locate(&gateway, &call, identified(&pairs)?).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::LocateRecords, answer).await
}

/// `GET` or `POST /fhir/Patient/{id}/$locate-records`.
pub(super) async fn locate_of_patient(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (call, _) = asked(&gateway, &caller, &request, payload).await?;
        locate(&gateway, &call, Whom::Person(enterprise_id(&id)?)).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::LocateRecords, answer).await
}

/// The patient whom the one parameter `identifier` names.
pub(super) fn identified(pairs: &[(String, String)]) -> Result<Whom, ApiError> {
    let token =
        single(pairs, "identifier")?.ok_or(ApiError::invalid("identifier", "is missing"))?;
    Ok(Whom::Identified(local_id("identifier", token)?))
}

/// A parameter that may be given once.
pub(super) fn single<'a>(
    pairs: &'a [(String, String)],
    name: &'static str,
) -> Result<Option<&'a str>, ApiError> {
    let mut told = pairs.iter().filter(|(told, _)| told == name).map(|(_, value)| &**value);
    let value = told.next();
    if told.next().is_some() {
        return Err(ApiError::invalid(name, "given more than once"));
    }
    Ok(value)
}

/// The parameters of URL and body: a form, or a `Parameters` resource.
pub(super) async fn asked(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Call, Vec<(String, String)>), ApiError> {
    check_accept(request)?;
    let form = |bytes: &[u8]| {
        let pairs = url::form_urlencoded::parse(bytes);
        pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect::<Vec<_>>()
    };
    let mut pairs = form(request.query_string().as_bytes());
    let body = body::read(payload, gateway.settings.body_bytes_max).await?;
    if !body.is_empty() {
        if is_form(request) {
            pairs.extend(form(&body));
        } else {
            check_content_type(request)?;
            pairs.extend(Parameters::parse(&body)?.into_pairs()?);
        }
    }
    Ok((caller.with_body(&body), pairs))
}

fn pix_query(pairs: Vec<(String, String)>, base: &str) -> Result<CrossReferenceQuery, ApiError> {
    const SOURCE: &str = "sourceIdentifier";
    let mut source = None;
    let mut query = CrossReferenceQuery {
        source: SourceIdentifier::Person(None),
        target_systems: Vec::new(),
        target_exchange: false,
    };
    for (name, value) in pairs {
        match name.as_str() {
            SOURCE if source.is_some() => {
                return Err(ApiError::invalid(SOURCE, "given more than once"));
            }
            SOURCE => source = Some(source_identifier(&value, base)?),
            "targetSystem" if value == base => query.target_exchange = true,
            "targetSystem" if query.target_systems.len() == TARGETS_MAX => {
                return Err(ApiError::invalid("targetSystem", "names more than 64 systems"));
            }
            "targetSystem" if !value.is_empty() => query.target_systems.push(value),
            // An unknown parameter is passed over (FHIR R4 §3.1.1.3).
            _ => {}
        }
    }
    query.source = source.ok_or(ApiError::invalid(SOURCE, "is missing"))?;
    Ok(query)
}

/// `system|value`, or `{our base}|Patient/{id}`.
fn source_identifier(token: &str, base: &str) -> Result<SourceIdentifier, ApiError> {
    if let Some(reference) = token.strip_prefix(base).and_then(|rest| rest.strip_prefix('|')) {
        let id = reference.strip_prefix("Patient/");
        return Ok(SourceIdentifier::Person(id.and_then(|id| EnterpriseId::parse(id).ok())));
    }
    Ok(SourceIdentifier::Local(local_id("sourceIdentifier", token)?))
}

/// An identifier as `system|value`.
pub(super) fn local_id(place: &'static str, token: &str) -> Result<LocalId, ApiError> {
    let (system, value) =
        token.split_once('|').ok_or(ApiError::invalid(place, "needs both parts: system|value"))?;
    LocalId::parse(system, value).map_err(|problem| ApiError::BadIdentifier { place, problem })
}

fn pix_answer(found: &CrossReference) -> Value {
    let identifier = |one: &Referred| {
        let mut identifier = json!({
            "system": one.local_id.system(),
            "value": one.local_id.value(),
            "assigner": { "display": one.member_name },
        });
        if one.in_doubt {
            identifier["extension"] = in_doubt_extension();
        }
        json!({ "name": "targetIdentifier", "valueIdentifier": identifier })
    };
    let id = found.person.map(|person| {
        let mut reference = json!({ "reference": format!("Patient/{person}") });
        if found.in_doubt {
            reference["extension"] = in_doubt_extension();
        }
        json!({ "name": "targetId", "valueReference": reference })
    });
    write(found.identifiers.iter().map(identifier).chain(id).collect())
}

async fn locate(gateway: &Gateway, call: &Call, whom: Whom) -> Result<HttpResponse, ApiError> {
    let located = locate_records(&gateway.exchange, call, whom).await?.into_inner();
    Ok(fhir_json(StatusCode::OK).body(locations(&located).to_string()))
}

fn locations(located: &LocatedRecords) -> Value {
    let reference = format!("Patient/{}", located.person);
    let patient = json!({ "name": "patient", "valueReference": { "reference": reference } });
    let record = |record| json!({ "name": "record", "part": parts(record) });
    write([patient].into_iter().chain(located.records.iter().map(record)).collect())
}

fn parts(record: &FoundRecord) -> Value {
    let id = &record.local_id;
    let mut parts = vec![
        json!({ "name": "member", "valueCode": record.member.as_str() }),
        json!({ "name": "memberName", "valueString": record.member_name }),
    ];
    if let Some(organization) = &record.organization {
        parts.push(json!({ "name": "organization", "valueUri": organization }));
    }
    let identifier = json!({ "system": id.system(), "value": id.value() });
    parts.push(json!({ "name": "identifier", "valueIdentifier": identifier }));
    parts.push(json!({ "name": "inDoubt", "valueBoolean": record.in_doubt }));
    parts.push(json!({ "name": "since", "valueInstant": instant(record.since) }));
    let origin = &record.origin;
    parts.push(json!({ "name": "lastTold", "valueInstant": instant(origin.told) }));
    parts.push(json!({ "name": "event", "valueCode": origin.kind }));
    if let Some(at) = origin.event_time {
        parts.push(json!({ "name": "eventTime", "valueInstant": instant(at) }));
    }
    if let Some(message) = &origin.message {
        parts.push(json!({ "name": "message", "valueString": message }));
    }
    Value::Array(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://gw.example/fhir";

    fn pix(query: &str) -> Result<CrossReferenceQuery, ApiError> {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pix_query(pairs.map(|(name, value)| (name.into(), value.into())).collect(), BASE)
    }

    #[test]
    fn a_source_is_an_identifier_or_a_patient_of_this_exchange() {
        let local = pix("sourceIdentifier=urn:a|7&targetSystem=urn:b&targetSystem=urn:c");
        let local = local.expect("read");
        assert!(matches!(local.source, SourceIdentifier::Local(_)));
        assert_eq!(local.target_systems, ["urn:b", "urn:c"]);
        let id = "01987654-3210-7abc-8def-0123456789ab";
        let person = pix(&format!("sourceIdentifier={BASE}|Patient/{id}&targetSystem={BASE}"));
        let person = person.expect("read");
        assert!(matches!(person.source, SourceIdentifier::Person(Some(_))));
        assert!(person.target_exchange && person.target_systems.is_empty());
        for bad in [
            "",
            "sourceIdentifier=7",
            "sourceIdentifier=urn:a|",
            "sourceIdentifier=a|1&sourceIdentifier=a|2",
        ] {
            assert!(pix(bad).is_err(), "{bad}");
        }
    }
}
