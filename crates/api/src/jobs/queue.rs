//! Whose turn it is on a server: in the order of making, so many at a time, and some alone.
//!
//! Nothing overtakes: behind a job that must be alone others wait, although there would be room for them.

use protocol::JobId;

/// Jobs of one server that are with it at the same time.
pub(super) const MAX_IN_FLIGHT: usize = 4;

/// The jobs that are with a server.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Vec<Entry>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: JobId,
    exclusive: bool,
}

impl InFlight {
    /// From the database: ids, and whether each must be alone.
    pub(super) fn new(jobs: impl Iterator<Item = (JobId, bool)>) -> Self {
        Self(jobs.map(|(id, exclusive)| Entry { id, exclusive }).collect())
    }

    /// Whether a job can join them.
    pub(super) fn admits(&self, exclusive: bool) -> bool {
        match exclusive {
            true => self.0.is_empty(),
            false => self.room() > 0,
        }
    }

    /// How many jobs can join them at most.
    pub(super) fn room(&self) -> usize {
        if self.0.iter().any(|entry| entry.exclusive) { 0 } else { MAX_IN_FLIGHT.saturating_sub(self.0.len()) }
    }

    /// A job went to the server.
    pub(super) fn enter(&mut self, id: JobId, exclusive: bool) {
        if !self.0.iter().any(|entry| entry.id == id) {
            self.0.push(Entry { id, exclusive });
        }
    }

    /// A job has ended.
    pub(super) fn leave(&mut self, id: JobId) {
        self.0.retain(|entry| entry.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> JobId {
        JobId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn so_many_at_a_time() {
        let mut jobs = InFlight::default();
        for number in 0..4 {
            assert!(jobs.admits(false), "{number}");
            jobs.enter(id(number), false);
        }
        assert!(!jobs.admits(false));
        jobs.enter(id(3), false);
        jobs.leave(id(3));
        assert_eq!(jobs.room(), 1, "a job counts once");
    }

    #[test]
    fn some_alone() {
        let mut jobs = InFlight::new([(id(1), false)].into_iter());
        assert!(!jobs.admits(true) && jobs.admits(false));
        jobs.leave(id(1));
        assert!(jobs.admits(true));
        jobs.enter(id(2), true);
        assert!(!jobs.admits(true) && !jobs.admits(false));
    }
}
