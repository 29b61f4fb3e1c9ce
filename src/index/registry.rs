//! The committed records and persons, compactly.

mod act;
mod apply;
mod interned;
mod keeping;

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher as _,
};

use foldhash::fast::RandomState;
use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, LocalId, MemberCode, PersonRecords, RecordKey},
    matching::{
        Chunked, RecordNo,
        lists::{List, Lists},
        table::Table,
    },
};

use interned::Interned;

use super::{
    decision::{Content, RaisedTask},
    deed::Standing,
    review::TaskKind,
    rules::Rules,
    tasks::Tasks,
};

/// What one journal entry does to the memory.
pub(super) struct Change {
    pub(super) seq: u64,
    pub(super) recorded: OffsetDateTime,
    pub(super) key: RecordKey,
    pub(super) effect: Effect,
    pub(super) tasks: Vec<RaisedTask>,
    /// Whether nobody fed what it tells: it was found at its member.
    pub(super) discovered: bool,
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
    /// A record that was retired is told of again.
    Revived {
        person: EnterpriseId,
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
    records: Chunked<Row>,
    /// The values of the records' identifiers, one after the other; those given up are left behind.
    values: Vec<u8>,
    by_key: Table<u32>,
    hasher: RandomState,
    members: Interned<MemberCode>,
    systems: Interned<String>,
    /// Members with systems of theirs.
    sources: Interned<(u32, u32)>,
    persons: Chunked<Person>,
    /// What the persons' lists of records hold.
    lists: Lists,
    by_id: Table<u32>,
    /// The persons that were joined into another, directly or by way of others.
    absorbed: HashMap<u32, Vec<u32>, RandomState>,
    /// The record behind each entry of the population, or [`NOBODY`].
    by_entry: Chunked<u32>,
    stale: HashSet<Content>,
    /// Records that nobody fed, and when they were found, in microseconds since 1970.
    discovered: HashMap<u32, i64, RandomState>,
    /// Records that are not active.
    standings: HashMap<u32, Standing, RandomState>,
    /// Identifiers that records had before.
    former_keys: HashMap<u32, Vec<RecordKey>, RandomState>,
    /// The same, and when each was given up, until somebody is registered under it.
    given_up: HashMap<RecordKey, (u32, i64), RandomState>,
    rules: Rules,
    tasks: Tasks,
    /// Deeds that were undone.
    undone: HashSet<u64, RandomState>,
    /// The version of the model that was activated last.
    activated: Option<String>,
    redirects: usize,
}

/// In place of the number of a record, person or entry that is not there.
const NOBODY: u32 = u32::MAX;

/// One source record as it stands.
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) entry: Option<RecordNo>,
    pub(super) content: Content,
    /// The latest time that was told for it; before all time where none was.
    pub(super) event_micros: i64,
    pub(super) since: OffsetDateTime,
    /// The journal entry that holds its current demographics.
    pub(super) current_seq: u64,
}

/// The same as the memory keeps it, with its identifier and person.
struct Row {
    content: Content,
    event_micros: i64,
    since_micros: i64,
    current_seq: u64,
    person: u32,
    entry: u32,
    version: u32,
    /// Where the identifier's value stands among all values.
    value_start: u32,
    value_length: u16,
    /// Member and system.
    source: u32,
}

struct Person {
    id: EnterpriseId,
    created_seq: u64,
    /// In the order of registration.
    records: List,
    /// The person that it was joined into, who is not gone itself; else [`NOBODY`].
    joined_into: u32,
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

    pub(super) fn record(&self, record_no: u32) -> Record {
        let row = &self.records[record_no as usize];
        Record {
            version: row.version,
            entry: (row.entry != NOBODY).then_some(RecordNo(row.entry)),
            content: row.content,
            event_micros: row.event_micros,
            since: moment(row.since_micros),
            current_seq: row.current_seq,
        }
    }

    /// Source and value of a record's identifier.
    fn parts(&self, record_no: u32) -> (u32, &[u8]) {
        self.records[record_no as usize].parts(&self.values)
    }

    /// The number of a record, by member and local identifier.
    pub(super) fn find(&self, key: &RecordKey) -> Option<u32> {
        let member = self.members.find(&key.member)?;
        let system = self.systems.find(key.local_id.system())?;
        let source = self.sources.find(&(member, system))?;
        let parts = (source, key.local_id.value().as_bytes());
        self.by_key.find(self.hasher.hash_one(parts), |&no| self.parts(no) == parts).copied()
    }

    pub(super) fn key(&self, record_no: u32) -> RecordKey {
        let (source, value) = self.parts(record_no);
        let (member, system) = *self.sources.told(source);
        let value = std::str::from_utf8(value).expect("it was text when it was registered");
        RecordKey {
            member: self.members.told(member).clone(),
            local_id: LocalId::parse(self.systems.told(system), value)
                .expect("it was a whole local id when it was registered"),
        }
    }

    pub(super) fn member_of(&self, record_no: u32) -> &MemberCode {
        let (member, _) = *self.sources.told(self.records[record_no as usize].source);
        self.members.told(member)
    }

    pub(super) fn person_of(&self, record_no: u32) -> EnterpriseId {
        self.persons[self.records[record_no as usize].person as usize].id
    }

    pub(super) fn is_person(&self, id: EnterpriseId) -> bool {
        self.person_no(id).is_some()
    }

    /// The person that an id leads to; the id itself where nobody was joined into another.
    pub(super) fn living(&self, id: EnterpriseId) -> EnterpriseId {
        self.living_no(id).map_or(id, |no| self.persons[no as usize].id)
    }

    fn person_no(&self, id: EnterpriseId) -> Option<u32> {
        let is = |no: &u32| self.persons[*no as usize].id == id;
        self.by_id.find(self.hasher.hash_one(id), is).copied()
    }

    fn living_no(&self, id: EnterpriseId) -> Option<u32> {
        let no = self.person_no(id)?;
        let joined_into = self.persons[no as usize].joined_into;
        Some(if joined_into == NOBODY { no } else { joined_into })
    }

    /// The ids that lead to a person, its own among them.
    pub(super) fn aliases(&self, id: EnterpriseId) -> impl Iterator<Item = EnterpriseId> {
        let absorbed = self.living_no(id).and_then(|no| self.absorbed.get(&no));
        let absorbed = absorbed.into_iter().flatten();
        std::iter::once(id).chain(absorbed.map(|&no| self.persons[no as usize].id))
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn standing(&self, record_no: u32) -> Standing {
        self.standings.get(&record_no).copied().unwrap_or(Standing::Active)
    }

    pub(super) fn is_active(&self, record_no: u32) -> bool {
        !self.standings.contains_key(&record_no)
    }

    /// The record that a record's identifier leads to: itself, or the one that it was merged into.
    /// `None` where it is retired.
    pub(super) fn led_to(&self, record_no: u32) -> Option<u32> {
        match self.standing(record_no) {
            Standing::Active => Some(record_no),
            Standing::Retired => None,
            // Nothing is merged into what was merged away, so this ends.
            Standing::Subsumed { by, .. } => self.led_to(by),
        }
    }

    /// Whether a steward is asked if this record is another's, or could not tell.
    pub(super) fn is_doubted(&self, record_no: u32) -> bool {
        let mut tasks = self.tasks.of_record(record_no);
        tasks.any(|task| task.raised.kind == TaskKind::LinkInDoubt)
    }

    /// The active records of a person whose link to it is in doubt. A doubt about what was merged
    /// away is one about what it was merged into.
    pub(super) fn doubted_of(&self, id: EnterpriseId) -> Vec<u32> {
        let records = self.records_of(id).iter().filter(|&&record_no| self.is_doubted(record_no));
        records.filter_map(|&record_no| self.led_to(record_no)).collect()
    }

    pub(super) fn is_undone(&self, seq: u64) -> bool {
        self.undone.contains(&seq)
    }

    /// The version of the model that was activated last.
    pub(super) fn activated_model(&self) -> Option<&str> {
        self.activated.as_deref()
    }

    /// Where a person's id leads, if it is gone.
    pub(super) fn redirect_of(&self, id: EnterpriseId) -> Option<EnterpriseId> {
        let living = self.living(id);
        (living != id).then_some(living)
    }

    /// The record that gave up this identifier, and when.
    pub(super) fn gave_up(&self, key: &RecordKey) -> Option<(u32, i64)> {
        self.given_up.get(key).copied()
    }

    /// What leads to a record beside its identifier today: identifiers that it had, and other names.
    pub(super) fn other_names(&self, record_no: u32) -> impl Iterator<Item = &RecordKey> {
        let former = self.former_keys.get(&record_no).into_iter().flatten();
        former.filter(move |name| self.gave_up(name).is_some_and(|(no, _)| no == record_no))
    }

    /// The record that something told late under this identifier is about.
    pub(super) fn told_late_of(&self, key: &RecordKey) -> Option<u32> {
        self.find(key).or_else(|| self.gave_up(key).map(|(record_no, _)| record_no))
    }

    /// The active record that an identifier leads to, also one that was merged away or given up.
    pub(super) fn resolve(&self, key: &RecordKey) -> Option<u32> {
        self.led_to(self.told_late_of(key)?)
    }

    /// The journal entry that minted a person.
    pub(super) fn created_seq(&self, id: EnterpriseId) -> Option<u64> {
        self.person_no(id).map(|no| self.persons[no as usize].created_seq)
    }

    pub(super) fn person(&self, id: EnterpriseId) -> Option<PersonRecords> {
        let id = self.living(id);
        let (mut records, mut former) = (Vec::new(), Vec::new());
        for &record_no in self.records_of(id) {
            let list = if self.is_active(record_no) { &mut records } else { &mut former };
            list.push(self.key(record_no));
            former.extend(self.former_keys.get(&record_no).into_iter().flatten().cloned());
        }
        records.sort_unstable();
        former.sort_unstable();
        (!records.is_empty()).then_some(PersonRecords { id, records, former })
    }

    /// The numbers of a person's records, in the order in which they were registered.
    pub(super) fn records_of(&self, id: EnterpriseId) -> &[u32] {
        self.living_no(id).map_or(&[], |no| self.lists.numbers(&self.persons[no as usize].records))
    }

    /// Every person's id, in the order of minting.
    #[cfg(test)]
    pub(super) fn person_ids(&self) -> impl Iterator<Item = EnterpriseId> {
        (0..self.persons.len()).map(|no| self.persons[no].id)
    }

    /// The committed record behind an entry of the population; `None` where nobody may see it yet,
    /// and where it tells of nobody.
    pub(super) fn record_of_entry(&self, entry: RecordNo) -> Option<u32> {
        let record_no = *self.by_entry.get(entry.0 as usize)?;
        (record_no != NOBODY && self.counts(record_no)).then_some(record_no)
    }

    /// The entry of a record that tells of its person.
    pub(super) fn entry_of(&self, record_no: u32) -> Option<RecordNo> {
        self.record(record_no).entry.filter(|_| self.counts(record_no))
    }

    fn counts(&self, record_no: u32) -> bool {
        match self.standing(record_no) {
            Standing::Active => true,
            Standing::Retired => false,
            Standing::Subsumed { by, counts } => counts && self.counts(by),
        }
    }

    pub(super) fn was_told_late(&self, told: Content) -> bool {
        self.stale.contains(&told)
    }

    /// When a record that nobody fed was found at its member.
    pub(super) fn discovered_at(&self, record_no: u32) -> Option<OffsetDateTime> {
        self.discovered.get(&record_no).map(|micros| moment(*micros))
    }

    /// All records that nobody fed, and when they were found.
    pub(super) fn discovered(&self) -> impl Iterator<Item = (u32, OffsetDateTime)> {
        self.discovered.iter().map(|(record_no, micros)| (*record_no, moment(*micros)))
    }
}

/// A time of the journal.
fn moment(micros: i64) -> OffsetDateTime {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
    moment.expect("it was a time when it was written down")
}

impl Row {
    fn parts<'a>(&self, values: &'a [u8]) -> (u32, &'a [u8]) {
        let value = &values[self.value_start as usize..][..usize::from(self.value_length)];
        (self.source, value)
    }
}
