//! Interned values: each distinct text is kept once and named by a number; 0 is the empty text.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::{
    kept::{Kept, Sink, Source},
    room::make_room,
    table::Table,
};

/// Distinct texts of one field, append-only.
#[derive(Clone)]
pub(crate) struct Lexicon {
    bytes: Vec<u8>,
    /// Where each text ends in `bytes`; the first is the empty text.
    ends: Vec<u32>,
    table: Table<u32>,
}

/// Fixed, so that the same input gives the same layout on every run.
const HASHER: FixedState = FixedState::with_seed(0x7e55_e4a0);

impl Default for Lexicon {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: vec![0], table: Table::default() }
    }
}

impl Lexicon {
    /// The number of `text`, adding it where it is new.
    pub(crate) fn intern(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let hash = HASHER.hash_one(text);
        if let Some(&id) = self.table.find(hash, |&id| self.text(id) == text) {
            return id;
        }
        let id = self.ends.len() as u32;
        make_room(&mut self.bytes, text.len());
        self.bytes.extend_from_slice(text);
        make_room(&mut self.ends, 1);
        self.ends.push(self.bytes.len() as u32);
        let Self { bytes, ends, table } = self;
        table.insert(hash, id, |&id| HASHER.hash_one(slice(bytes, ends, id)));
        id
    }

    /// The number of `text`, where it is known.
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        if text.is_empty() {
            return Some(0);
        }
        self.table.find(HASHER.hash_one(text), |&id| self.text(id) == text).copied()
    }

    /// The text of a number this lexicon gave.
    #[inline]
    pub(crate) fn text(&self, id: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, id)
    }

    /// How many numbers were given, the empty text's included.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

#[inline]
fn slice<'a>(bytes: &'a [u8], ends: &[u32], id: u32) -> &'a [u8] {
    let id = id as usize;
    if id == 0 {
        return &[];
    }
    &bytes[ends[id - 1] as usize..ends[id] as usize]
}

impl Kept for Lexicon {
    fn keep(&self, out: &mut Sink<'_>) {
        self.bytes.keep(out);
        self.ends.keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let (bytes, ends) = (Vec::<u8>::read(from)?, Vec::<u32>::read(from)?);
        let whole = ends.first() == Some(&0)
            && ends.is_sorted()
            && ends.last().is_some_and(|end| *end as usize == bytes.len());
        if !whole {
            return None;
        }
        let mut table = Table::default();
        let hash_of = |id: &u32| HASHER.hash_one(slice(&bytes, &ends, *id));
        for id in 1..ends.len() as u32 {
            table.insert(hash_of(&id), id, hash_of);
        }
        Some(Self { bytes, ends, table })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number() {
        let mut lexicon = Lexicon::default();
        let (ann, lee) = (lexicon.intern(b"ANN"), lexicon.intern(b"LEE"));
        assert_ne!(ann, lee);
        assert_eq!(lexicon.intern(b"ANN"), ann);
        assert_eq!(lexicon.find(b"LEE"), Some(lee));
        assert_eq!(lexicon.find(b"POE"), None);
        assert_eq!((lexicon.text(ann), lexicon.text(0)), (&b"ANN"[..], &b""[..]));
        assert_eq!((lexicon.intern(b""), lexicon.find(b""), lexicon.len()), (0, Some(0), 3));
    }
}
