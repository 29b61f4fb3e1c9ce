//! Memory as bytes, to be kept on disk for a while and read by the very program that wrote it.
//!
//! Compact and quick, and nothing more: no names, no versions, no tolerance. Whoever keeps such bytes
//! beyond the program's own life has to know by other means that they are its own and whole.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hash},
    io::{self, Read, Write},
};

use crate::domain::{EnterpriseId, LocalId, MemberCode, RecordKey};

/// What can be written as bytes and read again.
pub(crate) trait Kept: Sized {
    fn keep(&self, out: &mut Sink<'_>);

    /// Reads what comes next; `None` where the bytes tell of no such thing.
    fn read(from: &mut Source<'_>) -> Option<Self>;

    fn keep_all(items: &[Self], out: &mut Sink<'_>) {
        for item in items {
            item.keep(out);
        }
    }

    fn read_all(count: usize, from: &mut Source<'_>) -> Option<Vec<Self>> {
        // What is told may be false; no more room is made than there are bytes to fill it.
        let mut items = Vec::with_capacity(count.min(from.left()));
        for _ in 0..count {
            items.push(Self::read(from)?);
        }
        Some(items)
    }
}

/// Bytes handed on or fetched at once.
const PIECE_BYTES: usize = 1 << 18;

/// Where kept bytes go, gathered into large pieces.
pub(crate) struct Sink<'a> {
    to: &'a mut dyn Write,
    gathered: Vec<u8>,
    failure: Option<io::Error>,
    count: u64,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(to: &'a mut dyn Write) -> Self {
        Self { to, gathered: Vec::with_capacity(PIECE_BYTES), failure: None, count: 0 }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() > PIECE_BYTES {
            self.hand_on();
        }
        self.gathered.extend_from_slice(bytes);
    }

    fn hand_on(&mut self) {
        self.count += self.gathered.len() as u64;
        if self.failure.is_none() {
            self.failure = self.to.write_all(&self.gathered).err();
        }
        self.gathered.clear();
    }

    /// Hands on what is left. Says how many bytes there were, or what went wrong first.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.hand_on();
        self.failure.map_or(Ok(self.count), Err)
    }
}

/// Where kept bytes come from, fetched in large pieces.
pub(crate) struct Source<'a> {
    from: &'a mut dyn Read,
    fetched: Vec<u8>,
    at: usize,
    /// Bytes that are not fetched yet.
    behind: u64,
}

impl<'a> Source<'a> {
    /// The next so many bytes.
    pub(crate) fn new(from: &'a mut dyn Read, count: u64) -> Self {
        Self { from, fetched: Vec::new(), at: 0, behind: count }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        (self.fetched.len() - self.at).saturating_add(self.behind as usize)
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.fetched.len() - self.at < N {
            self.fetch()?;
        }
        let bytes = *self.fetched.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(bytes)
    }

    #[cold]
    fn fetch(&mut self) -> Option<()> {
        self.fetched.drain(..self.at);
        self.at = 0;
        let piece = self.behind.min(PIECE_BYTES as u64);
        let fetched = Read::by_ref(&mut self.from).take(piece).read_to_end(&mut self.fetched);
        self.behind -= piece;
        (fetched.ok()? as u64 == piece).then_some(())
    }

    fn take_many(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count.min(self.left()));
        while bytes.len() < count {
            if self.at == self.fetched.len() {
                if self.behind == 0 {
                    return None;
                }
                self.fetch()?;
            }
            let end = self.fetched.len().min(self.at + count - bytes.len());
            bytes.extend_from_slice(&self.fetched[self.at..end]);
            self.at = end;
        }
        Some(bytes)
    }
}

/// Keeps a struct field by field. Every field has to be named, so that none is forgotten.
macro_rules! kept {
    ($type:ident $(<$of:ident>)? { $($field:ident),* $(,)? }) => {
        impl $(<$of: $crate::matching::kept::Kept>)? $crate::matching::kept::Kept for $type $(<$of>)? {
            fn keep(&self, out: &mut $crate::matching::kept::Sink<'_>) {
                let Self { $($field),* } = self;
                $($crate::matching::kept::Kept::keep($field, out);)*
            }

            fn read(from: &mut $crate::matching::kept::Source<'_>) -> Option<Self> {
                $(let $field = $crate::matching::kept::Kept::read(from)?;)*
                Some(Self { $($field),* })
            }
        }
    };
}

/// Keeps a tuple struct of one field.
macro_rules! kept_one {
    ($type:ident) => {
        impl $crate::matching::kept::Kept for $type {
            fn keep(&self, out: &mut $crate::matching::kept::Sink<'_>) {
                self.0.keep(out);
            }

            fn read(from: &mut $crate::matching::kept::Source<'_>) -> Option<Self> {
                $crate::matching::kept::Kept::read(from).map(Self)
            }
        }
    };
}

pub(crate) use {kept, kept_one};

macro_rules! kept_numbers {
    ($($number:ty),*) => {$(
        impl Kept for $number {
            #[inline]
            fn keep(&self, out: &mut Sink<'_>) {
                out.put(&self.to_le_bytes());
            }

            #[inline]
            fn read(from: &mut Source<'_>) -> Option<Self> {
                from.take().map(Self::from_le_bytes)
            }
        }
    )*};
}

kept_numbers!(u16, u32, u64, u128, i64, f32, f64);

impl Kept for u8 {
    fn keep(&self, out: &mut Sink<'_>) {
        out.put(&[*self]);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        from.take().map(|[byte]: [u8; 1]| byte)
    }

    fn keep_all(items: &[Self], out: &mut Sink<'_>) {
        items.chunks(PIECE_BYTES).for_each(|piece| out.put(piece));
    }

    fn read_all(count: usize, from: &mut Source<'_>) -> Option<Vec<Self>> {
        from.take_many(count)
    }
}

impl Kept for usize {
    fn keep(&self, out: &mut Sink<'_>) {
        (*self as u64).keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        Self::try_from(u64::read(from)?).ok()
    }
}

impl<T: Kept> Kept for Vec<T> {
    fn keep(&self, out: &mut Sink<'_>) {
        self.len().keep(out);
        T::keep_all(self, out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let count = usize::read(from)?;
        T::read_all(count, from)
    }
}

/// Keeps what is read as a `String`.
fn keep_text(text: &str, out: &mut Sink<'_>) {
    text.len().keep(out);
    u8::keep_all(text.as_bytes(), out);
}

impl<T: Kept, const N: usize> Kept for [T; N] {
    fn keep(&self, out: &mut Sink<'_>) {
        T::keep_all(self, out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        T::read_all(N, from)?.try_into().ok()
    }
}

impl<T: Kept> Kept for Option<T> {
    fn keep(&self, out: &mut Sink<'_>) {
        u8::from(self.is_some()).keep(out);
        if let Some(value) = self {
            value.keep(out);
        }
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        match u8::read(from)? {
            0 => Some(None),
            1 => T::read(from).map(Some),
            _ => None,
        }
    }
}

impl<A: Kept, B: Kept> Kept for (A, B) {
    fn keep(&self, out: &mut Sink<'_>) {
        self.0.keep(out);
        self.1.keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?))
    }
}

impl Kept for String {
    fn keep(&self, out: &mut Sink<'_>) {
        keep_text(self, out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        Self::from_utf8(Vec::read(from)?).ok()
    }
}

impl Kept for Box<str> {
    fn keep(&self, out: &mut Sink<'_>) {
        keep_text(self, out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        String::read(from).map(String::into_boxed_str)
    }
}

macro_rules! kept_tables {
    ($map:path, $set:path) => {
        const _: () = {
            use {$map as Map, $set as Set};

            impl<K: Kept + Eq + Hash, V: Kept, S: BuildHasher + Default> Kept for Map<K, V, S> {
                fn keep(&self, out: &mut Sink<'_>) {
                    self.len().keep(out);
                    for (key, value) in self {
                        key.keep(out);
                        value.keep(out);
                    }
                }

                fn read(from: &mut Source<'_>) -> Option<Self> {
                    Some(Vec::<(K, V)>::read(from)?.into_iter().collect())
                }
            }

            impl<T: Kept + Eq + Hash, S: BuildHasher + Default> Kept for Set<T, S> {
                fn keep(&self, out: &mut Sink<'_>) {
                    self.len().keep(out);
                    for item in self {
                        item.keep(out);
                    }
                }

                fn read(from: &mut Source<'_>) -> Option<Self> {
                    Some(Vec::<T>::read(from)?.into_iter().collect())
                }
            }
        };
    };
}

kept_tables!(std::collections::HashMap, std::collections::HashSet);
kept_tables!(hashbrown::HashMap, hashbrown::HashSet);

impl<K: Kept + Ord, V: Kept> Kept for BTreeMap<K, V> {
    fn keep(&self, out: &mut Sink<'_>) {
        self.len().keep(out);
        for (key, value) in self {
            key.keep(out);
            value.keep(out);
        }
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        Some(Vec::<(K, V)>::read(from)?.into_iter().collect())
    }
}

impl Kept for EnterpriseId {
    fn keep(&self, out: &mut Sink<'_>) {
        self.as_u128().keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        u128::read(from).map(Self::from_u128)
    }
}

impl Kept for MemberCode {
    fn keep(&self, out: &mut Sink<'_>) {
        keep_text(self.as_str(), out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        Self::parse(&String::read(from)?).ok()
    }
}

impl Kept for RecordKey {
    fn keep(&self, out: &mut Sink<'_>) {
        self.member.keep(out);
        keep_text(self.local_id.system(), out);
        keep_text(self.local_id.value(), out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let member = MemberCode::read(from)?;
        let (system, value) = (String::read(from)?, String::read(from)?);
        Some(Self { member, local_id: LocalId::parse(&system, &value).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn kept<T: Kept>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sink = Sink::new(&mut bytes);
        value.keep(&mut sink);
        sink.finish().expect("memory takes it");
        bytes
    }

    fn read<T: Kept>(mut bytes: &[u8]) -> Option<T> {
        let count = bytes.len() as u64;
        let mut source = Source::new(&mut bytes, count);
        T::read(&mut source).filter(|_| source.left() == 0)
    }

    fn check<T: Kept + PartialEq + std::fmt::Debug>(value: T) {
        let bytes = kept(&value);
        assert_eq!(read(&bytes), Some(value));
        // Bytes that are cut off tell of nothing.
        for cut in 0..bytes.len() {
            assert_eq!(read::<T>(&bytes[..cut]), None);
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        check((7_u8, -9_i64));
        check([0.5_f32, f32::MIN]);
        check(vec!["Ann".to_owned(), String::new()]);
        check(HashMap::<u32, String>::from([(1, "a".to_owned()), (2, "b".to_owned())]));
        check(HashSet::<u16>::from([3, 4]));
        check(BTreeMap::from([(1_u64, vec![2_u32])]));
        let member = MemberCode::parse("st-anne").expect("a code");
        let local_id = LocalId::parse("urn:x", "A 1").expect("an id");
        check(vec![RecordKey { member, local_id }]);
        check(EnterpriseId::from_u128(9));
        check([None, Some("m1".to_owned())]);
    }

    #[test]
    fn what_is_larger_than_a_piece_is_kept_whole() {
        let numbers: Vec<u32> = (0..PIECE_BYTES as u32).collect();
        let text = "é".repeat(PIECE_BYTES);
        let both = (text, numbers);
        assert!(read(&kept(&both)) == Some(both));
    }

    #[test]
    fn a_false_count_asks_for_no_memory() {
        let count = u64::MAX.to_le_bytes();
        assert_eq!(read::<Vec<u32>>(&count), None);
        assert_eq!(read::<String>(&count), None);
    }

    #[test]
    fn the_first_failure_is_told() {
        let mut room = [0_u8; 10];
        let mut to = room.as_mut_slice();
        let mut sink = Sink::new(&mut to);
        vec![7_u32; PIECE_BYTES].keep(&mut sink);
        assert!(sink.finish().is_err());
    }
}
