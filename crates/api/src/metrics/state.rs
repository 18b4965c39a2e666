//! The recent past of all servers, and what of it is not written down yet.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::ServerId;

use super::ring::{Closed, Minute, Ring};
use super::series::Row;
use crate::background::Wake;

/// Most minutes that wait to be written down, all servers together. A full disk may take that long; what is dropped
/// here is still in memory, and lost only when the hub is killed as well.
const MAX_UNWRITTEN: usize = 120_000;

/// Latest samples.
#[derive(Debug, Default)]
pub struct State {
    rings: Mutex<HashMap<ServerId, Ring>>,
    unwritten: Mutex<Unwritten>,
    /// Held by whoever writes history.
    pub(super) writer: tokio::sync::Mutex<Writer>,
    /// Makes the writer run at once.
    pub(super) wake: Wake,
}

/// Minutes that are over and not in the journal yet.
#[derive(Debug, Default)]
struct Unwritten {
    rows: VecDeque<(Minute, ServerId, Row)>,
    dropped: u64,
}

/// What the writer remembers between two runs.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) restored: bool,
    /// The journal holds nothing before this minute.
    pub(super) trimmed_to: Minute,
    /// The hour for which old blocks were deleted last.
    pub(super) retained_hour: i64,
}

/// How history fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Minutes that wait to be written down.
    pub unwritten: usize,
    /// Minutes that could not be written down, since the hub started.
    pub dropped: u64,
}

impl State {
    pub(super) fn rings(&self) -> MutexGuard<'_, HashMap<ServerId, Ring>> {
        locked(&self.rings)
    }

    /// A minute is over and has to be written down.
    pub(super) fn push(&self, server: ServerId, (minute, row): Closed) {
        let mut unwritten = locked(&self.unwritten);
        if unwritten.rows.len() >= MAX_UNWRITTEN {
            unwritten.rows.pop_front();
            unwritten.dropped += 1;
        }
        unwritten.rows.push_back((minute, server, row));
    }

    /// Takes up to `count` minutes of one point in time to write them down.
    pub(super) fn take_unwritten(&self, count: usize) -> Option<(Minute, Vec<(ServerId, Row)>)> {
        let mut unwritten = locked(&self.unwritten);
        let (minute, ..) = *unwritten.rows.front()?;
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some((_, server, row)) = unwritten.rows.pop_front_if(|(at, ..)| *at == minute)
        {
            taken.push((server, row));
        }
        Some((minute, taken))
    }

    /// Puts back what could not be written down.
    pub(super) fn put_back(&self, minute: Minute, rows: Vec<(ServerId, Row)>) {
        let mut unwritten = locked(&self.unwritten);
        for (server, row) in rows.into_iter().rev() {
            unwritten.rows.push_front((minute, server, row));
        }
    }

    /// How history fares.
    #[must_use]
    pub fn health(&self) -> Health {
        let unwritten = locked(&self.unwritten);
        Health { unwritten: unwritten.rows.len(), dropped: unwritten.dropped }
    }
}

/// Sums and rows stay sensible when a holder panics.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::series::EMPTY;
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_waits_is_bounded_and_counted() {
        let state = State::default();
        let server = ServerId::new(Uuid::from_u128(1));
        for minute in 0..i64::try_from(MAX_UNWRITTEN).unwrap() + 5 {
            state.push(server, (minute, EMPTY));
        }
        assert_eq!(state.health(), Health { unwritten: MAX_UNWRITTEN, dropped: 5 });
        let (minute, rows) = state.take_unwritten(10).unwrap();
        assert_eq!((minute, rows.len()), (5, 1));
        state.put_back(minute, rows);
        assert_eq!(state.take_unwritten(10).unwrap().0, 5);
    }
}
