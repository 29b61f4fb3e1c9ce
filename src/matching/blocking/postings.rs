//! Keys to records, for a population that grows record by record.

use hashbrown::HashMap;

use super::Key;

/// Records by key. Most keys name one record, so one needs no list.
#[derive(Clone, Default)]
pub(crate) struct Postings {
    lists: HashMap<Key, Posting, foldhash::fast::FixedState>,
}

#[derive(Clone)]
enum Posting {
    One(u32),
    #[expect(clippy::box_collection, reason = "a list in place would double the size of the table")]
    Many(Box<Vec<u32>>),
}

impl Postings {
    pub(crate) fn add(&mut self, key: Key, record: u32) {
        match self.lists.entry(key) {
            hashbrown::hash_map::Entry::Vacant(entry) => {
                entry.insert(Posting::One(record));
            }
            hashbrown::hash_map::Entry::Occupied(mut entry) => match entry.get_mut() {
                Posting::Many(records) => records.push(record),
                posting @ Posting::One(_) => {
                    let Posting::One(first) = *posting else { return };
                    *posting = Posting::Many(Box::new(vec![first, record]));
                }
            },
        }
    }

    pub(crate) fn remove(&mut self, key: Key, record: u32) {
        let Some(posting) = self.lists.get_mut(&key) else { return };
        let empty = match posting {
            Posting::One(only) => *only == record,
            Posting::Many(records) => {
                records.retain(|other| *other != record);
                records.is_empty()
            }
        };
        if empty {
            self.lists.remove(&key);
        }
    }

    /// The records under a key, in order of arrival.
    pub(crate) fn records(&self, key: Key) -> &[u32] {
        match self.lists.get(&key) {
            None => &[],
            Some(Posting::One(record)) => std::slice::from_ref(record),
            Some(Posting::Many(records)) => records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
