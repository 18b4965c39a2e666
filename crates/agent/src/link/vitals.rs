//! Whether the main loop still turns. Each stretch of work says by when it will be heard of again; the watchdog is fed
//! only as long as that holds.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// Until when everything counts as well.
#[derive(Debug)]
pub struct Vitals {
    until: Cell<Instant>,
}

/// More than any promise takes on a machine that swaps.
const GRACE: Duration = Duration::from_secs(30);

impl Vitals {
    /// Well for the time of the start.
    #[must_use]
    pub fn new() -> Self {
        Self { until: Cell::new(Instant::now() + GRACE) }
    }

    /// The loop will come by again within `span`.
    pub fn expect_within(&self, span: Duration) {
        self.until.set(Instant::now() + span + GRACE);
    }

    /// Whether the last promise still holds.
    #[must_use]
    pub fn are_good(&self) -> bool {
        Instant::now() <= self.until.get()
    }
}

impl Default for Vitals {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_broken_promise_is_noticed_and_a_long_wait_is_not_one() {
        let vitals = Vitals::new();
        vitals.expect_within(Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(620)).await;
        assert!(vitals.are_good());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(!vitals.are_good());
    }
}
