//! What each row has in each column.

use std::borrow::Cow;

use uuid::Uuid;

use crate::domain::{EnterpriseId, RecordKey};

use super::{
    super::{
        ConsentRow, FindingRow, JournalRow, MemberRow, PersonRow, ReviewTaskRow, SourceRecordRow,
        audit_chain::ChainedRow, columns::micros, sql::Value,
    },
    Insert,
};

/// The values of rows, pushed in column order.
pub(super) struct Values<'v>(pub(super) Vec<Value<'v>>);

impl<'v> Values<'v> {
    fn push(&mut self, value: impl Into<Value<'v>>) -> &mut Self {
        self.0.push(value.into());
        self
    }

    pub(super) fn number(&mut self, value: impl Into<i64>) -> &mut Self {
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
        id_system, id_value, event_time, model_version, decision, demographics, checksum) ";
    const COLUMNS: usize = 12;
    const CHECKED: bool = true;

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

pub(super) struct RecordEntry(pub(super) u32, pub(super) u64);

impl Insert for RecordEntry {
    const INTO: &'static str = "INSERT INTO record_history (record_no, seq) ";
    const COLUMNS: usize = 2;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values.number(self.0).count(self.1);
    }
}

pub(super) struct PersonEntry(pub(super) EnterpriseId, pub(super) u64);

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

pub(super) struct Opened {
    pub(super) audit_id: Uuid,
    pub(super) seq: u64,
}

impl Insert for Opened {
    const INTO: &'static str = "INSERT INTO audit_open (audit_id, seq) ";
    const COLUMNS: usize = 2;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values.bytes(self.audit_id.as_bytes()).count(self.seq);
    }
}

pub(super) struct History<T>(pub(super) T);

const CONSENT_COLUMNS: usize = 9;

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
        id_system, id_value, status, body, checksum) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (consent_id) DO UPDATE SET \
        version = excluded.version, recorded_at = excluded.recorded_at, member = excluded.member, \
        id_system = excluded.id_system, id_value = excluded.id_value, status = excluded.status, \
        body = excluded.body, checksum = excluded.checksum";
    const COLUMNS: usize = CONSENT_COLUMNS;
    const CHECKED: bool = true;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        bind_consent(self, values);
    }
}

impl Insert for History<&ConsentRow> {
    const INTO: &'static str = "INSERT INTO consent_history (consent_id, version, recorded_at, \
        member, id_system, id_value, status, body, checksum) ";
    const COLUMNS: usize = CONSENT_COLUMNS;
    const CHECKED: bool = true;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        bind_consent(self.0, values);
    }
}

const MEMBER_COLUMNS: usize = 5;

fn bind_member<'v>(row: &'v MemberRow, values: &mut Values<'v>) {
    values.text(row.code.as_str()).number(row.version).time(row.recorded).text(&row.body);
}

impl Insert for &MemberRow {
    const INTO: &'static str = "INSERT INTO member (code, version, recorded_at, body, checksum) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (code) DO UPDATE SET \
        version = excluded.version, recorded_at = excluded.recorded_at, body = excluded.body, \
        checksum = excluded.checksum";
    const COLUMNS: usize = MEMBER_COLUMNS;
    const CHECKED: bool = true;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        bind_member(self, values);
    }
}

impl Insert for History<&MemberRow> {
    const INTO: &'static str = "INSERT INTO member_history (code, version, recorded_at, body, \
        checksum) ";
    const COLUMNS: usize = MEMBER_COLUMNS;
    const CHECKED: bool = true;

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

pub(super) struct Named<'a>(pub(super) &'a str, pub(super) Cow<'a, str>);

impl Insert for Named<'_> {
    const INTO: &'static str = "INSERT INTO meta (name, value) ";
    const ON_CONFLICT: &'static str = " ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    const COLUMNS: usize = 2;

    fn bind<'v>(&'v self, values: &mut Values<'v>) {
        values.text(self.0).text(&self.1);
    }
}
