//! One heartbeat becomes one row: gauges as they are, counters as rates.
//!
//! An agent is not trusted: whatever is no sensible number counts as not known, and lists are cut.

use protocol::heartbeat::{Filesystem, Heartbeat, Interface};

use super::series::{EMPTY, Row, Series, set};
use crate::clock::Timestamp;

/// Most file systems and interfaces that are looked at.
const MAX_ENTRIES: usize = 64;
/// Most processors that are looked at.
const MAX_CORES: usize = 1024;
/// Longest name or mount point kept, characters.
const MAX_NAME: usize = 256;
/// Counters further apart than this give no rate that means anything.
const MAX_RATE_GAP_MS: i64 = 10 * 60 * 1000;

/// Counters of one sample, to make rates of with the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    at: Option<Timestamp>,
    uptime_s: u64,
    read_bytes: u64,
    write_bytes: u64,
    read_ops: u64,
    write_ops: u64,
    rx_bytes: u64,
    tx_bytes: u64,
}

impl Counters {
    /// Of a heartbeat that arrived at `at`.
    pub(super) fn of(beat: &Heartbeat, at: Timestamp) -> Self {
        let sum = |value: fn(&Interface) -> u64| beat.network.iter().map(value).fold(0, u64::saturating_add);
        Self {
            at: Some(at),
            uptime_s: beat.uptime_s,
            read_bytes: beat.disk_io.read_bytes,
            write_bytes: beat.disk_io.write_bytes,
            read_ops: beat.disk_io.read_ops,
            write_ops: beat.disk_io.write_ops,
            rx_bytes: sum(|interface| interface.rx_bytes),
            tx_bytes: sum(|interface| interface.tx_bytes),
        }
    }

    /// Rates since the sample `before`.
    fn rates_since(&self, before: &Self) -> Rates {
        let elapsed_ms = match (self.at, before.at) {
            (Some(now), Some(then)) => now.as_ms().saturating_sub(then.as_ms()),
            _ => 0,
        };
        // A machine that restarted counts from zero again.
        if elapsed_ms <= 0 || elapsed_ms > MAX_RATE_GAP_MS || self.uptime_s < before.uptime_s {
            return Rates::default();
        }
        #[expect(clippy::cast_precision_loss, reason = "at most ten minutes")]
        let seconds = elapsed_ms as f64 / 1000.0;
        // A counter that goes back was reset (an interface left, a driver was loaded again): not known this time.
        #[expect(clippy::cast_precision_loss, reason = "rates need no more than 53 bits")]
        let rate = |now: u64, then: u64| now.checked_sub(then).map(|grown| grown as f64 / seconds);
        Rates {
            read_bytes: rate(self.read_bytes, before.read_bytes),
            write_bytes: rate(self.write_bytes, before.write_bytes),
            read_ops: rate(self.read_ops, before.read_ops),
            write_ops: rate(self.write_ops, before.write_ops),
            rx_bytes: rate(self.rx_bytes, before.rx_bytes),
            tx_bytes: rate(self.tx_bytes, before.tx_bytes),
        }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Rates {
    read_bytes: Option<f64>,
    write_bytes: Option<f64>,
    read_ops: Option<f64>,
    write_ops: Option<f64>,
    rx_bytes: Option<f64>,
    tx_bytes: Option<f64>,
}

/// The row of a heartbeat.
pub(super) fn row(beat: &Heartbeat, now: &Counters, before: &Counters) -> Row {
    let rates = now.rates_since(before);
    let mut row = EMPTY;
    let mut percent = |series, value: f64| {
        if value.is_finite() {
            set(&mut row, series, value.clamp(0.0, 100.0));
        }
    };
    percent(Series::CpuPercent, beat.cpu.percent);
    percent(Series::CpuIowait, beat.cpu.iowait_percent);
    percent(Series::CpuSteal, beat.cpu.steal_percent);
    if let Some(fullest) = fullest_percent(&beat.filesystems) {
        percent(Series::FilesystemPercent, fullest);
    }
    let [load1, load5, load15] = beat.load;
    let mut gauge = |series, value: f64| {
        if value.is_finite() && value >= 0.0 {
            set(&mut row, series, value);
        }
    };
    gauge(Series::Load1, load1);
    gauge(Series::Load5, load5);
    gauge(Series::Load15, load15);
    gauge(Series::MemoryUsed, number(beat.memory.used_bytes));
    gauge(Series::MemoryAvailable, number(beat.memory.available_bytes));
    gauge(Series::MemoryCached, number(beat.memory.cached_bytes));
    gauge(Series::MemoryTotal, number(beat.memory.total_bytes));
    gauge(Series::SwapUsed, number(beat.memory.swap_used_bytes));
    gauge(Series::SwapTotal, number(beat.memory.swap_total_bytes));
    let used = beat.filesystems.iter().map(|filesystem| number(filesystem.used_bytes)).sum();
    gauge(Series::FilesystemUsed, used);
    gauge(Series::Processes, f64::from(beat.processes));
    gauge(Series::AgentRss, number(beat.agent.rss_bytes));
    let mut rate = |series, value: Option<f64>| {
        if let Some(value) = value {
            gauge(series, value);
        }
    };
    rate(Series::DiskRead, rates.read_bytes);
    rate(Series::DiskWrite, rates.write_bytes);
    rate(Series::DiskReadOps, rates.read_ops);
    rate(Series::DiskWriteOps, rates.write_ops);
    rate(Series::NetworkRx, rates.rx_bytes);
    rate(Series::NetworkTx, rates.tx_bytes);
    row
}

/// How full the fullest file system is.
fn fullest_percent(filesystems: &[Filesystem]) -> Option<f64> {
    let known = filesystems.iter().filter(|filesystem| filesystem.total_bytes > 0);
    known
        .map(|filesystem| number(filesystem.used_bytes) / number(filesystem.total_bytes) * 100.0)
        .max_by(f64::total_cmp)
}

#[expect(clippy::cast_precision_loss, reason = "charts need no more than 53 bits")]
fn number(value: u64) -> f64 {
    value as f64
}

/// A heartbeat cut to what may be kept of one.
pub(super) fn bounded(mut beat: Heartbeat) -> Heartbeat {
    let short = |name: &mut String| *name = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    beat.filesystems.truncate(MAX_ENTRIES);
    for filesystem in &mut beat.filesystems {
        short(&mut filesystem.mount);
        short(&mut filesystem.fs);
    }
    beat.network.truncate(MAX_ENTRIES);
    for interface in &mut beat.network {
        short(&mut interface.name);
    }
    beat.cpu.per_core_percent.truncate(MAX_CORES);
    for percent in &mut beat.cpu.per_core_percent {
        *percent = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
    }
    for number in [&mut beat.cpu.percent, &mut beat.cpu.iowait_percent, &mut beat.cpu.steal_percent] {
        *number = if number.is_finite() { number.clamp(0.0, 100.0) } else { 0.0 };
    }
    beat.cpu.per_core_percent.shrink_to_fit();
    beat.filesystems.shrink_to_fit();
    beat.network.shrink_to_fit();
    beat
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::series::get;
    use super::*;

    fn beat(rx_bytes: u64, uptime_s: u64) -> Heartbeat {
        let network = vec![Interface { name: "eth0".into(), rx_bytes, ..Interface::default() }];
        Heartbeat { network, uptime_s, ..Heartbeat::default() }
    }

    fn rx_rate(before: (u64, u64, i64), after: (u64, u64, i64)) -> f32 {
        let of = |(rx, uptime, ms): (u64, u64, i64)| Counters::of(&beat(rx, uptime), Timestamp::from_ms(ms));
        get(&row(&beat(after.0, after.1), &of(after), &of(before)), Series::NetworkRx)
    }

    #[test]
    fn counters_become_rates() {
        assert_eq!(rx_rate((1000, 10, 0), (3000, 12, 2000)), 1000.0);
    }

    #[test]
    fn resets_and_gaps_are_not_known() {
        assert!(rx_rate((1000, 10, 0), (10, 12, 2000)).is_nan(), "counter went back");
        assert!(rx_rate((1000, 10, 0), (5000, 2, 2000)).is_nan(), "machine restarted");
        assert!(rx_rate((0, 10, 0), (5000, 12, 0)).is_nan(), "no time passed");
        assert!(rx_rate((0, 10, 5000), (5000, 12, 0)).is_nan(), "clock went back");
        assert!(rx_rate((0, 10, 0), (5000, 4000, MAX_RATE_GAP_MS + 1)).is_nan(), "too long ago");
        let first = beat(1, 1);
        let now = Counters::of(&first, Timestamp::from_ms(1));
        assert!(get(&row(&first, &now, &Counters::default()), Series::NetworkRx).is_nan(), "first sample");
    }

    #[test]
    fn nonsense_is_not_known() {
        let mut odd = beat(0, 0);
        odd.cpu.percent = f64::NAN;
        odd.load = [f64::INFINITY, -1.0, 0.5];
        odd.filesystems = vec![Filesystem { used_bytes: 5, ..Filesystem::default() }];
        let now = Counters::of(&odd, Timestamp::from_ms(0));
        let row = row(&odd, &now, &Counters::default());
        for series in [Series::CpuPercent, Series::Load1, Series::Load5, Series::FilesystemPercent] {
            assert!(get(&row, series).is_nan(), "{series:?}");
        }
        assert_eq!(get(&row, Series::Load15), 0.5);
    }

    proptest! {
        #[test]
        fn any_counters_give_finite_rates(before: (u64, u64, i64), after: (u64, u64, i64)) {
            let rate = rx_rate(before, after);
            prop_assert!(rate.is_nan() || (rate.is_finite() && rate >= 0.0));
        }
    }
}
