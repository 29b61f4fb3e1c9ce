use std::{borrow::Cow, collections::HashMap, hash::Hash};

use uuid::Uuid;

use crate::domain::{EnterpriseId, RecordKey};

use super::{
    AuditEntry, AuditState, ConsentRow, FindingRow, JournalRow, MemberRow, PersonRow,
    ReviewTaskRow, SourceRecordRow, StorageError, Write,
    audit_chain::{ChainHead, ChainedRow},
    columns::micros,
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
    fn bind<'v>(&'v self, values: &mut Values<'v>);
}

async fn insert<T: Insert>(connection: &mut SqlConnection, rows: &[T]) -> Result<(), StorageError> {
    let rows_max = STATEMENT_ROWS_MAX.min(BINDS_MAX / T::COLUMNS);
    for chunk in power_of_two_chunks(rows, rows_max) {
        let mut values = Values(Vec::with_capacity(chunk.len() * T::COLUMNS));
        for row in chunk {
            row.bind(&mut values);
        }
        let sql = insert_sql(T::INTO, T::COLUMNS, chunk.len(), T::ON_CONFLICT);
        connection.execute(Statement::built(sql, values.0)).await?;
    }
    Ok(())
}

/// `INSERT INTO … VALUES ($1, $2), ($3, $4) ON CONFLICT …`.
fn insert_sql(into: &str, columns: usize, rows: usize, on_conflict: &str) -> String {
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

/// The values of rows, pushed in column order.
struct Values<'v>(Vec<Value<'v>>);

impl<'v> Values<'v> {
    fn push(&mut self, value: impl Into<Value<'v>>) -> &mut Self {
        self.0.push(value.into());
        self
    }

    fn number(&mut self, value: impl Into<i64>) -> &mut Self {
        self.push(value.into())
    }

    fn count(&mut self, value: u64) -> &mut Self {
        self.number(value as i64)
    }

    fn real(&mut self, value: f64) -> &mut Self {
        self.push(Value::Real(Some(value)))
    }

    fn text(&mut self, value: &'v str) -> &mut Self {
        self.push(value)
    }

    fn optional_text(&mut self, value: Option<&'v str>) -> &mut Self {
        self.push(Value::Text(value.map(Cow::Borrowed)))
    }

    fn bytes(&mut self, value: &'v [u8]) -> &mut Self {
        self.push(Value::Bytes(Some(Cow::Borrowed(value))))
    }

    fn time(&mut self, value: time::OffsetDateTime) -> &mut Self {
        self.number(micros(value))
    }

    fn optional_time(&mut self, value: Option<time::OffsetDateTime>) -> &mut Self {
        self.push(Value::Number(value.map(micros)))
    }

    fn person(&mut self, value: EnterpriseId) -> &mut Self {
        self.push(value)
    }

    fn optional_person(&mut self, value: Option<EnterpriseId>) -> &mut Self {
        self.push(value.map_or(Value::Bytes(None), Value::from))
    }

    fn record(&mut self, key: Option<&'v RecordKey>) -> &mut Self {
        self.optional_text(key.map(|key| key.member.as_str()))
            .optional_text(key.map(|key| key.local_id.system()))
            .optional_text(key.map(|key| key.local_id.value()))
    }
}

impl Insert for &JournalRow {
    const INTO: &'static str = "INSERT INTO journal (seq, recorded_at, kind, person, member, \
        id_system, id_value, event_time, model_version, decision, demographics) ";
    const COLUMNS: usize = 11;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values
            .count(self.seq)
            .time(self.recorded)
            .text(&self.kind)
            .optional_person(self.person)
            .record(self.record.as_ref())
            .optional_time(self.event_time)
            .text(&self.model_version)
            .text(&self.decision)
            .optional_text(self.demographics.as_deref());
    }
}

impl Insert for &SourceRecordRow {
    const INTO: &'static str = "INSERT INTO source_record (record_no, member, id_system, \
        id_value, person, version, event_time, since, changed_at, current_seq, registered_seq, \
        standing) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (record_no) DO UPDATE SET \
        id_system = excluded.id_system, id_value = excluded.id_value, person = excluded.person, \
        version = excluded.version, event_time = excluded.event_time, \
        changed_at = excluded.changed_at, current_seq = excluded.current_seq, \
        standing = excluded.standing";
    const COLUMNS: usize = 12;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values
            .number(self.record_no)
            .record(Some(&self.key))
            .person(self.person)
            .number(self.version)
            .optional_time(self.event_time)
            .time(self.since)
            .time(self.changed)
            .count(self.current_seq)
            .count(self.registered_seq)
            .text(&self.standing);
    }
}

struct RecordEntry(u32, u64);

impl Insert for RecordEntry {
    const INTO: &'static str = "INSERT INTO record_history (record_no, seq) ";
    const COLUMNS: usize = 2;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values.number(self.0).count(self.1);
    }
}

struct PersonEntry(EnterpriseId, u64);

impl Insert for PersonEntry {
    const INTO: &'static str = "INSERT INTO person_history (person, seq) ";
    const COLUMNS: usize = 2;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values.person(self.0).count(self.1);
    }
}

impl Insert for &PersonRow {
    const INTO: &'static str =
        "INSERT INTO person (person, redirect_to, created_seq, changed_seq) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (person) DO UPDATE SET \
        redirect_to = excluded.redirect_to, changed_seq = excluded.changed_seq";
    const COLUMNS: usize = 4;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values
            .person(self.person)
            .optional_person(self.redirect_to)
            .count(self.created_seq)
            .count(self.changed_seq);
    }
}

impl Insert for &ReviewTaskRow {
    const INTO: &'static str = "INSERT INTO review_task (task_no, kind, state, person, other, \
        member, id_system, id_value, bits, opened_at, changed_at, body) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (task_no) DO UPDATE SET \
        state = excluded.state, person = excluded.person, other = excluded.other, \
        changed_at = excluded.changed_at, body = excluded.body";
    const COLUMNS: usize = 12;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values
            .count(self.task_no)
            .text(&self.kind)
            .text(&self.state)
            .person(self.person)
            .optional_person(self.other)
            .record(self.record.as_ref())
            .real(self.bits)
            .time(self.opened)
            .time(self.changed)
            .text(&self.body);
    }
}

impl Insert for ChainedRow<'_> {
    const INTO: &'static str = "INSERT INTO audit_event (seq, recorded_at, audit_id, request_id, \
        state, person, body, prev_hash, hash) ";
    const COLUMNS: usize = 9;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values
            .count(self.seq)
            .time(self.entry.recorded)
            .bytes(self.entry.audit_id.as_bytes())
            .push(Value::Text(Some(Cow::Owned(self.entry.request_id.to_string()))))
            .text(self.entry.state.as_str())
            .optional_person(self.entry.person)
            .text(&self.entry.body)
            .bytes(&self.prev_hash)
            .bytes(&self.hash);
    }
}

struct Opened {
    audit_id: Uuid,
    seq: u64,
}

impl Insert for Opened {
    const INTO: &'static str = "INSERT INTO audit_open (audit_id, seq) ";
    const COLUMNS: usize = 2;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values.bytes(self.audit_id.as_bytes()).count(self.seq);
    }
}

struct History<T>(T);

const CONSENT_COLUMNS: usize = 8;

fn bind_consent<'v>(row: &'v ConsentRow, values: &mut Values<'v>) {
    values
        .text(&row.id)
        .number(row.version)
        .time(row.recorded)
        .record(Some(&row.anchor))
        .text(&row.status)
        .text(&row.body);
}

impl Insert for &ConsentRow {
    const INTO: &'static str = "INSERT INTO consent (consent_id, version, recorded_at, member, \
        id_system, id_value, status, body) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (consent_id) DO UPDATE SET \
        version = excluded.version, recorded_at = excluded.recorded_at, member = excluded.member, \
        id_system = excluded.id_system, id_value = excluded.id_value, status = excluded.status, \
        body = excluded.body";
    const COLUMNS: usize = CONSENT_COLUMNS;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        bind_consent(self, values);
    }
}

impl Insert for History<&ConsentRow> {
    const INTO: &'static str = "INSERT INTO consent_history (consent_id, version, recorded_at, \
        member, id_system, id_value, status, body) ";
    const COLUMNS: usize = CONSENT_COLUMNS;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        bind_consent(self.0, values);
    }
}

const MEMBER_COLUMNS: usize = 4;

fn bind_member<'v>(row: &'v MemberRow, values: &mut Values<'v>) {
    values.text(row.code.as_str()).number(row.version).time(row.recorded).text(&row.body);
}

impl Insert for &MemberRow {
    const INTO: &'static str = "INSERT INTO member (code, version, recorded_at, body) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (code) DO UPDATE SET \
        version = excluded.version, recorded_at = excluded.recorded_at, body = excluded.body";
    const COLUMNS: usize = MEMBER_COLUMNS;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        bind_member(self, values);
    }
}

impl Insert for History<&MemberRow> {
    const INTO: &'static str = "INSERT INTO member_history (code, version, recorded_at, body) ";
    const COLUMNS: usize = MEMBER_COLUMNS;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        bind_member(self.0, values);
    }
}

impl Insert for &FindingRow {
    const INTO: &'static str =
        "INSERT INTO member_finding (code, kind, version, recorded_at, body) ";
    const COLUMNS: usize = 5;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values
            .text(self.code.as_str())
            .text(&self.kind)
            .number(self.version)
            .time(self.recorded)
            .text(&self.body);
    }
}

struct Named<'a>(&'a str, Cow<'a, str>);

impl Insert for Named<'_> {
    const INTO: &'static str = "INSERT INTO meta (name, value) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    const COLUMNS: usize = 2;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values.text(self.0).text(&self.1);
    }
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
