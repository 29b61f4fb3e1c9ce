//! Reads a row of either database column by column, into the types that cannot hold nonsense.

use sqlx::{Postgres, Row as _, Sqlite};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{EnterpriseId, LocalId, MemberCode, RecordKey};

use super::{StorageError, sql::SqlRow};

/// What can be read from a column of either database.
pub(super) trait Readable<'r>:
    sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> + sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>
{
}

impl<'r, T> Readable<'r> for T where
    T: sqlx::Decode<'r, Sqlite>
        + sqlx::Type<Sqlite>
        + sqlx::Decode<'r, Postgres>
        + sqlx::Type<Postgres>
{
}

/// One row, read column by column in the order of the query.
pub(super) struct Columns<'r> {
    row: &'r SqlRow,
    table: &'static str,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r SqlRow, table: &'static str) -> Self {
        Self { row, table, next: 0 }
    }

    pub(super) fn unreadable(&self) -> StorageError {
        StorageError::Unreadable { table: self.table }
    }

    pub(super) fn value<T: Readable<'r>>(&mut self) -> Result<T, StorageError> {
        let at = self.next;
        self.next += 1;
        let read = match self.row {
            SqlRow::Sqlite(row) => row.try_get(at),
            SqlRow::Postgres(row) => row.try_get(at),
        };
        read.map_err(|_| self.unreadable())
    }

    pub(super) fn count(&mut self) -> Result<u64, StorageError> {
        let number: i64 = self.value()?;
        u64::try_from(number).map_err(|_| self.unreadable())
    }

    pub(super) fn small(&mut self) -> Result<u32, StorageError> {
        let number: i64 = self.value()?;
        u32::try_from(number).map_err(|_| self.unreadable())
    }

    pub(super) fn time(&mut self) -> Result<OffsetDateTime, StorageError> {
        let micros: i64 = self.value()?;
        self.at(micros)
    }

    pub(super) fn optional_time(&mut self) -> Result<Option<OffsetDateTime>, StorageError> {
        let micros: Option<i64> = self.value()?;
        micros.map(|micros| self.at(micros)).transpose()
    }

    fn at(&self, micros: i64) -> Result<OffsetDateTime, StorageError> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
            .map_err(|_| self.unreadable())
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, StorageError> {
        let bytes: &[u8] = self.value()?;
        Uuid::from_slice(bytes).map_err(|_| self.unreadable())
    }

    pub(super) fn person(&mut self) -> Result<EnterpriseId, StorageError> {
        self.uuid().map(|id| EnterpriseId::from_u128(id.as_u128()))
    }

    pub(super) fn optional_person(&mut self) -> Result<Option<EnterpriseId>, StorageError> {
        let bytes: Option<&[u8]> = self.value()?;
        let Some(bytes) = bytes else { return Ok(None) };
        let id = Uuid::from_slice(bytes).map_err(|_| self.unreadable())?;
        Ok(Some(EnterpriseId::from_u128(id.as_u128())))
    }

    /// Three columns: member, system, value.
    pub(super) fn record(&mut self) -> Result<RecordKey, StorageError> {
        self.optional_record()?.ok_or_else(|| self.unreadable())
    }

    /// Three columns: member, system, value; absent together.
    pub(super) fn optional_record(&mut self) -> Result<Option<RecordKey>, StorageError> {
        let member: Option<&str> = self.value()?;
        let system: Option<&str> = self.value()?;
        let value: Option<&str> = self.value()?;
        let (Some(member), Some(system), Some(value)) = (member, system, value) else {
            return Ok(None);
        };
        let member = MemberCode::parse(member).map_err(|_| self.unreadable())?;
        let local_id = LocalId::parse(system, value).map_err(|_| self.unreadable())?;
        Ok(Some(RecordKey { member, local_id }))
    }
}

/// A time as stored: microseconds since 1970, UTC.
pub(super) fn micros(time: OffsetDateTime) -> i64 {
    // Fits: the calendar of `time` ends at the year 9999, 2.5e17 microseconds after 1970.
    (time.unix_timestamp_nanos() / 1_000) as i64
}

/// An enterprise id as stored: its 16 bytes, most significant first.
pub(super) fn person_bytes(person: EnterpriseId) -> Vec<u8> {
    person.as_u128().to_be_bytes().to_vec()
}
