mod rows;

use std::{borrow::Cow, collections::HashMap, fmt::Display, hash::Hash};

use uuid::Uuid;

use crate::domain::EnterpriseId;

use rows::{History, Named, Opened, PersonEntry, RecordEntry, Values};

use super::{
    AuditEntry, AuditState, ConsentRow, FindingRow, JournalRow, MemberRow, PersonRow,
    ReviewTaskRow, SourceRecordRow, StorageError, Write,
    audit_chain::{ChainHead, ChainedRow},
    sql::{BINDS_MAX, SqlConnection, Statement, Value, placeholders},
};

/// Rows in one statement; powers of two down from here, so that few statements stay prepared.
const STATEMENT_ROWS_MAX: usize = 256;

/// The name under which the head of the audit chain is kept in `meta`.
pub(super) const AUDIT_HEAD: &str = "audit.head";

/// What one transaction will write, sorted by table, in the order it was handed over.
#[derive(Default)]
pub(super) struct Group<'w> {
    journal: Vec<&'w JournalRow>,
    source_records: Vec<&'w SourceRecordRow>,
    relinks: Vec<(u32, EnterpriseId)>,
    record_history: Vec<RecordEntry>,
    person_history: Vec<PersonEntry>,
    persons: Vec<&'w PersonRow>,
    review_tasks: Vec<&'w ReviewTaskRow>,
    audit: Vec<&'w AuditEntry>,
    consents: Vec<&'w ConsentRow>,
    members: Vec<&'w MemberRow>,
    findings: Vec<&'w FindingRow>,
    meta: Vec<(&'w str, &'w str)>,
}

impl<'w> Group<'w> {
    pub(super) fn of(writes: impl Iterator<Item = &'w Write>) -> Self {
        let mut group = Self::default();
        for write in writes {
            match write {
                Write::Journal(row) => group.journal.push(row),
                Write::SourceRecord(row) => group.source_records.push(row),
                Write::Relink { record_no, person } => group.relinks.push((*record_no, *person)),
                Write::RecordHistory { record_no, seq } => {
                    group.record_history.push(RecordEntry(*record_no, *seq));
                }
                Write::PersonHistory { person, seq } => {
                    group.person_history.push(PersonEntry(*person, *seq));
                }
                Write::Person(row) => group.persons.push(row),
                Write::ReviewTask(row) => group.review_tasks.push(row),
                Write::Audit(row) => group.audit.push(row),
                Write::Consent(row) => group.consents.push(row),
                Write::Member(row) => group.members.push(row),
                Write::Finding(row) => group.findings.push(row),
                Write::Meta { name, value } => group.meta.push((name, value)),
            }
        }
        group
    }

    /// Inserts everything, and moves `head` over the audit rows. Commits nothing.
    pub(super) async fn insert(
        self,
        connection: &mut SqlConnection,
        head: &mut ChainHead,
    ) -> Result<(), StorageError> {
        insert(connection, &self.journal).await?;
        insert(connection, &last_of_each(self.source_records, |row| row.record_no)).await?;
        relink(connection, &self.relinks).await?;
        insert(connection, &self.record_history).await?;
        insert(connection, &self.person_history).await?;
        insert(connection, &last_of_each(self.persons, |row| row.person)).await?;
        insert(connection, &last_of_each(self.review_tasks, |row| row.task_no)).await?;
        insert(connection, &self.consents.iter().map(|row| History(*row)).collect::<Vec<_>>())
            .await?;
        insert(connection, &last_of_each(self.consents, |row| &row.id)).await?;
        insert(connection, &self.members.iter().map(|row| History(*row)).collect::<Vec<_>>())
            .await?;
        insert(connection, &last_of_each(self.members, |row| &row.code)).await?;
        insert(connection, &self.findings).await?;
        let mut meta: Vec<Named<'_>> =
            self.meta.iter().map(|(name, value)| Named(name, Cow::Borrowed(value))).collect();
        if !self.audit.is_empty() {
            insert_audit(connection, &self.audit, head).await?;
            meta.push(Named(AUDIT_HEAD, Cow::Owned(head.to_string())));
        }
        insert(connection, &last_of_each(meta, |named| named.0)).await
    }

    /// Moves `head` over the audit rows of a group that is there already.
    pub(super) fn advance(&self, head: &mut ChainHead) {
        for entry in &self.audit {
            head.append(entry);
        }
    }
}

/// In order, so that the last person told for a record is the one it keeps.
async fn relink(
    connection: &mut SqlConnection,
    relinks: &[(u32, EnterpriseId)],
) -> Result<(), StorageError> {
    for (record_no, person) in relinks {
        let update = "UPDATE source_record SET person = $1 WHERE record_no = $2";
        let update = Statement::new(update).bind(*person).bind(i64::from(*record_no));
        connection.execute(update).await?;
    }
    Ok(())
}

async fn insert_audit(
    connection: &mut SqlConnection,
    entries: &[&AuditEntry],
    head: &mut ChainHead,
) -> Result<(), StorageError> {
    let rows: Vec<ChainedRow<'_>> = entries.iter().map(|entry| head.append(entry)).collect();
    insert(connection, &rows).await?;
    let opened: Vec<Opened> = rows
        .iter()
        .filter(|row| row.entry.state == AuditState::Open)
        .map(|row| Opened { audit_id: row.entry.audit_id, seq: row.seq })
        .collect();
    insert(connection, &opened).await?;
    let mut closed: Vec<Uuid> = entries
        .iter()
        .filter(|entry| entry.state == AuditState::Closed)
        .map(|entry| entry.audit_id)
        .collect();
    closed.dedup();
    for chunk in power_of_two_chunks(&closed, STATEMENT_ROWS_MAX) {
        let mut delete = "DELETE FROM audit_open WHERE audit_id IN (".to_owned();
        placeholders(&mut delete, 1, chunk.len());
        delete.push(')');
        let ids = chunk.iter().map(|id| Value::Bytes(Some(Cow::Borrowed(id.as_bytes()))));
        connection.execute(Statement::built(delete, ids.collect())).await?;
    }
    Ok(())
}

/// Keeps the last row of each key: a statement may not touch one row twice.
fn last_of_each<T, K: Eq + Hash>(rows: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let last: HashMap<K, usize> = rows.iter().enumerate().map(|(at, row)| (key(row), at)).collect();
    if last.len() == rows.len() {
        return rows;
    }
    let mut keep: Vec<usize> = last.into_values().collect();
    keep.sort_unstable();
    let mut keep = keep.into_iter().peekable();
    rows.into_iter().enumerate().filter_map(|(at, row)| keep.next_if_eq(&at).map(|_| row)).collect()
}

/// A row that can be inserted many at a time.
trait Insert {
    /// `INSERT INTO table (columns)`.
    const INTO: &'static str;
    /// What to do where the key is there already.
    const ON_CONFLICT: &'static str = "";
    const COLUMNS: usize;
    /// Whether the last column is a checksum over the others.
    const CHECKED: bool = false;
    fn bind<'v>(&'v self, values: &mut Values<'v>);
}

/// CRC-32 over the columns of a row that is checked.
fn checksum<T: Insert>(row: &T) -> i64 {
    let mut values = Values(Vec::with_capacity(T::COLUMNS));
    row.bind(&mut values);
    checksum_of(&values.0)
}

fn checksum_of(values: &[Value<'_>]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    // Each value with its length, so that no byte can wander from one into the next.
    let mut add = |bytes: Option<&[u8]>| {
        hasher.update(&bytes.map_or(-1, |bytes| bytes.len() as i64).to_be_bytes());
        hasher.update(bytes.unwrap_or_default());
    };
    for value in values {
        match value {
            Value::Number(value) => add(value.map(i64::to_be_bytes).as_ref().map(|b| &b[..])),
            Value::Real(value) => add(value.map(f64::to_be_bytes).as_ref().map(|b| &b[..])),
            Value::Text(value) => add(value.as_deref().map(str::as_bytes)),
            Value::Bytes(value) => add(value.as_deref()),
        }
    }
    hasher.finalize().into()
}

/// Refuses a row that is not what was written. Rows of before there were checksums have none.
fn check<T: Insert>(row: &T, kept: Option<i64>, which: impl Display) -> Result<(), StorageError> {
    match kept {
        Some(kept) if kept != checksum(row) => {
            Err(StorageError::Corrupt(format!("{which} is not as it was written")))
        }
        _ => Ok(()),
    }
}

/// A journal entry as it stands there, if it is what was written.
pub(super) fn checked_journal(
    row: JournalRow,
    kept: Option<i64>,
) -> Result<JournalRow, StorageError> {
    check(&&row, kept, format_args!("journal entry {}", row.seq)).map(|()| row)
}

/// A consent as it stands there, if it is what was written.
pub(super) fn checked_consent(
    row: ConsentRow,
    kept: Option<i64>,
) -> Result<ConsentRow, StorageError> {
    check(&&row, kept, "a consent").map(|()| row)
}

/// A member as it stands there, if it is what was written.
pub(super) fn checked_member(row: MemberRow, kept: Option<i64>) -> Result<MemberRow, StorageError> {
    check(&&row, kept, format_args!("member {}", row.code)).map(|()| row)
}

async fn insert<T: Insert>(connection: &mut SqlConnection, rows: &[T]) -> Result<(), StorageError> {
    let rows_max = STATEMENT_ROWS_MAX.min(BINDS_MAX / T::COLUMNS);
    for chunk in power_of_two_chunks(rows, rows_max) {
        let mut values = Values(Vec::with_capacity(chunk.len() * T::COLUMNS));
        for row in chunk {
            let begin = values.0.len();
            row.bind(&mut values);
            if T::CHECKED {
                let checksum = checksum_of(&values.0[begin..]);
                values.number(checksum);
            }
        }
        let sql = insert_sql(T::INTO, T::COLUMNS, chunk.len(), T::ON_CONFLICT);
        connection.execute(Statement::built(sql, values.0)).await?;
    }
    Ok(())
}

/// `INSERT INTO … VALUES ($1, $2), ($3, $4) ON CONFLICT …`.
pub(super) fn insert_sql(into: &str, columns: usize, rows: usize, on_conflict: &str) -> String {
    let mut sql = format!("{into}VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        placeholders(&mut sql, 1 + row * columns, columns);
        sql.push(')');
    }
    sql.push_str(on_conflict);
    sql
}

fn power_of_two_chunks<T>(rows: &[T], rows_max: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let whole = rest.len().min(rows_max);
        let size = 1 << whole.ilog2();
        let (chunk, after) = rest.split_at(size);
        rest = after;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_powers_of_two_and_lose_nothing() {
        for len in [0, 1, 2, 3, 255, 256, 257, 1000] {
            let rows: Vec<usize> = (0..len).collect();
            let chunks: Vec<&[usize]> = power_of_two_chunks(&rows, 256).collect();
            assert!(chunks.iter().all(|c| c.len().is_power_of_two() && c.len() <= 256), "{len}");
            assert_eq!(chunks.concat(), rows);
        }
    }

    #[test]
    fn the_last_row_of_a_key_stays_in_its_place() {
        let rows = vec![("a", 1), ("b", 1), ("a", 2), ("c", 1)];
        assert_eq!(last_of_each(rows, |row| row.0), vec![("b", 1), ("a", 2), ("c", 1)]);
    }
}
