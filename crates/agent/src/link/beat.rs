//! When the next heartbeat is due: at the hub's interval, faster while somebody looks.

use std::time::Duration;

use protocol::heartbeat::Watch;
use tokio::time::Instant;

/// What the hub may ask for, between live charts and a sign of life an hour.
const FASTEST: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(3600);
/// Somebody who still looks after this asks again.
const LONGEST_WATCH: Duration = Duration::from_secs(600);

/// The rhythm of one session.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    usual: Duration,
    watched: Option<(Duration, Instant)>,
    last: Option<Instant>,
    seq: u64,
}

impl Beat {
    /// The first beat is due at once.
    #[must_use]
    pub fn new(interval_s: u32) -> Self {
        let usual = Duration::from_secs(interval_s.into()).clamp(Duration::from_secs(1), SLOWEST);
        Self { usual, watched: None, last: None, seq: 0 }
    }

    /// Somebody looks for a while.
    pub fn watch(&mut self, watch: Watch) {
        let ttl = Duration::from_secs(watch.ttl_s.into()).min(LONGEST_WATCH);
        let interval = Duration::from_millis(watch.interval_ms.into()).clamp(FASTEST, SLOWEST);
        self.watched = Some((interval, Instant::now() + ttl));
    }

    /// When the next beat is due.
    #[must_use]
    pub fn due(&self) -> Instant {
        let Some(last) = self.last else { return Instant::now() };
        let usual = last + self.usual;
        match self.watched {
            Some((interval, until)) if last + interval <= until => usual.min(last + interval),
            _ => usual,
        }
    }

    /// A beat is sent now: its number.
    pub fn sent(&mut self) -> u64 {
        self.last = Some(Instant::now());
        let seq = self.seq;
        self.seq += 1;
        seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn beats_within(beat: &mut Beat, span: Duration) -> u32 {
        let end = Instant::now() + span;
        let mut beats = 0;
        while beat.due() <= end {
            tokio::time::sleep_until(beat.due()).await;
            beat.sent();
            beats += 1;
        }
        beats
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_due_at_once_and_then_at_the_interval() {
        let mut beat = Beat::new(30);
        assert_eq!(beats_within(&mut beat, Duration::from_secs(60)).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_fast_for_its_time_and_no_longer() {
        let mut beat = Beat::new(30);
        beat.sent();
        beat.watch(Watch { interval_ms: 1_000, ttl_s: 10 });
        assert_eq!(beats_within(&mut beat, Duration::from_secs(30)).await, 10);
        beat.watch(Watch { interval_ms: 0, ttl_s: u32::MAX });
        assert_eq!(beat.due(), beat.last.unwrap() + FASTEST, "no hub can ask for more");
    }

    #[tokio::test(start_paused = true)]
    async fn nonsense_intervals_are_bounded() {
        assert_eq!(Beat::new(0).usual, Duration::from_secs(1));
        assert_eq!(Beat::new(u32::MAX).usual, SLOWEST);
    }
}
