//! The registry as bytes, for the snapshot.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::{Person, Registry, Row, interned::Interned};
use crate::{
    index::{decision::Content, deed::Standing},
    matching::{
        kept::{Kept, Sink, Source, kept},
        table::Table,
    },
};

kept!(Row {
    content,
    event_micros,
    since_micros,
    current_seq,
    person,
    entry,
    version,
    value_start,
    value_length,
    source,
});
kept!(Person { id, created_seq, records, joined_into });

impl Kept for Content {
    fn keep(&self, out: &mut Sink<'_>) {
        self.0.keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        u128::read(from).map(Self)
    }
}

impl Kept for Standing {
    fn keep(&self, out: &mut Sink<'_>) {
        match self {
            Self::Active => 0_u8.keep(out),
            Self::Retired => 1_u8.keep(out),
            Self::Subsumed { by, counts } => {
                (2 + u8::from(*counts)).keep(out);
                by.keep(out);
            }
        }
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        Some(match u8::read(from)? {
            0 => Self::Active,
            1 => Self::Retired,
            kind @ (2 | 3) => Self::Subsumed { by: u32::read(from)?, counts: kind == 3 },
            _ => return None,
        })
    }
}

impl<T: Kept + Clone + Eq + std::hash::Hash> Kept for Interned<T> {
    fn keep(&self, out: &mut Sink<'_>) {
        self.values.keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let values = Vec::<T>::read(from)?;
        let numbers = values.iter().cloned().zip(0..).collect();
        Some(Self { values, numbers })
    }
}

impl Kept for Registry {
    fn keep(&self, out: &mut Sink<'_>) {
        // All but the tables, which are made anew.
        let Self {
            records,
            values,
            by_key: _,
            hasher: _,
            members,
            systems,
            sources,
            persons,
            lists,
            by_id: _,
            absorbed,
            by_entry,
            stale,
            discovered,
            standings,
            former_keys,
            given_up,
            rules,
            tasks,
            undone,
            activated,
            redirects,
        } = self;
        records.keep(out);
        values.keep(out);
        members.keep(out);
        systems.keep(out);
        sources.keep(out);
        persons.keep(out);
        lists.keep(out);
        absorbed.keep(out);
        by_entry.keep(out);
        stale.keep(out);
        discovered.keep(out);
        standings.keep(out);
        former_keys.keep(out);
        given_up.keep(out);
        rules.keep(out);
        tasks.keep(out);
        undone.keep(out);
        activated.keep(out);
        redirects.keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let mut registry = Self {
            records: Kept::read(from)?,
            values: Kept::read(from)?,
            by_key: Table::default(),
            hasher: RandomState::default(),
            members: Kept::read(from)?,
            systems: Kept::read(from)?,
            sources: Kept::read(from)?,
            persons: Kept::read(from)?,
            lists: Kept::read(from)?,
            by_id: Table::default(),
            absorbed: Kept::read(from)?,
            by_entry: Kept::read(from)?,
            stale: Kept::read(from)?,
            discovered: Kept::read(from)?,
            standings: Kept::read(from)?,
            former_keys: Kept::read(from)?,
            given_up: Kept::read(from)?,
            rules: Kept::read(from)?,
            tasks: Kept::read(from)?,
            undone: Kept::read(from)?,
            activated: Kept::read(from)?,
            redirects: Kept::read(from)?,
        };
        for record_no in 0..registry.next_record_no() {
            registry.enter_key(record_no);
        }
        let Self { persons, by_id, hasher, .. } = &mut registry;
        let hash_of = |no: &u32| hasher.hash_one(persons[*no as usize].id);
        for no in 0..persons.len() as u32 {
            by_id.insert(hash_of(&no), no, hash_of);
        }
        Some(registry)
    }
}

/// Everything it knows, line by line in one order, whatever the order in the tables.
#[cfg(test)]
impl Registry {
    pub(in crate::index) fn dump(&self) -> Vec<String> {
        let Self {
            records,
            values: _,
            by_key: _,
            hasher: _,
            members: _,
            systems: _,
            sources: _,
            persons,
            lists,
            by_id: _,
            absorbed,
            by_entry,
            stale,
            discovered,
            standings,
            former_keys,
            given_up,
            rules,
            tasks,
            undone,
            activated,
            redirects,
        } = self;
        let mut lines = vec![format!("redirects {redirects} activated {activated:?}")];
        for no in 0..self.next_record_no() {
            let row = &records[no as usize];
            let key = self.key(no);
            let known = (self.find(&key), row.content.0, row.event_micros, row.since_micros);
            let entered = (row.entry != super::NOBODY).then(|| by_entry[row.entry as usize]);
            let told = (row.current_seq, row.person, row.version, entered, self.standing(no));
            lines.push(format!("record {no} {} {known:?} {told:?}", spelled(&key)));
        }
        for no in 0..persons.len() {
            let person = &persons[no];
            let records = lists.numbers(&person.records);
            let known = (self.person_no(person.id), person.created_seq, person.joined_into);
            lines.push(format!("person {no} {} {known:?} {records:?}", person.id));
        }
        let entered = (0..by_entry.len()).filter(|at| by_entry[*at] != super::NOBODY).count();
        lines.push(format!("entries {entered}"));
        let mut rest: Vec<String> = Vec::new();
        rest.extend(absorbed.iter().map(|(into, gone)| format!("absorbed {into} {gone:?}")));
        rest.extend(stale.iter().map(|content| format!("stale {}", content.0)));
        rest.extend(discovered.iter().map(|(no, found)| format!("discovered {no} {found}")));
        rest.extend(standings.iter().map(|(no, standing)| format!("standing {no} {standing:?}")));
        for (no, keys) in former_keys {
            let keys: Vec<String> = keys.iter().map(spelled).collect();
            rest.push(format!("former {no} {keys:?}"));
        }
        rest.extend(
            given_up.iter().map(|(key, what)| format!("given up {} {what:?}", spelled(key))),
        );
        rest.extend(undone.iter().map(|seq| format!("undone {seq}")));
        rest.sort_unstable();
        lines.extend(rest);
        for (seq, rule) in rules.iter() {
            let said = (rule.bond, rule.voice, &rule.sides, rule.event_micros);
            let again = rule.sides.iter().flatten().flat_map(|one| rules.said_between(*one, *one));
            lines.push(format!("rule {seq} {said:?} {}", again.count()));
        }
        for task in tasks.iter() {
            let raised = &task.raised;
            let what = (raised.no, raised.kind, raised.person, raised.other, raised.bits);
            let stands = (task.record_no, task.state, &task.owner, task.opened, task.changed);
            let listed = tasks.of_record(task.record_no).any(|other| other.raised.no == raised.no);
            let question = crate::index::review::Question::of(raised, task.record_no);
            let asked = tasks.is_asked(&question);
            lines.push(format!("task {what:?} {stands:?} {listed} {asked}"));
        }
        lines
    }
}

#[cfg(test)]
fn spelled(key: &crate::domain::RecordKey) -> String {
    format!("{}|{}|{}", key.member, key.local_id.system(), key.local_id.value())
}
