//! Keys to records, for a population that grows record by record.

use super::Key;
use crate::matching::{
    kept::kept,
    lists::{List, Lists},
};

/// Parts that grow by themselves: none is ever so large that growing would keep readers waiting.
const PARTS: usize = 256;

/// Records by key. Most keys name one record or a few.
#[derive(Clone)]
pub(crate) struct Postings {
    parts: Vec<Part>,
}

impl Default for Postings {
    fn default() -> Self {
        Self { parts: vec![Part::default(); PARTS] }
    }
}

/// Keys are hashes already; this spreads the rules' numbers over all bits.
fn hash_of(key: Key) -> u64 {
    u64::from(key.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn part_of(key: Key) -> usize {
    (hash_of(key) >> 24) as usize % PARTS
}

impl Postings {
    pub(crate) fn add(&mut self, key: Key, record: u32) {
        self.parts[part_of(key)].add(key, record);
    }

    pub(crate) fn remove(&mut self, key: Key, record: u32) {
        self.parts[part_of(key)].remove(key, record);
    }

    /// The records under a key, in order of arrival.
    pub(crate) fn records(&self, key: Key) -> &[u32] {
        self.parts[part_of(key)].records(key)
    }
}

/// Some of the keys with their lists: open addressing by hash, a key beside its list, eight bytes for
/// both. It grows by a quarter, since doubling would leave half of the slots empty.
#[derive(Clone, Default)]
struct Part {
    slots: Vec<(Key, List)>,
    filled: usize,
    lists: Lists,
}

impl Part {
    /// At most four of five slots are filled.
    fn must_grow(&self) -> bool {
        (self.filled + 1) * 5 > self.slots.len() * 4
    }

    /// Where a key is looked for first: keys stand in the order of their hashes, more or less.
    fn home(&self, key: Key) -> usize {
        let share = (hash_of(key) >> 32) * self.slots.len() as u64;
        (share >> 32) as usize
    }

    fn next(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    /// The slot of a key, or the empty one that it would take.
    fn find(&self, key: Key) -> Result<usize, usize> {
        let mut slot = self.home(key);
        loop {
            match self.slots[slot] {
                (_, list) if list.is_empty() => return Err(slot),
                (known, _) if known == key => return Ok(slot),
                _ => slot = self.next(slot),
            }
        }
    }

    fn records(&self, key: Key) -> &[u32] {
        if self.slots.is_empty() {
            return &[];
        }
        self.find(key).map_or(&[], |slot| self.lists.numbers(&self.slots[slot].1))
    }

    fn add(&mut self, key: Key, record: u32) {
        if self.must_grow() {
            self.grow();
        }
        match self.find(key) {
            Ok(slot) => {
                let list = &mut self.slots[slot].1;
                *list = self.lists.push(*list, record);
            }
            Err(slot) => {
                self.slots[slot] = (key, List::of(record));
                self.filled += 1;
            }
        }
    }

    fn grow(&mut self) {
        let slots = self.slots.len() + self.slots.len() / 4 + 4;
        let old = std::mem::replace(&mut self.slots, vec![(Key(0), List::EMPTY); slots]);
        for (key, list) in old.into_iter().filter(|(_, list)| !list.is_empty()) {
            let (Ok(slot) | Err(slot)) = self.find(key);
            self.slots[slot] = (key, list);
        }
    }

    fn remove(&mut self, key: Key, record: u32) {
        if self.slots.is_empty() {
            return;
        }
        let Ok(slot) = self.find(key) else { return };
        let list = &mut self.slots[slot].1;
        let Some(at) = self.lists.numbers(list).iter().position(|other| *other == record) else {
            return;
        };
        *list = self.lists.remove(*list, at);
        if list.is_empty() {
            self.filled -= 1;
            self.close_gap(slot);
        }
    }

    /// Moves up what stands behind a slot that became empty, so that it is found from its home.
    fn close_gap(&mut self, mut gap: usize) {
        let mut slot = self.next(gap);
        while !self.slots[slot].1.is_empty() {
            let home = self.home(self.slots[slot].0);
            let (from_home, from_gap) = (self.distance(home, slot), self.distance(gap, slot));
            if from_home >= from_gap {
                self.slots.swap(gap, slot);
                gap = slot;
            }
            slot = self.next(slot);
        }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}

kept!(Part { slots, filled, lists });
kept!(Postings { parts });

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn postings_hold_what_a_plain_map_holds(
            deeds in prop::collection::vec((any::<bool>(), 0_u32..60, 0_u32..30), 0..600),
        ) {
            let mut postings = Postings::default();
            let mut plain: HashMap<u32, Vec<u32>> = HashMap::new();
            for (adds, key, record) in deeds {
                let records = plain.entry(key).or_default();
                if adds && !records.contains(&record) {
                    records.push(record);
                    postings.add(Key(key), record);
                } else {
                    records.retain(|other| *other != record);
                    postings.remove(Key(key), record);
                }
            }
            for (key, records) in plain {
                prop_assert_eq!(postings.records(Key(key)), records.as_slice());
            }
        }
    }

    #[test]
    fn what_is_removed_is_found_no_more() {
        let mut postings = Postings::default();
        for record in 0..3 {
            postings.add(Key(7), record);
        }
        postings.remove(Key(7), 1);
        assert_eq!(postings.records(Key(7)), [0, 2]);
        postings.remove(Key(7), 0);
        postings.remove(Key(7), 2);
        assert!(postings.records(Key(7)).is_empty());
        postings.add(Key(8), 4);
        postings.remove(Key(8), 5);
        assert_eq!(postings.records(Key(8)), [4]);
    }
}
