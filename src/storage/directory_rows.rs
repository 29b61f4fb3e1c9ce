//! Reads members and consents.

use futures_util::TryStreamExt as _;
use time::OffsetDateTime;

use crate::domain::{MemberCode, RecordKey};

use super::{
    ConsentRow, FindingRow, MemberRow, Reader, StorageError,
    columns::Columns,
    sql::{SqlRow, Statement},
};

impl Reader {
    /// The current entry of every member, by code.
    pub async fn members(&self) -> Result<Vec<MemberRow>, StorageError> {
        self.pool()
            .fetch(Statement::new(
                "SELECT code, version, recorded_at, body FROM member ORDER BY code",
            ))
            .and_then(|row| async move { member(&row) })
            .try_collect()
            .await
    }

    /// All versions of one member's entry, oldest first.
    pub async fn member_history(&self, code: &MemberCode) -> Result<Vec<MemberRow>, StorageError> {
        self.pool()
            .fetch(
                Statement::new(
                    "SELECT code, version, recorded_at, body FROM member_history WHERE code = $1 \
             ORDER BY version",
                )
                .bind(code.as_str()),
            )
            .and_then(|row| async move { member(&row) })
            .try_collect()
            .await
    }

    /// When each member was first recorded, by code.
    pub async fn members_since(&self) -> Result<Vec<(MemberCode, OffsetDateTime)>, StorageError> {
        self.pool()
            .fetch(Statement::new(
                "SELECT code, MIN(recorded_at) FROM member_history GROUP BY code ORDER BY code",
            ))
            .and_then(|row| async move {
                let mut columns = Columns::of(&row, "member_history");
                let code: &str = columns.value()?;
                let code = MemberCode::parse(code).map_err(|_| columns.unreadable())?;
                Ok((code, columns.time()?))
            })
            .try_collect()
            .await
    }

    /// The latest finding of one kind about a member.
    pub async fn last_finding(
        &self,
        code: &MemberCode,
        kind: &'static str,
    ) -> Result<Option<FindingRow>, StorageError> {
        let statement = Statement::new(
            "SELECT code, version, recorded_at, body FROM member_finding \
             WHERE code = $1 AND kind = $2 ORDER BY version DESC LIMIT 1",
        );
        let row = self.pool().fetch_optional(statement.bind(code.as_str()).bind(kind)).await?;
        let found = row.as_ref().map(member).transpose()?;
        Ok(found.map(|row| FindingRow {
            code: row.code,
            kind: kind.into(),
            version: row.version,
            recorded: row.recorded,
            body: row.body,
        }))
    }

    /// The current version of every consent, by id.
    pub async fn consents(&self) -> Result<Vec<ConsentRow>, StorageError> {
        self.pool().fetch(Statement::new(
            "SELECT consent_id, version, recorded_at, member, id_system, id_value, status, body \
             FROM consent ORDER BY consent_id",
        ))
            .and_then(|row| async move { consent(&row) })
        .try_collect()
        .await
    }

    /// The current version of one consent.
    pub async fn consent(&self, id: &str) -> Result<Option<ConsentRow>, StorageError> {
        let row = self.pool().fetch_optional(Statement::new(
            "SELECT consent_id, version, recorded_at, member, id_system, id_value, status, body \
             FROM consent WHERE consent_id = $1",
        )
        .bind(id))
        .await?;
        row.as_ref().map(consent).transpose()
    }

    /// The current consents given for one source record, by id.
    pub async fn consents_of(&self, key: &RecordKey) -> Result<Vec<ConsentRow>, StorageError> {
        self.pool().fetch(Statement::new(
            "SELECT consent_id, version, recorded_at, member, id_system, id_value, status, body \
             FROM consent WHERE id_value = $1 AND id_system = $2 AND member = $3 \
             ORDER BY consent_id",
        )
        .bind(key.local_id.value())
        .bind(key.local_id.system())
        .bind(key.member.as_str()))
            .and_then(|row| async move { consent(&row) })
        .try_collect()
        .await
    }

    /// All versions of one consent, oldest first.
    pub async fn consent_history(&self, id: &str) -> Result<Vec<ConsentRow>, StorageError> {
        self.pool().fetch(Statement::new(
            "SELECT consent_id, version, recorded_at, member, id_system, id_value, status, body \
             FROM consent_history WHERE consent_id = $1 ORDER BY version",
        )
        .bind(id))
            .and_then(|row| async move { consent(&row) })
        .try_collect()
        .await
    }
}

fn member(row: &SqlRow) -> Result<MemberRow, StorageError> {
    let mut columns = Columns::of(row, "member");
    let code: &str = columns.value()?;
    Ok(MemberRow {
        code: MemberCode::parse(code).map_err(|_| columns.unreadable())?,
        version: columns.small()?,
        recorded: columns.time()?,
        body: columns.value()?,
    })
}

fn consent(row: &SqlRow) -> Result<ConsentRow, StorageError> {
    let mut columns = Columns::of(row, "consent");
    Ok(ConsentRow {
        id: columns.value()?,
        version: columns.small()?,
        recorded: columns.time()?,
        anchor: columns.record()?,
        status: columns.value()?,
        body: columns.value()?,
    })
}
