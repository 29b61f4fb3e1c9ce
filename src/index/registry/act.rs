//! What a deed does to the memory.

use std::hash::BuildHasher as _;

use time::OffsetDateTime;

use crate::{
    domain::{EnterpriseId, RecordKey},
    matching::RecordNo,
};

use super::{
    super::deed::{Deed, Move, Naming, Redirect, Rename, Standing, StandingChange},
    Misfit, NOBODY, Registry,
};

fn micros(time: OffsetDateTime) -> i64 {
    (time.unix_timestamp_nanos() / 1_000) as i64
}

impl Registry {
    /// Makes a committed deed visible. Returns the population's entries that tell of nobody any more.
    pub(in super::super) fn act(
        &mut self,
        seq: u64,
        recorded: OffsetDateTime,
        event_micros: i64,
        deed: &Deed,
    ) -> Result<Vec<RecordNo>, Misfit> {
        let mut removed = Vec::new();
        for &StandingChange { record, from, to } in &deed.standings {
            self.take_standing(record, from, to)?;
            let known = &mut self.records[record as usize];
            known.event_micros = known.event_micros.max(event_micros);
            known.version += 1;
            if to == Standing::Retired {
                removed.extend(self.take_entry(record));
            }
        }
        if let Some(rename) = &deed.renamed {
            // Where no time was told, what the disk knows: nothing from before may bring it back.
            let until = if event_micros == i64::MIN { micros(recorded) } else { event_micros };
            self.rename(rename, event_micros, until)?;
        }
        if let Some(naming) = &deed.named {
            self.name(naming)?;
        }
        deed.moved.iter().try_for_each(|moved| self.move_record(seq, moved))?;
        self.redirect(&deed.redirected)?;
        if deed.moved.iter().any(|moved| self.living(moved.to) != moved.to) {
            return Err(Misfit);
        }
        if let Some(rule) = &deed.rule {
            self.rules.add(seq, rule.clone());
        }
        for asked in &deed.asked {
            self.tasks.raise(&asked.task, asked.record, recorded);
        }
        for change in &deed.tasks {
            self.tasks.change(change, &deed.by, recorded)?;
        }
        for lifted in &deed.lifted {
            if !self.rules.lift(*lifted) {
                return Err(Misfit);
            }
        }
        self.undone.extend(deed.undoes);
        if let Some(model) = &deed.activated {
            self.activated = Some(model.clone());
        }
        self.stale.extend(deed.late);
        Ok(removed)
    }

    pub(super) fn take_standing(
        &mut self,
        record: u32,
        from: Standing,
        to: Standing,
    ) -> Result<(), Misfit> {
        if record >= self.next_record_no() || self.standing(record) != from {
            return Err(Misfit);
        }
        if to == Standing::Active {
            self.standings.remove(&record);
        } else {
            self.standings.insert(record, to);
        }
        Ok(())
    }

    fn rename(&mut self, rename: &Rename, event_micros: i64, until: i64) -> Result<(), Misfit> {
        let no = rename.record;
        if no >= self.next_record_no() {
            return Err(Misfit);
        }
        let from = self.key(no);
        let to = RecordKey { member: from.member.clone(), local_id: rename.to.clone() };
        if from.local_id != rename.from || self.find(&to).is_some() {
            return Err(Misfit);
        }
        let hash = self.hasher.hash_one(self.parts(no));
        self.by_key.find_entry(hash, |&other| other == no).ok_or(Misfit)?.remove();
        let source = self.source(&to);
        let (value_start, value_length) = self.keep_value(to.local_id.value());
        let record = &mut self.records[no as usize];
        record.source = source;
        (record.value_start, record.value_length) = (value_start, value_length);
        record.event_micros = record.event_micros.max(event_micros);
        record.version += 1;
        self.enter_key(no);
        self.given_up.remove(&to);
        self.given_up.insert(from.clone(), (no, until));
        self.former_keys.entry(no).or_default().push(from);
        Ok(())
    }

    /// Lets another name lead to a record, as a former identifier does.
    fn name(&mut self, naming: &Naming) -> Result<(), Misfit> {
        let no = naming.record;
        if no >= self.next_record_no() {
            return Err(Misfit);
        }
        let name = RecordKey { member: self.key(no).member, local_id: naming.id.clone() };
        if self.find(&name).is_some() {
            return Err(Misfit);
        }
        // It had no identifier before this one, so nothing told under it can be late.
        self.given_up.insert(name.clone(), (no, i64::MIN));
        self.former_keys.entry(no).or_default().push(name);
        Ok(())
    }

    pub(super) fn move_record(&mut self, seq: u64, moved: &Move) -> Result<(), Misfit> {
        let record = moved.record;
        if record >= self.next_record_no() || self.person_of(record) != moved.from {
            return Err(Misfit);
        }
        let to = self.minted(moved.to, seq);
        let from = std::mem::replace(&mut self.records[record as usize].person, to);
        let records = &mut self.persons[from as usize].records;
        let at = self.lists.numbers(records).iter().position(|&other| other == record);
        *records = self.lists.remove(*records, at.ok_or(Misfit)?);
        self.list_record(to, record);
        Ok(())
    }

    /// Sets where ids lead, all at once: together they may pass through what alone would not stand.
    fn redirect(&mut self, redirects: &[Redirect]) -> Result<(), Misfit> {
        for Redirect { person, from, to } in redirects {
            let no = self.person_no(*person).ok_or(Misfit)?;
            let leads_to = |id: &Option<EnterpriseId>| match id {
                Some(id) => self.person_no(*id).ok_or(Misfit),
                None => Ok(NOBODY),
            };
            let (from, to) = (leads_to(from)?, leads_to(to)?);
            if self.persons[no as usize].joined_into != from {
                return Err(Misfit);
            }
            if let Some(absorbed) = self.absorbed.get_mut(&from) {
                absorbed.retain(|&other| other != no);
            }
            self.redirects -= usize::from(from != NOBODY);
            if to != NOBODY {
                self.absorbed.entry(to).or_default().push(no);
                self.redirects += 1;
            }
            self.persons[no as usize].joined_into = to;
        }
        let stands = |Redirect { person, to, .. }: &Redirect| {
            let Some(to) = to else { return true };
            let (Some(no), Some(to)) = (self.person_no(*person), self.person_no(*to)) else {
                return false;
            };
            self.persons[no as usize].records.is_empty()
                && self.absorbed.get(&no).is_none_or(Vec::is_empty)
                && self.persons[to as usize].joined_into == NOBODY
        };
        if redirects.iter().all(stands) { Ok(()) } else { Err(Misfit) }
    }
}
