use std::borrow::Cow;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{EnterpriseId, MemberCode, RecordKey, RequestId};

/// One row to be written. What is handed over together is durable together or not at all.
pub enum Write {
    /// Appends to the journal; the index numbers its entries.
    Journal(JournalRow),
    /// The current state of one source record.
    SourceRecord(SourceRecordRow),
    /// Another person for a source record that stays as it is otherwise. In one transaction it
    /// counts over the record's own rows, wherever they stand.
    Relink {
        /// The record's number.
        record_no: u32,
        /// Its person from now on.
        person: EnterpriseId,
    },
    /// A journal entry that belongs to the history of a source record, beside its registration.
    RecordHistory {
        /// The record's number.
        record_no: u32,
        /// The entry.
        seq: u64,
    },
    /// A journal entry that belongs to the history of a person, beside what its records were told.
    PersonHistory {
        /// The person, as it was called then.
        person: EnterpriseId,
        /// The entry.
        seq: u64,
    },
    /// The current state of one person.
    Person(PersonRow),
    /// The current state of one review task.
    ReviewTask(ReviewTaskRow),
    /// Appends to the audit trail; the writer numbers and chains the rows.
    Audit(AuditEntry),
    /// A new version of a consent: becomes the current one, and joins the history.
    Consent(ConsentRow),
    /// A new version of a member: becomes the current one, and joins the history.
    Member(MemberRow),
    /// What a check or a probe found at a member.
    Finding(FindingRow),
    /// One named value, such as the active model's version.
    Meta {
        /// Its name.
        name: Cow<'static, str>,
        /// Its value.
        value: String,
    },
}

/// One entry of the append-only journal. No `Debug`: demographics are PHI.
#[derive(Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Position, from 1, without gaps.
    pub seq: u64,
    /// When it was decided.
    pub recorded: OffsetDateTime,
    /// What happened, in the index's words.
    pub kind: Cow<'static, str>,
    /// The person concerned.
    pub person: Option<EnterpriseId>,
    /// The source record concerned.
    pub record: Option<RecordKey>,
    /// When it happened at the source, where told.
    pub event_time: Option<OffsetDateTime>,
    /// The model that weighed the evidence.
    pub model_version: String,
    /// The decision with its candidates and weights, JSON.
    pub decision: String,
    /// The demographics as told, JSON, where the entry brings any.
    pub demographics: Option<String>,
}

/// The current state of a source record.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceRecordRow {
    /// The index's own number for it, from 0.
    pub record_no: u32,
    /// Member and local identifier.
    pub key: RecordKey,
    /// The person it is linked to.
    pub person: EnterpriseId,
    /// 1 when registered, one more with each change.
    pub version: u32,
    /// When its demographics held at the source, where told.
    pub event_time: Option<OffsetDateTime>,
    /// When it was first registered.
    pub since: OffsetDateTime,
    /// When it last changed.
    pub changed: OffsetDateTime,
    /// The journal entry that holds its current demographics.
    pub current_seq: u64,
    /// The journal entry that registered it; only the first row told for a record counts.
    pub registered_seq: u64,
    /// Whether it is told of, in the index's words.
    pub standing: Cow<'static, str>,
}

/// The current state of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// Its id.
    pub person: EnterpriseId,
    /// The person it was merged into.
    pub redirect_to: Option<EnterpriseId>,
    /// The journal entry that minted it.
    pub created_seq: u64,
    /// The journal entry that changed its records last.
    pub changed_seq: u64,
}

/// A question for a steward.
#[derive(Clone, PartialEq)]
pub struct ReviewTaskRow {
    /// The index's own number for it, from 1.
    pub task_no: u64,
    /// What is asked, in the index's words.
    pub kind: Cow<'static, str>,
    /// Where it stands, in the index's words.
    pub state: Cow<'static, str>,
    /// The person it is about.
    pub person: EnterpriseId,
    /// The other person, where two are compared.
    pub other: Option<EnterpriseId>,
    /// The source record that raised it.
    pub record: Option<RecordKey>,
    /// The evidence, in bits.
    pub bits: f64,
    /// When it was raised.
    pub opened: OffsetDateTime,
    /// When it last changed.
    pub changed: OffsetDateTime,
    /// Everything else, JSON.
    pub body: String,
}

/// Which part of an audited action a row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditState {
    /// Something is about to be done; stays open until a [`Self::Closed`] row of the same audit id.
    Open,
    /// A stretch of something under way: neither opens nor closes.
    Stretch,
    /// It is done, refused or interrupted. One action may have several, one for each patient.
    Closed,
}

impl AuditState {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Stretch => "stretch",
            Self::Closed => "closed",
        }
    }

    /// Parses the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Stretch, Self::Closed].into_iter().find(|state| state.as_str() == text)
    }
}

/// One row of the audit trail, before the writer numbers and chains it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The audited action: its opening row and all that follow share it.
    pub audit_id: Uuid,
    /// The request that it is part of.
    pub request_id: RequestId,
    /// Which part of the action.
    pub state: AuditState,
    /// When.
    pub recorded: OffsetDateTime,
    /// The patient concerned, where there is one.
    pub person: Option<EnterpriseId>,
    /// The FHIR AuditEvent, JSON.
    pub body: String,
}

/// One version of a consent, anchored on the source record it was given for.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentRow {
    /// Its FHIR logical id.
    pub id: String,
    /// From 1; a version that is there already is a conflict.
    pub version: u32,
    /// When it was recorded.
    pub recorded: OffsetDateTime,
    /// The record that it follows through merge and separation.
    pub anchor: RecordKey,
    /// FHIR R4 `Consent.status`.
    pub status: String,
    /// The FHIR Consent, JSON.
    pub body: String,
}

/// One version of a member's directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// Its code.
    pub code: MemberCode,
    /// From 1; a version that is there already is a conflict.
    pub version: u32,
    /// When it was applied.
    pub recorded: OffsetDateTime,
    /// The entry, JSON.
    pub body: String,
}

/// One finding about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingRow {
    /// The member.
    pub code: MemberCode,
    /// What was looked at, in the finder's words.
    pub kind: Cow<'static, str>,
    /// From 1; a version that is there already is a conflict.
    pub version: u32,
    /// When it was found.
    pub recorded: OffsetDateTime,
    /// What was found, JSON.
    pub body: String,
}
