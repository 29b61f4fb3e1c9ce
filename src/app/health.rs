//! `/livez`, `/readyz` and `/metrics`, on a port of their own and without TLS: for the machine that
//! the gateway runs on, not for the network.

use std::{net::TcpListener, sync::Arc};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, http::header, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;

use super::StartError;
use crate::{exchange::Exchange, storage::Database};

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
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(metrics.render())
}
