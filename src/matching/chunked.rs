//! A list that grows piece by piece: nothing moves, and no more is held than is filled.

use std::ops::{Index, IndexMut};

use super::kept::{Kept, Sink, Source};

/// Items in one piece.
const PIECE: usize = 1 << 12;

/// Items by number, from 0.
#[derive(Clone)]
pub(crate) struct Chunked<T> {
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Chunked<T> {
    pub(crate) fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push(item),
            // The first piece grows with what little there is; the others will be filled.
            None => self.pieces.push(vec![item]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(item);
                self.pieces.push(piece);
            }
        }
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }
}

impl<T> Index<usize> for Chunked<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: usize) -> &T {
        &self.pieces[at / PIECE][at % PIECE]
    }
}

impl<T> IndexMut<usize> for Chunked<T> {
    #[inline]
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.pieces[at / PIECE][at % PIECE]
    }
}

impl<T: Kept> Kept for Chunked<T> {
    fn keep(&self, out: &mut Sink<'_>) {
        self.pieces.keep(out);
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        let pieces = Vec::<Vec<T>>::read(from)?;
        let full = pieces.iter().rev().skip(1).all(|piece| piece.len() == PIECE);
        full.then_some(Self { pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_where_they_were_put() {
        let mut chunked = Chunked::default();
        assert_eq!((chunked.len(), chunked.get(0)), (0, None));
        for number in 0..3 * PIECE + 5 {
            assert_eq!(chunked.len(), number);
            chunked.push(number);
        }
        chunked[PIECE] = 7;
        let expected = (0..3 * PIECE + 5).map(|number| if number == PIECE { 7 } else { number });
        assert!((0..3 * PIECE + 5).map(|at| chunked[at]).eq(expected));
        assert_eq!((chunked[2 * PIECE], chunked.get(3 * PIECE + 5)), (2 * PIECE, None));
    }
}
