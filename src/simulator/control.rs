//! Where a test or a person changes what simulated members do wrong while they run: plain HTTP, and
//! only from this machine.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, http::StatusCode, web};
use serde_json::json;
use thiserror::Error;
use tokio::task::JoinHandle;

use super::{faults::Faults, running::Simulator, server::Shared};

/// Faults of one member as JSON stay far below this.
const BODY_BYTES_MAX: usize = 16 << 10;

/// The control address of some simulators.
///
/// `GET /members` lists them with their faults; `PUT /members/{code}/faults` sets a member's faults
/// as [`Faults`] tells; `DELETE` there makes it behave again.
#[derive(Debug)]
pub struct Control {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Control {
    /// Listens at a loopback address; port 0 takes a free one. To be called within a tokio runtime.
    pub fn start(bind: SocketAddr, simulators: &[Simulator]) -> Result<Self, ControlError> {
        if !bind.ip().is_loopback() {
            return Err(ControlError::NotLoopback(bind));
        }
        let failed = |source| ControlError::Bind { bind, source };
        let listener = TcpListener::bind(bind).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let members: Vec<web::Data<Shared>> = simulators.iter().map(Simulator::shared).collect();
        let members = web::Data::new(members);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::clone(&members))
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .route("/members", web::get().to(list))
                .route("/members/{code}/faults", web::get().to(show))
                .route("/members/{code}/faults", web::put().to(set))
                .route("/members/{code}/faults", web::delete().to(clear))
        })
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)
        .map_err(failed)?
        .run();
        let handle = server.handle();
        Ok(Self { address, handle, task: tokio::spawn(server) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the control address ended with an error");
        }
    }
}

type Members = web::Data<Vec<web::Data<Shared>>>;

async fn list(members: Members) -> HttpResponse {
    let told = members.iter().map(|member| {
        let code = member.answerer.data.code();
        json!({ "code": code.as_str(), "requests": member.requests(), "faults": member.faults() })
    });
    HttpResponse::Ok().json(told.collect::<Vec<_>>())
}

async fn show(members: Members, code: web::Path<String>) -> HttpResponse {
    match named(&members, &code) {
        Some(member) => HttpResponse::Ok().json(member.faults()),
        None => refuse(StatusCode::NOT_FOUND, "no such member"),
    }
}

async fn set(members: Members, code: web::Path<String>, body: web::Bytes) -> HttpResponse {
    let Some(member) = named(&members, &code) else {
        return refuse(StatusCode::NOT_FOUND, "no such member");
    };
    match serde_json::from_slice::<Faults>(&body) {
        Ok(faults) => play(member, faults),
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn clear(members: Members, code: web::Path<String>) -> HttpResponse {
    match named(&members, &code) {
        Some(member) => play(member, Faults::default()),
        None => refuse(StatusCode::NOT_FOUND, "no such member"),
    }
}

fn play(member: &Shared, faults: Faults) -> HttpResponse {
    match member.set_faults(faults) {
        Ok(()) => HttpResponse::Ok().json(member.faults()),
        Err(_) => refuse(StatusCode::CONFLICT, "this member has no certificates to go wrong with"),
    }
}

fn named<'a>(members: &'a Members, code: &str) -> Option<&'a Shared> {
    members.iter().map(|member| &***member).find(|one| one.answerer.data.code().as_str() == code)
}

fn refuse(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": text }))
}

/// Why there is no control address.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Not this machine's own.
    #[error("{0} is not a loopback address; faults are set from this machine alone")]
    NotLoopback(SocketAddr),
    /// The address is taken or not ours.
    #[error("cannot listen at {bind}")]
    Bind {
        /// The address.
        bind: SocketAddr,
        /// Why.
        source: io::Error,
    },
}
