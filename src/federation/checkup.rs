//! A walk through everything that an active member needs, with what is wrong in plain words.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    capability::Capabilities,
    checkup_discovery::look_for_nobody,
    checkup_record::RecordWalk,
    connection::{Connection, GatewayIdentity, Means, tls_towards},
    member_client::{Ask, AskError, AskFailure},
    outcome::{Fault, Refusal},
    statement::{fault_words, refusal_words},
    visit::STATEMENT_BYTES_MAX,
};
use crate::{
    directory::{Authorization, Learned, Member, Quirk},
    domain::LocalId,
    fhir::Bundle,
    tls::{HandshakeFault, SeenCertificate, shake_hands},
};

/// How long one step may take.
pub(super) const STEP_PATIENCE: Duration = Duration::from_secs(10);
/// A page of the walk stays far below this.
pub(super) const PAGE_BYTES_MAX: usize = 16 << 20;

/// What a walk through a member's server found. Holds no patient data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    /// The steps, in the order in which they were taken; what stands behind a failed one is skipped.
    pub steps: Vec<Step>,
    /// What the walk noticed of its server.
    #[serde(flatten)]
    pub learned: Learned,
    /// What it says it can do.
    pub capabilities: Option<Capabilities>,
    /// When its certificate ends.
    #[serde(with = "unix_seconds")]
    pub certificate_ends: Option<OffsetDateTime>,
}

mod unix_seconds {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
    use time::OffsetDateTime;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        told: &Option<OffsetDateTime>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        told.map(OffsetDateTime::unix_timestamp).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<OffsetDateTime>, D::Error> {
        let told = Option::<i64>::deserialize(from)?;
        told.map(OffsetDateTime::from_unix_timestamp).transpose().map_err(D::Error::custom)
    }
}

/// One step of the walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was tried.
    pub name: String,
    /// How it went.
    pub result: StepResult,
    /// What was found, or what to do, in plain words.
    pub told: String,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepResult {
    /// As it should be.
    Passed,
    /// Usable, and somebody should look at it.
    Warned,
    /// Not usable.
    Failed,
    /// Not tried.
    Skipped,
}

/// What a look at a member found; either part may be missing.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// What it says it can do.
    pub capabilities: Option<Capabilities>,
    /// When its certificate ends.
    pub certificate_ends: Option<OffsetDateTime>,
    /// What went wrong, in plain words.
    pub fault: Option<String>,
}

impl Checkup {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.result != StepResult::Failed)
    }

    /// The first failure, as one line.
    pub fn failure(&self) -> Option<String> {
        let failed = self.steps.iter().find(|step| step.result == StepResult::Failed)?;
        Some(format!("{}: {}", failed.name, failed.told))
    }

    /// A walk that ended with the process.
    pub(super) fn interrupted() -> Self {
        let mut report = Self::default();
        report.failed("check", "the check was interrupted");
        report
    }

    pub(super) fn passed_step(&mut self, name: &str, told: impl Into<String>) {
        self.step(name, StepResult::Passed, told);
    }

    pub(super) fn warned(&mut self, name: &str, told: impl Into<String>) {
        self.step(name, StepResult::Warned, told);
    }

    pub(super) fn failed(&mut self, name: &str, told: impl Into<String>) {
        self.step(name, StepResult::Failed, told);
    }

    pub(super) fn skipped(&mut self, name: &str, told: impl Into<String>) {
        self.step(name, StepResult::Skipped, told);
    }

    fn step(&mut self, name: &str, result: StepResult, told: impl Into<String>) {
        self.steps.push(Step { name: name.to_owned(), result, told: told.into() });
    }
}

/// Looks at the certificate and the CapabilityStatement.
pub(super) async fn probe(member: &Member, identity: Arc<GatewayIdentity>, means: &Means) -> Probe {
    let mut report = Checkup::default();
    if let Some(connection) = reach(&mut report, member, identity, means).await {
        read_statement(&mut report, &connection).await;
    }
    Probe {
        fault: report.failure(),
        capabilities: report.capabilities,
        certificate_ends: report.certificate_ends,
    }
}

/// The whole walk. Without a patient to try with, it asks only for what nobody has.
pub(super) async fn check(
    member: &Member,
    identity: Arc<GatewayIdentity>,
    means: &Means,
    patient: Option<&LocalId>,
) -> Checkup {
    let mut report = Checkup::default();
    let Some(connection) = reach(&mut report, member, identity, means).await else {
        return report;
    };
    authorize(&mut report, &connection).await;
    if !report.passed() {
        return report;
    }
    read_statement(&mut report, &connection).await;
    let by_post = search_for_nobody(&mut report, &connection).await;
    if !report.passed() {
        return report;
    }
    let settings = &*means.settings;
    let discovers = look_for_nobody(&mut report, &connection, settings).await;
    match patient {
        Some(patient) => {
            let walk =
                RecordWalk { connection: &connection, patient, by_post, settings, discovers };
            walk.walk(&mut report).await;
        }
        None => read_nobody(&mut report, &connection).await,
    }
    report
}

/// Address, connection and TLS; the connection for what comes after.
async fn reach(
    report: &mut Checkup,
    member: &Member,
    identity: Arc<GatewayIdentity>,
    means: &Means,
) -> Option<Connection> {
    let url = member.fhir_base();
    let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let looked_up = timeout(STEP_PATIENCE, tokio::net::lookup_host((bare.as_str(), port))).await;
    let addresses: Vec<SocketAddr> = match looked_up {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let Some(address) = addresses.first().copied() else {
        report.failed("address", format!("{bare} has no address; is the name in DNS?"));
        return None;
    };
    report.passed_step("address", format!("{bare} is {}", address.ip()));
    let tls = match tls_towards(member, &identity) {
        Ok(tls) => tls,
        Err(why) => {
            report.failed("TLS", why);
            return None;
        }
    };
    let path = format!("{}/metadata", url.path().trim_end_matches('/'));
    let shaken = addresses.into_iter().take(2).map(|address| {
        let (tls, host, path) = (tls.clone(), bare.clone(), path.clone());
        let expected = member.server_name().unwrap_or(&bare).to_owned();
        move || shake_hands(address, (&host, &expected), tls, &path, STEP_PATIENCE)
    });
    let mut result = Err(HandshakeFault::Silent);
    for attempt in shaken {
        result = tokio::task::spawn_blocking(attempt)
            .await
            .unwrap_or_else(|_| Err(HandshakeFault::Broken("interrupted".to_owned())));
        if !matches!(result, Err(HandshakeFault::NoConnection(_))) {
            break;
        }
    }
    settle_handshake(report, result, means.clock.now())?;
    match Connection::new(member, identity, means, Arc::default()) {
        Ok(connection) => Some(connection),
        Err(why) => {
            report.failed("authorization", why);
            None
        }
    }
}

/// Days before its end from which on a certificate is warned of.
const CERTIFICATE_DAYS_LEFT: i64 = 14;

fn settle_handshake(
    report: &mut Checkup,
    result: Result<SeenCertificate, HandshakeFault>,
    now: OffsetDateTime,
) -> Option<()> {
    let seen = match result {
        Ok(seen) => seen,
        Err(fault @ HandshakeFault::NoConnection(_)) => {
            report.failed("connection", fault.to_string());
            return None;
        }
        Err(fault) => {
            report.passed_step("connection", "the port is open");
            report.failed("TLS", fault.to_string());
            return None;
        }
    };
    report.passed_step("connection", "the port is open");
    report.certificate_ends = Some(seen.not_after);
    let days = (seen.not_after - now).whole_days();
    let told = format!(
        "TLS {}; each side accepts the other's certificate; the server's is good for {days} days",
        seen.version
    );
    if days < CERTIFICATE_DAYS_LEFT {
        report.warned("TLS", told);
    } else {
        report.passed_step("TLS", told);
    }
    Some(())
}

async fn authorize(report: &mut Checkup, connection: &Connection) {
    const NAME: &str = "authorization";
    if *connection.member.authorization() == Authorization::None {
        report.skipped(NAME, "none is configured: the certificate is enough");
        return;
    }
    let url = connection.base.metadata();
    match timeout(STEP_PATIENCE, connection.client.transport().token_for(&url)).await {
        Ok(Ok(())) => report.passed_step(NAME, "a token was given out"),
        Ok(Err(error)) => report.failed(NAME, format!("no token: {}", words(error))),
        Err(_) => report.failed(NAME, "no token: its token endpoint did not answer in time"),
    }
}

async fn read_statement(report: &mut Checkup, connection: &Connection) {
    const NAME: &str = "capabilities";
    let ask = Ask::get(connection.base.metadata());
    let deadline = Instant::now() + STEP_PATIENCE;
    let told = match connection.client.ask(&ask, STATEMENT_BYTES_MAX, deadline).await {
        Ok(body) => Capabilities::parse(&body),
        Err(error) => {
            report.failed(NAME, format!("/metadata: {}", words(error)));
            return;
        }
    };
    match told {
        Err(_) => report.failed(NAME, "/metadata gave something else than a CapabilityStatement"),
        Ok(told) if !told.fhir_version.starts_with("4.0") => {
            let version = &told.fhir_version;
            report.failed(NAME, format!("it speaks FHIR {version:?}; R4 (4.0.1) is needed"));
        }
        Ok(told) => {
            let everything =
                if told.everything { "with" } else { "without, so it is searched by type:" };
            let text = format!(
                "FHIR {}, {} resource types, {everything} Patient/$everything ({})",
                told.fhir_version,
                told.types.len(),
                told.software
            );
            report.passed_step(NAME, text);
            report.capabilities = Some(told);
        }
    }
}

/// Searches for an identifier that nobody has; whether it must be by POST.
async fn search_for_nobody(report: &mut Checkup, connection: &Connection) -> bool {
    const NAME: &str = "search";
    let member = &connection.member;
    let system = member.identifier_systems().first().map(String::as_str).unwrap_or_default();
    let Ok(nobody) = LocalId::parse(system, &format!("check-{}", Uuid::new_v4().simple())) else {
        return false;
    };
    let plain = connection.base.patients_with(&nobody);
    let mut by_post = member.has_quirk(Quirk::PostSearch);
    let mut answer = asked(connection, &Ask::search(plain.clone(), by_post)).await;
    if !by_post && answer.as_ref().is_err_and(|error| error.is_not_served()) {
        let posted = asked(connection, &Ask::search(plain.clone(), true)).await;
        if posted.is_ok() {
            report.learned.quirk(Quirk::PostSearch);
            by_post = true;
            answer = posted;
        }
    }
    let body = match answer {
        Ok(body) => body,
        Err(error) => {
            report.failed(NAME, format!("Patient?identifier=…: {}", words(error)));
            return by_post;
        }
    };
    let Ok(found) = Bundle::parse(&body) else {
        report.failed(NAME, "Patient?identifier=… gave something else than a Bundle");
        return by_post;
    };
    let patients =
        found.entries.iter().filter(|entry| entry.resource.resource_type() == "Patient").count();
    if patients > 0 {
        let text = format!(
            "it ignores the identifier: {patients} patients for one that nobody has; whatever is \
             not the patient's is dropped, and its operator should mend it"
        );
        report.warned(NAME, text);
    } else {
        report.passed_step(NAME, "an identifier that nobody has finds nobody");
    }
    let mut counted = plain;
    counted.query_pairs_mut().append_pair("_count", "1");
    let counted = asked(connection, &Ask::search(counted, by_post)).await;
    if counted.is_err_and(AskError::is_not_served) && !member.has_quirk(Quirk::NoCount) {
        report.learned.quirk(Quirk::NoCount);
    }
    by_post
}

async fn read_nobody(report: &mut Checkup, connection: &Connection) {
    const NAME: &str = "read";
    let id = format!("check-{}", Uuid::new_v4().simple());
    let ask = Ask::get(connection.base.below(&["Patient", &id]));
    match asked(connection, &ask).await {
        Err(error) if matches!(error.http_status, Some(404 | 410)) => {
            report.passed_step(NAME, "an id that nobody has is not found");
        }
        Err(error) => report.failed(NAME, format!("Patient/…: {}", words(error))),
        Ok(_) => report.failed(NAME, "it gave a resource for an id that nobody has"),
    }
    let needs = "needs a patient to try with: --patient 'system|value'";
    report.skipped("record", needs);
    report.skipped("paging", needs);
}

pub(super) async fn asked(connection: &Connection, ask: &Ask) -> Result<bytes::Bytes, AskError> {
    let deadline = Instant::now() + STEP_PATIENCE;
    connection.client.ask(ask, PAGE_BYTES_MAX, deadline).await
}

/// An error as an operator reads it.
pub(super) fn words(error: AskError) -> String {
    let what = match error.cause {
        AskFailure::Deadline => "it did not answer in time",
        AskFailure::TooLarge => "its answer is larger than a page may be",
        AskFailure::Fault(Fault::Connect) => "it could not be reached",
        AskFailure::Fault(fault) => fault_words(fault),
        AskFailure::Refused(Refusal::Login) => {
            "it does not accept the gateway's authorization; see the member's `authorization`"
        }
        AskFailure::Refused(Refusal::Forbidden) => {
            "it forbids this; its operator must give the gateway the right to read"
        }
        AskFailure::Refused(refusal) => refusal_words(refusal),
    };
    match error.http_status {
        Some(status) => format!("{what} (HTTP {status})"),
        None => what.to_owned(),
    }
}
