//! Protocol versions and how the two sides agree on one.
//!
//! History (a test reads this list and fails when it disagrees with [`CURRENT`]):
//!
//! - 1 (2026-11-21): envelope, session with signed welcome and mac, heartbeat, watch, exec jobs with logs, events.

use serde::{Deserialize, Serialize};

/// The version this code speaks best.
pub const CURRENT: u16 = 1;
/// The oldest version this code still speaks.
pub const OLDEST: u16 = 1;
/// WebSocket subprotocol of the agent connection.
pub const SUBPROTOCOL: &str = "roadstead.v1";

/// The range of versions that one side speaks, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// Oldest version spoken.
    pub min: u16,
    /// Newest version spoken.
    pub max: u16,
}

impl VersionRange {
    /// What this build speaks.
    pub const OURS: Self = Self { min: OLDEST, max: CURRENT };

    /// The newest version that both sides speak, `None` when they share none.
    #[must_use]
    pub fn choose(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min && newest >= other.min).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_common_version_wins() {
        let ours = VersionRange { min: 2, max: 5 };
        assert_eq!(ours.choose(VersionRange { min: 1, max: 3 }), Some(3));
        assert_eq!(ours.choose(VersionRange { min: 4, max: 9 }), Some(5));
        assert_eq!(ours.choose(VersionRange { min: 6, max: 9 }), None);
        assert_eq!(ours.choose(VersionRange { min: 0, max: 1 }), None);
        assert_eq!(ours.choose(VersionRange { min: 9, max: 3 }), None, "a reversed range is no range");
    }

    #[test]
    fn history_names_the_current_version_last() {
        let newest = include_str!("version.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! - ")?.split_once(' ')?.0.parse::<u16>().ok())
            .next_back();
        assert_eq!(newest, Some(CURRENT));
    }
}
