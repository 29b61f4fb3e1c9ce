//! Many short lists of numbers, compactly.
//!
//! A list of one stands in its handle. Longer ones stand in slots of a few sizes, all slots of one size
//! side by side, and move to a slot that fits as they grow and shrink. Few have an allocation of their own.

use super::{
    kept::{kept, kept_one},
    room::make_room,
};

/// Marks the part of a slot that its list does not fill.
const EMPTY: u32 = u32::MAX;
/// The sizes of slots, each half as large again as the one before: a third stands empty at most.
const SIZES: [usize; 31] = {
    let mut sizes = [2; 31];
    let mut at = 1;
    while at < sizes.len() {
        sizes[at] = sizes[at - 1] + sizes[at - 1] / 2;
        at += 1;
    }
    sizes
};
/// In place of a size's number: the list is longer than any slot.
const LONG: usize = SIZES.len();

/// A list: its only number, or where its numbers stand. It is worth nothing without the [`Lists`] that
/// made it, and nothing any more once that changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List(u32);

impl List {
    const IN_SLOT: u32 = 1 << 31;
    const SLOT_BITS: u32 = 26;
    pub(crate) const EMPTY: Self = Self(u32::MAX);

    /// A list of one number, which is below 2^31.
    pub(crate) const fn of(number: u32) -> Self {
        assert!(number < Self::IN_SLOT, "numbers of records have 31 bits");
        Self(number)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == Self::EMPTY.0
    }

    fn in_slot(size: usize, slot: usize) -> Self {
        assert!(slot < (1 << Self::SLOT_BITS) - 1, "a size has fewer than 2^26 lists");
        Self(Self::IN_SLOT | (size as u32) << Self::SLOT_BITS | slot as u32)
    }

    /// Size and slot, where there is more than one number.
    const fn slot(self) -> Option<(usize, usize)> {
        if self.0 & Self::IN_SLOT == 0 || self.is_empty() {
            return None;
        }
        let size = (self.0 & !Self::IN_SLOT) >> Self::SLOT_BITS;
        Some((size as usize, (self.0 & ((1 << Self::SLOT_BITS) - 1)) as usize))
    }
}

/// The numbers of many lists.
#[derive(Clone, Default)]
pub(crate) struct Lists {
    sizes: Vec<Slots>,
    long: Vec<Vec<u32>>,
    free_long: Vec<u32>,
}

/// All slots of one size.
#[derive(Clone, Default)]
struct Slots {
    numbers: Vec<u32>,
    free: Vec<u32>,
}

impl Lists {
    /// The numbers of a list, in their order.
    pub(crate) fn numbers<'a>(&'a self, list: &'a List) -> &'a [u32] {
        match list.slot() {
            None if list.is_empty() => &[],
            None => std::slice::from_ref(&list.0),
            Some((LONG, place)) => &self.long[place],
            Some((size, slot)) => {
                let whole = &self.sizes[size].numbers[slot * SIZES[size]..][..SIZES[size]];
                // A slot is filled further than the next smaller one could be.
                let least = if size == 0 { 2 } else { SIZES[size - 1] + 1 };
                let rest = whole[least..].partition_point(|number| *number != EMPTY);
                &whole[..least + rest]
            }
        }
    }

    /// The list with a number put in at a place.
    pub(crate) fn insert(&mut self, list: List, at: usize, number: u32) -> List {
        if list.is_empty() {
            return List::of(number);
        }
        let length = self.numbers(&list).len() + 1;
        let grown = match list.slot() {
            Some((LONG, place)) => {
                make_room(&mut self.long[place], 1);
                self.long[place].push(number);
                list
            }
            Some((size, slot)) if length <= SIZES[size] => {
                self.sizes[size].numbers[slot * SIZES[size] + length - 1] = number;
                list
            }
            _ => {
                let mut numbers = Vec::with_capacity(length);
                numbers.extend_from_slice(self.numbers(&list));
                numbers.push(number);
                self.free(list);
                self.take_slot(numbers)
            }
        };
        self.numbers_mut(grown, length)[at..].rotate_right(1);
        grown
    }

    /// The list with a number behind all others.
    pub(crate) fn push(&mut self, list: List, number: u32) -> List {
        let end = self.numbers(&list).len();
        self.insert(list, end, number)
    }

    /// The list without the number at a place.
    pub(crate) fn remove(&mut self, list: List, at: usize) -> List {
        let length = self.numbers(&list).len() - 1;
        let Some((size, slot)) = list.slot() else { return List::EMPTY };
        self.numbers_mut(list, length + 1)[at..].rotate_left(1);
        let next_smaller = match size {
            0 => 1,
            LONG => SIZES[LONG - 1],
            size => SIZES[size - 1],
        };
        if length > next_smaller {
            if size == LONG {
                self.long[slot].truncate(length);
            } else {
                self.sizes[size].numbers[slot * SIZES[size] + length] = EMPTY;
            }
            return list;
        }
        let numbers = self.numbers(&list)[..length].to_vec();
        self.free(list);
        match numbers.as_slice() {
            [only] => List::of(*only),
            _ => self.take_slot(numbers),
        }
    }

    /// Lets go of a list.
    pub(crate) fn free(&mut self, list: List) {
        match list.slot() {
            None => {}
            Some((LONG, place)) => {
                self.long[place] = Vec::new();
                self.free_long.push(place as u32);
            }
            Some((size, slot)) => self.sizes[size].free.push(slot as u32),
        }
    }

    fn numbers_mut(&mut self, list: List, length: usize) -> &mut [u32] {
        match list.slot() {
            None => &mut [],
            Some((LONG, place)) => &mut self.long[place][..length],
            Some((size, slot)) => &mut self.sizes[size].numbers[slot * SIZES[size]..][..length],
        }
    }

    /// Puts several numbers into a slot that fits.
    fn take_slot(&mut self, numbers: Vec<u32>) -> List {
        let size = SIZES.partition_point(|size| *size < numbers.len());
        if size == LONG {
            let place = self.free_long.pop().unwrap_or(self.long.len() as u32) as usize;
            if place == self.long.len() {
                self.long.push(numbers);
            } else {
                self.long[place] = numbers;
            }
            return List::in_slot(LONG, place);
        }
        if self.sizes.len() <= size {
            self.sizes.resize_with(size + 1, Slots::default);
        }
        let slots = &mut self.sizes[size];
        let slot = slots.free.pop().map_or(slots.numbers.len() / SIZES[size], |slot| slot as usize);
        if slot * SIZES[size] == slots.numbers.len() {
            make_room(&mut slots.numbers, SIZES[size]);
            slots.numbers.resize((slot + 1) * SIZES[size], EMPTY);
        }
        let whole = &mut slots.numbers[slot * SIZES[size]..][..SIZES[size]];
        whole[..numbers.len()].copy_from_slice(&numbers);
        whole[numbers.len()..].fill(EMPTY);
        List::in_slot(size, slot)
    }
}

kept_one!(List);
kept!(Slots { numbers, free });
kept!(Lists { sizes, long, free_long });

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is done to one of a few lists.
    #[derive(Clone, Debug)]
    enum Deed {
        Insert(usize, usize, u32),
        Remove(usize, usize),
        Free(usize),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            6 => (0_usize..4, any::<usize>(), 0_u32..1_000).prop_map(|(l, at, n)| Deed::Insert(l, at, n)),
            3 => (0_usize..4, any::<usize>()).prop_map(|(l, at)| Deed::Remove(l, at)),
            1 => (0_usize..4).prop_map(Deed::Free),
        ]
    }

    proptest! {
        #[test]
        fn lists_hold_what_plain_vectors_hold(deeds in prop::collection::vec(deed(), 0..400)) {
            let mut lists = Lists::default();
            let mut compact = [List::EMPTY; 4];
            let mut plain: [Vec<u32>; 4] = Default::default();
            for deed in deeds {
                match deed {
                    Deed::Insert(l, at, number) => {
                        let at = at % (plain[l].len() + 1);
                        plain[l].insert(at, number);
                        compact[l] = lists.insert(compact[l], at, number);
                    }
                    Deed::Remove(l, at) => if !plain[l].is_empty() {
                        let at = at % plain[l].len();
                        plain[l].remove(at);
                        compact[l] = lists.remove(compact[l], at);
                    },
                    Deed::Free(l) => {
                        plain[l].clear();
                        lists.free(std::mem::replace(&mut compact[l], List::EMPTY));
                    }
                }
                for (list, plain) in compact.iter().zip(&plain) {
                    prop_assert_eq!(lists.numbers(list), plain.as_slice());
                }
            }
        }
    }

    #[test]
    fn a_list_may_be_longer_than_any_slot() {
        let longest = SIZES[LONG - 1];
        let mut lists = Lists::default();
        let first = (0..=longest as u32).fold(List::EMPTY, |list, number| lists.push(list, number));
        let second = (0..40).fold(List::EMPTY, |list, number| lists.push(list, number));
        assert_eq!(lists.numbers(&first).len(), longest + 1);
        assert_eq!(lists.numbers(&second).len(), 40);
        let cut = lists.remove(first, 1);
        let told = lists.numbers(&cut);
        assert_eq!(
            (told.len(), told[0], told[1], told[longest - 1]),
            (longest, 0, 2, longest as u32)
        );
    }
}
