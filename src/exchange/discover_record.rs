//! Looks for a person at a member that does not feed its patients, and remembers what was found.
//!
//! Demographics leave for a member only where consent lets it be asked, and only after the audit
//! trail says so. What the member gives back is judged here, whatever it says of it: a record is
//! linked where it is certainly the person's, by as much as a release takes, and nobody else's.

use std::time::{Duration, Instant};

use moka::sync::Cache;
use time::OffsetDateTime;

use super::{
    Call, Exchange, ExchangeError, call::About, read_patient::permit as permit_again,
    release_policy::PolicyFindings,
};
use crate::{
    access::{AuditNote, Closing, Disclosure, Interaction, OpenAudit, Permit, RawRequest},
    directory::{Discovery, Member},
    domain::{Demographics, EnterpriseId, MemberCode, RecordKey},
    federation::{Candidate, Candidates, Doubt, Emptiness, MemberOutcome, NotAsked, Status},
    index::{Discovery as Found, GoldenView, IndexError, LocalRefusal, Registration},
    matching::MatchGrade,
};

/// Persons that one candidate is judged against.
const PERSONS_MAX: usize = 20;
/// Answers remembered at most; each some hundred bytes.
const REMEMBERED_MAX: u64 = 100_000;

/// A member at which a person is looked for, or why not.
pub(super) struct Place {
    member: Member,
    obstacle: Option<NotAsked>,
}

/// What came of looking.
pub(super) enum Looked {
    /// A record was found and linked; the permission that covers it.
    Linked(Permit),
    /// None was.
    Nobody(MemberOutcome),
    /// We could not.
    Failed(ExchangeError),
}

/// Where nobody was found a short while ago, so that a patient who is asked for page by page is not
/// told of again and again.
pub struct Sightings(Cache<(EnterpriseId, MemberCode), (Demographics, Status)>);

impl Sightings {
    /// Forgets after so long.
    pub fn new(remembered: Duration) -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED_MAX).time_to_live(remembered).build())
    }
}

impl Exchange {
    /// What was discovered before this instant counts no more.
    pub(super) fn discovered_until(&self) -> OffsetDateTime {
        self.clock.now() - time::Duration::days(self.settings.discovered_link_days.into())
    }
}

/// Ends every discovered link whose time is over.
pub async fn expire_discovered(exchange: &Exchange) {
    let until = exchange.discovered_until();
    for record in exchange.index.discovered_before(until) {
        let member = record.member.clone();
        if let Err(error) = exchange.index.expire_discovered(record, until).await {
            tracing::error!(member.id = %member, %error, "a discovered link did not end");
        }
    }
}

/// The members at which a person may be looked for: those that want it, hold no record that is known,
/// and that consent lets be asked. Nothing may point to one; then it is told as not asked.
///
/// What points to a member: the question names it, it held a record of the person before, it serves
/// the place where the person lives, or it wants to be asked for everybody.
pub(super) fn places(
    exchange: &Exchange,
    permit: &Permit,
    golden: &GoldenView,
    named: &[String],
) -> Vec<Place> {
    let roster = exchange.directory.roster();
    let former = exchange.index.person(permit.person()).map(|person| person.former);
    let former = former.unwrap_or_default();
    let addresses = &golden.demographics.addresses;
    let points_to = |member: &Member| {
        member.takes_broadcasts()
            || named.iter().any(|one| one == member.code().as_str() || one == member.organization())
            || former.iter().any(|record| record.member == *member.code())
            || addresses.iter().any(|one| !one.old && member.serves(&one.postal_code))
    };
    let settings = exchange.federation.settings();
    let mut asked = 0;
    let wanted = roster.members().filter(|member| {
        member.discovery() != Discovery::Feed
            && member.status().is_asked()
            && permit.permits_member(member.code())
            && !golden.records.iter().any(|record| record.member == *member.code())
    });
    wanted
        .map(|member| {
            let own = permit.requester().member() == Some(member.code());
            let obstacle = if own && !settings.ask_own_organization {
                Some(NotAsked::OwnOrganization)
            } else if !points_to(member) {
                Some(NotAsked::NotTargeted)
            } else if asked == settings.discovery_members_max {
                Some(NotAsked::TooManyMembers)
            } else {
                asked += 1;
                None
            };
            Place { member: member.clone(), obstacle }
        })
        .collect()
}

/// Looks for a person at one member.
pub(super) async fn discover(
    exchange: &Exchange,
    call: &Call,
    permit: &Permit,
    place: Place,
    told: &Demographics,
    deadline: Duration,
) -> Looked {
    let Place { member, obstacle } = place;
    if let Some(reason) = obstacle {
        let status = Status::NotAsked(reason);
        return Looked::Nobody(MemberOutcome::not_found(&member, status, Duration::ZERO));
    }
    let key = (permit.person(), member.code().clone());
    if let Some((asked, status)) = exchange.sightings.0.get(&key)
        && asked == *told
    {
        return Looked::Nobody(MemberOutcome::not_found(&member, status, Duration::ZERO));
    }
    let started = Instant::now();
    match look(exchange, call, permit, &member, told, deadline).await {
        Err(error) => Looked::Failed(error),
        Ok(Ok(())) => match permit_again(exchange, call, permit.person()) {
            Ok(permit) => Looked::Linked(permit),
            Err(error) => Looked::Failed(error),
        },
        Ok(Err(status)) => {
            if matches!(status, Status::Empty(_) | Status::NotIdentified(_)) {
                exchange.sightings.0.insert(key, (told.clone(), status));
            }
            Looked::Nobody(MemberOutcome::not_found(&member, status, started.elapsed()))
        }
    }
}

/// Opens the audit of the disclosure, asks, judges and links; what came of it is on record.
async fn look(
    exchange: &Exchange,
    call: &Call,
    permit: &Permit,
    member: &Member,
    told: &Demographics,
    deadline: Duration,
) -> Result<Result<(), Status>, ExchangeError> {
    let mut audit = open(exchange, call, permit, member).await?;
    audit.begun().await?;
    let asked = exchange.federation.look_for(permit, member.code(), told, deadline);
    let found = match asked.await {
        Ok(found) => found,
        Err(status) => return close(audit, permit, member, Notes::default(), Err(status)).await,
    };
    let candidates = found.patients.len() + found.unnumbered;
    let mut notes = Notes { candidates, bits: None };
    let status = match judge(exchange, permit, found).await? {
        Err(status) => Err(status),
        Ok((candidate, bits)) => {
            notes.bits = Some(bits);
            link(exchange, call, permit, member, candidate).await?
        }
    };
    close(audit, permit, member, notes, status).await
}

async fn open(
    exchange: &Exchange,
    call: &Call,
    permit: &Permit,
    member: &Member,
) -> Result<OpenAudit, ExchangeError> {
    let path = match member.discovery() {
        Discovery::Match => "Patient/$match",
        Discovery::Search | Discovery::Feed => "Patient/_search",
    };
    let disclosure = Call {
        raw: RawRequest {
            method: "POST".to_owned(),
            path: format!("{}/{path}", member.base()),
            ..RawRequest::default()
        },
        ..call.clone()
    };
    disclosure.open(exchange, Interaction::Discovery, About::patient(permit.person())).await
}

/// What the audit trail keeps of a discovery beside who asked for whom and where.
#[derive(Default)]
struct Notes {
    candidates: usize,
    bits: Option<f32>,
}

async fn close(
    audit: OpenAudit,
    permit: &Permit,
    member: &Member,
    notes: Notes,
    status: Result<(), Status>,
) -> Result<Result<(), Status>, ExchangeError> {
    let outcome = match &status {
        Ok(()) => "linked".to_owned(),
        Err(Status::NotIdentified(doubt)) => format!("not-identified: {doubt:?}"),
        Err(Status::Empty(_)) => "nobody".to_owned(),
        Err(other) => other.code().to_owned(),
    };
    let label = match &status {
        Ok(()) => "linked",
        Err(status) => status.code(),
    };
    let code = member.code().to_string();
    metrics::counter!("tessera_member_discoveries_total", "member" => code.clone(), "outcome" => label)
        .increment(1);
    let mut kept = vec![
        AuditNote::new("discovery-member", code),
        AuditNote::new("discovery-mode", member.discovery().code()),
        AuditNote::new("discovery-candidates", notes.candidates.to_string()),
        AuditNote::new("discovery-outcome", outcome),
    ];
    if let Some(bits) = notes.bits {
        kept.push(AuditNote::new("discovery-bits", format!("{bits:.1}")));
    }
    let disclosure = Disclosure::of(permit).with_notes(kept);
    let closing = Closing::Disclosed(vec![disclosure]);
    Ok(audit.close(closing, status).await?.into_inner())
}

/// The one candidate who is certainly the person, and nobody else; and by how many bits.
async fn judge(
    exchange: &Exchange,
    permit: &Permit,
    found: Candidates,
) -> Result<Result<(Candidate, f32), Status>, ExchangeError> {
    let doubt = |doubt| Ok(Err(Status::NotIdentified(doubt)));
    let (mut certain, mut possible) = (Vec::new(), false);
    for candidate in found.patients {
        match judge_one(exchange, permit.person(), &candidate.demographics).await? {
            Likeness::Certain(bits) => certain.push((candidate, bits)),
            Likeness::Several => return doubt(Doubt::Several),
            Likeness::Possible => possible = true,
            Likeness::None => {}
        }
    }
    if certain.len() > 1 {
        return doubt(Doubt::Several);
    }
    if found.beyond {
        return doubt(Doubt::TooMany);
    }
    match certain.pop() {
        Some(found) => Ok(Ok(found)),
        None if possible => doubt(Doubt::Uncertain),
        None if found.unnumbered > 0 => doubt(Doubt::NoRecordNumber),
        None => Ok(Err(Status::Empty(Emptiness::PatientUnknown))),
    }
}

/// What a candidate has to do with the person.
enum Likeness {
    /// Certainly the person, and nobody else is.
    Certain(f32),
    /// Certainly the person, and somebody else too.
    Several,
    Possible,
    None,
}

/// Judges as `$match` does before it shows anybody.
async fn judge_one(
    exchange: &Exchange,
    person: EnterpriseId,
    told: &Demographics,
) -> Result<Likeness, ExchangeError> {
    let persons = exchange.index.find(told, PERSONS_MAX);
    let Some(at) = persons.iter().position(|one| one.person.id == person) else {
        return Ok(Likeness::None);
    };
    let certain = persons.iter().filter(|one| one.verdict.grade == MatchGrade::Certain).count();
    let verdict = &persons[at].verdict;
    if verdict.grade != MatchGrade::Certain || verdict.contradicted || !verdict.firm {
        let possible = verdict.grade != MatchGrade::CertainlyNot;
        return Ok(if possible { Likeness::Possible } else { Likeness::None });
    }
    if certain > 1 {
        return Ok(Likeness::Several);
    }
    let now = exchange.clock.now();
    let policy = PolicyFindings::ask(exchange, told, &persons, now).await?;
    let released = policy.is_none_or(|policy| policy.releases(at));
    Ok(if released { Likeness::Certain(verdict.bits) } else { Likeness::Possible })
}

/// Remembers a candidate as the person's record at the member.
async fn link(
    exchange: &Exchange,
    call: &Call,
    permit: &Permit,
    member: &Member,
    candidate: Candidate,
) -> Result<Result<(), Status>, ExchangeError> {
    let record = RecordKey { member: member.code().clone(), local_id: candidate.local_id };
    let _turn = exchange.record_locks.lock(&record).await;
    if let Some(known) = exchange.index.person_of(&record) {
        if known.id != permit.person() {
            return Ok(Err(Status::NotIdentified(Doubt::AnothersRecord)));
        }
        // It was found before, and its time is over: it begins anew.
        let until = exchange.discovered_until();
        match exchange.index.expire_discovered(record.clone(), until).await {
            // The identifier leads to a record with another one, which nobody discovered.
            Ok(_) | Err(LocalRefusal::UnknownRecord) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let registration = Registration {
        record,
        demographics: candidate.demographics,
        event_time: None,
        source_message: Some(call.request_id.to_string()),
        fed_by: call.requester()?.client_id().to_owned(),
    };
    let found = Found { person: permit.person(), mode: member.discovery().code() };
    match exchange.index.link_discovered(registration, found).await {
        Ok(_) => Ok(Ok(())),
        // What the linker knows outweighs what was known a moment ago; or a steward keeps them apart.
        Err(IndexError::NotTheirs) => Ok(Err(Status::NotIdentified(Doubt::Uncertain))),
        Err(error) => Err(error.into()),
    }
}
