//! A record as NDJSON: one resource a line, as members answer.

use std::{io, sync::Arc};

use actix_web::{HttpResponse, http::header, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::sync::mpsc::{self, Receiver};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    Gateway,
    caller::Caller,
    error::ApiError,
    everything_routes::{fhir_path, outcome_json},
    negotiate::FHIR_NDJSON,
    render::instant,
    search_input::{OFFSET, SNAPSHOT},
};
use crate::{
    domain::EnterpriseId,
    exchange::{EverythingQuery, ExchangeError, RetrievedRecord, Streamed, Stretch, stream_record},
    tls::ClientSocket,
};

/// Stretches that wait for the client; the next one is made while this one is sent.
const WAITING_MAX: usize = 1;

/// Answers with the first stretch as soon as it is there. What goes wrong before is an error like any
/// other; what goes wrong after breaks the connection off, so that no client takes a part for the whole.
pub(super) async fn stream_everything(
    gateway: &web::Data<Gateway>,
    caller: &Caller,
    id: EnterpriseId,
    query: EverythingQuery,
) -> Result<HttpResponse, ApiError> {
    let (to, mut from) = mpsc::channel(WAITING_MAX);
    let work = stream_record(Arc::clone(&gateway.exchange), caller.call().clone(), id, query, to);
    let work = AbortOnDropHandle::new(tokio::spawn(work));
    let first = tokio::select! {
        first = from.recv() => first,
        () = caller.gone() => return Err(ApiError::ClientGone),
    };
    // Nothing at all comes only of a gateway that stops.
    let first = first.unwrap_or(Err(ExchangeError::Busy))?.into_inner();
    let reading = Reading {
        self_url: format!("{}{}", gateway.settings.base_url, fhir_path(caller)),
        gateway: gateway.clone(),
        first: Some(first),
        from,
        socket: caller.socket(),
        _work: work,
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, FHIR_NDJSON))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(response.streaming(body(reading)))
}

/// A client that reads. Dropping it stops the work behind it.
struct Reading {
    gateway: web::Data<Gateway>,
    self_url: String,
    first: Option<Stretch>,
    from: Receiver<Streamed>,
    socket: Option<ClientSocket>,
    _work: AbortOnDropHandle<()>,
}

impl Reading {
    async fn next(&mut self) -> Option<Stretch> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let gone = async {
            match &self.socket {
                Some(socket) => socket.closed().await,
                None => std::future::pending().await,
            }
        };
        let streamed = tokio::select! {
            streamed = self.from.recv() => streamed?,
            () = gone => return None,
        };
        // An error has been audited, and logged where it was ours.
        streamed.ok().map(crate::access::Released::into_inner)
    }
}

fn body(reading: Reading) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await {
            Some(Stretch::Copies(copies)) => {
                let mut lines = Vec::new();
                for copy in &copies {
                    push(&mut lines, copy);
                }
                Some((Ok(lines.into()), Some(reading)))
            }
            Some(Stretch::End(record)) => {
                let lines = end(&reading.gateway, &record, &reading.self_url);
                Some((Ok(lines.into()), None))
            }
            None => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)),
        }
    })
}

/// The last lines: the person, what the exchange says itself, who answered and what is missing, and a
/// Bundle without entries that leads to the record put together.
fn end(gateway: &Gateway, retrieved: &RetrievedRecord, self_url: &str) -> Vec<u8> {
    let (snapshot, token) = (&retrieved.snapshot, retrieved.token);
    let (base, person) = (&gateway.settings.base_url, snapshot.person);
    let mut lines = Vec::new();
    push(&mut lines, &snapshot.view.to_json());
    for own in snapshot.record.own() {
        push(&mut lines, own.json);
    }
    push(&mut lines, &outcome_json(&snapshot.statement));
    let whole = format!("{base}/Patient/{person}/$everything?{SNAPSHOT}={token}&{OFFSET}=0");
    let mut bundle = json!({
        "resourceType": "Bundle",
        "id": Uuid::new_v4(),
        "meta": { "lastUpdated": instant(snapshot.taken) },
        "type": "searchset",
        "link": [{ "relation": "self", "url": self_url }, { "relation": "alternate", "url": whole }],
    });
    if snapshot.complete {
        bundle["total"] = json!(snapshot.record.facts().count() + 1);
    }
    push(&mut lines, &bundle.to_string());
    lines
}

/// A resource as a line. Within JSON a line break can only stand between elements, and a blank does as
/// well there.
pub(super) fn push(lines: &mut Vec<u8>, json: &str) {
    let breaks = |byte: u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte };
    lines.extend(json.bytes().map(breaks));
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_of_many_lines_is_written_as_one() {
        let mut lines = Vec::new();
        push(&mut lines, "{\n  \"id\":\r\n  \"a\\nb\"\n}");
        push(&mut lines, "{}");
        let text = String::from_utf8(lines).expect("UTF-8");
        assert_eq!(text, "{   \"id\":    \"a\\nb\" }\n{}\n");
    }
}
