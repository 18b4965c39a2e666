//! When to try again: full jitter, so that a fleet does not come back as one wave.

use std::time::Duration;

use crate::host::random::Random;

/// First ceiling.
const FIRST: Duration = Duration::from_secs(1);
/// Last ceiling.
const LAST: Duration = Duration::from_secs(60);
/// What a hub may ask for at most: a slip of its clock must not strand its fleet.
const LONGEST_REQUEST: Duration = Duration::from_secs(3600);
/// Bounds of the wait after a revocation: somebody may enrol this machine again, so it asks, but rarely.
const REVOKED: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(600));

/// Doubles the ceiling at every failure and waits a random part of it.
#[derive(Debug, Clone)]
pub struct Backoff {
    failures: u32,
    last: Duration,
    random: Random,
}

impl Backoff {
    /// Ceilings from one second to a minute.
    #[must_use]
    pub const fn new(random: Random) -> Self {
        Self::up_to(LAST, random)
    }

    /// Ceilings from one second to `last`, where a person waits at a terminal.
    #[must_use]
    pub const fn up_to(last: Duration, random: Random) -> Self {
        Self { failures: 0, last, random }
    }

    /// A connection was good: the next failure is the first one.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after another failure.
    pub fn next_wait(&mut self) -> Duration {
        let ceiling = ceiling(self.failures).min(self.last);
        self.failures = self.failures.saturating_add(1);
        self.within(Duration::ZERO, ceiling)
    }

    /// How long to wait when the hub said when to come back. A tenth is added at random: it said so to everybody.
    #[must_use]
    pub fn requested(&self, seconds: u32) -> Duration {
        let asked = Duration::from_secs(seconds.into()).min(LONGEST_REQUEST);
        asked + self.within(Duration::ZERO, asked / 10)
    }

    /// How long to wait after a revocation.
    #[must_use]
    pub fn revoked(&self) -> Duration {
        self.within(REVOKED.0, REVOKED.1)
    }

    fn within(&self, shortest: Duration, longest: Duration) -> Duration {
        let span = u64::try_from(longest.saturating_sub(shortest).as_micros()).unwrap_or(u64::MAX);
        shortest + Duration::from_micros(self.random.below(span.saturating_add(1)))
    }
}

fn ceiling(failures: u32) -> Duration {
    FIRST.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_a_minute() {
        let ceilings: Vec<u64> = (0..9).map(|failures| ceiling(failures).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(ceiling(u32::MAX), LAST);
    }

    #[test]
    fn waits_use_the_whole_span_and_never_leave_it() {
        let mut backoff = Backoff::new(Random::system());
        for _ in 0..6 {
            backoff.next_wait();
        }
        let waits: Vec<Duration> = (0..400).map(|_| backoff.next_wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= LAST));
        assert!(waits.iter().any(|wait| *wait < LAST / 4) && waits.iter().any(|wait| *wait > LAST * 3 / 4));
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
        let mut short = Backoff::up_to(FIRST * 4, Random::system());
        assert!((0..50).all(|_| short.next_wait() <= FIRST * 4));
    }

    #[test]
    fn what_the_hub_asks_for_wins_within_reason() {
        let backoff = Backoff::new(Random::system());
        let wait = backoff.requested(20);
        assert!(wait >= Duration::from_secs(20) && wait <= Duration::from_secs(22));
        assert!(backoff.requested(u32::MAX) <= LONGEST_REQUEST + LONGEST_REQUEST / 10);
        let revoked = backoff.revoked();
        assert!(revoked >= REVOKED.0 && revoked <= REVOKED.1);
    }
}
