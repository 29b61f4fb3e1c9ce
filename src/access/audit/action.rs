use std::net::IpAddr;
use std::sync::Arc;

use crate::access::{Permit, Refusal, Requester};
use crate::domain::{EnterpriseId, PurposeOfUse, RequestId};

/// What is known of an action before it begins.
#[derive(Clone)]
pub struct AuditStart {
    /// The request that it is part of.
    pub request_id: RequestId,
    /// Who asks; `None` where authentication itself failed, and for a command on this machine.
    pub requester: Option<Arc<Requester>>,
    /// Where from; `None` for a command on this machine.
    pub client_address: Option<IpAddr>,
    /// What is asked for.
    pub interaction: Interaction,
    /// Why, where a purpose applies and was understood.
    pub purpose: Option<PurposeOfUse>,
    /// Whom, where the request names an enterprise id.
    pub patient: Option<EnterpriseId>,
    /// The resource read or written, such as `Patient/<id>`, where the request names one.
    pub resource: Option<String>,
    /// The request as it came.
    pub query: RawRequest,
}

/// A request as it came; it may hold demographics. No `Debug`.
#[derive(Clone, Default)]
pub struct RawRequest {
    /// HTTP method, or the name of a command.
    pub method: String,
    /// Path without the query string.
    pub path: String,
    /// The query string, without its question mark.
    pub query_string: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What one may do that is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// `Patient/$match` (IHE ITI-119).
    Match,
    /// `Patient?…` (IHE ITI-78).
    PatientSearch,
    /// `Patient/$ihe-pix` (IHE ITI-83).
    CrossReference,
    /// `Patient/$locate-records`.
    LocateRecords,
    /// `GET Patient/{id}`.
    PatientRead,
    /// `Patient/{id}/$everything`.
    Everything,
    /// `Patient/{id}/$summary`.
    Summary,
    /// A search of clinical resources.
    ResourceSearch,
    /// A read of one clinical resource.
    ResourceRead,
    /// A member is asked whom it knows of a patient's demographics, which go there.
    Discovery,
    /// `PUT Patient?identifier=` (IHE ITI-104), or another identity feed.
    Feed,
    /// `DELETE Patient?identifier=` (IHE ITI-104), or another feed's end of a record.
    FeedRemoval,
    /// An HL7 v2 message (IHE ITI-8, ITI-30).
    FeedMessage,
    /// One Patient of a FHIR message (IHE PMIR ITI-93), created, changed or merged.
    FeedEntry,
    /// One Patient of a FHIR message (IHE PMIR ITI-93), deleted.
    FeedEntryRemoval,
    /// `PUT Consent/{id}`.
    ConsentWrite,
    /// `Consent?…` (IHE ITI-108).
    ConsentSearch,
    /// `AuditEvent?…` (IHE ITI-81).
    AuditSearch,
    /// A steward looks at uncertain links.
    ReviewRead,
    /// A steward decides one.
    ReviewWrite,
    /// An operator changes members or settings.
    Administration,
}

/// IHE BALP patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Query,
    Read,
    Write,
    Delete,
}

impl Interaction {
    pub(super) const fn pattern(self) -> Pattern {
        match self {
            Self::Match
            | Self::PatientSearch
            | Self::CrossReference
            | Self::LocateRecords
            | Self::Everything
            | Self::Summary
            | Self::ResourceSearch
            | Self::Discovery
            | Self::ConsentSearch
            | Self::AuditSearch
            | Self::ReviewRead => Pattern::Query,
            Self::PatientRead | Self::ResourceRead => Pattern::Read,
            Self::Feed
            | Self::FeedMessage
            | Self::FeedEntry
            | Self::ConsentWrite
            | Self::ReviewWrite
            | Self::Administration => Pattern::Write,
            Self::FeedRemoval | Self::FeedEntryRemoval => Pattern::Delete,
        }
    }

    /// FHIR R4 `restful-interaction`; a write is an update until it is known to have created.
    pub(super) const fn restful(self) -> &'static str {
        match self {
            Self::Match
            | Self::CrossReference
            | Self::LocateRecords
            | Self::Everything
            | Self::Summary
            | Self::Discovery => "operation",
            Self::PatientSearch
            | Self::ResourceSearch
            | Self::ConsentSearch
            | Self::AuditSearch
            | Self::ReviewRead => "search",
            Self::PatientRead | Self::ResourceRead => "read",
            Self::Feed
            | Self::FeedMessage
            | Self::FeedEntry
            | Self::ConsentWrite
            | Self::ReviewWrite
            | Self::Administration => "update",
            Self::FeedRemoval | Self::FeedEntryRemoval => "delete",
        }
    }

    /// The IHE transaction, where it is one.
    pub(super) const fn transaction(self) -> Option<&'static str> {
        match self {
            Self::Match => Some("ITI-119"),
            Self::PatientSearch => Some("ITI-78"),
            Self::CrossReference => Some("ITI-83"),
            Self::Feed | Self::FeedRemoval => Some("ITI-104"),
            Self::FeedMessage => Some("ITI-30"),
            Self::FeedEntry | Self::FeedEntryRemoval => Some("ITI-93"),
            Self::ConsentSearch => Some("ITI-108"),
            Self::AuditSearch => Some("ITI-81"),
            Self::LocateRecords
            | Self::PatientRead
            | Self::Everything
            | Self::Summary
            | Self::Discovery
            | Self::ResourceSearch
            | Self::ResourceRead
            | Self::ConsentWrite
            | Self::ReviewRead
            | Self::ReviewWrite
            | Self::Administration => None,
        }
    }
}

/// How an action ended.
#[derive(Clone, Debug)]
pub enum Closing {
    /// Answered, with these patients' data; with none where nobody was found.
    Disclosed(Vec<Disclosure>),
    /// The same, and what the trail keeps of how it was judged, also where nobody was found.
    Judged {
        /// These patients' data.
        disclosures: Vec<Disclosure>,
        /// How.
        notes: Vec<AuditNote>,
    },
    /// Written.
    Wrote {
        /// The resource, such as `Patient/<id>`.
        resource: String,
        /// Whom it is about.
        person: Option<EnterpriseId>,
        /// Whether it is new.
        created: bool,
    },
    /// A steward looked at who these persons are.
    Looked(Vec<EnterpriseId>),
    /// A steward decided about who these persons are.
    Decided {
        /// The resource that was decided about, such as `Task/<no>`.
        resource: String,
        /// Whom it is about.
        persons: Vec<EnterpriseId>,
    },
    /// Not allowed.
    Refused(Refusal),
    /// The request was wrong; a few fixed words that name no patient.
    Rejected(&'static str),
    /// We could not; a few fixed words that name no patient.
    Failed(&'static str),
}

/// Something that the audit trail keeps of an action beside its event: a code of ours and what it says.
/// Names no patient and holds no value of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditNote {
    pub(super) name: &'static str,
    pub(super) text: String,
}

impl AuditNote {
    /// A note.
    pub fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, text: text.into() }
    }
}

/// One patient's data going to one requester. Made only from a permit.
#[derive(Clone, Debug)]
pub struct Disclosure {
    pub(super) person: EnterpriseId,
    pub(super) purpose: PurposeOfUse,
    pub(super) broke_glass: bool,
    pub(super) notes: Vec<AuditNote>,
}

impl Disclosure {
    /// What this permit allowed was released.
    pub fn of(permit: &Permit) -> Self {
        Self {
            person: permit.person(),
            purpose: permit.purpose(),
            broke_glass: permit.broke_glass(),
            notes: Vec::new(),
        }
    }

    /// With what the trail keeps beside it.
    #[must_use]
    pub fn with_notes(mut self, notes: Vec<AuditNote>) -> Self {
        self.notes = notes;
        self
    }
}
