//! Room for members' answers in memory: one bound over all queries, whatever each may hold.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is given out in kilobytes, so that a permit counts all of it.
const UNIT_BYTES: usize = 1 << 10;

/// What is left of the room.
#[derive(Clone, Debug)]
pub(super) struct Room {
    left: Arc<Semaphore>,
    units: usize,
}

/// A part of the room that is taken. Given back with the last clone.
#[derive(Clone, Debug, Default)]
pub struct Held {
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

/// What one answer has taken so far.
#[derive(Debug)]
pub(super) struct Taken {
    room: Room,
    taken: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Room {
    pub(super) fn of(bytes_max: usize) -> Self {
        let units = (bytes_max / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(units)), units }
    }

    /// Whether another query may begin: a quarter is kept for those under way.
    pub(super) fn is_there(&self) -> bool {
        self.left.available_permits() > self.units / 4
    }

    /// An answer that has taken nothing yet.
    pub(super) fn taking(&self) -> Taken {
        Taken { room: self.clone(), taken: Mutex::default() }
    }
}

impl Taken {
    /// Takes room for so many bytes more; `false` where there is none.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let Ok(units) = u32::try_from(bytes.div_ceil(UNIT_BYTES)) else { return false };
        let Ok(more) = Arc::clone(&self.room.left).try_acquire_many_owned(units) else {
            return false;
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *taken {
            Some(all) => all.merge(more),
            none => *none = Some(more),
        }
        true
    }

    /// All that was taken, to be held as long as what came.
    pub(super) fn into_held(self) -> Held {
        let taken = self.taken.into_inner().unwrap_or_else(PoisonError::into_inner);
        Held { _room: taken.map(Arc::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_by_all_and_given_back() {
        let room = Room::of(8 << 10);
        let (one, other) = (room.taking(), room.taking());
        assert!(one.take(3_000) && one.take(3_000) && !room.is_there());
        assert!(other.take(2_000));
        assert!(!other.take(1), "all of it is taken");
        let held = other.into_held();
        drop(one);
        assert!(room.is_there());
        let again = held.clone();
        drop(held);
        assert_eq!(room.left.available_permits(), 6, "a clone holds it still");
        drop(again);
        assert_eq!(room.left.available_permits(), 8);
    }
}
