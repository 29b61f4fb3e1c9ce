//! FHIR R4 over HTTP: handlers parse, call one journey and render; they decide nothing.

mod body;
mod brief_routes;
mod caller;
mod capability;
mod consent_routes;
mod definitions;
mod directory_routes;
mod docref_routes;
mod document_routes;
mod error;
mod everything_routes;
mod everything_stream;
mod feed_routes;
mod identifier_routes;
mod job_routes;
mod match_input;
mod member_routes;
mod message_routes;
mod negotiate;
mod operations;
mod parameters;
mod patient_routes;
mod patient_search;
mod patient_search_routes;
mod render;
mod review_render;
mod review_routes;
mod search_input;
mod search_routes;
mod searchset;
mod steward_parameters;
mod steward_routes;
mod xml;

use std::sync::Arc;

use actix_web::{HttpResponse, http::StatusCode, middleware::from_fn, web};
use serde::Deserialize;

use crate::exchange::Exchange;

/// How the FHIR interface presents itself, and what it takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// The FHIR base that callers use, without a trailing slash; put into every link.
    pub base_url: String,
    /// What the exchange is called, in its CapabilityStatement.
    pub exchange_name: String,
    /// The longest request body, in bytes.
    pub body_bytes_max: usize,
    /// Entries of a record on one page, where none are told.
    pub page_entries_max: usize,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            base_url: "https://localhost:8443/fhir".to_owned(),
            exchange_name: "Tessera exchange".to_owned(),
            body_bytes_max: 1 << 20,
            page_entries_max: 10_000,
        }
    }
}

/// What every handler has at hand.
pub struct Gateway {
    exchange: Arc<Exchange>,
    settings: ApiSettings,
    capability: String,
}

impl Gateway {
    /// Sets the interface before an exchange.
    pub fn new(exchange: Arc<Exchange>, settings: ApiSettings) -> Self {
        let started = render::instant(exchange.clock.now());
        let capability =
            capability::capability_statement(&settings.base_url, &settings.exchange_name, &started);
        Self { exchange, settings, capability: capability.to_string() }
    }
}

/// Mounts the FHIR interface under `/fhir`.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/fhir")
            .wrap(from_fn(xml::translated))
            .route("/metadata", web::get().to(metadata))
            .configure(feeds)
            .service(
                web::resource("/Patient/_search")
                    .route(web::post().to(patient_search_routes::post_search))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(operation("/Patient/$summary", brief_routes::summary_by_identifier))
            .service(operation("/Patient/$ihe-pix", identifier_routes::ihe_pix))
            .service(operation("/Patient/$locate-records", identifier_routes::locate_by_identifier))
            .service(operation(
                "/Patient/{id}/$locate-records",
                identifier_routes::locate_of_patient,
            ))
            .service(
                web::resource("/Patient/$match")
                    .route(web::post().to(patient_routes::post_match))
                    .default_service(web::to(method_not_allowed)),
            )
            // Before what would take an operation for an id.
            .configure(stewardship)
            .service(
                web::resource("/Patient/{id}")
                    .route(web::get().to(patient_routes::get_patient))
                    .route(web::put().to(feed_routes::put_patient_by_id))
                    .route(web::delete().to(feed_routes::delete_patient_by_id))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/Patient/{id}/$everything")
                    .route(web::get().to(everything_routes::get_everything))
                    .route(web::post().to(everything_routes::post_everything))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/$job/{token}")
                    .route(web::get().to(job_routes::get_job))
                    .route(web::delete().to(job_routes::delete_job))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/$job/{token}/{type}")
                    .route(web::get().to(job_routes::get_file))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(operation("/Patient/{id}/$ed-brief", brief_routes::ed_brief))
            .service(operation("/Patient/{id}/$summary", brief_routes::summary))
            .service(operation("/DocumentReference/$docref", docref_routes::docref))
            .service(
                web::resource("/Binary/{id}")
                    .route(web::get().to(document_routes::get_binary))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/Consent/{id}")
                    .route(web::get().to(everything_routes::get_consent))
                    .route(web::put().to(consent_routes::put_consent))
                    .default_service(web::to(method_not_allowed)),
            )
            .configure(directory)
            .service(
                web::resource("/{type:OperationDefinition|SearchParameter}")
                    .route(web::get().to(definitions::list_definitions))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/{type:OperationDefinition|SearchParameter}/{id}")
                    .route(web::get().to(definitions::get_definition))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/{type:[A-Z][A-Za-z]*}")
                    .route(web::get().to(search_routes::get_search))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/{type:[A-Z][A-Za-z]*}/_search")
                    .route(web::post().to(search_routes::post_search))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource("/{type:[A-Z][A-Za-z]*}/{id}")
                    .route(web::get().to(everything_routes::get_resource))
                    .default_service(web::to(method_not_allowed)),
            )
            .default_service(web::to(no_such_interaction)),
    );
    config.configure(member_routes::routes);
    config.default_service(web::to(no_such_interaction));
}

/// What members feed by; patients are searched at the same path.
fn feeds(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/$process-message")
                .route(web::post().to(message_routes::process_message))
                .default_service(web::to(method_not_allowed)),
        )
        .service(
            web::resource("/Patient")
                .route(web::get().to(patient_search_routes::get_patients))
                .route(web::put().to(feed_routes::put_patient))
                .route(web::delete().to(feed_routes::delete_patient))
                .default_service(web::to(method_not_allowed)),
        );
}

/// An operation that changes nothing: by GET with parameters, or by POST.
fn operation<F, Args>(path: &str, handler: F) -> actix_web::Resource
where
    F: actix_web::Handler<Args, Output = HttpResponse> + Clone,
    Args: actix_web::FromRequest + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::post().to(handler))
        .default_service(web::to(method_not_allowed))
}

/// The members as an mCSD directory.
fn directory(config: &mut web::ServiceConfig) {
    for kind in ["Organization", "Endpoint", "OrganizationAffiliation"] {
        config
            .service(
                web::resource(format!("/{kind}"))
                    .route(web::get().to(directory_routes::search))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource(format!("/{kind}/_search"))
                    .route(web::post().to(directory_routes::post_search))
                    .default_service(web::to(method_not_allowed)),
            )
            .service(
                web::resource(format!("/{kind}/{{id}}"))
                    .route(web::get().to(directory_routes::read))
                    .default_service(web::to(method_not_allowed)),
            );
    }
}

/// What stewards work with.
fn stewardship(config: &mut web::ServiceConfig) {
    type Route = (&'static str, actix_web::Route);
    let routes: [Route; 11] = [
        ("/Task", web::get().to(review_routes::search_tasks)),
        ("/Task/{no}", web::get().to(review_routes::get_task)),
        ("/Task/{no}/$evidence", web::get().to(review_routes::get_evidence)),
        ("/Task/{no}/$claim", web::post().to(review_routes::post_claim)),
        ("/Task/{no}/$release", web::post().to(review_routes::post_release)),
        ("/Task/{no}/$decide", web::post().to(review_routes::post_decide)),
        ("/Patient/{id}/$separate-records", web::post().to(steward_routes::post_separate)),
        ("/Patient/{id}/$identity-history", web::get().to(steward_routes::get_history)),
        ("/Patient/$merge-persons", web::post().to(steward_routes::post_merge)),
        ("/Patient/$undo-decision", web::post().to(steward_routes::post_undo)),
        ("/Patient/$shown-while-mixed", web::get().to(steward_routes::get_shown)),
    ];
    for (path, route) in routes {
        let resource = web::resource(path).route(route);
        config.service(resource.default_service(web::to(method_not_allowed)));
    }
}

async fn metadata(gateway: web::Data<Gateway>, request: actix_web::HttpRequest) -> HttpResponse {
    match negotiate::check_accept(&request) {
        Ok(()) => render::fhir_json(StatusCode::OK).body(gateway.capability.clone()),
        Err(error) => error.response(),
    }
}

async fn method_not_allowed() -> HttpResponse {
    error::ApiError::MethodNotAllowed.response()
}

async fn no_such_interaction() -> HttpResponse {
    error::ApiError::NoSuchInteraction.response()
}
