//! Pages of an answer: what was found when it was asked, so that pages neither overlap nor miss.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

use super::data::RecordNo;

/// How many answers are remembered for their further pages; the oldest is forgotten first.
const SNAPSHOTS_MAX: usize = 4096;

/// One answer of several pages.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Matches, then included.
    pub(super) entries: Vec<RecordNo>,
    /// How many of the entries are matches.
    pub(super) matches: usize,
    /// `Bundle.total`.
    pub(super) total: usize,
    pub(super) page_size: usize,
}

impl Snapshot {
    /// The entries of the page that begins at `offset`; an endless one begins again.
    pub(super) fn page(&self, offset: usize) -> impl Iterator<Item = (RecordNo, &'static str)> {
        let start = if self.entries.is_empty() { 0 } else { offset % self.entries.len() };
        let end = (start + self.page_size).min(self.entries.len());
        self.entries[start..end].iter().enumerate().map(move |(at, no)| {
            let mode = if start + at < self.matches { "match" } else { "include" };
            (*no, mode)
        })
    }

    pub(super) fn has_after(&self, offset: usize) -> bool {
        offset.saturating_add(self.page_size) < self.entries.len()
    }
}

/// An answer and a place in it. Says nothing about either, and cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageToken {
    pub(super) snapshot: Uuid,
    pub(super) offset: usize,
}

impl PageToken {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (snapshot, offset) = text.split_once('.')?;
        Some(Self { snapshot: snapshot.parse().ok()?, offset: offset.parse().ok()? })
    }

    pub(super) fn encode(self) -> String {
        format!("{}.{}", self.snapshot.simple(), self.offset)
    }
}

/// The answers that may be paged on.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<Uuid, Arc<Snapshot>>,
    order: VecDeque<Uuid>,
}

impl Snapshots {
    pub(super) fn keep(&self, snapshot: Arc<Snapshot>) -> Uuid {
        let id = Uuid::new_v4();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.order.len() == SNAPSHOTS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_id.remove(&oldest);
        }
        kept.by_id.insert(id, snapshot);
        kept.order.push_back(id);
        id
    }

    pub(super) fn find(&self, id: Uuid) -> Option<Arc<Snapshot>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_id.get(&id).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(entries: RecordNo) -> Arc<Snapshot> {
        let entries: Vec<_> = (0..entries).collect();
        Arc::new(Snapshot { matches: 3, total: 3, page_size: 2, entries })
    }

    #[test]
    fn pages_cover_all_once() {
        let snapshot = snapshot(5);
        let page = |offset| snapshot.page(offset).collect::<Vec<_>>();
        assert_eq!(page(0), [(0, "match"), (1, "match")]);
        assert_eq!(page(2), [(2, "match"), (3, "include")]);
        assert_eq!(page(4), [(4, "include")]);
        assert!(snapshot.has_after(2) && !snapshot.has_after(4));
    }

    #[test]
    fn the_oldest_answer_is_forgotten_first() {
        let snapshots = Snapshots::default();
        let first = snapshots.keep(snapshot(1));
        let second = snapshots.keep(snapshot(1));
        for _ in 0..SNAPSHOTS_MAX - 1 {
            snapshots.keep(snapshot(1));
        }
        assert!(snapshots.find(first).is_none() && snapshots.find(second).is_some());
    }

    #[test]
    fn a_token_has_one_form() {
        let token = PageToken { snapshot: Uuid::from_u128(7), offset: 40 };
        assert_eq!(PageToken::parse(&token.encode()), Some(token));
        for bad in ["", "x.1", "00000000000000000000000000000007", "7.-1"] {
            assert_eq!(PageToken::parse(bad), None, "{bad}");
        }
    }
}
