//! `DocumentReference/$docref`: a patient's documents by kind and time of care (US Core 6.1.0).

use actix_web::{HttpRequest, HttpResponse, web};
use url::form_urlencoded::Serializer;

use super::{
    Gateway,
    caller::Caller,
    error::ApiError,
    everything_routes::fhir_path,
    identifier_routes::{asked, single},
    search_input::SearchInput,
    search_routes::first_page,
};
use crate::{
    access::Interaction,
    fhir::{InvalidSearch, SearchQuery, search_parameters::parameter},
};

const DOCUMENT: &str = "DocumentReference";

/// `GET` or `POST /fhir/DocumentReference/$docref`.
pub(super) async fn docref(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let (call, pairs) = asked(&gateway, &caller, &request, payload).await?;
        let input = input(&pairs, &gateway.settings.base_url)?;
        first_page(&gateway, &call, input, fhir_path(&caller)).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ResourceSearch, answer).await
}

/// The search that the parameters stand for. With neither start nor end, the latest of each kind.
fn input(pairs: &[(String, String)], base_url: &str) -> Result<SearchInput, ApiError> {
    if single(pairs, "profile")?.is_some() {
        return Err(ApiError::NotSupported("documents are not chosen by profile here (profile)"));
    }
    if single(pairs, "on-demand")? == Some("true") {
        return Err(ApiError::NotSupported(
            "which documents a member makes on demand is not known here (on-demand)",
        ));
    }
    let patient = single(pairs, "patient")?.ok_or(ApiError::PatientRequired)?;
    let (start, end) = (single(pairs, "start")?, single(pairs, "end")?);
    let types: Vec<&str> =
        pairs.iter().filter(|(name, _)| name == "type").map(|(_, token)| &**token).collect();

    let mut query = Serializer::new(String::new());
    query.append_pair("patient", plain("patient", patient)?).append_pair("status", "current");
    if !types.is_empty() {
        query.append_pair("type", &types.join(","));
    }
    for (name, prefix, told) in [("start", "ge", start), ("end", "le", end)] {
        if let Some(told) = told {
            query.append_pair("period", &format!("{prefix}{}", plain(name, told)?));
        }
    }
    let mut input =
        SearchInput::read(DOCUMENT, SearchQuery::parse(&query.finish())?, base_url, true)?;
    if start.is_none() && end.is_none() {
        let search = input.search.as_mut();
        search.ok_or(ApiError::PatientRequired)?.selecting.latest_of_each =
            parameter(DOCUMENT, "type");
    }
    Ok(input)
}

/// A value that is one and no list: a comma would make alternatives of it.
fn plain<'a>(name: &str, value: &'a str) -> Result<&'a str, ApiError> {
    if value.is_empty() || value.contains(',') {
        return Err(InvalidSearch::Value(name.to_owned()).into());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://gw.example/fhir";
    const RUTH: &str = "0190a1b2-0000-7000-8000-000000000001";

    fn read(told: &[(&str, &str)]) -> Result<SearchInput, ApiError> {
        let pairs: Vec<(String, String)> =
            told.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        input(&pairs, BASE)
    }

    #[test]
    fn without_dates_the_latest_of_each_kind_is_meant() {
        let latest = |told: &[(&str, &str)]| {
            let input = read(told).expect("understood");
            input.search.expect("a search").selecting.latest_of_each.is_some()
        };
        assert!(latest(&[("patient", RUTH)]));
        assert!(latest(&[
            ("patient", RUTH),
            ("type", "http://loinc.org|34133-9"),
            ("type", "a|b")
        ]));
        assert!(!latest(&[("patient", RUTH), ("start", "2024-01-01T00:00:00Z")]));
        assert!(!latest(&[("patient", RUTH), ("end", "2024"), ("on-demand", "false")]));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let bad: [&[(&str, &str)]; 8] = [
            &[],
            &[("patient", "")],
            &[("patient", RUTH), ("patient", RUTH)],
            &[("patient", RUTH), ("start", "yesterday")],
            &[("patient", RUTH), ("end", "2024-01-01,2025-01-01")],
            &[("patient", RUTH), ("start", "2024"), ("start", "2025")],
            &[("patient", RUTH), ("on-demand", "true")],
            &[("patient", RUTH), ("profile", "http://x.example/p")],
        ];
        for told in bad {
            assert!(read(told).is_err(), "{told:?}");
        }
    }
}
