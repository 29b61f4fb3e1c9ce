use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

/// How long one waits beyond one's time for a flight that is to land within it.
const GRACE: Duration = Duration::from_millis(250);

/// One flight for each key: whoever asks for what is on its way already waits for it, if it lands in
/// their time.
pub struct Flights<T>(Mutex<HashMap<[u8; 32], Arc<Flight<T>>>>);

struct Flight<T> {
    deadline: Instant,
    landed: OnceCell<T>,
}

/// How a flight ended for one who was aboard.
pub enum Boarding<T> {
    /// It was one's own.
    Own(T),
    /// Somebody else had set out before.
    Joined(T),
    /// It did not land in one's time.
    TooLate,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// Joins the flight of this key, or sets out on one that lands by `deadline`. Where the one who set
    /// out gives up, one of those who wait sets out in their place.
    pub async fn board(
        &self,
        key: [u8; 32],
        deadline: Instant,
        set_out: impl Future<Output = T>,
    ) -> Boarding<T> {
        let seat = Seat { flights: self, key, flight: self.flight(key, deadline) };
        let flight = &seat.flight;
        let own = AtomicBool::new(false);
        let landing = flight.landed.get_or_init(|| async {
            own.store(true, Ordering::Relaxed);
            set_out.await
        });
        // One's own work minds the deadline itself, and gives what it has by then.
        let landed = if flight.deadline == deadline {
            Some(landing.await.clone())
        } else {
            timeout_at(deadline + GRACE, landing).await.ok().cloned()
        };
        match landed {
            Some(landed) if own.into_inner() => Boarding::Own(landed),
            Some(landed) => Boarding::Joined(landed),
            None => Boarding::TooLate,
        }
    }

    fn flight(&self, key: [u8; 32], deadline: Instant) -> Arc<Flight<T>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = flights.get(&key).filter(|flight| flight.deadline <= deadline);
        // One that has landed is history: what it brought may be old by now.
        if let Some(known) = known.filter(|flight| !flight.landed.initialized()) {
            return Arc::clone(known);
        }
        let flight = Arc::new(Flight { deadline, landed: OnceCell::new() });
        flights.insert(key, Arc::clone(&flight));
        flight
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Somebody aboard, until they have what they came for or give up.
struct Seat<'a, T> {
    flights: &'a Flights<T>,
    key: [u8; 32],
    flight: Arc<Flight<T>>,
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_this = |known: &Arc<Flight<T>>| Arc::ptr_eq(known, &self.flight);
        // This seat and the list: nobody else is aboard.
        let is_last = Arc::strong_count(&self.flight) <= 2;
        if (is_last || self.flight.landed.initialized())
            && flights.get(&self.key).is_some_and(is_this)
        {
            flights.remove(&self.key);
        }
    }
}
