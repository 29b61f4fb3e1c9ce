//! Reads the journal and its projections.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use futures_util::{Stream, TryStreamExt as _};
use time::OffsetDateTime;

use crate::domain::EnterpriseId;

use super::{
    JournalRow, PersonRow, Reader, ReviewTaskRow, SourceRecordRow, StorageError,
    columns::Columns,
    insert::checked_journal,
    sql::{SqlRow, Statement, Value, placeholders},
};

impl Reader {
    /// The journal in order, from the entry after `after_seq` (0 for all of it).
    pub fn journal(
        &self,
        after_seq: u64,
    ) -> impl Stream<Item = Result<JournalRow, StorageError>> + '_ {
        self.pool().fetch(Statement::new(
            "SELECT seq, recorded_at, kind, person, member, id_system, id_value, event_time, \
             model_version, decision, demographics, checksum FROM journal WHERE seq > $1 ORDER BY seq",
        )
        .bind(after_seq as i64))
            .and_then(|row| async move { journal_row(&row) })
    }

    /// One entry of the journal.
    pub async fn journal_entry(&self, seq: u64) -> Result<Option<JournalRow>, StorageError> {
        let row = self.pool().fetch_optional(Statement::new(
            "SELECT seq, recorded_at, kind, person, member, id_system, id_value, event_time, \
             model_version, decision, demographics, checksum FROM journal WHERE seq = $1",
        )
        .bind(seq as i64))
        .await?;
        row.as_ref().map(journal_row).transpose()
    }

    /// Entries of the journal, in order; numbers that no entry has are left out.
    pub async fn journal_entries(&self, seqs: &[u64]) -> Result<Vec<JournalRow>, StorageError> {
        let wanted = seqs.iter().map(|seq| Value::from(*seq as i64)).collect();
        let found = self.rows_among(
            "SELECT seq, recorded_at, kind, person, member, id_system, id_value, event_time, \
             model_version, decision, demographics, checksum FROM journal WHERE seq IN (",
            wanted,
            journal_row,
        );
        let mut rows = found.await?;
        rows.sort_unstable_by_key(|row| row.seq);
        Ok(rows)
    }

    /// The numbers of the journal entries that belong to the histories of these source records.
    pub async fn record_history(&self, records: &[u32]) -> Result<BTreeSet<u64>, StorageError> {
        let wanted: Vec<Value<'_>> = records.iter().map(|no| i64::from(*no).into()).collect();
        let seq = |row: &SqlRow| Columns::of(row, "record_history").count();
        let registered = "SELECT registered_seq FROM source_record WHERE record_no IN (";
        let mut seqs = self.rows_among(registered, wanted.clone(), seq).await?;
        let since = "SELECT seq FROM record_history WHERE record_no IN (";
        seqs.extend(self.rows_among(since, wanted, seq).await?);
        Ok(seqs.into_iter().collect())
    }

    /// The numbers of the journal entries that belong to the histories of persons under these ids.
    pub async fn person_history(
        &self,
        persons: &[EnterpriseId],
    ) -> Result<BTreeSet<u64>, StorageError> {
        let wanted = persons.iter().map(|person| Value::from(*person)).collect();
        let seq = |row: &SqlRow| Columns::of(row, "person_history").count();
        let rows = "SELECT seq FROM person_history WHERE person IN (";
        Ok(self.rows_among(rows, wanted, seq).await?.into_iter().collect())
    }

    /// The rows of a query that ends in `IN (`, for so many values at a time as one statement takes.
    async fn rows_among<T>(
        &self,
        query: &'static str,
        wanted: Vec<Value<'_>>,
        read: impl Fn(&SqlRow) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        let mut found = Vec::with_capacity(wanted.len());
        for chunk in wanted.chunks(256) {
            let mut sql = query.to_owned();
            placeholders(&mut sql, 1, chunk.len());
            sql.push(')');
            let mut rows = self.pool().fetch(Statement::built(sql, chunk.to_vec()));
            while let Some(row) = rows.try_next().await? {
                found.push(read(&row)?);
            }
        }
        Ok(found)
    }

    /// The demographics that journal entries brought, JSON, and when; entries without any are
    /// left out. Each entry is checked as a whole.
    pub async fn told_demographics(
        &self,
        seqs: &[u64],
    ) -> Result<HashMap<u64, (OffsetDateTime, String)>, StorageError> {
        let rows = self.journal_entries(seqs).await?.into_iter();
        Ok(rows.filter_map(|row| Some((row.seq, (row.recorded, row.demographics?)))).collect())
    }

    /// Up to `rows_max` review tasks in one state, oldest first, after task `after_no` (0 for the first).
    pub async fn review_tasks(
        &self,
        state: &str,
        after_no: u64,
        rows_max: u32,
    ) -> Result<Vec<ReviewTaskRow>, StorageError> {
        self.pool().fetch(Statement::new(
            "SELECT task_no, kind, state, person, other, member, id_system, id_value, bits, \
             opened_at, changed_at, body FROM review_task WHERE state = $1 AND task_no > $2 \
             ORDER BY task_no LIMIT $3",
        )
        .bind(state)
        .bind(after_no as i64)
        .bind(i64::from(rows_max)))
            .and_then(|row| async move { review_task(&row) })
        .try_collect()
        .await
    }

    /// The current state of every source record, by number.
    pub fn source_records(&self) -> impl Stream<Item = Result<SourceRecordRow, StorageError>> + '_ {
        self.pool().fetch(Statement::new(
            "SELECT record_no, member, id_system, id_value, person, version, event_time, since, \
             changed_at, current_seq, registered_seq, standing FROM source_record \
             ORDER BY record_no",
        ))
            .and_then(|row| async move { source_record(&row) })
    }

    /// The current state of every person, by id.
    pub fn persons(&self) -> impl Stream<Item = Result<PersonRow, StorageError>> + '_ {
        self.pool()
            .fetch(Statement::new(
                "SELECT person, redirect_to, created_seq, changed_seq FROM person ORDER BY person",
            ))
            .and_then(|row| async move { person(&row) })
    }
}

fn journal_row(row: &SqlRow) -> Result<JournalRow, StorageError> {
    let mut columns = Columns::of(row, "journal");
    let row = JournalRow {
        seq: columns.count()?,
        recorded: columns.time()?,
        kind: Cow::Owned(columns.value()?),
        person: columns.optional_person()?,
        record: columns.optional_record()?,
        event_time: columns.optional_time()?,
        model_version: columns.value()?,
        decision: columns.value()?,
        demographics: columns.value()?,
    };
    checked_journal(row, columns.value()?)
}

fn review_task(row: &SqlRow) -> Result<ReviewTaskRow, StorageError> {
    let mut columns = Columns::of(row, "review_task");
    Ok(ReviewTaskRow {
        task_no: columns.count()?,
        kind: Cow::Owned(columns.value()?),
        state: Cow::Owned(columns.value()?),
        person: columns.person()?,
        other: columns.optional_person()?,
        record: columns.optional_record()?,
        bits: columns.value()?,
        opened: columns.time()?,
        changed: columns.time()?,
        body: columns.value()?,
    })
}

fn source_record(row: &SqlRow) -> Result<SourceRecordRow, StorageError> {
    let mut columns = Columns::of(row, "source_record");
    Ok(SourceRecordRow {
        record_no: columns.small()?,
        key: columns.record()?,
        person: columns.person()?,
        version: columns.small()?,
        event_time: columns.optional_time()?,
        since: columns.time()?,
        changed: columns.time()?,
        current_seq: columns.count()?,
        registered_seq: columns.count()?,
        standing: Cow::Owned(columns.value()?),
    })
}

fn person(row: &SqlRow) -> Result<PersonRow, StorageError> {
    let mut columns = Columns::of(row, "person");
    Ok(PersonRow {
        person: columns.person()?,
        redirect_to: columns.optional_person()?,
        created_seq: columns.count()?,
        changed_seq: columns.count()?,
    })
}
