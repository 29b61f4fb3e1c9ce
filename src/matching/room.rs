//! Room for lists that grow with the population: in those that double, a quarter would stand empty.

/// Makes room for so many more, and for an eighth of what is there.
#[inline]
pub(crate) fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more + list.len() / 8);
    }
}

/// Lengthens a list so that it has this place, filled with what is not told.
pub(crate) fn reach<T: Clone + Default>(list: &mut Vec<T>, place: usize) -> &mut T {
    if place >= list.len() {
        make_room(list, place + 1 - list.len());
        list.resize(place + 1, T::default());
    }
    &mut list[place]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_stands_empty() {
        let mut list = Vec::new();
        for number in 0..100_000_u32 {
            *reach(&mut list, number as usize) = number;
            assert!(list.capacity() <= list.len() + list.len() / 8 + 1);
        }
        assert!(list.iter().copied().eq(0..100_000));
        assert_eq!((*reach(&mut list, 100_004), list.len()), (0, 100_005));
    }
}
