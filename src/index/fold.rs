//! Rebuilds the memory from the journal. Nothing is scored: what was decided stands.

use std::pin::pin;

use futures_util::TryStreamExt as _;

use crate::{
    domain::{Demographics, RecordKey},
    matching::{Population, RecordNo},
    storage::{JournalRow, Reader},
};

use super::{
    IndexError, State,
    decide::event_micros,
    decision::{
        CONFIRMED, FoldedDecision, FoldedJoin, JOINED, REGISTERED, REVIVED, STALE, UPDATED,
    },
    deed::{Deed, DeedKind},
    registry::{Change, Effect, Misfit, Registry},
    search::{SearchIndex, Terms},
};

pub(super) struct Folded {
    pub(super) state: State,
    pub(super) last_seq: u64,
    pub(super) last_task_no: u64,
}

/// Folds the whole journal into an empty population.
pub(super) async fn fold(reader: &Reader, population: Population) -> Result<Folded, IndexError> {
    let search = SearchIndex::default();
    let state = State { population, registry: Registry::default(), search };
    let mut folded = Folded { state, last_seq: 0, last_task_no: 0 };
    let mut rows = pin!(reader.journal(0));
    while let Some(row) = rows.try_next().await? {
        let seq = folded.last_seq + 1;
        if row.seq != seq || folded.fold(row).is_err() {
            return Err(IndexError::DamagedJournal { seq });
        }
        folded.last_seq = seq;
    }
    tracing::info!(
        entries = folded.last_seq,
        records = folded.state.registry.records_total(),
        persons = folded.state.registry.persons_total(),
        "the journal is folded"
    );
    Ok(folded)
}

impl Folded {
    fn fold(&mut self, row: JournalRow) -> Result<(), Misfit> {
        if row.kind == JOINED {
            return self.fold_join(row);
        }
        if DeedKind::parse(&row.kind).is_some() {
            return self.fold_deed(&row);
        }
        let decision: FoldedDecision = serde_json::from_str(&row.decision).map_err(|_| Misfit)?;
        let key = row.record.ok_or(Misfit)?;
        let event_micros = event_micros(row.event_time, row.recorded);
        let content = decision.content;
        let demographics = row.demographics.as_deref();
        let effect = match &*row.kind {
            REGISTERED => Effect::Registered {
                person: row.person.ok_or(Misfit)?,
                entry: self.enter(&key, demographics)?,
                content,
                event_micros,
            },
            REVIVED => Effect::Revived {
                person: row.person.ok_or(Misfit)?,
                entry: self.enter(&key, demographics)?,
                content,
                event_micros,
            },
            UPDATED => {
                let entry = self.enter(&key, demographics)?;
                Effect::Updated { entry, content, event_micros }
            }
            CONFIRMED => Effect::Confirmed { event_micros },
            STALE => {
                let record_no = self.state.registry.told_late_of(&key).ok_or(Misfit)?;
                Effect::Stale { told: content.told_at(record_no, event_micros) }
            }
            _ => return Err(Misfit),
        };
        let last_task = decision.tasks.last().map_or(0, |task| task.no);
        self.last_task_no = self.last_task_no.max(last_task);
        let change =
            Change { seq: row.seq, recorded: row.recorded, key, effect, tasks: decision.tasks };
        if let Some(superseded) = self.state.registry.apply(&change)? {
            self.state.population.remove(superseded);
        }
        Ok(())
    }

    fn fold_join(&mut self, row: JournalRow) -> Result<(), Misfit> {
        let FoldedJoin { gone, settled } =
            serde_json::from_str(&row.decision).map_err(|_| Misfit)?;
        let effect = Effect::Joined { into: row.person.ok_or(Misfit)?, gone, settled };
        let (key, tasks) = (row.record.ok_or(Misfit)?, Vec::new());
        let change = Change { seq: row.seq, recorded: row.recorded, key, effect, tasks };
        self.state.registry.apply(&change).map(|_| ())
    }

    fn fold_deed(&mut self, row: &JournalRow) -> Result<(), Misfit> {
        let deed: Deed = serde_json::from_str(&row.decision).map_err(|_| Misfit)?;
        let last_task = deed.asked.last().map_or(0, |asked| asked.task.no);
        self.last_task_no = self.last_task_no.max(last_task);
        let event_micros = event_micros(row.event_time, row.recorded);
        let removed = self.state.registry.act(row.seq, row.recorded, event_micros, &deed)?;
        for entry in removed {
            self.state.population.remove(entry);
        }
        self.state.search.follow(&deed);
        Ok(())
    }

    fn enter(&mut self, key: &RecordKey, json: Option<&str>) -> Result<Option<RecordNo>, Misfit> {
        let demographics: Demographics =
            serde_json::from_str(json.ok_or(Misfit)?).map_err(|_| Misfit)?;
        let registry = &self.state.registry;
        let record_no = registry.find(key).unwrap_or_else(|| registry.next_record_no());
        self.state.search.add(record_no, &Terms::of(&key.local_id, &demographics));
        let enters = !demographics.identity_unknown;
        Ok(enters.then(|| self.state.population.insert(&demographics)))
    }
}
