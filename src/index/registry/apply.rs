//! What a registration, an update, a late word or a join does to the memory.

use std::hash::BuildHasher as _;

use super::{
    super::{
        decision::Content,
        deed::{Move, Standing, TaskChange},
        review::TaskState,
    },
    Change, Effect, Misfit, NOBODY, Person, Registry, Row,
};
use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::{RecordNo, lists::List, room::make_room},
};

impl Registry {
    /// Makes a committed change visible. Returns the population's entry that it supersedes.
    pub(in super::super) fn apply(&mut self, change: &Change) -> Result<Option<RecordNo>, Misfit> {
        let known = match change.effect {
            Effect::Stale { .. } => self.told_late_of(&change.key),
            _ => self.find(&change.key),
        };
        let mut superseded = None;
        let record_no = match (&change.effect, known) {
            (Effect::Registered { person, entry, content, event_micros }, None)
                if self.living(*person) == *person =>
            {
                self.add(change, *person, *entry, *content, *event_micros)
            }
            (Effect::Revived { person, entry, content, event_micros }, Some(no))
                if self.living(*person) == *person =>
            {
                let from = self.person_of(no);
                self.take_standing(no, Standing::Retired, Standing::Active)?;
                if from != *person {
                    self.move_record(change.seq, &Move { record: no, from, to: *person })?;
                }
                superseded = self.tell(no, change.seq, *entry, *content, *event_micros);
                no
            }
            (Effect::Updated { entry, content, event_micros }, Some(no)) => {
                superseded = self.tell(no, change.seq, *entry, *content, *event_micros);
                no
            }
            (Effect::Confirmed { event_micros }, Some(no)) => {
                self.records[no as usize].event_micros = *event_micros;
                no
            }
            (Effect::Stale { told }, Some(no)) => {
                self.stale.insert(*told);
                no
            }
            (Effect::Joined { into, gone, settled }, Some(no)) => {
                gone.iter().try_for_each(|gone| self.join(*into, *gone))?;
                for no in settled {
                    let from = self.tasks.get(*no).ok_or(Misfit)?.state;
                    let settle = TaskChange { no: *no, from, to: TaskState::Settled };
                    self.tasks.change(&settle, "", change.recorded)?;
                }
                no
            }
            _ => return Err(Misfit),
        };
        match change.effect {
            _ if change.discovered => {
                let micros = (change.recorded.unix_timestamp_nanos() / 1_000) as i64;
                self.discovered.insert(record_no, micros);
            }
            Effect::Updated { .. } | Effect::Revived { .. } => {
                self.discovered.remove(&record_no);
            }
            _ => {}
        }
        for task in &change.tasks {
            self.tasks.raise(task, record_no, change.recorded);
        }
        Ok(superseded)
    }

    /// Puts other demographics in the place of a record's. Returns the entry of the former ones.
    pub(super) fn tell(
        &mut self,
        record_no: u32,
        seq: u64,
        entry: Option<RecordNo>,
        content: Content,
        event_micros: i64,
    ) -> Option<RecordNo> {
        let superseded = self.take_entry(record_no);
        self.enter(record_no, entry);
        let record = &mut self.records[record_no as usize];
        record.content = content;
        record.event_micros = record.event_micros.max(event_micros);
        record.version += 1;
        record.current_seq = seq;
        superseded
    }

    pub(super) fn take_entry(&mut self, record_no: u32) -> Option<RecordNo> {
        let entry = std::mem::replace(&mut self.records[record_no as usize].entry, NOBODY);
        if entry == NOBODY {
            return None;
        }
        self.by_entry[entry as usize] = NOBODY;
        Some(RecordNo(entry))
    }

    pub(super) fn enter(&mut self, record_no: u32, entry: Option<RecordNo>) {
        let Some(RecordNo(entry)) = entry else { return };
        self.records[record_no as usize].entry = entry;
        while self.by_entry.len() <= entry as usize {
            self.by_entry.push(NOBODY);
        }
        self.by_entry[entry as usize] = record_no;
    }

    pub(super) fn join(&mut self, into: EnterpriseId, gone: EnterpriseId) -> Result<(), Misfit> {
        let (into_no, gone_no) =
            (self.person_no(into).ok_or(Misfit)?, self.person_no(gone).ok_or(Misfit)?);
        // Only into an older person, so that redirects never go round.
        if gone_no <= into_no || self.living(into) != into || self.living(gone) != gone {
            return Err(Misfit);
        }
        let gone = &mut self.persons[gone_no as usize];
        let records = std::mem::replace(&mut gone.records, List::EMPTY);
        let moved = self.lists.numbers(&records).to_vec();
        self.lists.free(records);
        let mut absorbed = self.absorbed.remove(&gone_no).unwrap_or_default();
        absorbed.push(gone_no);
        for &no in &absorbed {
            self.persons[no as usize].joined_into = into_no;
        }
        for record_no in moved {
            self.records[record_no as usize].person = into_no;
            self.list_record(into_no, record_no);
        }
        self.absorbed.entry(into_no).or_default().extend(absorbed);
        self.redirects += 1;
        Ok(())
    }

    /// Puts a record into a person's list, where its number belongs.
    pub(super) fn list_record(&mut self, person: u32, record_no: u32) {
        let records = &mut self.persons[person as usize].records;
        let at = self.lists.numbers(records).partition_point(|&other| other < record_no);
        *records = self.lists.insert(*records, at, record_no);
    }

    /// The number of a person, who is minted where nobody knows the id.
    pub(super) fn minted(&mut self, id: EnterpriseId, seq: u64) -> u32 {
        if let Some(known) = self.person_no(id) {
            return known;
        }
        let no = self.persons.len() as u32;
        let records = List::EMPTY;
        self.persons.push(Person { id, created_seq: seq, records, joined_into: NOBODY });
        let (persons, hasher) = (&self.persons, &self.hasher);
        self.by_id.insert(hasher.hash_one(id), no, |&no| hasher.hash_one(persons[no as usize].id));
        no
    }

    fn add(
        &mut self,
        change: &Change,
        id: EnterpriseId,
        entry: Option<RecordNo>,
        content: Content,
        event_micros: i64,
    ) -> u32 {
        let record_no = self.next_record_no();
        let person = self.minted(id, change.seq);
        let (value_start, value_length) = self.keep_value(change.key.local_id.value());
        let row = Row {
            content,
            event_micros,
            since_micros: (change.recorded.unix_timestamp_nanos() / 1_000) as i64,
            current_seq: change.seq,
            person,
            entry: NOBODY,
            version: 1,
            value_start,
            value_length,
            source: self.source(&change.key),
        };
        self.records.push(row);
        self.list_record(person, record_no);
        self.enter(record_no, entry);
        self.enter_key(record_no);
        self.given_up.remove(&change.key);
        record_no
    }

    pub(super) fn source(&mut self, key: &RecordKey) -> u32 {
        let member = self.members.intern(&key.member);
        let system = self.systems.intern(key.local_id.system());
        self.sources.intern(&(member, system))
    }

    /// Keeps an identifier's value. Gives where it stands, and its length.
    pub(super) fn keep_value(&mut self, value: &str) -> (u32, u16) {
        let start = u32::try_from(self.values.len()).expect("all values together are below 4 GiB");
        make_room(&mut self.values, value.len());
        self.values.extend_from_slice(value.as_bytes());
        (start, value.len() as u16)
    }

    pub(super) fn enter_key(&mut self, record_no: u32) {
        let Self { by_key, records, values, hasher, .. } = self;
        let hash_of = |no: &u32| hasher.hash_one(records[*no as usize].parts(values));
        by_key.insert(hash_of(&record_no), record_no, hash_of);
    }
}
