use serde_json::{Map, Value};
use thiserror::Error;
use time::OffsetDateTime;

use super::directive::{Actor, ConsentDirective, Criterion, Effect, Frame, Period, Provision};
use super::told_time::instants;
use crate::access::SecurityLabel;
use crate::domain::{InvalidLocalId, LocalId, MemberCode, PurposeOfUse, RecordKey};

/// A Consent may carry a signed form; a scan of a page stays below this.
const CONSENT_BYTES_MAX: usize = 1 << 20;
/// Exceptions of one consent, and values of one criterion: far more than any form offers.
const LIST_MAX: usize = 200;

const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const RFC_3986: &str = "urn:ietf:rfc:3986";
/// FHIR R4 `consent-state-codes`.
const STATUSES: [&str; 6] =
    ["draft", "proposed", "active", "rejected", "inactive", "entered-in-error"];

/// A FHIR R4 Consent as sent, checked but not yet anchored on a source record.
#[derive(Clone)]
pub struct ToldConsent {
    body: String,
    status: String,
    patient: ConsentPatient,
    given: OffsetDateTime,
    frame: Frame,
    root: Provision,
    exceptions: Vec<Provision>,
}

/// Whom a Consent is about, as it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentPatient {
    /// `patient.reference`, such as `Patient/<enterprise id>`.
    Reference(String),
    /// `patient.identifier`: one member's own record.
    Identifier(LocalId),
}

impl ToldConsent {
    /// Reads an IHE PCF Consent (basic, intermediate or advanced).
    ///
    /// Refuses what is not a privacy consent or lacks what PCF demands. A criterion that is there
    /// but cannot be read is no error: it fails closed, as told at [`Provision`].
    pub fn parse(json: &[u8]) -> Result<Self, InvalidConsent> {
        if json.len() > CONSENT_BYTES_MAX {
            return Err(InvalidConsent::TooLarge);
        }
        let body = std::str::from_utf8(json).map_err(|_| InvalidConsent::NotJson)?;
        let consent: Value = serde_json::from_str(body).map_err(|_| InvalidConsent::NotJson)?;
        if consent["resourceType"] != "Consent" {
            return Err(InvalidConsent::NotAConsent);
        }
        for key in ["implicitRules", "modifierExtension"] {
            if !consent[key].is_null() {
                return Err(InvalidConsent::NotUnderstood(key));
            }
        }
        let status = text(&consent, "status")?;
        if !STATUSES.contains(&status) {
            return Err(InvalidConsent::Wrong("status"));
        }
        if !has_coding(&consent["scope"], "patient-privacy") {
            return Err(InvalidConsent::NotPrivacy);
        }
        let (given, _) =
            instants(text(&consent, "dateTime")?).ok_or(InvalidConsent::Wrong("dateTime"))?;
        let told = consent["provision"].as_object().ok_or(InvalidConsent::Missing("provision"))?;
        let mut root = provision(told, true)?;
        // A consent that the patient did not confirm, or may not have, permits nothing.
        if list(&consent["verification"])?.iter().any(|one| one["verified"] != true) {
            unreadable(&mut root);
        }
        let exceptions = list(&told.get("provision").cloned().unwrap_or_default())?
            .iter()
            .map(|one| {
                let one = one.as_object().ok_or(InvalidConsent::Wrong("provision.provision"))?;
                provision(one, false)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            body: body.to_owned(),
            status: status.to_owned(),
            patient: patient(&consent["patient"])?,
            given,
            frame: frame(&consent)?,
            root,
            exceptions,
        })
    }

    /// Whom it is about.
    pub fn patient(&self) -> &ConsentPatient {
        &self.patient
    }

    /// FHIR R4 `Consent.status`.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// The JSON as sent.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Anchors it on the source record that it was given for.
    pub(super) fn anchored(self, id: String, version: u32, anchor: RecordKey) -> ConsentDirective {
        ConsentDirective {
            id,
            version,
            anchor,
            active: self.status == "active",
            given: self.given,
            frame: self.frame,
            root: self.root,
            exceptions: self.exceptions,
        }
    }
}

/// What a rule may consist of; anything else restricts it in a way that we cannot read.
const PROVISION_KEYS: [&str; 8] =
    ["id", "extension", "type", "period", "actor", "purpose", "securityLabel", "provision"];

fn provision(told: &Map<String, Value>, is_root: bool) -> Result<Provision, InvalidConsent> {
    let effect = match told.get("type").and_then(Value::as_str) {
        Some("permit") => Effect::Permit,
        Some("deny") => Effect::Deny,
        Some(_) => return Err(InvalidConsent::Wrong("provision.type")),
        None => return Err(InvalidConsent::Missing("provision.type")),
    };
    let mut rule = Provision::everything(effect);
    let unknown = told.keys().any(|key| !PROVISION_KEYS.contains(&key.as_str()));
    let nested_too_deep = !is_root && told.contains_key("provision");
    if unknown || nested_too_deep {
        unreadable(&mut rule);
    }
    match period(told.get("period")) {
        Some(period) => rule.period = period,
        None => unreadable(&mut rule),
    }
    purposes(&mut rule, &list(&told.get("purpose").cloned().unwrap_or_default())?);
    actors(&mut rule, &list(&told.get("actor").cloned().unwrap_or_default())?);
    labels(&mut rule, &list(&told.get("securityLabel").cloned().unwrap_or_default())?);
    // An exception for data of one sensitivity would need every resource to be labelled.
    if !is_root && rule.is_by_sensitivity() {
        unreadable(&mut rule);
    }
    Ok(rule)
}

/// A permit with a criterion that we cannot read never applies; a deny applies without it.
fn unreadable(rule: &mut Provision) {
    if rule.effect == Effect::Permit {
        rule.never = true;
    }
}

fn period(told: Option<&Value>) -> Option<Period> {
    let Some(told) = told else { return Some(Period::default()) };
    let told = told.as_object()?;
    if told.keys().any(|key| !["id", "extension", "start", "end"].contains(&key.as_str())) {
        return None;
    }
    let bound = |key: &str| match told.get(key) {
        None => Some(None),
        Some(value) => Some(Some(instants(value.as_str()?)?)),
    };
    let start = bound("start")?.map(|(first, _)| first);
    let end = bound("end")?.map(|(_, after)| after);
    Some(Period { start, end })
}

fn purposes(rule: &mut Provision, told: &[Value]) {
    if told.is_empty() {
        return;
    }
    let mut readable = Vec::new();
    for coding in told {
        match told_purpose(coding) {
            ToldPurpose::Known(purpose) => readable.push(purpose),
            // A finer purpose than any requester tells: whoever asks for the wider one may mean it.
            ToldPurpose::KindOf(wider) if rule.effect == Effect::Deny => readable.push(wider),
            ToldPurpose::KindOf(_) | ToldPurpose::NeverAsked => {}
            ToldPurpose::Unreadable => {
                unreadable(rule);
                return;
            }
        }
    }
    rule.purposes = Criterion::OneOf(readable);
}

enum ToldPurpose {
    Known(PurposeOfUse),
    KindOf(PurposeOfUse),
    NeverAsked,
    Unreadable,
}

/// The finer codes of HL7 `v3-PurposeOfUse` below each purpose that a requester can tell.
const FINER_PURPOSES: [(PurposeOfUse, &str); 7] = [
    (PurposeOfUse::Treatment, "CLINTRL COC POPHLTH TREATDS"),
    (PurposeOfUse::EmergencyTreatment, "ERTREAT"),
    (
        PurposeOfUse::Payment,
        "CLMATTCH COVAUTH REMITADV PMTDS COVERAGE ELIGDTRM ELIGVER ENROLLM MILDCRG",
    ),
    (
        PurposeOfUse::Operations,
        "CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS HPRGRP HQUALIMP \
         HSYSADMIN MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR RECORDMGT TRAIN SYSDEV HTEST",
    ),
    (PurposeOfUse::PublicHealth, "DISASTER THREAT"),
    (PurposeOfUse::PatientRequest, "FAMRQT PWATRNY SUPNWK"),
    (PurposeOfUse::Research, "BIORCH CLINTRCH DSRCH POARCH TRANSRCH"),
];

fn told_purpose(coding: &Value) -> ToldPurpose {
    let system = coding["system"].as_str();
    let ours =
        system == Some(PurposeOfUse::SYSTEM) || system == Some("urn:oid:2.16.840.1.113883.5.8");
    let Some(code) = coding["code"].as_str().filter(|_| ours) else {
        return ToldPurpose::Unreadable;
    };
    if let Ok(purpose) = PurposeOfUse::parse(code) {
        return ToldPurpose::Known(purpose);
    }
    if code == "HMARKT" {
        return ToldPurpose::NeverAsked;
    }
    FINER_PURPOSES
        .into_iter()
        .find(|(_, finer)| finer.split_ascii_whitespace().any(|one| one == code))
        .map_or(ToldPurpose::Unreadable, |(wider, _)| ToldPurpose::KindOf(wider))
}

/// IRCP is who receives; CST is whose data they are.
fn actors(rule: &mut Provision, told: &[Value]) {
    let mut recipients = Some(Vec::new());
    let mut custodians = Some(Vec::new());
    for actor in told {
        let role = ["IRCP", "CST"].into_iter().find(|role| has_code(&actor["role"], role));
        match (role, organization(&actor["reference"])) {
            (Some("IRCP"), Some(one)) => push(&mut recipients, one),
            (Some("IRCP"), None) => recipients = None,
            (Some(_), Some(one)) => push(&mut custodians, one),
            (Some(_), None) => custodians = None,
            (None, _) => unreadable(rule),
        }
    }
    for (read, criterion) in
        [(recipients, &mut rule.recipients), (custodians, &mut rule.custodians)]
    {
        match read {
            Some(actors) if actors.is_empty() => {}
            Some(actors) => *criterion = Criterion::OneOf(actors),
            None if rule.effect == Effect::Permit => rule.never = true,
            // One denied actor that cannot be read could be anybody.
            None => {}
        }
    }
}

fn push(actors: &mut Option<Vec<Actor>>, one: Actor) {
    if let Some(actors) = actors {
        actors.push(one);
    }
}

fn organization(reference: &Value) -> Option<Actor> {
    if let Some(path) = reference["reference"].as_str() {
        let code = path.strip_prefix("Organization/")?;
        return MemberCode::parse(code).ok().map(Actor::Member);
    }
    if reference["type"].as_str().is_some_and(|kind| kind != "Organization") {
        return None;
    }
    let (system, value) = system_and_value(&reference["identifier"])?;
    Some(Actor::Identifier(identifier_uri(system, value)))
}

/// The identifier as one text: the URI itself, or `system|value`.
fn identifier_uri(system: &str, value: &str) -> String {
    if system == RFC_3986 { value.to_owned() } else { format!("{system}|{value}") }
}

fn labels(rule: &mut Provision, told: &[Value]) {
    let mut readable = Vec::new();
    for coding in told {
        let (Some(system), Some(code)) = (coding["system"].as_str(), coding["code"].as_str())
        else {
            unreadable(rule);
            // Denied data that we cannot tell from others: all of them.
            return;
        };
        readable.push(SecurityLabel::new(system, code));
    }
    let degrees = readable.iter().filter(|label| label.confidentiality().is_some()).count();
    if degrees != 0 && degrees != readable.len() {
        // A degree and a sensitivity: whether both are meant at once, nobody can tell.
        unreadable(rule);
    }
    rule.labels = readable;
}

fn patient(told: &Value) -> Result<ConsentPatient, InvalidConsent> {
    if let Some((system, value)) = system_and_value(&told["identifier"]) {
        return LocalId::parse(system, value)
            .map(ConsentPatient::Identifier)
            .map_err(InvalidConsent::Patient);
    }
    let reference = told["reference"].as_str().filter(|text| !text.is_empty());
    reference
        .map(|text| ConsentPatient::Reference(text.to_owned()))
        .ok_or(InvalidConsent::Missing("patient"))
}

fn frame(consent: &Value) -> Result<Frame, InvalidConsent> {
    let policy = list(&consent["policy"])?;
    let policy = policy.iter().find_map(|policy| policy["uri"].as_str());
    let mut organizations: Vec<String> = list(&consent["organization"])?
        .iter()
        .filter_map(|organization| match system_and_value(&organization["identifier"]) {
            Some((system, value)) => Some(identifier_uri(system, value)),
            None => organization["reference"].as_str().map(str::to_owned),
        })
        .collect();
    organizations.sort_unstable();
    organizations.dedup();
    Ok(Frame { policy: policy.unwrap_or_default().to_owned(), organizations })
}

fn text<'a>(consent: &'a Value, key: &'static str) -> Result<&'a str, InvalidConsent> {
    match &consent[key] {
        Value::String(text) => Ok(text),
        Value::Null => Err(InvalidConsent::Missing(key)),
        _ => Err(InvalidConsent::Wrong(key)),
    }
}

fn list(value: &Value) -> Result<Vec<Value>, InvalidConsent> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) if items.len() <= LIST_MAX => Ok(items.clone()),
        Value::Array(_) => Err(InvalidConsent::ListTooLong),
        _ => Err(InvalidConsent::NotAList),
    }
}

fn system_and_value(identifier: &Value) -> Option<(&str, &str)> {
    Some((identifier["system"].as_str()?, identifier["value"].as_str()?))
}

fn has_coding(concept: &Value, code: &str) -> bool {
    concept["coding"].as_array().is_some_and(|codings| codings.iter().any(|c| c["code"] == code))
}

fn has_code(role: &Value, code: &str) -> bool {
    role["coding"].as_array().is_some_and(|codings| {
        codings.iter().any(|c| c["code"] == code && c["system"] == PARTICIPATION)
    })
}

/// Why a Consent was refused. Names places, never values.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidConsent {
    /// More than 1 MiB.
    #[error("the Consent is larger than {CONSENT_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// Another resource.
    #[error("the resource is no Consent")]
    NotAConsent,
    /// Consent.scope is not patient-privacy.
    #[error("Consent.scope must be patient-privacy")]
    NotPrivacy,
    /// Something that changes the meaning in a way we do not know.
    #[error("Consent.{0} is not understood here, so the Consent cannot be kept")]
    NotUnderstood(&'static str),
    /// Something that PCF demands.
    #[error("Consent.{0} is missing")]
    Missing(&'static str),
    /// Not of the kind or value set that FHIR demands.
    #[error("Consent.{0} is not what FHIR R4 allows there")]
    Wrong(&'static str),
    /// The patient's identifier.
    #[error("Consent.patient: {0}")]
    Patient(InvalidLocalId),
    /// A single value where FHIR has a list.
    #[error("a repeating element of the Consent is not a list")]
    NotAList,
    /// A list beyond reason.
    #[error("a list in the Consent has more than {LIST_MAX} items")]
    ListTooLong,
}
