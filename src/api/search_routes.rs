//! Searches of clinical resources by type: `GET {Type}?patient=…` and `POST {Type}/_search`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use uuid::Uuid;

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    everything_routes::{fhir_path, outcome_json},
    negotiate::{check_accept, check_form, is_strict},
    render::{fhir_json, instant},
    search_input::SearchInput,
    searchset::{Mode, Searchset},
};
use crate::{
    access::Interaction,
    exchange::{
        Call, ExchangeError, FoundResources, Selection, Snapshot, next_page_of_search,
        read_resource, reservation, search_record,
    },
    fhir::SearchQuery,
    record::Original,
};

/// `GET /fhir/{Type}?patient=…`.
pub(super) async fn get_search(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    resource_type: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let query = SearchQuery::parse(request.query_string())?;
        search(&gateway, &caller, &request, &resource_type, query).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ResourceSearch, answer).await
}

/// `POST /fhir/{Type}/_search`: parameters in the body, in the URL, or in both.
pub(super) async fn post_search(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    resource_type: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let body = body::read(payload, gateway.settings.body_bytes_max).await?;
        if !body.is_empty() {
            check_form(&request)?;
        }
        let mut query = SearchQuery::parse(request.query_string())?;
        query.extend(std::str::from_utf8(&body).map_err(|_| ApiError::BodyUnreadable)?)?;
        search(&gateway, &caller, &request, &resource_type, query).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ResourceSearch, answer).await
}

async fn search(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    resource_type: &str,
    query: SearchQuery,
) -> Result<HttpResponse, ApiError> {
    let base = &gateway.settings.base_url;
    let input = SearchInput::read(resource_type, query, base, is_strict(request))?;
    if let Some((token, offset)) = input.page {
        let found = next_page_of_search(&gateway.exchange, caller.call(), resource_type, token);
        let found = found.await?.into_inner();
        let page = Page { offset, count: input.count, self_url: fhir_path(caller) };
        return Ok(fhir_json(StatusCode::OK).body(render(gateway, &found, &page, &input)));
    }
    let self_url = format!("/{resource_type}?{}", input.used.encode());
    if let (None, Some(id)) = (&input.search, &input.by_id) {
        return by_id(gateway, caller.call(), resource_type, id, &input, &self_url).await;
    }
    first_page(gateway, caller.call(), input, self_url).await
}

/// A search by id alone: a read whose answer is a set.
async fn by_id(
    gateway: &Gateway,
    call: &Call,
    resource_type: &str,
    id: &str,
    input: &SearchInput,
    self_url: &str,
) -> Result<HttpResponse, ApiError> {
    let found = match read_resource(&gateway.exchange, call, resource_type, id).await {
        Ok(found) => found.into_inner(),
        Err(ExchangeError::UnknownResource) => {
            return Ok(fhir_json(StatusCode::OK).body(nothing(gateway, self_url, input)));
        }
        Err(error) => return Err(error.into()),
    };
    let base = &gateway.settings.base_url;
    let now = instant(gateway.exchange.clock.now());
    let mut set = Searchset::new(Uuid::new_v4().to_string(), now);
    set.link("self", format!("{base}{self_url}"));
    set.total(1);
    if !input.count_only {
        set.push(Some(&format!("{base}/{resource_type}/{id}")), &found, Mode::Match);
    }
    if !input.notes.is_empty() {
        set.push(None, &outcome_json(&input.notes), Mode::Outcome);
    }
    Ok(fhir_json(StatusCode::OK).body(set.into_json()))
}

/// Searches, and shows the first page of what is found. `self_url` is below the FHIR base.
pub(super) async fn first_page(
    gateway: &Gateway,
    call: &Call,
    mut input: SearchInput,
    self_url: String,
) -> Result<HttpResponse, ApiError> {
    let search = input.search.take().ok_or(ApiError::PatientRequired)?;
    let found = search_record(&gateway.exchange, call, search).await?.into_inner();
    let Some(found) = found else {
        return Ok(fhir_json(StatusCode::OK).body(nothing(gateway, &self_url, &input)));
    };
    let page = Page { offset: 0, count: input.count, self_url };
    Ok(fhir_json(StatusCode::OK).body(render(gateway, &found, &page, &input)))
}

/// Which part of the matches is shown.
struct Page {
    offset: usize,
    count: Option<usize>,
    /// Below the FHIR base.
    self_url: String,
}

fn nothing(gateway: &Gateway, self_url: &str, input: &SearchInput) -> Vec<u8> {
    let now = instant(gateway.exchange.clock.now());
    let mut set = Searchset::new(Uuid::new_v4().to_string(), now);
    set.link("self", format!("{}{self_url}", gateway.settings.base_url));
    set.total(0);
    let mut notes = input.notes.clone();
    notes.push(reservation());
    set.push(None, &outcome_json(&notes), Mode::Outcome);
    set.into_json()
}

fn render(gateway: &Gateway, found: &FoundResources, page: &Page, input: &SearchInput) -> Vec<u8> {
    let snapshot = &found.snapshot;
    let base = &gateway.settings.base_url;
    let mut set = Searchset::new(Uuid::new_v4().to_string(), instant(snapshot.taken));
    set.link("self", format!("{base}{}", page.self_url));
    let Some(selection) = &snapshot.selection else { return set.into_json() };
    let total = selection.places.len();
    // A partial sum is not the number of matches.
    if snapshot.complete {
        set.total(total);
    }
    let mut notes = input.notes.clone();
    notes.extend(snapshot.statement.iter().cloned());
    if input.count_only {
        notes.extend((!snapshot.complete).then(|| super::search_input::at_least(total)));
        set.push(None, &outcome_json(&notes), Mode::Outcome);
        return set.into_json();
    }
    let size = page.count.unwrap_or(usize::MAX);
    let end = page.offset.saturating_add(size).min(total);
    entries(&mut set, base, snapshot, selection, page.offset.min(end)..end);
    if end < total {
        let (kind, token) = (&selection.selecting.resource_type, found.token);
        let looks = input.used.clone().only(|told| ["_format", "_pretty"].contains(&told.name()));
        let looks = looks.encode();
        let and = if looks.is_empty() { "" } else { "&" };
        let page = format!("_snapshot={token}&_offset={end}&_count={size}{and}{looks}");
        set.link("next", format!("{base}/{kind}?{page}"));
    }
    set.push(None, &outcome_json(&notes), Mode::Outcome);
    set.into_json()
}

fn entries(
    set: &mut Searchset,
    base: &str,
    snapshot: &Snapshot,
    selection: &Selection,
    range: std::ops::Range<usize>,
) {
    let record = &snapshot.record;
    let places = selection.places.get(range).unwrap_or_default();
    let included = record.included(places, &selection.selecting.includes);
    let mut push = |original: &Original, mode: Mode| {
        let url = format!("{base}/{}/{}", original.resource_type, original.gateway_id);
        set.push(Some(&url), &original.json, mode);
    };
    let originals = record.originals();
    for original in places.iter().filter_map(|place| originals.get(*place as usize)) {
        push(original, Mode::Match);
    }
    for original in included.originals.iter().filter_map(|place| originals.get(*place as usize)) {
        push(original, Mode::Include);
    }
    for (place, own) in record.own().enumerate() {
        if included.own.contains(&(place as u32)) {
            let url = format!("{base}/{}/{}", own.resource_type, own.id);
            set.push(Some(&url), own.json, Mode::Include);
        }
    }
    if included.person {
        let url = format!("{base}/Patient/{}", snapshot.person);
        set.push(Some(&url), &snapshot.view.to_json(), Mode::Include);
    }
}
