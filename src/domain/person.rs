use super::{EnterpriseId, RecordKey};

/// A person's id and the source records linked under it, and nothing that tells who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecords {
    /// The person's id today, after any redirect.
    pub id: EnterpriseId,
    /// Its source records, in key order.
    pub records: Vec<RecordKey>,
}
