//! The records that hold one value, in few bytes.

use crate::matching::kept::{Kept, Sink, Source, kept};

/// Record numbers in order of arrival, as differences: one to five bytes each.
///
/// A record may stand in it twice until the list is packed, and longer than its value holds: what is
/// found is compared with what the record says today.
#[derive(Clone)]
pub(super) enum Posting {
    One(u32),
    Many(Box<Many>),
}

#[derive(Clone, Default)]
pub(super) struct Many {
    bytes: Vec<u8>,
    last: u32,
    len: u32,
}

/// A list is packed when it would outgrow its memory, from this many bytes on.
const PACKED_BYTES_MIN: usize = 64;

impl Posting {
    pub(super) fn add(&mut self, record: u32) {
        match self {
            Self::One(only) if *only == record => {}
            Self::One(only) => {
                let mut many = Many::default();
                many.push(*only);
                many.push(record);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => many.add(record),
        }
    }

    /// How many records at the most.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len as usize,
        }
    }

    /// Appends the records, perhaps one of them twice.
    pub(super) fn read(&self, into: &mut Vec<u32>) {
        match self {
            Self::One(only) => into.push(*only),
            Self::Many(many) => many.read(into),
        }
    }
}

impl Many {
    fn add(&mut self, record: u32) {
        if record == self.last && self.len > 0 {
            return;
        }
        let full = self.bytes.len() + 5 > self.bytes.capacity();
        if full && self.bytes.len() >= PACKED_BYTES_MIN {
            self.pack();
        }
        self.push(record);
    }

    fn push(&mut self, record: u32) {
        // Folded, so that a step back takes as few bytes as one forward.
        let step = i64::from(record) - i64::from(self.last);
        let mut folded = ((step << 1) ^ (step >> 63)).cast_unsigned();
        while folded >= 0x80 {
            self.bytes.push(folded as u8 | 0x80);
            folded >>= 7;
        }
        self.bytes.push(folded as u8);
        self.last = record;
        self.len += 1;
    }

    fn read(&self, into: &mut Vec<u32>) {
        let (mut last, mut folded, mut shift) = (0_i64, 0_u64, 0);
        for byte in &self.bytes {
            folded |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                last += (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
                into.push(last as u32);
                (folded, shift) = (0, 0);
            }
        }
    }

    /// Sorts the list and leaves out what stands in it twice.
    fn pack(&mut self) {
        let mut records = Vec::with_capacity(self.len as usize);
        self.read(&mut records);
        if !records.is_sorted() {
            records.sort_unstable();
        }
        records.dedup();
        let mut packed = Self { bytes: Vec::with_capacity(self.bytes.len()), last: 0, len: 0 };
        for record in records {
            packed.push(record);
        }
        // An eighth of room: lists are many, and half of it would stand empty.
        packed.bytes.reserve_exact(packed.bytes.len() / 8 + 16);
        *self = packed;
    }
}

kept!(Many { bytes, last, len });

impl Kept for Posting {
    fn keep(&self, out: &mut Sink<'_>) {
        match self {
            Self::One(only) => {
                0_u8.keep(out);
                only.keep(out);
            }
            Self::Many(many) => {
                1_u8.keep(out);
                many.keep(out);
            }
        }
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        match u8::read(from)? {
            0 => u32::read(from).map(Self::One),
            1 => <Many as Kept>::read(from).map(|many| Self::Many(Box::new(many))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_that_follow_each_other_take_a_byte_each() {
        let mut posting = Posting::One(0);
        (1..100_000).for_each(|record| posting.add(record));
        let Posting::Many(many) = posting else { panic!("a list") };
        assert!(many.bytes.capacity() < 115_000, "{}", many.bytes.capacity());
    }

    proptest! {
        #[test]
        fn what_is_added_is_read_again(records in proptest::collection::vec(any::<u32>(), 1..400)) {
            let mut posting = Posting::One(records[0]);
            for _ in 0..3 {
                for record in &records {
                    posting.add(*record);
                }
            }
            let mut read = Vec::new();
            posting.read(&mut read);
            prop_assert_eq!(read.len(), posting.len());
            let sorted = |mut list: Vec<u32>| {
                list.sort_unstable();
                list.dedup();
                list
            };
            prop_assert_eq!(sorted(read), sorted(records));
        }
    }
}
