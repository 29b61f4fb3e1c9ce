//! The journeys, one file each: what the exchange does for somebody, from the first question to
//! the last audit row.
//!
//! Every journey opens its audit before anything else, and gives its answer as
//! [`Released`](crate::access::Released): proof that what it discloses is on durable record.

mod asking;
mod brief_record;
mod call;
mod change_identifier;
mod cross_reference;
mod decide_review;
mod discover_record;
mod error;
mod gather;
mod link_records;
mod list_reviews;
mod local_word;
mod locate_records;
mod manage_members;
mod match_patient;
mod member_directory;
mod merge_persons;
mod merge_records;
mod message_reader;
mod messages_seen;
mod patient_by_id;
mod patient_view;
mod person_history;
mod read_document;
mod read_patient;
mod read_resource;
mod record_consent;
mod record_jobs;
mod record_locks;
mod register_patient;
mod release_policy;
mod retire_record;
mod retrieve_record;
mod search_patients;
mod search_record;
mod separate_person;
mod snapshots;
mod stewarding;
mod stream_record;
mod summarize_record;
mod take_identity_message;
mod take_message;
mod undo_decision;
mod warm_record;
mod watch_members;
mod who_was_shown;

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Semaphore;

pub use brief_record::{BriefedRecord, brief_record};
pub use call::{Call, admit, reject};
pub use change_identifier::change_identifier;
pub use cross_reference::{
    CrossReference, CrossReferenceQuery, Referred, SourceIdentifier, cross_reference,
};
pub use decide_review::{claim_review, decide_review, release_review};
pub use discover_record::{Sightings, expire_discovered};
pub use error::ExchangeError;
use error::rejected;
pub use gather::{EverythingQuery, reservation};
pub use link_records::{link_records, unlink_records};
pub use list_reviews::{list_reviews, read_review, review_evidence};
pub use local_word::Told;
pub use locate_records::{FoundRecord, LocatedRecords, Whom, locate_records};
pub use manage_members::{Manager, MemberDesk};
pub use match_patient::{MatchQuery, Matched, MatchedPatient, match_patient};
pub use member_directory::{DirectoryKind, DirectoryPage, MemberDirectory};
pub use merge_persons::merge_persons;
pub use merge_records::merge_records;
pub use message_reader::MessageReader;
pub use messages_seen::MessagesSeen;
pub use patient_by_id::{FedById, PutById, put_by_id, retire_by_id};
pub use patient_view::{PatientView, in_doubt_extension};
pub use person_history::person_history;
pub use read_document::{DocumentContent, read_document};
pub use read_patient::read_patient;
pub use read_resource::read_resource;
pub use record_consent::record_consent;
pub use record_jobs::{
    JobResult, JobSettings, JobStatus, RecordJobs, cancel_job, job_status, start_job,
};
pub use record_locks::RecordLocks;
pub use register_patient::{acceptable, last_updated, register_patient, told_merge};
pub use release_policy::ReleasePolicy;
pub use retire_record::retire_record;
pub use retrieve_record::{RetrievedRecord, next_page, retrieve_record};
pub use search_patients::{
    FoundPatients, PatientPage, PatientSearch, Searches, next_patients, search_patients,
};
pub use search_record::{
    FoundResources, RecordSearch, SoughtPatient, next_page_of_search, search_record,
};
pub use separate_person::separate_person;
pub use snapshots::{Selection, Snapshot, SnapshotSettings, Snapshots};
pub use stream_record::{Streamed, Stretch, stream_record};
pub use summarize_record::summarize_record;
pub use take_identity_message::{EntryOutcome, take_identity_message};
pub use take_message::{Done, MessageDesk, Taken, take_message};
pub use undo_decision::undo_decision;
pub use warm_record::{ArrivalSettings, Arrivals, warm_arrivals};
pub use watch_members::{check_members, watch_links, watch_members};
pub use who_was_shown::{WronglyShown, who_was_shown};

use crate::{
    access::{AuditLog, Clients, ConsentBook},
    directory::Directory,
    domain::Clock,
    federation::Federation,
    index::Index,
};

/// Everything that a journey leans on, built once by `app`.
pub struct Exchange {
    /// What the exchange is, and how much it takes on at once.
    pub settings: ExchangeSettings,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Who may knock.
    pub clients: Clients,
    /// The members.
    pub directory: Directory,
    /// The consents on file.
    pub consents: ConsentBook,
    /// The audit trail.
    pub audit: AuditLog,
    /// The master patient index.
    pub index: Index,
    /// The way to the members.
    pub federation: Federation,
    /// Records shown of late.
    pub snapshots: Snapshots,
    /// Searches of late that have further pages.
    pub searches: Searches,
    /// Records that are gathered to be fetched later.
    pub jobs: RecordJobs,
    /// Patients who arrived just now.
    pub arrivals: Arrivals,
    /// Where nobody was found of late who was looked for.
    pub sightings: Sightings,
    /// One turn for each record that is being fed.
    pub record_locks: RecordLocks,
    /// HL7 v2 messages taken of late.
    pub messages: MessagesSeen,
    /// One permit for each query that may be under way at members.
    pub queries: Semaphore,
}

impl Exchange {
    /// What managing members leans on.
    pub fn member_desk(&self) -> MemberDesk<'_> {
        MemberDesk {
            directory: &self.directory,
            federation: &self.federation,
            audit: &self.audit,
            clock: &*self.clock,
        }
    }
}

/// What the exchange is called, and how much it takes on at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExchangeSettings {
    /// Its name, as transmitter in Provenance.
    pub name: String,
    /// Its identifier as a URI, such as `urn:oid:…`.
    pub organization: Option<String>,
    /// Queries to members under way at once; more are told to come again.
    pub queries_max: usize,
    /// What has to agree before `$match` shows a person with identifiers and links.
    pub release_policy: ReleasePolicy,
    /// Days that a record counts which a member gave when it was asked whom it knows, and never fed.
    pub discovered_link_days: u32,
    /// Seconds after which a person is looked for again where nobody was found.
    pub discovery_repeat_s: u64,
    /// Persons whose records one search of patients may look at; more are too many to be meant.
    pub search_persons_max: usize,
    /// HL7 v2 messages that are known again when they are sent again.
    pub messages_remembered_max: u64,
    /// The most bytes of one document that are read through to its member.
    pub document_bytes_max: usize,
    /// How long a client may leave a stream unread before it is given up, in seconds.
    pub stream_stall_s: u64,
}

impl Default for ExchangeSettings {
    fn default() -> Self {
        Self {
            name: "Tessera exchange".to_owned(),
            organization: None,
            queries_max: 256,
            release_policy: ReleasePolicy::Probabilistic,
            discovered_link_days: 90,
            discovery_repeat_s: 300,
            search_persons_max: 10_000,
            messages_remembered_max: 100_000,
            document_bytes_max: 32 << 20,
            stream_stall_s: 30,
        }
    }
}
