//! Reads the audit trail.

use std::ops::RangeInclusive;

use futures_util::{Stream, TryStreamExt as _};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{EnterpriseId, RequestId};

use super::{
    AuditEntry, AuditState, Reader, StorageError,
    columns::{Columns, micros},
    sql::{SqlRow, Statement},
};

/// One row of the audit trail as it stands there.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Position in the chain, from 1, without gaps.
    pub seq: u64,
    /// What was written.
    pub entry: AuditEntry,
}

impl Reader {
    /// The audit trail in order, from the row after `after_seq` (0 for all of it).
    pub fn audit_rows(
        &self,
        after_seq: u64,
    ) -> impl Stream<Item = Result<AuditRow, StorageError>> + '_ {
        self.pool()
            .fetch(
                Statement::new(
                    "SELECT seq, recorded_at, audit_id, request_id, state, person, body \
             FROM audit_event WHERE seq > $1 ORDER BY seq",
                )
                .bind(after_seq as i64),
            )
            .and_then(|row| async move { audit_row(&row) })
    }

    /// Up to `rows_max` rows about one person, newest first: who saw what.
    pub async fn audit_rows_of(
        &self,
        person: EnterpriseId,
        rows_max: u32,
    ) -> Result<Vec<AuditRow>, StorageError> {
        self.pool()
            .fetch(
                Statement::new(
                    "SELECT seq, recorded_at, audit_id, request_id, state, person, body \
             FROM audit_event WHERE person = $1 ORDER BY seq DESC LIMIT $2",
                )
                .bind(person)
                .bind(i64::from(rows_max)),
            )
            .and_then(|row| async move { audit_row(&row) })
            .try_collect()
            .await
    }

    /// The rows that closed or released something about one person within a span of time, both ends
    /// included; oldest first, from the row after `after_seq`, and at most `rows_max`.
    pub async fn audit_rows_within(
        &self,
        person: EnterpriseId,
        span: RangeInclusive<OffsetDateTime>,
        after_seq: u64,
        rows_max: u32,
    ) -> Result<Vec<AuditRow>, StorageError> {
        self.pool()
            .fetch(
                Statement::new(
                    "SELECT seq, recorded_at, audit_id, request_id, state, person, body \
                     FROM audit_event WHERE person = $1 AND seq > $2 AND state <> 'open' \
                     AND recorded_at >= $3 AND recorded_at <= $4 ORDER BY seq LIMIT $5",
                )
                .bind(person)
                .bind(after_seq as i64)
                .bind(micros(*span.start()))
                .bind(micros(*span.end()))
                .bind(i64::from(rows_max)),
            )
            .and_then(|row| async move { audit_row(&row) })
            .try_collect()
            .await
    }

    /// The opening rows that nobody closed. After a start, those of the run before that broke off.
    pub async fn audit_rows_left_open(&self) -> Result<Vec<AuditRow>, StorageError> {
        self.pool()
            .fetch(Statement::new(
                "SELECT e.seq, e.recorded_at, e.audit_id, e.request_id, e.state, e.person, e.body \
             FROM audit_open o JOIN audit_event e ON e.seq = o.seq ORDER BY e.seq",
            ))
            .and_then(|row| async move { audit_row(&row) })
            .try_collect()
            .await
    }
}

fn audit_row(row: &SqlRow) -> Result<AuditRow, StorageError> {
    let mut columns = Columns::of(row, "audit_event");
    let seq = columns.count()?;
    let recorded = columns.time()?;
    let audit_id = columns.uuid()?;
    let request_id: &str = columns.value()?;
    let state: &str = columns.value()?;
    Ok(AuditRow {
        seq,
        entry: AuditEntry {
            audit_id,
            request_id: Uuid::parse_str(request_id)
                .map(RequestId::new)
                .map_err(|_| columns.unreadable())?,
            state: AuditState::parse(state).ok_or_else(|| columns.unreadable())?,
            recorded,
            person: columns.optional_person()?,
            body: columns.value()?,
        },
    })
}
