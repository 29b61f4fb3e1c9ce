//! Rebuilds the memory from the journal. Nothing is scored: what was decided stands.

use std::{pin::pin, sync::Arc};

use futures_util::TryStreamExt as _;

use crate::{
    domain::{Demographics, RecordKey},
    matching::{Model, Population, RecordNo},
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
    snapshot::Snapshot,
};

pub(super) struct Folded {
    pub(super) state: State,
    pub(super) last_seq: u64,
    pub(super) last_task_no: u64,
}

/// The memory after the whole journal: from a snapshot and what came since, or from the beginning.
/// With it the last entry that the snapshot held, or 0.
pub(super) async fn fold(
    reader: &Reader,
    model: &Arc<Model>,
    snapshot: Option<&Snapshot>,
) -> Result<(Folded, u64), IndexError> {
    if let Some(snapshot) = snapshot
        && let Some(kept) = snapshot.read(reader, model).await
    {
        let kept_seq = kept.last_seq;
        match fold_rest(reader, kept).await {
            // What does not fit may be the snapshot's fault, or the journal's.
            Err(IndexError::DamagedJournal { seq }) => {
                tracing::warn!(seq, "the snapshot is not used: what came after does not fit it");
            }
            folded => return Ok((folded?, kept_seq)),
        }
    }
    let population = Population::new(Arc::clone(model));
    let (registry, search) = (Registry::default(), SearchIndex::default());
    let state = State { population, registry, search };
    let folded = fold_rest(reader, Folded { state, last_seq: 0, last_task_no: 0 }).await?;
    Ok((folded, 0))
}

/// Folds what the journal holds beyond what is folded already.
async fn fold_rest(reader: &Reader, mut folded: Folded) -> Result<Folded, IndexError> {
    let kept = folded.last_seq;
    let mut rows = pin!(reader.journal(kept));
    while let Some(row) = rows.try_next().await? {
        let seq = folded.last_seq + 1;
        if row.seq != seq || folded.fold(row).is_err() {
            return Err(IndexError::DamagedJournal { seq });
        }
        folded.last_seq = seq;
    }
    tracing::info!(
        kept,
        folded = folded.last_seq - kept,
        records = folded.state.registry.records_total(),
        persons = folded.state.registry.persons_total(),
        "the index is open"
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
        let (seq, recorded, tasks) = (row.seq, row.recorded, decision.tasks);
        let discovered = decision.discovered.is_some();
        let change = Change { seq, recorded, key, effect, tasks, discovered };
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
        let (seq, recorded) = (row.seq, row.recorded);
        let change = Change { seq, recorded, key, effect, tasks, discovered: false };
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
