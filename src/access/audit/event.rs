use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::AuditSettings;
use super::action::{AuditNote, AuditStart, Closing, Disclosure, Interaction, Pattern, RawRequest};
use crate::access::Refusal;
use crate::domain::{EnterpriseId, PurposeOfUse};

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
/// The subtype of an event in which demographics went to a member.
pub(super) const DISCOVERY: &str = "discovery";
const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";

/// FHIR R4 `audit-event-outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 0
    Success,
    /// 4: refused, wrong, or given up by the client.
    Minor,
    /// 8: we could not.
    Serious,
    /// 12: the process ended.
    Major,
}

impl Outcome {
    const fn code(self) -> &'static str {
        match self {
            Self::Success => "0",
            Self::Minor => "4",
            Self::Serious => "8",
            Self::Major => "12",
        }
    }
}

/// One audit event, and whom it is about.
pub(super) struct Event {
    pub(super) person: Option<EnterpriseId>,
    pub(super) body: String,
}

/// The event that opens an action: what is about to be done, without an outcome.
pub(super) fn opening(settings: &AuditSettings, start: &AuditStart, now: OffsetDateTime) -> Event {
    let facts = Facts { person: start.patient, ..Facts::of(start) };
    facts.event(settings, start, now)
}

/// The events that close an action: one for each patient whose data were released, and a security
/// alert beside it where the glass was broken.
pub(super) fn closing(
    settings: &AuditSettings,
    start: &AuditStart,
    closing: &Closing,
    now: OffsetDateTime,
) -> Vec<Event> {
    let mut facts = Facts { person: start.patient, ..Facts::of(start) };
    match closing {
        Closing::Disclosed(disclosures) => {
            return disclosed(settings, start, disclosures, now);
        }
        Closing::Judged { disclosures, notes } => {
            return judged(settings, start, (disclosures, notes), now);
        }
        Closing::Looked(persons) => return reviewed(settings, start, None, persons, now),
        Closing::Decided { resource, persons } => {
            return reviewed(settings, start, Some(resource), persons, now);
        }
        Closing::Wrote { resource, person, created } => {
            facts.outcome = Some(Outcome::Success);
            facts.created = *created;
            facts.resource = Some(resource);
            facts.person = *person;
        }
        Closing::Refused(refusal) => {
            facts.outcome = Some(Outcome::Minor);
            facts.reason = Some(refusal.audit_reason());
            facts.alert = is_authentication(refusal).then_some(Alert::NodeAuthentication);
        }
        Closing::Rejected(reason) => {
            facts.outcome = Some(Outcome::Minor);
            facts.reason = Some((*reason).to_owned());
        }
        Closing::Failed(reason) => {
            facts.outcome = Some(Outcome::Serious);
            facts.reason = Some((*reason).to_owned());
        }
    }
    vec![facts.event(settings, start, now)]
}

/// The event that closes an action whose handler went away.
pub(super) fn given_up(
    settings: &AuditSettings,
    start: &AuditStart,
    outcome: Outcome,
    reason: &str,
    now: OffsetDateTime,
) -> Event {
    let facts = Facts {
        person: start.patient,
        outcome: Some(outcome),
        reason: Some(reason.to_owned()),
        ..Facts::of(start)
    };
    facts.event(settings, start, now)
}

/// Closes an opening event that an earlier run of the process left: the same event, with the
/// outcome that nobody can tell any more.
pub(super) fn interrupted(opening: &str, now: OffsetDateTime) -> String {
    let mut event: Value = serde_json::from_str(opening)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({ "resourceType": "AuditEvent" }));
    event["recorded"] = json!(instant(now));
    event["outcome"] = json!(Outcome::Major.code());
    event["outcomeDesc"] = json!("interrupted: the gateway stopped before this was finished");
    event.to_string()
}

/// The events of a released stretch or of a whole answer.
pub(super) fn disclosed(
    settings: &AuditSettings,
    start: &AuditStart,
    disclosures: &[Disclosure],
    now: OffsetDateTime,
) -> Vec<Event> {
    judged(settings, start, (disclosures, &[]), now)
}

/// The events of a whole answer, with what is kept of how it was judged.
fn judged(
    settings: &AuditSettings,
    start: &AuditStart,
    (disclosures, notes): (&[Disclosure], &[AuditNote]),
    now: OffsetDateTime,
) -> Vec<Event> {
    let success = || Facts {
        outcome: Some(Outcome::Success),
        notes: notes.iter().collect(),
        ..Facts::of(start)
    };
    if disclosures.is_empty() {
        return vec![success().event(settings, start, now)];
    }
    let mut events = Vec::with_capacity(disclosures.len());
    for disclosure in disclosures {
        let facts = || Facts {
            person: Some(disclosure.person),
            purpose: Some(disclosure.purpose),
            notes: notes.iter().chain(&disclosure.notes).collect(),
            ..success()
        };
        events.push(facts().event(settings, start, now));
        if disclosure.broke_glass || disclosure.purpose.is_a(PurposeOfUse::BreakGlass) {
            let alert = Facts { alert: Some(Alert::EmergencyOverride), ..facts() };
            events.push(alert.event(settings, start, now));
        }
    }
    events
}

/// The events of a steward's look or decision: one for each person.
fn reviewed(
    settings: &AuditSettings,
    start: &AuditStart,
    resource: Option<&str>,
    persons: &[EnterpriseId],
    now: OffsetDateTime,
) -> Vec<Event> {
    let facts = |person| Facts {
        person,
        resource: resource.or(start.resource.as_deref()),
        outcome: Some(Outcome::Success),
        ..Facts::of(start)
    };
    if persons.is_empty() {
        return vec![facts(None).event(settings, start, now)];
    }
    persons.iter().map(|person| facts(Some(*person)).event(settings, start, now)).collect()
}

const fn is_authentication(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::UnreadableCertificate
        | Refusal::CertificateNotYetValid
        | Refusal::CertificateExpired
        | Refusal::CertificateRevoked
        | Refusal::UnknownClient
        | Refusal::AmbiguousClient
        | Refusal::OldTls => true,
        Refusal::MissingRole(_)
        | Refusal::UnknownPurpose
        | Refusal::NoPurpose
        | Refusal::PurposeNotAllowed(_)
        | Refusal::NotAMember
        | Refusal::AnotherMember
        | Refusal::MemberMayNotFeed
        | Refusal::ForeignIdentifierSystem
        | Refusal::ForeignPatientId
        | Refusal::NotPermitted(_) => false,
    }
}

/// DICOM security alerts.
#[derive(Clone, Copy)]
enum Alert {
    NodeAuthentication,
    EmergencyOverride,
}

/// What one event tells beyond what its opening told.
struct Facts<'a> {
    person: Option<EnterpriseId>,
    purpose: Option<PurposeOfUse>,
    resource: Option<&'a str>,
    outcome: Option<Outcome>,
    reason: Option<String>,
    created: bool,
    alert: Option<Alert>,
    notes: Vec<&'a AuditNote>,
}

impl<'a> Facts<'a> {
    fn of(start: &'a AuditStart) -> Self {
        Self {
            person: None,
            purpose: start.purpose,
            resource: start.resource.as_deref(),
            outcome: None,
            reason: None,
            created: false,
            alert: None,
            notes: Vec::new(),
        }
    }

    /// The FHIR R4 AuditEvent in the shape of IHE BALP.
    fn event(&self, settings: &AuditSettings, start: &AuditStart, now: OffsetDateTime) -> Event {
        let mut event = json!({
            "resourceType": "AuditEvent",
            "meta": { "profile": self.profile(start) },
            "type": self.kind(),
            "subtype": self.subtypes(start),
            "action": self.action(start),
            "recorded": instant(now),
            "agent": self.agents(settings, start),
            "source": {
                "observer": { "display": settings.gateway_name },
                "type": [{
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }],
            },
            "entity": self.entities(settings, start),
        });
        if let Some(outcome) = self.outcome {
            event["outcome"] = json!(outcome.code());
        }
        if let Some(reason) = &self.reason {
            event["outcomeDesc"] = json!(reason);
        }
        if let Some(purpose) = self.purpose {
            event["purposeOfEvent"] = json!([purpose_concept(purpose)]);
        }
        Event { person: self.person, body: event.to_string() }
    }

    fn profile(&self, start: &AuditStart) -> Value {
        if self.alert.is_some() {
            return json!([]);
        }
        let patient = if self.person.is_some() { "Patient" } else { "" };
        let pattern = match (start.interaction.pattern(), self.created) {
            (Pattern::Query, _) => "Query",
            (Pattern::Read, _) => "Read",
            (Pattern::Write, true) => "Create",
            (Pattern::Write, false) => "Update",
            (Pattern::Delete, _) => "Delete",
        };
        json!([format!("{BALP}{patient}{pattern}")])
    }

    fn kind(&self) -> Value {
        if self.alert.is_some() {
            return coding(DICOM, "110113", "Security Alert");
        }
        coding(
            "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "rest",
            "Restful Operation",
        )
    }

    fn subtypes(&self, start: &AuditStart) -> Value {
        match self.alert {
            Some(Alert::NodeAuthentication) => {
                return json!([coding(DICOM, "110126", "Node Authentication")]);
            }
            Some(Alert::EmergencyOverride) => {
                return json!([coding(DICOM, "110127", "Emergency Override Started")]);
            }
            None => {}
        }
        let restful = if self.created { "create" } else { start.interaction.restful() };
        let mut subtypes =
            vec![coding("http://hl7.org/fhir/restful-interaction", restful, restful)];
        if let Some(transaction) = start.interaction.transaction() {
            subtypes.push(coding("urn:ihe:event-type-code", transaction, transaction));
        }
        if start.interaction == Interaction::Discovery {
            subtypes.push(coding("urn:tessera:event-type-code", DISCOVERY, "Patient discovery"));
        }
        Value::Array(subtypes)
    }

    /// FHIR R4 `audit-event-action`.
    fn action(&self, start: &AuditStart) -> &'static str {
        match (self.alert, start.interaction.pattern(), self.created) {
            (Some(_), ..) | (None, Pattern::Query, _) => "E",
            (None, Pattern::Read, _) => "R",
            (None, Pattern::Write, true) => "C",
            (None, Pattern::Write, false) => "U",
            (None, Pattern::Delete, _) => "D",
        }
    }

    /// Data flow from the source role to the destination role: of a query the question does, of a
    /// read the answer.
    fn agents(&self, settings: &AuditSettings, start: &AuditStart) -> Value {
        let source = coding(DICOM, "110153", "Source Role ID");
        let destination = coding(DICOM, "110152", "Destination Role ID");
        let (client_type, server_type) = match start.interaction.pattern() {
            Pattern::Query | Pattern::Write | Pattern::Delete => (source, destination),
            Pattern::Read => (destination, source),
        };
        let nobody = match start.client_address {
            Some(_) => "not authenticated",
            None => "a command on the gateway's machine",
        };
        let who = start.requester.as_ref().map_or_else(
            || json!({ "display": nobody }),
            |requester| {
                json!({
                    "identifier": { "value": requester.client_id() },
                    "display": requester.organization().name,
                })
            },
        );
        let network = start.client_address.map_or_else(
            || json!({ "address": "localhost", "type": "1" }),
            |address| json!({ "address": address.to_string(), "type": "2" }),
        );
        let mut client = json!({
            "type": { "coding": [client_type] },
            "who": who,
            "requestor": false,
            "network": network,
        });
        if let Some(purpose) = self.purpose {
            client["purposeOfUse"] = json!([purpose_concept(purpose)]);
        }
        let server = json!({
            "type": { "coding": [server_type] },
            "who": { "display": settings.gateway_name },
            "requestor": false,
            "network": { "address": settings.base_url, "type": "5" },
        });
        let mut agents = vec![client, server];
        if let Some(requester) = &start.requester {
            // Systems ask, not people: the organization answers for the request.
            let tells = [Pattern::Write, Pattern::Delete].contains(&start.interaction.pattern());
            let role = if tells { "INF" } else { "IRCP" };
            let kind =
                coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", role, role);
            agents.push(json!({
                "type": { "coding": [kind] },
                "who": {
                    "identifier": { "value": requester.organization().identifier },
                    "display": requester.organization().name,
                },
                "requestor": true,
            }));
            if let (Some(purpose), Some(user)) = (self.purpose, agents.last_mut()) {
                user["purposeOfUse"] = json!([purpose_concept(purpose)]);
            }
        }
        Value::Array(agents)
    }

    fn entities(&self, settings: &AuditSettings, start: &AuditStart) -> Value {
        let mut entities = Vec::new();
        if let Some(person) = self.person {
            entities.push(json!({
                "what": { "reference": format!("Patient/{person}") },
                "type": entity_type("1", "Person"),
                "role": role("1", "Patient"),
            }));
        }
        match start.interaction.pattern() {
            Pattern::Query => entities.push(json!({
                "type": entity_type("2", "System Object"),
                "role": role("24", "Query"),
                "description": start.query.line(),
                "query": start.query.kept(settings),
            })),
            Pattern::Read | Pattern::Write | Pattern::Delete => {
                if let Some(resource) = self.resource {
                    entities.push(json!({
                        "what": { "reference": resource },
                        "type": entity_type("2", "System Object"),
                        "role": role("4", "Domain Resource"),
                    }));
                }
            }
        }
        if !self.notes.is_empty() {
            let notes = self.notes.iter();
            let notes = notes.map(|note| json!({ "type": note.name, "valueString": note.text }));
            entities.push(json!({
                "type": entity_type("2", "System Object"),
                "role": role("20", "Job"),
                "name": match start.interaction {
                    Interaction::Discovery => DISCOVERY,
                    _ => "matching policy",
                },
                "detail": notes.collect::<Vec<Value>>(),
            }));
        }
        entities.push(json!({
            "what": { "identifier": { "value": start.request_id.to_string() } },
            "type": {
                "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                "code": "XrequestId",
            },
        }));
        Value::Array(entities)
    }
}

impl RawRequest {
    /// Verb and path: what may be read by anybody who may read the trail.
    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Base64 of the raw request, as BALP demands; of verb and path alone where the exchange keeps
    /// no demographics in its trail.
    fn kept(&self, settings: &AuditSettings) -> String {
        let mut raw = self.line().into_bytes();
        if settings.keep_query {
            if !self.query_string.is_empty() {
                raw.push(b'?');
                raw.extend_from_slice(self.query_string.as_bytes());
            }
            if !self.body.is_empty() {
                raw.extend_from_slice(b"\r\n\r\n");
                raw.extend_from_slice(&self.body);
            }
            raw.truncate(settings.query_bytes_max);
        }
        STANDARD.encode(raw)
    }
}

fn instant(now: OffsetDateTime) -> String {
    // Only a year beyond 9999 has no such form; then the epoch says that the clock is wrong.
    now.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn purpose_concept(purpose: PurposeOfUse) -> Value {
    json!({ "coding": [{ "system": PurposeOfUse::SYSTEM, "code": purpose.code() }] })
}

fn entity_type(code: &str, display: &str) -> Value {
    coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", code, display)
}

fn role(code: &str, display: &str) -> Value {
    coding("http://terminology.hl7.org/CodeSystem/object-role", code, display)
}
