//! What a member itself told last: its own words, for its own feed.

use crate::{access::FeedPermit, domain::Demographics, domain::RecordKey, storage::StorageError};

use super::{Index, IndexError};

impl Index {
    /// The demographics that the member told last of its record; `None` where it told of none, or
    /// ended it since. The permit shows that whoever asks is the member.
    pub async fn last_told(
        &self,
        permit: &FeedPermit,
        record: &RecordKey,
    ) -> Result<Option<Demographics>, IndexError> {
        if !permit.covers(record) {
            return Ok(None);
        }
        let seq = {
            let state = self.shared.read();
            let registry = &state.registry;
            let known = registry.find(record).filter(|record_no| registry.is_active(*record_no));
            let Some(record_no) = known else { return Ok(None) };
            registry.record(record_no).current_seq
        };
        let mut told = self.db.reader().told_demographics(&[seq]).await?;
        let (_, json) = told.remove(&seq).ok_or(IndexError::DamagedJournal { seq })?;
        let demographics = serde_json::from_str(&json)
            .map_err(|_| StorageError::Unreadable { table: "journal" })?;
        Ok(Some(demographics))
    }
}
