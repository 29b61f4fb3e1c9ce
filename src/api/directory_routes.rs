//! The members as an IHE mCSD directory: `Organization`, `Endpoint` and `OrganizationAffiliation`
//! (ITI-90), for every client of the exchange.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    everything_routes::get_by_gateway_id,
    negotiate::check_accept,
    render::{fhir_json, instant},
    searchset::{Mode, Searchset},
};
use crate::{
    access::Interaction,
    exchange::{DirectoryKind, DirectoryPage, ExchangeError, MemberDirectory, admit},
    fhir::search::{QUERY_BYTES_MAX, SearchQuery},
};

/// Entries on a page where `_count` says nothing, and at most.
const PAGE_ENTRIES: usize = 100;
const PAGE_ENTRIES_MAX: usize = 1_000;
/// Where the next page begins.
const OFFSET: &str = "_offset";

/// `GET /fhir/{type}?…`
pub(super) async fn search(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
) -> HttpResponse {
    let answer = found(&gateway, &caller, &request, "").await;
    caller.conclude(&gateway, Interaction::ResourceSearch, answer).await
}

/// `POST /fhir/{type}/_search`
pub(super) async fn post_search(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let form = body::read(payload, QUERY_BYTES_MAX).await?;
        let form = String::from_utf8(form.to_vec()).map_err(|_| ApiError::BodyUnreadable)?;
        found(&gateway, &caller, &request, &form).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ResourceSearch, answer).await
}

/// `GET /fhir/{type}/{id}`: the directory's own, or a member's under its gateway id.
pub(super) async fn read(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let Some(kind) = kind(&request) else { return ApiError::NoSuchInteraction.response() };
    if id.contains('.') {
        return get_by_gateway_id(&gateway, &caller, &request, kind.code(), &id).await;
    }
    let answer = async {
        check_accept(&request)?;
        admit(&gateway.exchange, caller.call(), Interaction::ResourceRead, None).await?;
        let resource = directory(&gateway).read(kind, &id);
        let resource = resource.ok_or(ExchangeError::UnknownResource)?;
        Ok(fhir_json(StatusCode::OK).body(resource.to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ResourceRead, answer).await
}

async fn found(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    form: &str,
) -> Result<HttpResponse, ApiError> {
    check_accept(request)?;
    admit(&gateway.exchange, caller.call(), Interaction::ResourceSearch, None).await?;
    let kind = kind(request).ok_or(ApiError::NoSuchInteraction)?;
    let mut query = SearchQuery::parse(request.query_string()).map_err(ApiError::BadSearch)?;
    query.extend(form).map_err(ApiError::BadSearch)?;
    let count = query.count().map_err(ApiError::BadSearch)?;
    let count = count.map_or(PAGE_ENTRIES, |count| count as usize).min(PAGE_ENTRIES_MAX);
    let offset = match query.single(OFFSET).map_err(ApiError::BadSearch)? {
        Some(told) => told.parse().map_err(|_| ApiError::invalid(OFFSET, "is not a page"))?,
        None => 0,
    };
    let query = query.only(|told| told.name() != OFFSET);
    let page = directory(gateway).search(kind, &query, offset, count);
    let page = page.map_err(ApiError::BadSearch)?;
    Ok(fhir_json(StatusCode::OK).body(render(gateway, kind, &page, (offset, count))))
}

fn render(
    gateway: &Gateway,
    kind: DirectoryKind,
    page: &DirectoryPage,
    (offset, count): (usize, usize),
) -> Vec<u8> {
    let base = &gateway.settings.base_url;
    let mut set = Searchset::new(Uuid::new_v4().to_string(), instant(gateway.exchange.clock.now()));
    let mark = if page.used.is_empty() { "" } else { "?" };
    set.link("self", format!("{base}/{}{mark}{}", kind.code(), page.used));
    set.total(page.total);
    let next = offset.saturating_add(count);
    if count > 0 && next < page.total {
        let and = if page.used.is_empty() { "" } else { "&" };
        set.link("next", format!("{base}/{}?{}{and}{OFFSET}={next}", kind.code(), page.used));
    }
    let text = |resource: &Value, name: &str| {
        resource[name].as_str().map(str::to_owned).unwrap_or_default()
    };
    for (resource, mode) in page
        .matches
        .iter()
        .map(|one| (one, Mode::Match))
        .chain(page.included.iter().map(|one| (one, Mode::Include)))
    {
        let url = format!("{base}/{}/{}", text(resource, "resourceType"), text(resource, "id"));
        set.push(Some(&url), &resource.to_string(), mode);
    }
    set.into_json()
}

fn directory(gateway: &Gateway) -> MemberDirectory<'_> {
    let exchange = &gateway.exchange;
    MemberDirectory::new(
        &exchange.directory,
        &exchange.settings.name,
        exchange.settings.organization.as_deref(),
        exchange.clock.now(),
    )
}

fn kind(request: &HttpRequest) -> Option<DirectoryKind> {
    let mut segments = request.path().strip_prefix("/fhir/")?.split('/');
    DirectoryKind::parse(segments.next()?)
}
