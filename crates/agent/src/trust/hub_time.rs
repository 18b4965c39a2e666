//! The hub's time, as far as a worker can know it.
//!
//! Orders expire by the hub's clock, and this host's clock may be an hour off. Each signed welcome names the hub's time;
//! a worker keeps the latest together with the machine's uptime. The relay decides which welcomes it shows and when, so it
//! can make the hub look slow, but never turn the time back: the record only moves forward, and lies where the relay
//! cannot write.

use std::io;

use serde::{Deserialize, Serialize};

use crate::host::clock::Clock;
use crate::host::files::{self, Dir};
use crate::paths::Paths;

const NAME: &str = "hub-time.json";
const MAX_FILE: usize = 4 << 10;

/// What time it is on this machine, in the three ways that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The host's clock, which may be wrong.
    pub local_ms: i64,
    /// Time since the machine was started, suspends included.
    pub uptime_ms: i64,
    /// Which start that was.
    pub boot_id: String,
}

impl Moment {
    /// Now.
    ///
    /// # Errors
    /// When /proc is not there.
    pub fn now(clock: Clock) -> io::Result<Self> {
        let text =
            |path: &str| files::read(path.as_ref(), MAX_FILE).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let uptime = text("/proc/uptime")?;
        let uptime_ms = parse_uptime(&uptime).ok_or_else(|| io::Error::other("/proc/uptime holds no number"))?;
        let boot_id = text("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(Self { local_ms: clock.now_ms(), uptime_ms, boot_id })
    }
}

/// `1234.56 4321.00`, in hundredths of a second.
fn parse_uptime(text: &str) -> Option<i64> {
    let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let hundredths: i64 = hundredths.get(..2)?.parse().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(hundredths * 10)
}

/// The latest time that the hub has signed, and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubTime {
    hub_ms: i64,
    uptime_ms: i64,
    boot_id: String,
}

impl HubTime {
    /// Reads the record; `None` when there is none (yet).
    #[must_use]
    pub fn load(paths: &Paths) -> Option<Self> {
        let bytes = files::read(&paths.trust_dir().join(NAME), MAX_FILE).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps the record.
    ///
    /// # Errors
    /// When the trust directory cannot be written.
    pub fn save(&self, paths: &Paths) -> io::Result<()> {
        Dir::open(&paths.trust_dir())?.write_atomic(NAME, &serde_json::to_vec(self)?, 0o644)
    }

    /// The record after a signed time was shown; `None` when it says nothing new.
    #[must_use]
    pub fn learn(earlier: Option<&Self>, signed_ms: i64, moment: &Moment) -> Option<Self> {
        let known = earlier.map(|record| record.hub_ms);
        match earlier {
            Some(record) if record.boot_id == moment.boot_id && signed_ms <= record.at(moment) => None,
            _ => Some(Self {
                hub_ms: known.map_or(signed_ms, |known| known.max(signed_ms)),
                uptime_ms: moment.uptime_ms,
                boot_id: moment.boot_id.clone(),
            }),
        }
    }

    /// The hub's time at `moment`: counted on from what was signed in this boot; otherwise the host's clock, but never
    /// before what the hub has signed.
    #[must_use]
    pub fn estimate(record: Option<&Self>, moment: &Moment) -> i64 {
        record.map_or(moment.local_ms, |record| {
            if record.boot_id == moment.boot_id { record.at(moment) } else { record.hub_ms.max(moment.local_ms) }
        })
    }

    /// How far the hub's clock is ahead of this host's, where the hub's time was signed in this boot.
    #[must_use]
    pub fn ahead_ms(&self, moment: &Moment) -> Option<i64> {
        (self.boot_id == moment.boot_id).then(|| self.at(moment).saturating_sub(moment.local_ms))
    }

    fn at(&self, moment: &Moment) -> i64 {
        self.hub_ms.saturating_add(moment.uptime_ms.saturating_sub(self.uptime_ms).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(local_ms: i64, uptime_ms: i64, boot_id: &str) -> Moment {
        Moment { local_ms, uptime_ms, boot_id: boot_id.to_owned() }
    }

    #[test]
    fn a_host_clock_that_is_an_hour_off_does_not_matter() {
        let hour = 3_600_000;
        let record = HubTime::learn(None, 10 * hour, &moment(11 * hour, 5_000, "a"));
        assert_eq!(HubTime::estimate(record.as_ref(), &moment(11 * hour + 1_000, 6_000, "a")), 10 * hour + 1_000);
    }

    #[test]
    fn without_a_signed_time_in_this_boot_the_host_clock_counts() {
        assert_eq!(HubTime::estimate(None, &moment(42, 1, "a")), 42);
        let record = HubTime::learn(None, 1_000, &moment(0, 1, "a"));
        assert_eq!(HubTime::estimate(record.as_ref(), &moment(5_000, 1, "b")), 5_000);
        assert_eq!(HubTime::estimate(record.as_ref(), &moment(10, 1, "b")), 1_000, "never before what was signed");
    }

    #[test]
    fn uptime_is_read_to_the_hundredth() {
        assert_eq!(parse_uptime("1234.56 4321.00\n"), Some(1_234_560));
        for bad in ["", "x", "12", "12.3", "1.2x"] {
            assert_eq!(parse_uptime(bad), None, "{bad}");
        }
    }

    proptest! {
        /// Whatever a broken relay shows, in whatever order and as late as it likes.
        #[test]
        fn time_never_goes_back(shown in proptest::collection::vec((0_i64..1_000_000, 0_i64..10_000, any::<bool>()), 1..20)) {
            let (mut record, mut uptime, mut boot, mut last) = (None, 0, 0, i64::MIN);
            for (signed, later, restarted) in shown {
                if restarted {
                    boot += 1;
                    uptime = 0;
                }
                uptime += later;
                let now = moment(0, uptime, &boot.to_string());
                if let Some(learned) = HubTime::learn(record.as_ref(), signed, &now) {
                    record = Some(learned);
                }
                let estimate = HubTime::estimate(record.as_ref(), &now);
                prop_assert!(estimate >= signed, "behind what was just signed");
                let floor = record.as_ref().map_or(i64::MIN, |record: &HubTime| record.hub_ms);
                prop_assert!(floor >= last);
                last = floor;
            }
        }
    }
}
