//! How many frames an agent may send: a bucket that fills at a steady rate.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of tokens.
#[derive(Debug)]
pub(super) struct Bucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(capacity: u32, per_second: u32) -> Self {
        let capacity = f64::from(capacity);
        Self { capacity, per_second: f64::from(per_second), tokens: capacity, filled: Instant::now() }
    }

    /// Takes so many tokens; `false` when there are not enough.
    pub(super) fn take(&mut self, tokens: u32) -> bool {
        self.fill();
        let tokens = f64::from(tokens);
        if self.tokens < tokens {
            return false;
        }
        self.tokens -= tokens;
        true
    }

    /// Time until there is a token again; zero when there is one.
    pub(super) fn wait(&mut self) -> Duration {
        self.fill();
        Duration::from_secs_f64(((1.0 - self.tokens) / self.per_second).max(0.0))
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.capacity);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bursts_are_bounded_and_refill() {
        let mut bucket = Bucket::new(10, 5);
        assert_eq!((0..100).filter(|_| bucket.take(1)).count(), 10);
        assert_eq!(bucket.wait(), Duration::from_millis(200));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..100).filter(|_| bucket.take(1)).count(), 5);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(bucket.wait(), Duration::ZERO);
        assert_eq!((0..100).filter(|_| bucket.take(1)).count(), 10);
    }
}
