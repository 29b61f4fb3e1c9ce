//! The journeys, one file each: what the exchange does for somebody, from the first question to
//! the last audit row.
//!
//! Every journey opens its audit before anything else, and gives its answer as
//! [`Released`](crate::access::Released): proof that what it discloses is on durable record.

mod brief_record;
mod call;
mod change_identifier;
mod cross_reference;
mod error;
mod gather;
mod link_records;
mod local_word;
mod locate_records;
mod match_patient;
mod merge_records;
mod message_reader;
mod messages_seen;
mod patient_view;
mod read_document;
mod read_patient;
mod read_resource;
mod record_consent;
mod record_locks;
mod register_patient;
mod retire_record;
mod retrieve_record;
mod search_patients;
mod search_record;
mod snapshots;
mod summarize_record;
mod take_message;

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Semaphore;

pub use brief_record::{BriefedRecord, brief_record};
pub use call::{Call, reject};
pub use change_identifier::change_identifier;
pub use cross_reference::{CrossReference, CrossReferenceQuery, SourceIdentifier, cross_reference};
pub use error::ExchangeError;
use error::rejected;
pub use gather::{EverythingQuery, reservation};
pub use link_records::{link_records, unlink_records};
pub use local_word::Told;
pub use locate_records::{FoundRecord, LocatedRecords, Whom, locate_records};
pub use match_patient::{MatchQuery, MatchedPatient, match_patient};
pub use merge_records::merge_records;
pub use message_reader::MessageReader;
pub use messages_seen::MessagesSeen;
pub use patient_view::PatientView;
pub use read_document::{DocumentContent, read_document};
pub use read_patient::read_patient;
pub use read_resource::read_resource;
pub use record_consent::record_consent;
pub use record_locks::RecordLocks;
pub use register_patient::{acceptable, last_updated, register_patient, told_merge};
pub use retire_record::retire_record;
pub use retrieve_record::{RetrievedRecord, next_page, retrieve_record};
pub use search_patients::{
    FoundPatients, PatientPage, PatientSearch, Searches, next_patients, search_patients,
};
pub use search_record::{
    FoundResources, RecordSearch, SoughtPatient, next_page_of_search, search_record,
};
pub use snapshots::{Selection, Snapshot, SnapshotSettings, Snapshots};
pub use summarize_record::summarize_record;
pub use take_message::{Taken, take_message};

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
    /// One turn for each record that is being fed.
    pub record_locks: RecordLocks,
    /// HL7 v2 messages taken of late.
    pub messages: MessagesSeen,
    /// One permit for each query that may be under way at members.
    pub queries: Semaphore,
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
    /// Persons whose records one search of patients may look at; more are too many to be meant.
    pub search_persons_max: usize,
    /// HL7 v2 messages that are known again when they are sent again.
    pub messages_remembered_max: u64,
    /// The most bytes of one document that are read through to its member.
    pub document_bytes_max: usize,
}

impl Default for ExchangeSettings {
    fn default() -> Self {
        Self {
            name: "Tessera exchange".to_owned(),
            organization: None,
            queries_max: 256,
            search_persons_max: 10_000,
            messages_remembered_max: 100_000,
            document_bytes_max: 32 << 20,
        }
    }
}
