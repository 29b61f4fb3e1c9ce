//! `/admin/members`: the directory as operators change it, in JSON with the keys of `members.toml`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Gateway, body, caller::Caller, error::ApiError};
use crate::{
    access::{Interaction, Role},
    directory::{Change, Member, MemberStatus, Roster, ToldMember},
    domain::{LocalId, MemberCode},
    exchange::{ExchangeError, Manager, admit},
};

/// Mounts the interface for operators.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/admin/members")
            .route("", web::get().to(list))
            .route("/{code}", web::get().to(show))
            .route("/{code}", web::put().to(put))
            .route("/{code}/history", web::get().to(history))
            .route("/{code}/{action}", web::post().to(act)),
    );
}

/// What an action may be told.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ActionQuery {
    /// A patient to try with, as system|value.
    patient: Option<String>,
    /// Whether a check saves the oddities that it notices.
    learn: bool,
    /// The version to go back to.
    version: Option<u32>,
}

async fn list(gateway: web::Data<Gateway>, caller: Caller) -> HttpResponse {
    look(&gateway, caller, async || {
        let roster = gateway.exchange.directory.roster();
        Ok(roster.members().map(|member| entry(&gateway, member)).collect())
    })
    .await
}

async fn show(
    gateway: web::Data<Gateway>,
    caller: Caller,
    code: web::Path<String>,
) -> HttpResponse {
    look(&gateway, caller, async || {
        let roster = gateway.exchange.directory.roster();
        let member = roster.member(&member_code(&code)?).ok_or(ExchangeError::UnknownMember)?;
        Ok(entry(&gateway, member))
    })
    .await
}

async fn history(
    gateway: web::Data<Gateway>,
    caller: Caller,
    code: web::Path<String>,
) -> HttpResponse {
    look(&gateway, caller, async || {
        let versions = gateway.exchange.directory.history(&member_code(&code)?).await;
        let versions = versions.map_err(ExchangeError::from)?.into_iter();
        let told = versions.map(|(version, recorded, member)| {
            json!({ "version": version, "recorded": instant(recorded), "member": member })
        });
        Ok(told.collect())
    })
    .await
}

/// Shows an operator what there is; anybody else is refused, on record.
async fn look(
    gateway: &Gateway,
    caller: Caller,
    told: impl AsyncFnOnce() -> Result<Value, ApiError>,
) -> HttpResponse {
    let answer = async {
        let role = Some(Role::Operator);
        admit(&gateway.exchange, caller.call(), Interaction::Administration, role).await?;
        Ok(HttpResponse::Ok().json(told().await?))
    };
    let answer = answer.await;
    caller.conclude(gateway, Interaction::Administration, answer).await
}

async fn put(
    gateway: web::Data<Gateway>,
    caller: Caller,
    code: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let body = body::read(payload, gateway.settings.body_bytes_max).await?;
        let told: ToldMember = serde_json::from_slice(&body)
            .map_err(|error| ApiError::BadMember(error.to_string()))?;
        if told.code != *code {
            return Err(ApiError::invalid("code", "is another member's than the path names"));
        }
        let call = caller.with_body(&body);
        let roster =
            Roster::of_told([told]).map_err(|error| ApiError::BadMember(error.to_string()))?;
        let desk = gateway.exchange.member_desk();
        let changes = desk.apply(Manager::Call(&call), roster).await?;
        Ok(changed(&changes, &code))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Administration, answer).await
}

async fn act(
    gateway: web::Data<Gateway>,
    caller: Caller,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> HttpResponse {
    let (code, action) = path.into_inner();
    let answer = perform(&gateway, &caller, &request, &code, &action).await;
    caller.conclude(&gateway, Interaction::Administration, answer).await
}

async fn perform(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    code: &str,
    action: &str,
) -> Result<HttpResponse, ApiError> {
    let told = web::Query::<ActionQuery>::from_query(request.query_string())
        .map_err(|_| ApiError::invalid("query", "may hold patient, learn and version"))?;
    let patient = told.patient.as_deref().map(local_id).transpose()?;
    let member = member_code(code)?;
    let (desk, manager) = (gateway.exchange.member_desk(), Manager::Call(caller.call()));
    let changes = match action {
        "test" => {
            let checkup = desk.check(manager, &member, patient, told.learn).await?;
            let passed = checkup.passed();
            return Ok(HttpResponse::Ok().json(json!({ "passed": passed, "check": checkup })));
        }
        "activate" => desk.set_status(manager, &member, MemberStatus::Active, patient).await?,
        "drain" => desk.set_status(manager, &member, MemberStatus::Draining, None).await?,
        "suspend" => desk.set_status(manager, &member, MemberStatus::Suspended, None).await?,
        "revert" => {
            let version = told.version.ok_or(ApiError::invalid("version", "is missing"))?;
            desk.revert(manager, &member, version).await?
        }
        _ => return Err(ApiError::NoSuchInteraction),
    };
    Ok(changed(&changes, code))
}

fn changed(changes: &[Change], code: &str) -> HttpResponse {
    let change = changes.iter().find(|change| change.code().as_str() == code);
    let (status, what, fields) = match change {
        Some(Change::Added(_)) => (StatusCode::CREATED, "added", &[][..]),
        Some(Change::Changed { fields, .. }) => (StatusCode::OK, "changed", fields.as_slice()),
        _ => (StatusCode::OK, "unchanged", &[][..]),
    };
    let fields = fields
        .iter()
        .map(|field| json!({ "name": field.name, "before": field.before, "after": field.after }));
    HttpResponse::build(status)
        .json(json!({ "code": code, "change": what, "fields": fields.collect::<Vec<_>>() }))
}

fn entry(gateway: &Gateway, member: &Member) -> Value {
    let version = gateway.exchange.directory.version(member.code());
    json!({
        "version": version.map(|version| version.version),
        "recorded": version.map(|version| instant(version.recorded)),
        "member": member,
    })
}

fn instant(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn member_code(text: &str) -> Result<MemberCode, ApiError> {
    MemberCode::parse(text).map_err(|_| ExchangeError::UnknownMember.into())
}

fn local_id(text: &str) -> Result<LocalId, ApiError> {
    let told = text.split_once('|').and_then(|(system, value)| LocalId::parse(system, value).ok());
    told.ok_or(ApiError::invalid("patient", "must be system|value"))
}
