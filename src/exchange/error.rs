use std::sync::Arc;

use thiserror::Error;

use crate::{
    access::{AuditError, Closing, ConsentError, InvalidConsent, Refusal},
    directory::DirectoryError,
    domain::MemberCode,
    federation::Checkup,
    fhir::{InvalidResource, Issue, patient::Fault},
    hl7v2,
    index::{IndexError, LocalRefusal, StewardRefusal, TooBroad},
};

/// Why the exchange cannot answer at all. A member that fails is no error but an outcome.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// Not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such person, or none that may be named.
    #[error("patient not found")]
    UnknownPatient,
    /// No such resource, or none that may be named.
    #[error("resource not found")]
    UnknownResource,
    /// The snapshot behind a page link has ended.
    #[error("the page is no longer kept; ask again from the beginning")]
    PageExpired,
    /// Not a resource, or not the one that belongs here.
    #[error(transparent)]
    InvalidResource(#[from] InvalidResource),
    /// Elements of a Patient break the rules.
    #[error("the Patient cannot be taken as it is")]
    InvalidPatient(Vec<Fault>),
    /// An HL7 v2 message that cannot be taken.
    #[error("{0}")]
    InvalidMessage(hl7v2::Fault),
    /// Entries of a message cannot be taken, by their number; nothing was done.
    #[error("entries of the message cannot be taken; nothing was done")]
    InvalidEntries(Vec<(usize, ExchangeError)>),
    /// Nothing could be stored any more when so many entries of a message were done.
    #[error("{done} of {entries} entries are done, the others are not; send the message again")]
    Interrupted {
        /// Entries done, durably: the first ones.
        done: usize,
        /// All entries.
        entries: usize,
    },
    /// The Patient does not say who it is.
    #[error("the Patient holds too little to tell anybody apart")]
    TooLittle,
    /// The identifier of the request is not among the Patient's own.
    #[error("the Patient does not hold the identifier that the request names")]
    IdentifierMismatch,
    /// The Patient holds no identifier that its member is asked by.
    #[error(
        "the Patient holds no identifier of the member's own systems, by which it is asked for"
    )]
    NoOwnIdentifier,
    /// A link of the Patient leads elsewhere than to a Patient of the same member.
    #[error("the link leads to no Patient of this member that could be told by its reference")]
    ForeignReference,
    /// If-Match names another version than there is.
    #[error("the record has another version than the request is meant for")]
    OtherVersion,
    /// The request names several identifiers, of several patients or of none.
    #[error("the identifiers name several patients, or a new patient ambiguously")]
    SeveralPatients,
    /// The criteria of a search fit more persons than may be looked at.
    #[error(transparent)]
    TooBroad(#[from] TooBroad),
    /// A search is limited to a namespace that nobody has (ITI-78).
    #[error("nobody in this exchange has identifiers of that system")]
    UnknownDomain,
    /// The namespace of the identifier asked about is no member's (ITI-83).
    #[error("no member of this exchange has that identifier system")]
    UnknownSourceDomain,
    /// The identifier asked about is nobody's, or nobody's that may be named (ITI-83).
    #[error("no patient has that identifier")]
    UnknownSourceIdentifier,
    /// A namespace asked for is no member's (ITI-83).
    #[error("no member of this exchange has an identifier system that was asked for")]
    UnknownTargetDomain,
    /// A change that is not taken.
    #[error("{0}")]
    NotSupported(&'static str),
    /// The Consent cannot be read.
    #[error(transparent)]
    InvalidConsent(#[from] InvalidConsent),
    /// The Consent could not be kept.
    #[error(transparent)]
    Consent(ConsentError),
    /// The bytes of a document could not be had, or are too many.
    #[error("the member did not give the document")]
    DocumentUnavailable,
    /// The bytes of a document are not those that its description tells.
    #[error("what the member gave is not the document described: its size, hash or type differ")]
    DocumentDiffers,
    /// Every member that holds records failed.
    #[error("no member that holds records answered")]
    NoMemberAnswered(Vec<Issue>),
    /// As many queries as the gateway takes at once are under way.
    #[error("too many queries are under way; try again")]
    Busy,
    /// No such job, or none of this client's.
    #[error("no such job")]
    UnknownJob,
    /// A job whose result is no longer kept, or may no longer be shown.
    #[error("the result is no longer kept; ask again from the beginning")]
    ResultExpired,
    /// As many jobs as are taken are under way or wait to be fetched.
    #[error("too many jobs; fetch or cancel some, and try again")]
    TooManyJobs,
    /// A job that failed.
    #[error(transparent)]
    JobFailed(Arc<Self>),
    /// Whoever asked for a stream does not read it.
    #[error("the client does not read what it asked for")]
    NotReading,
    /// What a member says of its own records cannot be followed.
    #[error(transparent)]
    Local(LocalRefusal),
    /// No member of that code.
    #[error("no such member")]
    UnknownMember,
    /// No such version of a member's entry.
    #[error("no such version of the member's entry")]
    UnknownVersion,
    /// A member was to become active, and its check failed.
    #[error("{} failed its check: {}", .0, .1.failure().unwrap_or_default())]
    CheckFailed(MemberCode, Box<Checkup>),
    /// The directory cannot be changed so.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// What a steward wants cannot be done.
    #[error(transparent)]
    Steward(StewardRefusal),
    /// The index failed.
    #[error(transparent)]
    Index(IndexError),
    /// The audit trail failed; nothing may be released.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl From<IndexError> for ExchangeError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::SubsumedIdentifier => Self::Local(LocalRefusal::Index(error)),
            other => Self::Index(other),
        }
    }
}

impl From<LocalRefusal> for ExchangeError {
    fn from(refusal: LocalRefusal) -> Self {
        match refusal {
            LocalRefusal::Index(error) => error.into(),
            other => Self::Local(other),
        }
    }
}

impl From<hl7v2::Fault> for ExchangeError {
    fn from(fault: hl7v2::Fault) -> Self {
        Self::InvalidMessage(fault)
    }
}

impl From<StewardRefusal> for ExchangeError {
    fn from(refusal: StewardRefusal) -> Self {
        match refusal {
            StewardRefusal::Index(error) => error.into(),
            other => Self::Steward(other),
        }
    }
}

impl From<ConsentError> for ExchangeError {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Consent(other),
        }
    }
}

/// How the audit of a journey that failed closes: fixed words, no patient.
pub(super) fn rejected(error: &ExchangeError) -> Closing {
    match error {
        ExchangeError::Refused(refusal) => Closing::Refused(*refusal),
        ExchangeError::UnknownPatient => Closing::Rejected("patient not found"),
        ExchangeError::UnknownResource => Closing::Rejected("resource not found"),
        ExchangeError::PageExpired => Closing::Rejected("page expired"),
        ExchangeError::InvalidResource(_) => {
            Closing::Rejected("not the resource that belongs here")
        }
        ExchangeError::InvalidPatient(_) => Closing::Rejected("Patient breaks the rules"),
        ExchangeError::InvalidMessage(fault) => Closing::Rejected(fault.text),
        ExchangeError::InvalidEntries(_) => Closing::Rejected("entries that cannot be taken"),
        ExchangeError::Interrupted { .. } => Closing::Failed("the message was not done to its end"),
        ExchangeError::TooLittle => Closing::Rejected("too few demographics"),
        ExchangeError::IdentifierMismatch => Closing::Rejected("identifier not in the Patient"),
        ExchangeError::NoOwnIdentifier => Closing::Rejected("no identifier of the member's own"),
        ExchangeError::ForeignReference => Closing::Rejected("a link that leads elsewhere"),
        ExchangeError::OtherVersion => Closing::Rejected("another version"),
        ExchangeError::SeveralPatients => Closing::Rejected("several patients"),
        ExchangeError::TooBroad(_) => Closing::Rejected("too many patients may be meant"),
        ExchangeError::UnknownDomain | ExchangeError::UnknownTargetDomain => {
            Closing::Rejected("target system not known")
        }
        ExchangeError::UnknownSourceDomain => Closing::Rejected("source system not known"),
        ExchangeError::UnknownSourceIdentifier => Closing::Rejected("identifier not found"),
        ExchangeError::NotSupported(what) => Closing::Rejected(what),
        ExchangeError::InvalidConsent(_) => Closing::Rejected("Consent cannot be read"),
        ExchangeError::Consent(_) => Closing::Failed("Consent could not be kept"),
        ExchangeError::DocumentUnavailable => Closing::Failed("document not given"),
        ExchangeError::DocumentDiffers => Closing::Failed("document differs from its description"),
        ExchangeError::NoMemberAnswered(_) => Closing::Failed("no member answered"),
        ExchangeError::Busy => Closing::Failed("too many queries under way"),
        ExchangeError::UnknownJob => Closing::Rejected("no such job"),
        ExchangeError::ResultExpired => Closing::Rejected("result expired"),
        ExchangeError::TooManyJobs => Closing::Rejected("too many jobs"),
        ExchangeError::JobFailed(error) => rejected(error),
        ExchangeError::NotReading => Closing::Rejected("the client stopped reading"),
        ExchangeError::Local(_) => Closing::Rejected("a local merge, link or end that cannot be"),
        ExchangeError::UnknownMember => Closing::Rejected("no such member"),
        ExchangeError::UnknownVersion => Closing::Rejected("no such version"),
        ExchangeError::CheckFailed(..) => Closing::Rejected("the member failed its check"),
        ExchangeError::Directory(_) => Closing::Failed("the directory was not changed"),
        ExchangeError::Steward(_) => Closing::Rejected("a decision that cannot be"),
        ExchangeError::Index(_) => Closing::Failed("the index failed"),
        ExchangeError::Audit(_) => Closing::Failed("the audit trail failed"),
    }
}
