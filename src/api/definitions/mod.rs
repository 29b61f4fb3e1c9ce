//! What this gateway defines itself: operations and search parameters that no standard has, one file
//! each, served as `OperationDefinition` and `SearchParameter`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use uuid::Uuid;

use super::{
    Gateway,
    caller::Caller,
    everything_routes::get_by_gateway_id,
    negotiate::check_accept,
    operations,
    render::{fhir_json, instant},
    searchset::{Mode, Searchset},
};

/// Type, id and content; `{base}` stands for the FHIR base.
const DEFINITIONS: [(&str, &str, &str); 3] = [
    ("OperationDefinition", "patient-ed-brief", include_str!("patient-ed-brief.json")),
    ("OperationDefinition", "patient-locate-records", include_str!("patient-locate-records.json")),
    (
        "SearchParameter",
        "patient-mothers-maiden-name",
        include_str!("patient-mothers-maiden-name.json"),
    ),
];

/// `GET /fhir/OperationDefinition/{id}` or `/fhir/SearchParameter/{id}`: ours, or a member's resource
/// by its gateway id.
pub(super) async fn get_definition(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (kind, id) = path.into_inner();
    if let Some((.., content)) = DEFINITIONS.iter().find(|one| (one.0, one.1) == (&*kind, &*id)) {
        return match check_accept(&request) {
            Ok(()) => fhir_json(StatusCode::OK).body(resolved(&gateway, content)),
            Err(error) => error.response(),
        };
    }
    if let (true, Some(content)) =
        (kind == "OperationDefinition", operations::definition(&gateway.settings.base_url, &id))
    {
        return match check_accept(&request) {
            Ok(()) => fhir_json(StatusCode::OK).body(content.to_string()),
            Err(error) => error.response(),
        };
    }
    get_by_gateway_id(&gateway, &caller, &request, &kind, &id).await
}

/// `GET /fhir/OperationDefinition` or `/fhir/SearchParameter`: all of ours.
pub(super) async fn list_definitions(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    kind: web::Path<String>,
) -> HttpResponse {
    if let Err(error) = check_accept(&request) {
        return error.response();
    }
    let ours = DEFINITIONS.iter().filter(|one| one.0 == kind.as_str());
    let base = &gateway.settings.base_url;
    let now = instant(gateway.exchange.clock.now());
    let mut set = Searchset::new(Uuid::new_v4().to_string(), now);
    let stewards =
        if &**kind == "OperationDefinition" { operations::all(base) } else { Vec::new() };
    set.total(ours.clone().count() + stewards.len());
    set.link("self", format!("{base}/{kind}"));
    for (kind, id, content) in ours {
        let url = format!("{base}/{kind}/{id}");
        set.push(Some(&url), &resolved(&gateway, content), Mode::Match);
    }
    for one in stewards {
        set.push(one["url"].as_str(), &one.to_string(), Mode::Match);
    }
    fhir_json(StatusCode::OK).body(set.into_json())
}

fn resolved(gateway: &Gateway, content: &str) -> String {
    content.replace("{base}", &gateway.settings.base_url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::Resource;

    #[test]
    fn each_definition_is_what_its_entry_says() {
        for (kind, id, content) in DEFINITIONS {
            let resource = Resource::parse(content.as_bytes()).expect("FHIR");
            assert_eq!((resource.resource_type(), resource.id()), (kind, Some(id)));
            assert!(content.contains(&format!("\"url\": \"{{base}}/{kind}/{id}\"")), "{id}");
        }
    }
}
