//! Blocking: which pairs are compared at all.
//!
//! Each rule makes keys of a record; records that share a key are candidates. A key is the rule's
//! number in the upper six bits and 26 bits of hash; chance collisions only add comparisons. Keys sort by
//! rule, the most telling rules first.

mod keys;
mod postings;

pub(crate) use keys::{CORE_RULES, Keys, RULES, keys_of, refinement};
pub(crate) use postings::Postings;

use super::{
    columns::{Side, View},
    kept::kept_one,
    similarity::sound_code,
};

/// Bits of a key's hash.
pub(crate) const HASH_BITS: u32 = 26;

/// A blocking key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u32);

impl Key {
    pub(crate) const fn rule(self) -> u8 {
        (self.0 >> HASH_BITS) as u8
    }
}

kept_one!(Key);

/// Who a record seems to be, roughly: how the given name sounds, and the birth date.
pub(crate) fn fingerprint(view: View<'_>, side: Side<'_>) -> u32 {
    let [sound, date] = traits(view, side);
    mix(&[sound, date]) as u32
}

/// What tells one record's person from another's, roughly, each by itself: how the given name sounds, and
/// the birth date; where the one is not told, the other.
pub(crate) fn either_trait(view: View<'_>, side: Side<'_>) -> [u32; 2] {
    let [sound, date] = traits(view, side);
    match (sound, date) {
        (0, date) => [mix(&[1, date]) as u32, date],
        (sound, 0) => [sound, mix(&[2, sound]) as u32],
        told => told.into(),
    }
}

fn traits(view: View<'_>, side: Side<'_>) -> [u32; 2] {
    [sound_code(view.name(side.row.name.given)), side.row.birth_date.0]
}

/// Mixes parts into a hash; the order counts.
fn mix(parts: &[u32]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
    for &part in parts {
        hash = (hash ^ u64::from(part)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 29;
    }
    hash >> 8
}
