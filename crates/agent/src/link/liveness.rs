//! Whether the hub is still there: it pings every ten seconds, so silence means that the line is dead.

use std::time::Duration;

use tokio::time::Instant;

/// Three pings and some.
const SILENCE: Duration = Duration::from_secs(35);

/// Remembers when the hub was heard last.
#[derive(Debug, Clone, Copy)]
pub struct Liveness {
    heard: Instant,
}

impl Liveness {
    /// The hub was heard just now.
    #[must_use]
    pub fn new() -> Self {
        Self { heard: Instant::now() }
    }

    /// Something came from the hub.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// When the line counts as dead unless something is heard before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.heard + SILENCE
    }

    /// Whether it counts as dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        Instant::now() >= self.deadline()
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_death_and_a_ping_is_life() {
        let mut liveness = Liveness::new();
        tokio::time::advance(SILENCE - Duration::from_secs(1)).await;
        assert!(!liveness.is_dead());
        liveness.heard();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!liveness.is_dead());
        tokio::time::advance(SILENCE).await;
        assert!(liveness.is_dead());
    }
}
