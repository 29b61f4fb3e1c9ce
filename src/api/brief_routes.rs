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
    negotiate::{check_accept, wants_text},
    patient_routes::enterprise_id,
    render::{fhir_json, instant},
};
use crate::{
    access::Interaction,
    exchange::{BriefedRecord, brief_record, summarize_record},
    record::{Line, Section},
};

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
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let id = enterprise_id(&id)?;
        let base = &gateway.settings.base_url;
        let document = summarize_record(&gateway.exchange, caller.call(), id, base).await?;
        Ok(fhir_json(StatusCode::OK).body(document.into_inner()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Summary, answer).await
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
