//! The recent past of one server, in memory.
//!
//! Samples of the current minute are added up; a minute that is over becomes one row. Rows stay until they are in a
//! stored block, and for as long as sparklines show them. While somebody looks, raw samples are kept as well.

use std::collections::VecDeque;

use protocol::heartbeat::Heartbeat;

use super::live::Live;
use super::mean::Mean;
use super::sample::{self, Counters};
use super::series::Row;
use crate::clock::Timestamp;

/// Minutes since 1970.
pub(super) type Minute = i64;

/// Minutes that sparklines show.
pub(super) const SPARK_MINUTES: i64 = 30;
/// Most rows kept: an hour that waits for its block, the sparkline, and a disk that is full for a while.
const MAX_MINUTES: usize = 240;
/// Most raw samples kept.
const MAX_RAW: usize = 120;
/// Raw samples are kept when they come faster than this.
const RAW_WITHIN_MS: i64 = 10_000;
/// Raw samples older than this go when nobody looks any more.
const RAW_FOR_MS: i64 = 5 * 60 * 1000;

/// The recent past of one server.
#[derive(Debug, Default)]
pub(super) struct Ring {
    latest: Option<Box<Latest>>,
    counters: Counters,
    current: Option<Current>,
    minutes: VecDeque<(Minute, Row)>,
    /// Minutes before this one are in stored blocks.
    packed_until: Minute,
    raw: VecDeque<(Timestamp, Row)>,
}

#[derive(Debug)]
struct Latest {
    live: Live,
    beat: Heartbeat,
}

/// The minute that is not over yet.
#[derive(Debug)]
struct Current {
    minute: Minute,
    mean: Box<Mean>,
}

/// A minute that is over.
pub(super) type Closed = (Minute, Row);

impl Ring {
    /// Takes a sample. Returns what it shows, and the minute that it ended.
    pub(super) fn take(&mut self, beat: Heartbeat, now: Timestamp) -> (Live, Option<Closed>) {
        let counters = Counters::of(&beat, now);
        let row = sample::row(&beat, &counters, &self.counters);
        let live = Live::new(now, &row, beat.uptime_s);
        let closed = self.close_before(minute_of(now));
        let minute = minute_of(now);
        self.current.get_or_insert_with(|| Current { minute, mean: Box::default() }).mean.add(&row, 1.0);
        self.keep_raw(now, row);
        self.counters = counters;
        self.latest = Some(Box::new(Latest { live, beat: sample::bounded(beat) }));
        (live, closed)
    }

    /// Ends the current minute when it lies before `minute`.
    pub(super) fn close_before(&mut self, minute: Minute) -> Option<Closed> {
        let current = self.current.take_if(|current| current.minute < minute)?;
        let closed = (current.minute, current.mean.row());
        self.insert(closed);
        Some(closed)
    }

    /// Adds a row, as after a restart. A minute that is there already stays.
    pub(super) fn insert(&mut self, (minute, row): Closed) {
        let at = self.minutes.partition_point(|(known, _)| *known < minute);
        if self.minutes.get(at).is_some_and(|(known, _)| *known == minute) {
            return;
        }
        self.minutes.insert(at, (minute, row));
        if self.minutes.len() > MAX_MINUTES {
            self.minutes.pop_front();
        }
    }

    /// Rows before `minute` are in stored blocks now.
    pub(super) fn packed(&mut self, minute: Minute) {
        self.packed_until = self.packed_until.max(minute);
    }

    /// Forgets rows before `minute` that are in stored blocks.
    pub(super) fn forget_packed_before(&mut self, minute: Minute) {
        let until = minute.min(self.packed_until);
        while self.minutes.front().is_some_and(|(first, _)| *first < until) {
            self.minutes.pop_front();
        }
    }

    /// Rows before `until` that are in no stored block, oldest first.
    pub(super) fn unpacked(&self, until: Minute) -> impl Iterator<Item = &Closed> {
        self.minutes.iter().filter(move |(minute, _)| (self.packed_until..until).contains(minute))
    }

    /// Rows from `from` to before `to`, oldest first, the current minute so far among them.
    pub(super) fn minutes(&self, from: Minute, to: Minute) -> impl Iterator<Item = Closed> {
        let all = self.minutes.iter().copied().chain(self.current());
        all.filter(move |(minute, _)| (from..to).contains(minute))
    }

    /// Rows that no stored block holds, oldest first, the current minute so far among them.
    pub(super) fn fresh(&self) -> impl Iterator<Item = Closed> {
        self.unpacked(Minute::MAX).copied().chain(self.current())
    }

    /// The row of the current minute so far.
    fn current(&self) -> Option<Closed> {
        self.current.as_ref().map(|current| (current.minute, current.mean.row()))
    }

    /// Raw samples, oldest first.
    pub(super) fn raw(&self) -> impl Iterator<Item = &(Timestamp, Row)> {
        self.raw.iter()
    }

    /// The newest sample in short.
    pub(super) fn live(&self) -> Option<Live> {
        self.latest.as_ref().map(|latest| latest.live)
    }

    /// The newest sample in full.
    pub(super) fn beat(&self) -> Option<&Heartbeat> {
        self.latest.as_ref().map(|latest| &latest.beat)
    }

    /// The connection is gone: what was measured last is not how the server is now.
    pub(super) fn disconnect(&mut self) {
        self.latest = None;
        self.raw = VecDeque::new();
    }

    /// Nothing is left to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.latest.is_none() && self.current.is_none() && self.minutes.is_empty()
    }

    fn keep_raw(&mut self, now: Timestamp, row: Row) {
        let before = self.latest.as_ref().map(|latest| latest.live.at);
        let fast = before.is_some_and(|before| now.as_ms().saturating_sub(before.as_ms()) < RAW_WITHIN_MS);
        while self.raw.front().is_some_and(|(at, _)| now.as_ms().saturating_sub(at.as_ms()) > RAW_FOR_MS) {
            self.raw.pop_front();
        }
        if fast {
            if self.raw.len() >= MAX_RAW {
                self.raw.pop_front();
            }
            self.raw.push_back((now, row));
        } else if self.raw.is_empty() {
            // Gives the memory back.
            self.raw = VecDeque::new();
        }
    }
}

/// The minute of a moment.
pub(super) fn minute_of(at: Timestamp) -> Minute {
    at.as_s().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::super::series::{EMPTY, Series, get};
    use super::*;
    use protocol::heartbeat::Cpu;

    fn beat(percent: f64) -> Heartbeat {
        Heartbeat { cpu: Cpu { percent, ..Cpu::default() }, ..Heartbeat::default() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1000)
    }

    #[test]
    fn a_minute_is_the_mean_of_its_samples() {
        let mut ring = Ring::default();
        for (second, percent) in [(0, 10.0), (30, 20.0), (59, 30.0)] {
            assert_eq!(ring.take(beat(percent), at(second)).1, None);
        }
        let (live, closed) = ring.take(beat(90.0), at(60));
        assert_eq!(live.cpu_percent, 90.0);
        let (minute, row) = closed.unwrap();
        assert_eq!((minute, get(&row, Series::CpuPercent)), (0, 20.0));
        assert_eq!(ring.minutes(0, 1).count(), 1);
        assert_eq!(ring.minutes(1, 2).count(), 1, "the current one shows as well");
    }

    #[test]
    fn a_clock_set_back_breaks_nothing() {
        let mut ring = Ring::default();
        ring.take(beat(10.0), at(600));
        assert_eq!(ring.take(beat(20.0), at(0)).1, None, "the minute goes on until the clock is past it again");
        assert!(ring.take(beat(20.0), at(660)).1.is_some());
    }

    #[test]
    fn everything_is_bounded() {
        let mut ring = Ring::default();
        for second in 0..100_000 {
            ring.take(beat(1.0), at(second));
        }
        assert_eq!(ring.minutes.len(), MAX_MINUTES);
        assert_eq!(ring.raw.len(), MAX_RAW);
        ring.take(beat(1.0), at(200_000));
        assert_eq!(ring.raw.len(), 0, "slow samples are not kept one by one");
    }

    #[test]
    fn restored_minutes_keep_their_order() {
        let mut ring = Ring::default();
        for minute in [5, 3, 4, 4] {
            ring.insert((minute, EMPTY));
        }
        assert_eq!(ring.minutes(0, 10).map(|(minute, _)| minute).collect::<Vec<_>>(), [3, 4, 5]);
        ring.forget_packed_before(5);
        assert_eq!(ring.minutes(0, 10).count(), 3, "nothing is forgotten before it is stored");
        ring.packed(4);
        ring.forget_packed_before(5);
        assert_eq!(ring.minutes(0, 10).count(), 2);
        assert_eq!(ring.fresh().count(), 2);
    }
}
