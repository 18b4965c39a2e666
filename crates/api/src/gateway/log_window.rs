//! How much log one connection has in flight: sent by the agent, not acknowledged yet.

use std::collections::HashMap;

use protocol::{JobId, MAX_BINARY_PAYLOAD, MAX_UNACKED_LOG};

/// Most jobs that may have unacknowledged log at once.
const MAX_JOBS: usize = 4096;

/// Why a piece of log may not be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WindowError {
    /// More than [`MAX_UNACKED_LOG`] bytes.
    #[error("more than {MAX_UNACKED_LOG} log bytes are unacknowledged")]
    Full,
    /// Pieces of more than [`MAX_JOBS`] jobs.
    #[error("more than {MAX_JOBS} jobs have unacknowledged log")]
    TooManyJobs,
}

/// Counts both ways.
#[derive(Debug, Default)]
pub(super) struct LogWindow {
    jobs: HashMap<JobId, InFlight>,
    total: u64,
}

#[derive(Debug, Default)]
struct InFlight {
    /// Where the furthest piece ends.
    end: u64,
    bytes: u64,
}

impl LogWindow {
    /// The agent sent `len` bytes at `offset`. What it sends again does not count twice: it may start a job's log over.
    pub(super) fn sent(&mut self, job: JobId, offset: u64, len: u64) -> Result<(), WindowError> {
        let end = offset.saturating_add(len);
        let known_end = self.jobs.get(&job).map_or(offset, |flight| flight.end);
        let new = end.saturating_sub(known_end.max(offset));
        // One frame more than the limit: the agent may have counted an acknowledgement that was on its way.
        if self.total.saturating_add(new) > MAX_UNACKED_LOG + MAX_BINARY_PAYLOAD as u64 {
            return Err(WindowError::Full);
        }
        if new == 0 {
            return Ok(());
        }
        if !self.jobs.contains_key(&job) && self.jobs.len() >= MAX_JOBS {
            return Err(WindowError::TooManyJobs);
        }
        let flight = self.jobs.entry(job).or_default();
        flight.end = end;
        flight.bytes += new;
        self.total += new;
        Ok(())
    }

    /// The hub acknowledged everything before `next_offset`, or all of it.
    pub(super) fn acknowledged(&mut self, job: JobId, next_offset: u64, done: bool) {
        let Some(flight) = self.jobs.get_mut(&job) else { return };
        let left = if done { 0 } else { flight.end.saturating_sub(next_offset).min(flight.bytes) };
        self.total -= flight.bytes - left;
        flight.bytes = left;
        if left == 0 {
            self.jobs.remove(&job);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const FRAME: u64 = MAX_BINARY_PAYLOAD as u64;

    fn job(number: u128) -> JobId {
        JobId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_full_window_opens_by_acknowledgement() {
        let mut window = LogWindow::default();
        let frames = MAX_UNACKED_LOG / FRAME + 1;
        for frame in 0..frames {
            assert_eq!(window.sent(job(1), frame * FRAME, FRAME), Ok(()));
        }
        assert_eq!(window.sent(job(2), 0, 1), Err(WindowError::Full));
        window.acknowledged(job(1), FRAME, false);
        assert_eq!(window.sent(job(2), 0, FRAME), Ok(()));
        window.acknowledged(job(1), 0, true);
        assert_eq!(window.total, FRAME);
    }

    #[test]
    fn what_is_sent_again_counts_once() {
        let mut window = LogWindow::default();
        for _ in 0..100 {
            for frame in 0..16 {
                assert_eq!(window.sent(job(1), frame * FRAME, FRAME), Ok(()));
            }
        }
        assert_eq!(window.total, MAX_UNACKED_LOG);
    }

    #[test]
    fn jobs_are_bounded() {
        let mut window = LogWindow::default();
        for number in 0..MAX_JOBS as u128 {
            assert_eq!(window.sent(job(number), 0, 1), Ok(()));
        }
        assert_eq!(window.sent(job(u128::MAX), 0, 1), Err(WindowError::TooManyJobs));
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum(steps in prop::collection::vec((0..4_u128, 0..300_000_u64, 0..70_000_u64, any::<bool>()), 0..60)) {
            let mut window = LogWindow::default();
            for (number, offset, len, ack) in steps {
                if ack {
                    window.acknowledged(job(number), offset, len == 0);
                } else {
                    let _ = window.sent(job(number), offset, len);
                }
                prop_assert_eq!(window.total, window.jobs.values().map(|flight| flight.bytes).sum::<u64>());
            }
        }
    }
}
