use super::{EnterpriseId, RecordKey};

/// A person's id and the source records linked under it, and nothing that tells who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecords {
    /// The person's id today, after any redirect.
    pub id: EnterpriseId,
    /// Its source records, in key order.
    pub records: Vec<RecordKey>,
    /// Identifiers under which its records were known before, and records that are no longer told
    /// of, in key order. Nothing is shown of them; what was consented under them still counts.
    pub former: Vec<RecordKey>,
}
