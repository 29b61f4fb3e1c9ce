//! Identifiers, telephone numbers and addresses of e-mail: values that hardly anybody shares, found
//! by a digest.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::FixedState;

use crate::matching::{kept::kept, room::make_room};

const BUCKETS: usize = 1 << 16;
/// Fixed, so that the same records give the same layout.
const HASHER: FixedState = FixedState::with_seed(0x5ea2_c4ed);

/// Records by 48 bits of a value's digest, in eight bytes each. Two values may share a digest: what is
/// found is compared with what the record says.
pub(super) struct Numbers {
    /// Digest and record, unsorted: even of a hundred million records a bucket is read in
    /// microseconds.
    buckets: Vec<Vec<(u32, u32)>>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS] }
    }
}

impl Numbers {
    pub(super) fn add(&mut self, value: &impl Hash, record: u32) {
        let (bucket, digest) = place(value);
        let bucket = &mut self.buckets[bucket];
        if bucket.contains(&(digest, record)) {
            return;
        }
        make_room(bucket, 1);
        bucket.push((digest, record));
    }

    /// The records that may hold the value.
    pub(super) fn records(&self, value: &impl Hash) -> impl Iterator<Item = u32> {
        let (bucket, digest) = place(value);
        self.buckets[bucket].iter().filter(move |held| held.0 == digest).map(|held| held.1)
    }
}

kept!(Numbers { buckets });

#[cfg(test)]
impl Numbers {
    pub(super) fn dump(&self) -> impl Iterator<Item = String> {
        let filled = self.buckets.iter().enumerate().filter(|(_, bucket)| !bucket.is_empty());
        filled.map(|(at, bucket)| {
            let mut held = bucket.clone();
            held.sort_unstable();
            format!("number {at} {held:?}")
        })
    }
}

fn place(value: &impl Hash) -> (usize, u32) {
    let hash = HASHER.hash_one(value);
    ((hash >> 48) as usize, hash as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_leads_to_its_records_once() {
        let mut numbers = Numbers::default();
        for record in 0..10_000_u32 {
            numbers.add(&format!("n{}", record % 5_000), record);
        }
        numbers.add(&"n7".to_owned(), 7);
        assert_eq!(numbers.records(&"n7".to_owned()).collect::<Vec<_>>(), [7, 5_007]);
        assert_eq!(numbers.records(&"m7".to_owned()).count(), 0);
    }
}
