//! The committed records and persons, compactly.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher as _,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, LocalId, MemberCode, PersonRecords, RecordKey},
    matching::RecordNo,
};

use super::{
    decision::{Content, RaisedTask},
    review::{OpenTask, Question},
};

/// What one journal entry does to the memory.
pub(super) struct Change {
    pub(super) seq: u64,
    pub(super) recorded: OffsetDateTime,
    pub(super) key: RecordKey,
    pub(super) effect: Effect,
    pub(super) tasks: Vec<RaisedTask>,
}

/// Times are microseconds since 1970; an entry is absent where the record is held out of matching.
pub(super) enum Effect {
    Registered {
        person: EnterpriseId,
        entry: Option<RecordNo>,
        content: Content,
        event_micros: i64,
    },
    Updated {
        entry: Option<RecordNo>,
        content: Content,
        event_micros: i64,
    },
    Confirmed {
        event_micros: i64,
    },
    Stale {
        told: Content,
    },
    /// Persons become one: the ids of the gone lead to the survivor.
    Joined {
        into: EnterpriseId,
        gone: Vec<EnterpriseId>,
        settled: Vec<u64>,
    },
}

/// A change that does not fit what is known: a damaged journal, or a fault of ours.
pub(super) struct Misfit;

#[derive(Default)]
pub(super) struct Registry {
    records: Vec<Record>,
    by_key: HashTable<u32>,
    hasher: RandomState,
    members: Interned<MemberCode>,
    systems: Interned<String>,
    persons: Vec<Person>,
    by_id: HashMap<EnterpriseId, u32, RandomState>,
    /// The record behind each entry of the population.
    by_entry: HashMap<RecordNo, u32, RandomState>,
    stale: HashSet<Content>,
    questions: HashSet<Question>,
    /// Tasks that nobody has decided, by the person whose record raised them, as it was called then.
    open_tasks: HashMap<EnterpriseId, Vec<OpenTask>, RandomState>,
    redirects: usize,
}

/// One source record as it stands.
pub(super) struct Record {
    member: u32,
    system: u32,
    value: Box<str>,
    person: u32,
    pub(super) version: u32,
    pub(super) entry: Option<RecordNo>,
    pub(super) content: Content,
    /// The latest time that was told for it; before all time where none was.
    pub(super) event_micros: i64,
    pub(super) since: OffsetDateTime,
    /// The journal entry that holds its current demographics.
    pub(super) current_seq: u64,
}

struct Person {
    id: EnterpriseId,
    created_seq: u64,
    /// In the order of registration.
    records: Vec<u32>,
    /// The person that it was joined into, who is not gone itself.
    joined_into: Option<u32>,
    /// The persons that were joined into it, directly or by way of others.
    absorbed: Vec<u32>,
}

impl Registry {
    /// The number that the next new record gets.
    pub(super) fn next_record_no(&self) -> u32 {
        self.records.len() as u32
    }

    pub(super) fn records_total(&self) -> usize {
        self.records.len()
    }

    pub(super) fn persons_total(&self) -> usize {
        self.persons.len() - self.redirects
    }

    pub(super) fn record(&self, record_no: u32) -> &Record {
        &self.records[record_no as usize]
    }

    /// The number of a record, by member and local identifier.
    pub(super) fn find(&self, key: &RecordKey) -> Option<u32> {
        let member = self.members.find(&key.member)?;
        let system = self.systems.find(key.local_id.system())?;
        let parts = (member, system, key.local_id.value());
        self.by_key
            .find(self.hasher.hash_one(parts), |&no| self.records[no as usize].parts() == parts)
            .copied()
    }

    pub(super) fn key(&self, record_no: u32) -> RecordKey {
        let record = self.record(record_no);
        let system = self.systems.told(record.system);
        RecordKey {
            member: self.members.told(record.member).clone(),
            local_id: LocalId::parse(system, &record.value)
                .expect("it was a whole local id when it was registered"),
        }
    }

    pub(super) fn person_of(&self, record_no: u32) -> EnterpriseId {
        self.persons[self.record(record_no).person as usize].id
    }

    pub(super) fn is_person(&self, id: EnterpriseId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The person that an id leads to; the id itself where nobody was joined into another.
    pub(super) fn living(&self, id: EnterpriseId) -> EnterpriseId {
        self.living_no(id).map_or(id, |no| self.persons[no as usize].id)
    }

    fn living_no(&self, id: EnterpriseId) -> Option<u32> {
        let no = *self.by_id.get(&id)?;
        Some(self.persons[no as usize].joined_into.unwrap_or(no))
    }

    /// The ids that lead to a person, its own among them.
    pub(super) fn aliases(&self, id: EnterpriseId) -> impl Iterator<Item = EnterpriseId> {
        let absorbed = self.living_no(id).map(|no| &self.persons[no as usize].absorbed);
        let absorbed = absorbed.into_iter().flatten();
        std::iter::once(id).chain(absorbed.map(|&no| self.persons[no as usize].id))
    }

    /// The open tasks that a person's records raised under one of its ids.
    pub(super) fn open_tasks(&self, alias: EnterpriseId) -> &[OpenTask] {
        self.open_tasks.get(&alias).map_or(&[], Vec::as_slice)
    }

    /// The journal entry that minted a person.
    pub(super) fn created_seq(&self, id: EnterpriseId) -> Option<u64> {
        self.by_id.get(&id).map(|&no| self.persons[no as usize].created_seq)
    }

    pub(super) fn person(&self, id: EnterpriseId) -> Option<PersonRecords> {
        let id = self.living(id);
        let mut records: Vec<RecordKey> =
            self.records_of(id).iter().map(|&no| self.key(no)).collect();
        records.sort_unstable();
        (!records.is_empty()).then_some(PersonRecords { id, records })
    }

    /// The numbers of a person's records, in the order in which they were registered.
    pub(super) fn records_of(&self, id: EnterpriseId) -> &[u32] {
        self.living_no(id).map_or(&[], |no| &self.persons[no as usize].records)
    }

    /// Every person's id, in the order of minting.
    #[cfg(test)]
    pub(super) fn person_ids(&self) -> impl Iterator<Item = EnterpriseId> {
        self.persons.iter().map(|person| person.id)
    }

    /// The committed record behind an entry of the population; `None` where nobody may see it yet.
    pub(super) fn record_of_entry(&self, entry: RecordNo) -> Option<u32> {
        self.by_entry.get(&entry).copied()
    }

    pub(super) fn was_told_late(&self, told: Content) -> bool {
        self.stale.contains(&told)
    }

    pub(super) fn is_asked(&self, question: &Question) -> bool {
        self.questions.contains(question)
    }

    /// Makes a committed change visible. Returns the population's entry that it supersedes.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Option<RecordNo>, Misfit> {
        let known = self.find(&change.key);
        let mut superseded = None;
        let record_no = match (&change.effect, known) {
            (Effect::Registered { person, entry, content, event_micros }, None)
                if self.living(*person) == *person =>
            {
                self.add(change, *person, *entry, *content, *event_micros)
            }
            (Effect::Updated { entry, content, event_micros }, Some(no)) => {
                superseded = self.records[no as usize].entry.take();
                if let Some(superseded) = superseded {
                    self.by_entry.remove(&superseded);
                }
                if let Some(entry) = entry {
                    self.by_entry.insert(*entry, no);
                }
                let record = &mut self.records[no as usize];
                record.entry = *entry;
                record.content = *content;
                record.event_micros = record.event_micros.max(*event_micros);
                record.version += 1;
                record.current_seq = change.seq;
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
                self.settle(*into, settled)?;
                no
            }
            _ => return Err(Misfit),
        };
        for task in &change.tasks {
            self.questions.insert(Question::of(task, record_no));
            self.open_tasks.entry(task.person).or_default().push(OpenTask {
                no: task.no,
                kind: task.kind,
                other: task.other,
                record_no,
                bits: task.bits,
                opened: change.recorded,
            });
        }
        Ok(superseded)
    }

    fn join(&mut self, into: EnterpriseId, gone: EnterpriseId) -> Result<(), Misfit> {
        let (Some(&into_no), Some(&gone_no)) = (self.by_id.get(&into), self.by_id.get(&gone))
        else {
            return Err(Misfit);
        };
        // Only into an older person, so that redirects never go round.
        if gone_no <= into_no || self.living(into) != into || self.living(gone) != gone {
            return Err(Misfit);
        }
        let person = &mut self.persons[gone_no as usize];
        let records = std::mem::take(&mut person.records);
        let mut absorbed = std::mem::take(&mut person.absorbed);
        absorbed.push(gone_no);
        for &no in &absorbed {
            self.persons[no as usize].joined_into = Some(into_no);
        }
        for &record_no in &records {
            self.records[record_no as usize].person = into_no;
        }
        let survivor = &mut self.persons[into_no as usize];
        survivor.absorbed.extend(absorbed);
        survivor.records.extend(records);
        survivor.records.sort_unstable();
        self.redirects += 1;
        Ok(())
    }

    fn settle(&mut self, person: EnterpriseId, settled: &[u64]) -> Result<(), Misfit> {
        let aliases: Vec<EnterpriseId> = self.aliases(person).collect();
        let mut left = settled.len();
        for alias in aliases {
            let Some(tasks) = self.open_tasks.get_mut(&alias) else { continue };
            let before = tasks.len();
            tasks.retain(|task| !settled.contains(&task.no));
            left = left.saturating_sub(before - tasks.len());
            if tasks.is_empty() {
                self.open_tasks.remove(&alias);
            }
        }
        if left == 0 { Ok(()) } else { Err(Misfit) }
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
        let person = *self.by_id.entry(id).or_insert_with(|| {
            self.persons.push(Person {
                id,
                created_seq: change.seq,
                records: Vec::new(),
                joined_into: None,
                absorbed: Vec::new(),
            });
            self.persons.len() as u32 - 1
        });
        self.persons[person as usize].records.push(record_no);
        if let Some(entry) = entry {
            self.by_entry.insert(entry, record_no);
        }
        let record = Record {
            member: self.members.intern(&change.key.member),
            system: self.systems.intern(change.key.local_id.system()),
            value: change.key.local_id.value().into(),
            person,
            version: 1,
            entry,
            content,
            event_micros,
            since: change.recorded,
            current_seq: change.seq,
        };
        let hash = self.hasher.hash_one(record.parts());
        self.records.push(record);
        let (records, hasher) = (&self.records, &self.hasher);
        self.by_key
            .insert_unique(hash, record_no, |&no| hasher.hash_one(records[no as usize].parts()));
        record_no
    }
}

impl Record {
    fn parts(&self) -> (u32, u32, &str) {
        (self.member, self.system, &self.value)
    }
}

/// Few values, told again and again.
struct Interned<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32, RandomState>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::default() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn find<Q>(&self, value: &Q) -> Option<u32>
    where
        T: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.numbers.get(value).copied()
    }

    fn intern<Q>(&mut self, value: &Q) -> u32
    where
        T: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(number) = self.find(value) {
            return number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.to_owned());
        self.numbers.insert(value.to_owned(), number);
        number
    }

    fn told(&self, number: u32) -> &T {
        &self.values[number as usize]
    }
}
