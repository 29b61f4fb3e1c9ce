//! `/livez`, `/readyz` and `/metrics`, on a port of their own and without TLS: for the machine that
//! the gateway runs on, not for the network.

use std::{net::TcpListener, sync::Arc};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, http::header, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;

use super::StartError;
use crate::{exchange::Exchange, federation::Federation, storage::Database};

#[derive(Clone)]
struct Health {
    exchange: Arc<Exchange>,
    store: Database,
    metrics: Option<PrometheusHandle>,
}

pub(super) fn serve(
    listener: TcpListener,
    exchange: Arc<Exchange>,
    store: Database,
    metrics: Option<PrometheusHandle>,
) -> Result<(ServerHandle, JoinHandle<std::io::Result<()>>), StartError> {
    let health = web::Data::new(Health { exchange, store, metrics });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(health.clone())
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics_text))
            .route("/members", web::get().to(members))
    })
    .workers(1)
    .max_connections(64)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)
    .map_err(StartError::Serve)?
    .run();
    let handle = server.handle();
    Ok((handle, tokio::spawn(server)))
}

/// The process runs.
async fn livez() -> &'static str {
    "ok\n"
}

/// The gateway can answer: its store can be read, and written as far as it knows. A writer that has
/// stopped for good asks for a restart.
async fn readyz(health: web::Data<Health>) -> HttpResponse {
    if let Some(error) = health.store.stopped() {
        tracing::error!(%error, "not ready");
        return HttpResponse::ServiceUnavailable()
            .body("not ready: the database is no longer written, restart the gateway\n");
    }
    if let Some(error) = health.exchange.index.damage() {
        tracing::error!(%error, "not ready");
        return HttpResponse::ServiceUnavailable()
            .body("not ready: the journal is damaged, bring back the last backup\n");
    }
    match health.store.reader().meta("ready").await {
        Ok(_) => HttpResponse::Ok().body("ready\n"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            HttpResponse::ServiceUnavailable().body("not ready: the database cannot be read\n")
        }
    }
}

/// Prometheus text format.
async fn metrics_text(health: web::Data<Health>) -> HttpResponse {
    let Some(metrics) = &health.metrics else { return HttpResponse::NotFound().finish() };
    let index = &health.exchange.index;
    metrics::gauge!("tessera_index_records").set(index.records_total() as f64);
    metrics::gauge!("tessera_index_persons").set(index.persons_total() as f64);
    gauge_members(&health.exchange.federation);
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(metrics.render())
}

/// How every member is doing, as JSON: codes, counts and durations.
async fn members(health: web::Data<Health>) -> HttpResponse {
    let federation = &health.exchange.federation;
    HttpResponse::Ok().json(serde_json::json!({
        "own_certificate_days_left": federation.own_certificate_days_left(),
        "members": federation.health(),
    }))
}

fn gauge_members(federation: &Federation) {
    let days = |side: &'static str, member: String, days: Option<i64>| {
        if let Some(days) = days {
            metrics::gauge!("tessera_certificate_days_left", "side" => side, "member" => member)
                .set(days as f64);
        }
    };
    days("gateway", String::new(), federation.own_certificate_days_left());
    for one in federation.health() {
        let member = || one.code.to_string();
        metrics::gauge!("tessera_member_error_budget_left", "member" => member())
            .set(one.error_budget_left);
        metrics::gauge!("tessera_member_circuit_open", "member" => member())
            .set(f64::from(u8::from(one.circuit_open)));
        metrics::gauge!("tessera_member_emergency_deadline_ms", "member" => member())
            .set(one.emergency_deadline_ms as f64);
        metrics::gauge!("tessera_member_probe_failed", "member" => member())
            .set(f64::from(u8::from(one.fault.is_some())));
        for (quantile, ms) in [("0.5", one.p50_ms), ("0.95", one.p95_ms), ("0.99", one.p99_ms)] {
            if let Some(ms) = ms {
                metrics::gauge!("tessera_member_recent_request_ms",
                    "member" => member(), "quantile" => quantile)
                .set(ms as f64);
            }
        }
        days("member", member(), one.certificate_days_left);
    }
}
