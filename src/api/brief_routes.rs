//! `Patient/{id}/$ed-brief`: the record on one page, as FHIR `Parameters` or as plain text; and
//! `Patient/{id}/$summary`: as an International Patient Summary.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde_json::{Value, json};

use super::{
    Gateway,
    caller::Caller,
    error::ApiError,
    identifier_routes::{asked, identified, single},
    negotiate::{check_accept, wants_text},
    patient_routes::enterprise_id,
    render::{fhir_json, instant},
};
use crate::{
    access::Interaction,
    exchange::{BriefedRecord, Call, Whom, brief_record, summarize_record},
    record::{Line, Section},
};

const IPS_PROFILES: &str = "http://hl7.org/fhir/uv/ips/StructureDefinition/";
const SUMMARIES: [&str; 2] = ["Composition-uv-ips", "Bundle-uv-ips"];

/// `GET` or `POST /fhir/Patient/{id}/$ed-brief`; it takes no parameters.
pub(super) async fn ed_brief(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        let as_text = wants_text(&request);
        if !as_text {
            check_accept(&request)?;
        }
        let id = enterprise_id(&id)?;
        let briefed = brief_record(&gateway.exchange, caller.call(), id).await?.into_inner();
        Ok(if as_text { text(&briefed) } else { parameters(&briefed) })
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Summary, answer).await
}

/// `GET` or `POST /fhir/Patient/{id}/$summary` (HL7 IPS 2.0.1).
pub(super) async fn summary(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (call, pairs) = asked(&gateway, &caller, &request, payload).await?;
        summarize(&gateway, &call, &pairs, Whom::Person(enterprise_id(&id)?)).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Summary, answer).await
}

/// `GET` or `POST /fhir/Patient/$summary`, which needs an `identifier`.
pub(super) async fn summary_by_identifier(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (call, pairs) = asked(&gateway, &caller, &request, payload).await?;
        let whom = identified(&pairs)?;
        summarize(&gateway, &call, &pairs, whom).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Summary, answer).await
}

async fn summarize(
    gateway: &Gateway,
    call: &Call,
    pairs: &[(String, String)],
    whom: Whom,
) -> Result<HttpResponse, ApiError> {
    check_profile(single(pairs, "profile")?)?;
    let base = &gateway.settings.base_url;
    let document = summarize_record(&gateway.exchange, call, whom, base).await?;
    Ok(fhir_json(StatusCode::OK).body(document.into_inner()))
}

/// A summary by another guide, or another edition of this one, would not be what was asked for.
fn check_profile(profile: Option<&str>) -> Result<(), ApiError> {
    let Some(profile) = profile else { return Ok(()) };
    let (canonical, version) = profile.split_once('|').unwrap_or((profile, ""));
    let is_ips = canonical.strip_prefix(IPS_PROFILES).is_some_and(|name| SUMMARIES.contains(&name));
    if is_ips && (version.is_empty() || version == "2" || version.starts_with("2.0")) {
        Ok(())
    } else {
        Err(ApiError::NotSupported("summaries are by the IPS 2.0 alone (profile)"))
    }
}

fn text(briefed: &BriefedRecord) -> HttpResponse {
    HttpResponse::build(StatusCode::OK)
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(briefed.brief.to_text().trim_start().to_owned())
}

fn parameters(briefed: &BriefedRecord) -> HttpResponse {
    let snapshot = &briefed.snapshot;
    let mut all = vec![
        json!({
            "name": "patient",
            "valueReference": { "reference": format!("Patient/{}", snapshot.person) }
        }),
        json!({ "name": "taken", "valueInstant": instant(snapshot.taken) }),
        json!({ "name": "complete", "valueBoolean": snapshot.complete }),
    ];
    all.extend(briefed.brief.sections.iter().map(section));
    let resource = json!({ "resourceType": "Parameters", "parameter": all });
    fhir_json(StatusCode::OK).body(resource.to_string())
}

fn section(section: &Section) -> Value {
    let mut parts = vec![
        json!({ "name": "code", "valueCode": section.code }),
        json!({ "name": "title", "valueString": section.title }),
    ];
    parts.extend(section.lines.iter().map(line));
    json!({ "name": "section", "part": parts })
}

fn line(line: &Line) -> Value {
    let mut parts = vec![
        json!({ "name": "text", "valueString": line.text }),
        json!({ "name": "urgency", "valueCode": line.tone.code() }),
    ];
    parts.extend(line.date.iter().map(|date| json!({ "name": "date", "valueDateTime": date })));
    parts.extend(line.sources.iter().map(|code| json!({ "name": "source", "valueString": code })));
    parts.extend(line.conflicts.iter().map(|conflict| {
        json!({ "name": "conflict", "part": [
            { "name": "code", "valueCode": conflict.code() },
            { "name": "text", "valueString": conflict.text() },
        ] })
    }));
    parts.extend(line.resources.iter().map(
        |reference| json!({ "name": "resource", "valueReference": { "reference": reference } }),
    ));
    json!({ "name": "line", "part": parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_by_another_guide_is_refused() {
        let check = |told: &str| check_profile(Some(told)).is_ok();
        assert!(check_profile(None).is_ok());
        for name in SUMMARIES {
            assert!(check(&format!("{IPS_PROFILES}{name}")));
            assert!(check(&format!("{IPS_PROFILES}{name}|2.0.0")));
            assert!(!check(&format!("{IPS_PROFILES}{name}|1.1.0")));
        }
        assert!(!check(&format!("{IPS_PROFILES}Patient-uv-ips")));
        assert!(!check("http://hl7.org/fhir/StructureDefinition/Composition"));
    }
}
