//! What came of asking one member: never silent, and never an error of ours.

use std::{collections::BTreeMap, time::Duration};

use super::room::Held;
use crate::{
    directory::Member,
    domain::{LocalId, MemberCode},
    fhir::Resource,
};

/// What came of asking one member.
#[derive(Clone, Debug)]
pub struct MemberOutcome {
    /// The member.
    pub member: MemberCode,
    /// Its display name.
    pub name: String,
    /// Its organization's identifier, a URI; empty where not asked.
    pub organization: String,
    /// Its FHIR base, against which its relative references resolve; empty where not asked.
    pub base_url: String,
    /// How long it was waited for.
    pub elapsed: Duration,
    /// How long ago the member gave the answer, where it was kept; `None`: it was asked just now.
    pub kept_for: Option<Duration>,
    /// Names this very answer among those that are kept: the same mark, the same resources.
    pub mark: Option<u64>,
    /// One answer per patient there; the same Patient under two identifiers is one answer.
    pub answers: Vec<RecordAnswer>,
}

/// What came of asking one member for one of its patients.
#[derive(Clone, Debug)]
pub struct RecordAnswer {
    /// The local identifiers that were asked for.
    pub local_ids: Vec<LocalId>,
    /// The id of the `Patient` there, once resolved.
    pub patient_id: Option<String>,
    /// What came of it.
    pub status: Status,
    /// The HTTP status behind a failure.
    pub http_status: Option<u16>,
    /// Whether the Patient returned is the one that was sought.
    pub identity: Identity,
    /// Pages read.
    pub pages: usize,
    /// Resources outside `_type`, `_since`, `start` or `end` that the member sent all the same.
    pub outside_query: usize,
    /// Resources withheld one by one, by reason.
    pub dropped: Dropped,
    /// Parts of the answer that are missing.
    pub gaps: Vec<Gap>,
    /// The verified resources, the Patient among them where its type was asked for.
    pub resources: Vec<Resource>,
    /// The room in memory that they take.
    pub held: Held,
}

impl MemberOutcome {
    /// A member at which somebody was looked for, and not found.
    pub fn not_found(member: &Member, status: Status, elapsed: Duration) -> Self {
        let (code, name) = (member.code().clone(), member.name().to_owned());
        let outcome = Self::without_answer(code, name, Vec::new(), status);
        Self { organization: member.organization().to_owned(), elapsed, ..outcome }
    }

    /// A member that was not asked, or could not be.
    pub(super) fn without_answer(
        member: MemberCode,
        name: String,
        local_ids: Vec<LocalId>,
        status: Status,
    ) -> Self {
        let answer = RecordAnswer::without_patient(local_ids, status);
        Self {
            member,
            name,
            organization: String::new(),
            base_url: String::new(),
            elapsed: Duration::ZERO,
            kept_for: None,
            mark: None,
            answers: vec![answer],
        }
    }

    /// The gravest status among its answers.
    pub fn status(&self) -> Status {
        let statuses = self.answers.iter().map(|answer| answer.status);
        statuses.max_by_key(|status| status.gravity()).unwrap_or(Status::Empty(Emptiness::Nothing))
    }

    /// Every verified resource; of a withheld answer none, whatever it holds.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        let released = self.answers.iter().filter(|answer| answer.is_released());
        released.flat_map(|answer| &answer.resources)
    }

    /// As [`Self::resources`], handed over; what came of asking stays.
    pub fn take_resources(&mut self) -> Vec<Resource> {
        let released = self.answers.iter_mut().filter(|answer| answer.is_released());
        released.flat_map(|answer| std::mem::take(&mut answer.resources)).collect()
    }

    /// The ids of the Patients at this member whose resources are in the answer.
    pub fn patient_ids(&self) -> impl Iterator<Item = &str> {
        let released = self.answers.iter().filter(|answer| answer.is_released());
        released.filter_map(|answer| answer.patient_id.as_deref())
    }
}

impl RecordAnswer {
    /// An answer that never came to a Patient.
    pub(super) fn without_patient(local_ids: Vec<LocalId>, status: Status) -> Self {
        Self {
            local_ids,
            patient_id: None,
            status,
            http_status: None,
            identity: Identity::NotSeen,
            pages: 0,
            outside_query: 0,
            dropped: Dropped::default(),
            gaps: Vec::new(),
            resources: Vec::new(),
            held: Held::default(),
        }
    }

    fn is_released(&self) -> bool {
        !matches!(self.status, Status::Withheld(_) | Status::NotAsked(_))
    }
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything that was asked for came.
    Answered,
    /// The member answered, and there was nothing to give.
    Empty(Emptiness),
    /// The member would not answer.
    Refused(Refusal),
    /// The deadline passed; what came before is in the answer.
    TimedOut,
    /// A bound was reached or a part failed; what came is in the answer.
    Truncated(Cut),
    /// The member answered, and nothing of it may be shown.
    Withheld(Withholding),
    /// The member could not be reached, or did not answer in FHIR.
    Unreachable(Fault),
    /// The patient was looked for at the member, which gave nobody who is certainly the one.
    NotIdentified(Doubt),
    /// The member was not asked.
    NotAsked(NotAsked),
}

impl Status {
    /// One word for metrics and diagnostics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Empty(_) => "empty",
            Self::Refused(_) => "refused",
            Self::TimedOut => "timed-out",
            Self::Truncated(_) => "truncated",
            Self::Withheld(_) => "withheld",
            Self::Unreachable(_) => "unreachable",
            Self::NotIdentified(_) => "not-identified",
            Self::NotAsked(_) => "not-asked",
        }
    }

    /// Whether everything the member has is in the answer.
    pub const fn is_complete(self) -> bool {
        matches!(self, Self::Answered | Self::Empty(_))
    }

    /// Order by which the worst of several is chosen; what was withheld comes first.
    const fn gravity(self) -> u8 {
        match self {
            Self::Empty(_) => 0,
            Self::Answered => 1,
            Self::NotAsked(_) => 2,
            Self::NotIdentified(_) => 3,
            Self::Truncated(_) => 4,
            Self::Refused(_) => 5,
            Self::TimedOut => 6,
            Self::Unreachable(_) => 7,
            Self::Withheld(_) => 8,
        }
    }
}

/// Why nobody whom a member gave is taken for the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Somebody may be the patient, and nobody certainly is.
    Uncertain,
    /// Several of its patients may be the one, or the one may be several persons here.
    Several,
    /// More patients than are looked at.
    TooMany,
    /// Whom it gave carries none of its record numbers, so that nothing could name the record.
    NoRecordNumber,
    /// The record that it gave is known here as another person's.
    AnothersRecord,
}

/// Why an answer holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptiness {
    /// The member knows no patient with that identifier.
    PatientUnknown,
    /// The member knows the patient and holds nothing of what was asked for.
    Nothing,
}

/// Why a member would not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// HTTP 401.
    Login,
    /// HTTP 403.
    Forbidden,
    /// HTTP 429, and no time left to wait.
    Throttled,
    /// Any other 4xx: the request is not one that it serves.
    NotServed,
}

/// Why an answer ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The deadline passed.
    Deadline,
    /// More pages than are read.
    Pages,
    /// More bytes than are read.
    Bytes,
    /// More resources than are read.
    Resources,
    /// The link to the next page leads away from the member.
    NextElsewhere,
    /// The link to the next page leads back to one already read.
    NextRepeats,
    /// The member is known to forget on the next page whose data were asked for.
    NextUnsafe,
    /// The member failed at this part.
    Failed(Fault),
    /// The member refused this part.
    Refused(Refusal),
    /// The gateway holds as many bytes of answers as it may.
    NoRoom,
    /// The member itself said that its answer is incomplete.
    SaidIncomplete,
}

/// Why a whole answer is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withholding {
    /// The Patient returned is somebody else than the one the member fed.
    IdentityContradicted,
    /// The member returned Patients, none of which carries the identifier asked for.
    IdentifierNotEchoed,
    /// Several Patients carry the identifier asked for.
    SeveralPatients,
    /// The identifier was only discovered, and the Patient returned tells too little to confirm it.
    NotConfirmed,
    /// Nothing in the answer is about the patient asked for.
    OthersDataAlone,
}

/// How a member failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection: address, network or port.
    Connect,
    /// No TLS session: its certificate or ours was refused.
    Tls,
    /// The connection broke off.
    Broken,
    /// HTTP 502, 503 or 504.
    Unavailable,
    /// HTTP 500, a redirect, or another status that says nothing.
    ServerError,
    /// Not FHIR JSON, or nested too deep.
    NotFhir,
    /// It failed so often of late that it is left alone for a moment.
    CircuitOpen,
    /// A failure in the gateway itself while this member was asked.
    Internal,
}

/// Why a member was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// The permit does not allow its records.
    NotPermitted,
    /// It is not in the directory.
    NotInDirectory,
    /// It is not active: onboarding, testing or suspended.
    NotActive,
    /// It has no FHIR base that can be asked.
    NoEndpoint,
    /// More members than one query may ask.
    TooManyMembers,
    /// More of its records are this person's than one query may ask for.
    TooManyRecords,
    /// The requester's own organization.
    OwnOrganization,
    /// Nothing points to it, and it does not want to be asked for everybody.
    NotTargeted,
    /// Too little is known of the patient to look for them there.
    TooLittleKnown,
}

/// Whether the Patient returned is the one that was sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No Patient was seen.
    NotSeen,
    /// Its demographics agree with what the member fed, and with the person.
    Agrees,
    /// It carries the identifier asked for, and too little else to tell.
    NotConfirmed,
    /// It is somebody else.
    Contradicts,
}

/// Resources withheld one by one, counted by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped(BTreeMap<DropReason, usize>);

impl Dropped {
    pub(super) fn count(&mut self, reason: DropReason, times: usize) {
        if times > 0 {
            *self.0.entry(reason).or_default() += times;
        }
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Those that might have been the patient's or might not: all but what nobody refers to.
    pub fn withheld(&self) -> usize {
        self.total() - self.of(DropReason::Unreferenced)
    }

    /// How many for one reason.
    pub fn of(&self, reason: DropReason) -> usize {
        self.0.get(&reason).copied().unwrap_or_default()
    }

    /// Those that were about another patient.
    pub fn foreign(&self) -> usize {
        self.of(DropReason::OtherPatient) + self.of(DropReason::ForeignSubject)
    }

    /// Reasons with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, usize)> + '_ {
        self.0.iter().map(|(reason, times)| (*reason, *times))
    }
}

/// Why a resource was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// A Patient other than the one asked for.
    OtherPatient,
    /// Its subject is not the patient asked for.
    ForeignSubject,
    /// It must say whose it is, and does not.
    NoSubject,
    /// No verified resource refers to it.
    Unreferenced,
    /// It has no id, so that nothing could name it.
    NoId,
    /// Not a FHIR resource.
    Malformed,
}

impl DropReason {
    /// One word for metrics and diagnostics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OtherPatient => "other-patient",
            Self::ForeignSubject => "foreign-subject",
            Self::NoSubject => "no-subject",
            Self::Unreferenced => "unreferenced",
            Self::NoId => "no-id",
            Self::Malformed => "malformed",
        }
    }
}

/// A part of an answer that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The type that was searched for; `None` where `$everything` was asked.
    pub resource_type: Option<String>,
    /// Why.
    pub cut: Cut,
    /// The HTTP status behind it.
    pub http_status: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_withheld_answer_is_handed_out() {
        let resource =
            Resource::parse(br#"{"resourceType":"Observation","id":"1"}"#).expect("a resource");
        let answer = |status| RecordAnswer {
            resources: vec![resource.clone()],
            ..RecordAnswer::without_patient(Vec::new(), status)
        };
        let outcome = |status| MemberOutcome {
            answers: vec![answer(status)],
            member: MemberCode::parse("mercy").expect("a code"),
            name: String::new(),
            organization: String::new(),
            base_url: String::new(),
            elapsed: Duration::ZERO,
            kept_for: None,
            mark: None,
        };
        let mut withheld = outcome(Status::Withheld(Withholding::IdentityContradicted));
        assert_eq!(withheld.resources().count(), 0);
        assert_eq!(withheld.take_resources().len(), 0);
        assert_eq!(outcome(Status::Answered).take_resources().len(), 1);
    }
}
