//! Requests to one member, with all the patience it gets: deadline, bulkhead, circuit breaker,
//! retries and hedges. Every request is a read, so asking twice does no harm.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use metrics::{counter, gauge, histogram};
use tokio::{
    select,
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout_at},
};
use url::Url;

use super::{
    breaker::Breaker,
    health::Figures,
    outcome::{Cut, Fault, Refusal, Status},
    retry::{Budget, pause},
    settings::FederationSettings,
};
use crate::domain::MemberCode;

/// A timeout this long says that the member is slow; a shorter one, only that the asker was.
const TELLING_TIMEOUT: Duration = Duration::from_secs(1);

/// What carries requests to a member: HTTP over mutual TLS, or a script in tests.
pub(super) trait Transport: Send + Sync + 'static {
    /// Makes one request and reads its whole body, of at most `bytes_max` after inflating.
    fn send(
        &self,
        ask: &Ask,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Reply, TransportError>> + Send;
}

/// One request: a read or a search.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) url: Url,
    pub(super) sending: Sending,
}

/// How a request is sent.
#[derive(Clone, Debug)]
pub(super) enum Sending {
    Get,
    /// As `POST …/_search` with the query in the body, where it must stay out of the member's access
    /// log.
    PostedSearch,
    /// As `POST` of this JSON: an operation that changes nothing, such as `$match`.
    Operation(Bytes),
}

impl Ask {
    pub(super) fn get(url: Url) -> Self {
        Self { url, sending: Sending::Get }
    }

    pub(super) fn search(url: Url, by_post: bool) -> Self {
        Self { url, sending: if by_post { Sending::PostedSearch } else { Sending::Get } }
    }

    pub(super) fn operation(url: Url, json: Bytes) -> Self {
        Self { url, sending: Sending::Operation(json) }
    }
}

/// One response.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransportError {
    Connect,
    Tls,
    Broken,
    TooLarge,
    /// No token was given to us.
    LoginRefused,
}

/// Why a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AskError {
    pub(super) cause: AskFailure,
    pub(super) http_status: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskFailure {
    Deadline,
    TooLarge,
    Fault(Fault),
    Refused(Refusal),
}

impl AskError {
    pub(super) const fn fault(fault: Fault) -> Self {
        Self { cause: AskFailure::Fault(fault), http_status: None }
    }

    pub(super) fn of_transport(error: TransportError) -> Self {
        let cause = match error {
            TransportError::LoginRefused => AskFailure::Refused(Refusal::Login),
            TransportError::TooLarge => AskFailure::TooLarge,
            other => AskFailure::Fault(fault_of(other)),
        };
        Self { cause, http_status: None }
    }

    const fn deadline() -> Self {
        Self { cause: AskFailure::Deadline, http_status: None }
    }

    /// As the outcome of a member that gave nothing else.
    pub(super) const fn status(self) -> Status {
        match self.cause {
            AskFailure::Deadline => Status::TimedOut,
            AskFailure::TooLarge => Status::Truncated(Cut::Bytes),
            AskFailure::Fault(fault) => Status::Unreachable(fault),
            AskFailure::Refused(refusal) => Status::Refused(refusal),
        }
    }

    /// As the end of an answer of which something came.
    pub(super) const fn cut(self) -> Cut {
        match self.cause {
            AskFailure::Deadline => Cut::Deadline,
            AskFailure::TooLarge => Cut::Bytes,
            AskFailure::Fault(fault) => Cut::Failed(fault),
            AskFailure::Refused(refusal) => Cut::Refused(refusal),
        }
    }

    /// Whether the member merely does not serve this request, and might serve another.
    pub(super) const fn is_not_served(self) -> bool {
        matches!(self.cause, AskFailure::Refused(Refusal::NotServed))
    }
}

/// The requests to one member, over all queries.
pub(super) struct MemberClient<T> {
    member: MemberCode,
    transport: T,
    breaker: Breaker,
    bulkhead: Semaphore,
    requests_in_all: Arc<Semaphore>,
    retries: Budget,
    hedges: Budget,
    figures: Arc<Figures>,
    request_timeout: Duration,
    retry_pause: Duration,
    attempts_max: u32,
}

impl<T: Transport> MemberClient<T> {
    pub(super) fn new(
        member: MemberCode,
        transport: T,
        requests_max: usize,
        requests_in_all: Arc<Semaphore>,
        settings: &FederationSettings,
    ) -> Self {
        Self {
            member,
            transport,
            breaker: Breaker::new(settings.breaker_failures, settings.breaker_open()),
            bulkhead: Semaphore::new(requests_max.max(1)),
            requests_in_all,
            retries: Budget::full(settings.retry_budget_percent),
            hedges: Budget::empty(settings.hedge_budget_percent),
            figures: Arc::default(),
            request_timeout: settings.request_timeout(),
            retry_pause: settings.retry_pause(),
            attempts_max: settings.attempts_max.max(1),
        }
    }

    /// Counts into these figures, which outlive the connection.
    pub(super) fn with_figures(self, figures: Arc<Figures>) -> Self {
        Self { figures, ..self }
    }

    /// Asks until there is an answer of status 2xx, the patience is used up, or the deadline
    /// passes.
    pub(super) async fn ask(
        &self,
        ask: &Ask,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Bytes, AskError> {
        let mut attempt = 1;
        let mut earlier = None;
        loop {
            let (error, retry_after) = match self.attempt(ask, bytes_max, deadline).await {
                Ok(reply) => match failure_of(reply.status) {
                    None => return Ok(reply.body),
                    Some(cause) => {
                        (AskError { cause, http_status: Some(reply.status) }, reply.retry_after)
                    }
                },
                // The breaker opened between two attempts: what came of the first says more.
                Err(AskError { cause: AskFailure::Fault(Fault::CircuitOpen), .. })
                    if let Some(error) = earlier =>
                {
                    return Err(error);
                }
                Err(error) => (error, None),
            };
            earlier = Some(error);
            attempt += 1;
            if attempt > self.attempts_max || !is_worth_retrying(error) {
                return Err(error);
            }
            let resume =
                Instant::now() + pause(attempt, self.retry_pause, retry_after, fastrand::f64());
            if resume >= deadline || !self.retries.spend() {
                return Err(error);
            }
            counter!("tessera_member_retries_total", "member" => self.label()).increment(1);
            sleep_until(resume).await;
        }
    }

    async fn attempt(
        &self,
        ask: &Ask,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Reply, AskError> {
        let _room = timeout_at(deadline, self.room()).await.map_err(|_| AskError::deadline())?;
        let started = Instant::now();
        if started >= deadline {
            return Err(AskError::deadline());
        }
        let Some(attempt) = self.breaker.admit() else {
            return Err(AskError::fault(Fault::CircuitOpen));
        };
        self.retries.earn();
        self.hedges.earn();
        let until = deadline.min(started + self.request_timeout);
        let sent = timeout_at(until, self.send_hedged(ask, bytes_max, until)).await;
        let took = started.elapsed();
        let (result, label) = match sent {
            Ok(Ok(reply)) if reply.status >= 500 => {
                attempt.failed();
                (Ok(reply), "server-error")
            }
            Ok(Ok(reply)) => {
                attempt.succeeded();
                let label = if reply.status < 300 { "ok" } else { "refused" };
                (Ok(reply), label)
            }
            Ok(Err(TransportError::TooLarge)) => {
                attempt.succeeded();
                let error = AskError { cause: AskFailure::TooLarge, http_status: None };
                (Err(error), "too-large")
            }
            Ok(Err(TransportError::LoginRefused)) => {
                attempt.succeeded();
                (Err(AskError::of_transport(TransportError::LoginRefused)), "refused")
            }
            Ok(Err(error)) => {
                attempt.failed();
                (Err(AskError::fault(fault_of(error))), "broken")
            }
            Err(_) => {
                if took >= TELLING_TIMEOUT {
                    attempt.failed();
                }
                (Err(AskError::deadline()), "timed-out")
            }
        };
        let failed = matches!(label, "server-error" | "broken" | "timed-out");
        self.figures.count(failed, matches!(label, "ok" | "refused").then_some(took));
        counter!("tessera_member_requests_total", "member" => self.label(), "outcome" => label)
            .increment(1);
        histogram!("tessera_member_request_seconds", "member" => self.label())
            .record(took.as_secs_f64());
        let open = f64::from(u8::from(self.breaker.is_open()));
        gauge!("tessera_member_circuit_open", "member" => self.label()).set(open);
        result
    }

    /// A place among the requests under way, at this member first: who waits for a slow member
    /// must not hold a place that another member could use.
    async fn room(&self) -> (SemaphorePermit<'_>, SemaphorePermit<'_>) {
        let closed = "these semaphores are never closed";
        let here = self.bulkhead.acquire().await.expect(closed);
        let in_all = self.requests_in_all.acquire().await.expect(closed);
        (here, in_all)
    }

    /// Sends, and once more when no answer came within the member's own 95th percentile, where
    /// budget, bulkhead and time allow. The first answer counts.
    async fn send_hedged(
        &self,
        ask: &Ask,
        bytes_max: usize,
        until: Instant,
    ) -> Result<Reply, TransportError> {
        let mut first = pin!(self.transport.send(ask, bytes_max));
        let Some(hedge_at) = self.figures.latencies().p95().map(|p95| Instant::now() + p95) else {
            return first.await;
        };
        if hedge_at >= until {
            return first.await;
        }
        select! {
            result = &mut first => return result,
            () = sleep_until(hedge_at) => {}
        }
        let Ok(_here) = self.bulkhead.try_acquire() else { return first.await };
        let Ok(_in_all) = self.requests_in_all.try_acquire() else { return first.await };
        if !self.hedges.spend() {
            return first.await;
        }
        counter!("tessera_member_hedges_total", "member" => self.label()).increment(1);
        let mut second = pin!(self.transport.send(ask, bytes_max));
        select! {
            result = &mut first => if is_good(&result) { result } else { second.await },
            result = &mut second => if is_good(&result) { result } else { first.await },
        }
    }

    /// Whether the member is left alone just now.
    pub(super) fn circuit_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// What carries the requests.
    pub(super) fn transport(&self) -> &T {
        &self.transport
    }

    /// The member's code, for metrics.
    pub(super) fn label(&self) -> String {
        self.member.as_str().to_owned()
    }
}

fn is_good(result: &Result<Reply, TransportError>) -> bool {
    result.as_ref().is_ok_and(|reply| reply.status < 500 && reply.status != 429)
}

/// What another attempt may mend. A timeout is none of it: the time is gone.
fn is_worth_retrying(error: AskError) -> bool {
    match error.cause {
        AskFailure::Fault(Fault::Connect | Fault::Broken | Fault::Unavailable)
        | AskFailure::Refused(Refusal::Throttled) => true,
        AskFailure::Fault(
            Fault::Tls | Fault::ServerError | Fault::NotFhir | Fault::CircuitOpen | Fault::Internal,
        )
        | AskFailure::Refused(Refusal::Login | Refusal::Forbidden | Refusal::NotServed)
        | AskFailure::Deadline
        | AskFailure::TooLarge => false,
    }
}

fn fault_of(error: TransportError) -> Fault {
    match error {
        TransportError::Connect => Fault::Connect,
        TransportError::Tls => Fault::Tls,
        TransportError::Broken | TransportError::TooLarge | TransportError::LoginRefused => {
            Fault::Broken
        }
    }
}

/// `None` for success.
fn failure_of(status: u16) -> Option<AskFailure> {
    Some(match status {
        200..=299 => return None,
        401 => AskFailure::Refused(Refusal::Login),
        403 => AskFailure::Refused(Refusal::Forbidden),
        429 => AskFailure::Refused(Refusal::Throttled),
        400..=499 | 501 => AskFailure::Refused(Refusal::NotServed),
        502..=504 => AskFailure::Fault(Fault::Unavailable),
        // A redirect is not followed: it could lead our certificate elsewhere.
        _ => AskFailure::Fault(Fault::ServerError),
    })
}

#[cfg(test)]
mod tests;
