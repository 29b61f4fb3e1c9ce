//! A hash table in parts that grow one by one: growing never keeps readers waiting for long.

use hashbrown::{HashTable, hash_table::OccupiedEntry};

/// Many enough that at ten million entries a part grows within some milliseconds.
const PARTS: usize = 64;

/// Values by hash; what they are equal by is told with each call.
#[derive(Clone)]
pub(crate) struct Table<T> {
    parts: Vec<HashTable<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| HashTable::new()).collect() }
    }
}

/// The part of a hash, by bits that the part itself looks at last.
const fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

impl<T> Table<T> {
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts[part(hash)].find(hash, is)
    }

    pub(crate) fn find_entry(
        &mut self,
        hash: u64,
        is: impl FnMut(&T) -> bool,
    ) -> Option<OccupiedEntry<'_, T>> {
        self.parts[part(hash)].find_entry(hash, is).ok()
    }

    /// Puts in a value that is not there; `hash_of` tells the hashes of those that are.
    pub(crate) fn insert(&mut self, hash: u64, value: T, hash_of: impl Fn(&T) -> u64) {
        self.parts[part(hash)].insert_unique(hash, value, hash_of);
    }
}
