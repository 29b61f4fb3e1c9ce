//! SQL as the system of record: one writer with group commit, any number of readers.
//!
//! [`Database::open`] migrates and starts the writer. [`Database::enqueue`] hands it typed
//! [`Write`]s in order; the [`Receipt`] answers once they are on the disk, or says why none of
//! them is. [`Reader`] reads committed rows, also while another process writes.

mod address;
mod audit_chain;
mod audit_rows;
mod claim;
mod columns;
mod database;
mod directory_rows;
mod error;
mod index_rows;
mod insert;
mod lease;
mod lock;
mod patience;
mod postgres;
mod reader;
mod sql;
mod sqlite;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
mod write;
mod writer;

pub use address::{DatabaseAddress, InvalidAddress, ServerAddress};
pub use audit_chain::{BadAuditRow, ChainFault, ChainReport};
pub use audit_rows::AuditRow;
pub use database::{Database, StorageSettings};
pub use error::StorageError;
pub use reader::Reader;
pub use write::{
    AuditEntry, AuditState, ConsentRow, FindingRow, JournalRow, MemberRow, PersonRow,
    ReviewTaskRow, SourceRecordRow, Write,
};
pub use writer::{Durability, Receipt};
