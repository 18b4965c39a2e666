//! How densely history is kept: by the minute, by five minutes, by the hour.

use std::collections::BTreeMap;

use super::block::MAX_POINTS;
use super::mean::Mean;
use super::ring::Closed;
use super::series::Row;
use crate::config::Retention;

/// One density of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// A point a minute, an hour a block.
    Minute,
    /// A point every five minutes, a day a block.
    FiveMinutes,
    /// A point an hour, thirty days a block.
    Hour,
}

impl Tier {
    /// From dense to sparse.
    pub(super) const ALL: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::Hour];

    /// Seconds between two points.
    pub(super) const fn step_s(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
        }
    }

    /// Points of one block.
    pub(super) const fn points(self) -> usize {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 288,
            Self::Hour => 720,
        }
    }

    /// Seconds that one block spans.
    pub(super) const fn span_s(self) -> i64 {
        match self {
            Self::Minute => 3600,
            Self::FiveMinutes => 86_400,
            Self::Hour => 30 * 86_400,
        }
    }

    /// Start of the block that a moment (Unix seconds) belongs to.
    pub(super) const fn block_start(self, at_s: i64) -> i64 {
        at_s.div_euclid(self.span_s()) * self.span_s()
    }

    /// How long it is kept, seconds.
    pub(super) fn kept_s(self, retention: &Retention) -> i64 {
        let days = match self {
            Self::Minute => retention.minute_samples_days,
            Self::FiveMinutes => retention.five_minute_samples_days,
            Self::Hour => retention.hour_samples_days,
        };
        i64::from(days) * 86_400
    }
}

const _: () = {
    assert!(Tier::Minute.points() <= MAX_POINTS);
    assert!(Tier::FiveMinutes.points() <= MAX_POINTS);
    assert!(Tier::Hour.points() <= MAX_POINTS);
};

/// The points that minutes make in a tier: by block, position and value.
pub(super) fn points(tier: Tier, minutes: &[Closed]) -> BTreeMap<i64, Vec<(usize, Row)>> {
    let mut means = BTreeMap::<i64, Mean>::new();
    for (minute, row) in minutes {
        let point = (minute * 60).div_euclid(tier.step_s());
        means.entry(point).or_default().add(row, 1.0);
    }
    let mut blocks = BTreeMap::<i64, Vec<(usize, Row)>>::new();
    for (point, mean) in means {
        let at_s = point * tier.step_s();
        let start = tier.block_start(at_s);
        let index = usize::try_from((at_s - start) / tier.step_s()).unwrap_or_default();
        blocks.entry(start).or_default().push((index, mean.row()));
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::super::series::{EMPTY, Series, get, set};
    use super::*;

    #[test]
    fn blocks_are_whole_points() {
        for tier in Tier::ALL {
            assert_eq!(tier.span_s(), tier.step_s() * i64::try_from(tier.points()).unwrap(), "{tier:?}");
            assert_eq!(3600 % tier.step_s(), 0, "an hour of minutes makes whole points of {tier:?}");
        }
    }

    #[test]
    fn minutes_become_sparser_points() {
        let minutes: Vec<Closed> = (0..60)
            .map(|minute| {
                let mut row = EMPTY;
                set(&mut row, Series::CpuPercent, f64::from(minute));
                (i64::from(minute) + 24 * 60, row)
            })
            .collect();
        let hour = points(Tier::Hour, &minutes);
        assert_eq!(hour.keys().copied().collect::<Vec<_>>(), [0]);
        assert_eq!(hour[&0].len(), 1);
        assert_eq!((hour[&0][0].0, get(&hour[&0][0].1, Series::CpuPercent)), (24, 29.5));
        let five = points(Tier::FiveMinutes, &minutes);
        assert_eq!(five[&86_400].len(), 12);
        assert_eq!(get(&five[&86_400][1].1, Series::CpuPercent), 7.0);
        assert!(get(&five[&86_400][1].1, Series::Load1).is_nan());
    }
}
