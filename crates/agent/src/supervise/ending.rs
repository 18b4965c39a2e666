//! How a job is brought to its end: asked, then forced, and never waited for without a bound.

use std::time::Duration;

use tokio::time::Instant;

/// Between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(10);
/// Between one KILL and the next: what forks while it is being killed is caught by the next round.
pub const ROUND: Duration = Duration::from_millis(50);
/// After this much killing a process is one that the kernel does not let go of.
pub const GIVE_UP: Duration = Duration::from_millis(1500);

/// Why a job is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The hub ordered it.
    Cancelled,
    /// Its time is up.
    TimedOut,
    /// The machine goes down, or somebody stops the unit.
    Interrupted,
    /// Its main process has ended and left others behind.
    Leftovers,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask everything to end.
    Terminate,
    /// Kill everything that is left.
    Kill,
    /// Name what cannot be killed and let go.
    GiveUp,
}

/// A job on its way out.
#[derive(Debug)]
pub struct Ending {
    cause: Cause,
    kill_from: Instant,
    next: Option<Step>,
    next_at: Instant,
}

impl Ending {
    /// Begins now, with [`Step::Terminate`].
    #[must_use]
    pub fn begin(cause: Cause, now: Instant) -> Self {
        Self { cause, kill_from: now + GRACE, next: Some(Step::Terminate), next_at: now }
    }

    /// Why.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// When [`Ending::step`] has to be asked again.
    #[must_use]
    pub const fn next_at(&self) -> Instant {
        self.next_at
    }

    /// What is due, if anything is.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        if now < self.next_at {
            return None;
        }
        let step = self.next?;
        (self.next, self.next_at) = match step {
            Step::Terminate => (Some(Step::Kill), self.kill_from),
            Step::Kill if now >= self.kill_from + GIVE_UP => (Some(Step::GiveUp), now),
            Step::Kill => (Some(Step::Kill), now + ROUND),
            Step::GiveUp => (None, now),
        };
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_once_then_killed_in_rounds_then_given_up_within_twelve_seconds() {
        let start = Instant::now();
        let mut ending = Ending::begin(Cause::Cancelled, start);
        let mut steps = Vec::new();
        let mut now = start;
        while let Some(step) = ending.step(now) {
            steps.push(step);
            now = now.max(ending.next_at());
            assert!(steps.len() < 100, "it ends");
        }
        assert_eq!(steps.first(), Some(&Step::Terminate));
        assert_eq!(steps.last(), Some(&Step::GiveUp));
        let kills = steps.iter().filter(|step| **step == Step::Kill).count();
        assert!(kills >= 20, "{kills}");
        assert!(now - start < Duration::from_secs(12), "{:?}", now - start);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let start = Instant::now();
        let mut ending = Ending::begin(Cause::TimedOut, start);
        assert_eq!(ending.step(start), Some(Step::Terminate));
        assert_eq!(ending.step(start + GRACE - Duration::from_millis(1)), None);
        assert_eq!(ending.step(start + GRACE), Some(Step::Kill));
        assert_eq!(ending.step(start + GRACE), None);
    }
}
