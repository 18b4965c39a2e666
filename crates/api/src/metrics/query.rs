//! Charts: which density, which points, from which blocks and from memory.

use protocol::ServerId;

use super::block;
use super::mean::Mean;
use super::series::Row;
use super::store;
use super::tier::Tier;
use crate::clock::Timestamp;
use crate::config::Retention;
use crate::error::{Error, Result};
use crate::hub::Hub;

/// Most points of one answer.
pub(super) const MAX_POINTS: i64 = 600;
/// Steps that the hub picks from, seconds: what fits a clock face.
const STEPS: [i64; 12] = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
/// Longest span that can be asked for: ten years.
const MAX_SPAN_S: i64 = 3660 * 86_400;

/// What somebody wants to see, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from_s: i64,
    pub(super) to_s: i64,
    pub(super) step_s: Option<i64>,
}

/// How it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) source: Source,
    /// Moment of the first point.
    pub(super) start_s: i64,
    pub(super) step_s: i64,
    pub(super) points: usize,
}

/// Where points come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Samples of the last minutes, kept while somebody looks.
    Raw,
    /// Stored blocks and memory.
    Stored(Tier),
}

/// Decides how to answer.
pub(super) fn plan(range: Range, now_s: i64, retention: &Retention) -> Result<Plan> {
    let Range { from_s, to_s, step_s } = range;
    if from_s >= to_s {
        return Err(Error::invalid_field("to", "must be later than from"));
    }
    let span_s = to_s.saturating_sub(from_s);
    if span_s > MAX_SPAN_S {
        return Err(Error::invalid_field("from", "must not lie more than ten years before to"));
    }
    if let Some(step_s) = step_s {
        let least = div_ceil(span_s, MAX_POINTS - 1);
        if step_s < least {
            let problem = format!("must be at least {least} for this range: an answer has {MAX_POINTS} points at most");
            return Err(Error::invalid_field("step", problem));
        }
    }
    let step_s = step_s.unwrap_or_else(|| pick_step(span_s));
    let (source, step_s) = if step_s < Tier::Minute.step_s() {
        (Source::Raw, step_s)
    } else {
        let tier = pick_tier(from_s, step_s, now_s, retention);
        (Source::Stored(tier), div_ceil(step_s, tier.step_s()) * tier.step_s())
    };
    let start_s = from_s.div_euclid(step_s) * step_s;
    let points = usize::try_from(div_ceil(to_s - start_s, step_s)).unwrap_or_default();
    Ok(Plan { source, start_s, step_s, points })
}

fn pick_step(span_s: i64) -> i64 {
    let enough = |step: &i64| div_ceil(span_s, *step) < MAX_POINTS;
    let day = 86_400;
    STEPS.into_iter().find(enough).unwrap_or_else(|| div_ceil(div_ceil(span_s, MAX_POINTS - 1), day) * day)
}

/// The sparsest tier that is dense enough: fewer blocks to read. When it does not reach back to `from_s`, a sparser one.
fn pick_tier(from_s: i64, step_s: i64, now_s: i64, retention: &Retention) -> Tier {
    let reaches = |tier: &Tier| from_s >= now_s - tier.kept_s(retention);
    let fits = |tier: &Tier| step_s % tier.step_s() == 0;
    let mut from_sparse = Tier::ALL.into_iter().rev();
    from_sparse
        .find(|tier| fits(tier) && reaches(tier))
        .or_else(|| Tier::ALL.into_iter().find(reaches))
        .unwrap_or(Tier::Hour)
}

const fn div_ceil(number: i64, by: i64) -> i64 {
    -(-number).div_euclid(by)
}

/// The rows of a plan, one per point.
pub(super) async fn rows(hub: &Hub, server: ServerId, plan: &Plan) -> Result<Vec<Row>> {
    let mut points = vec![Mean::default(); plan.points];
    let mut add = |at_s: i64, row: &Row, weight: f32| {
        let index = (at_s - plan.start_s).div_euclid(plan.step_s);
        if let Some(point) = usize::try_from(index).ok().and_then(|index| points.get_mut(index)) {
            point.add(row, weight);
        }
    };
    match plan.source {
        Source::Raw => {
            let rings = hub.metrics.rings();
            for (at, row) in rings.get(&server).iter().flat_map(|ring| ring.raw()) {
                add(at.as_s(), row, 1.0);
            }
        }
        Source::Stored(tier) => {
            let end_s = plan.start_s + plan.step_s * i64::try_from(plan.points).unwrap_or_default();
            // Memory first: what is packed meanwhile would be missed otherwise, and counting it twice shifts a mean only.
            {
                let rings = hub.metrics.rings();
                for (minute, row) in rings.get(&server).iter().flat_map(|ring| ring.fresh()) {
                    add(minute * 60, &row, 60.0);
                }
            }
            let mut session = hub.history.read().await?;
            let first = tier.block_start(plan.start_s);
            let blocks = store::blocks(&mut session.conn(), server, tier.step_s(), first, end_s).await?;
            drop(session);
            for stored in blocks {
                match block::decode(&stored.data) {
                    Ok(rows) => {
                        #[expect(clippy::cast_precision_loss, reason = "an hour at most")]
                        let weight = tier.step_s() as f32;
                        for (at_s, row) in (stored.start..).step_by(step(tier)).zip(&rows) {
                            add(at_s, row, weight);
                        }
                    }
                    Err(error) => {
                        let start = stored.start;
                        tracing::error!(server.id = %server, start, %error, "a block of samples cannot be read");
                    }
                }
            }
        }
    }
    Ok(points.iter().map(Mean::row).collect())
}

fn step(tier: Tier) -> usize {
    usize::try_from(tier.step_s()).unwrap_or(1)
}

impl Plan {
    /// The moments of the points.
    pub(super) fn moments(&self) -> impl Iterator<Item = i64> {
        let (start_s, step_s) = (self.start_s, self.step_s);
        (0..self.points).map(move |index| start_s + step_s * i64::try_from(index).unwrap_or_default())
    }
}

/// `2026-11-21T09:00:00Z` or Unix seconds.
pub(super) fn parse_moment(field: &str, text: &str) -> Result<i64> {
    let seconds = text.parse::<i64>().ok();
    let rfc3339 = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    let sensible = |seconds: &i64| (0..=Timestamp::from_ms(i64::MAX).as_s() / 2).contains(seconds);
    seconds.or_else(rfc3339).filter(sensible).ok_or_else(|| {
        Error::invalid_field(field, "must be a time such as 2026-11-21T09:00:00Z or a number of Unix seconds")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn check(span_s: i64, step_s: Option<i64>, source: Source, step: i64) {
        let range = Range { from_s: NOW - span_s, to_s: NOW, step_s };
        let plan = plan(range, NOW, &Retention::default()).unwrap();
        assert_eq!((plan.source, plan.step_s), (source, step), "{span_s} {step_s:?}");
        assert!(plan.points <= 600, "{}", plan.points);
    }

    #[test]
    fn the_density_fits_the_span() {
        check(3600, None, Source::Stored(Tier::Minute), 60);
        check(6 * 3600, None, Source::Stored(Tier::Minute), 60);
        check(DAY, None, Source::Stored(Tier::FiveMinutes), 300);
        check(7 * DAY, None, Source::Stored(Tier::FiveMinutes), 1800);
        check(30 * DAY, None, Source::Stored(Tier::Hour), 7200);
        check(365 * DAY, None, Source::Stored(Tier::Hour), DAY);
        check(3650 * DAY, None, Source::Stored(Tier::Hour), 7 * DAY);
        check(300, Some(1), Source::Raw, 1);
        check(3600, Some(90), Source::Stored(Tier::Minute), 120);
    }

    #[test]
    fn what_is_not_kept_so_densely_comes_sparser() {
        let range = Range { from_s: NOW - 20 * DAY, to_s: NOW - 20 * DAY + 3600, step_s: None };
        let plan = plan(range, NOW, &Retention::default()).unwrap();
        assert_eq!((plan.source, plan.step_s, plan.points), (Source::Stored(Tier::FiveMinutes), 300, 12));
    }

    #[test]
    fn bad_ranges_name_their_field() {
        for (from_s, to_s, step_s, field) in [
            (NOW, NOW, None, "to"),
            (NOW, NOW - 1, None, "to"),
            (0, NOW, None, "from"),
            (NOW - DAY, NOW, Some(60), "step"),
            (NOW - DAY, NOW, Some(1), "step"),
        ] {
            let error = plan(Range { from_s, to_s, step_s }, NOW, &Retention::default()).unwrap_err();
            assert!(error.to_json()["error"]["details"]["fields"][field].is_array(), "{from_s} {to_s} {step_s:?}");
        }
    }

    #[test]
    fn moments_are_parsed() {
        assert_eq!(parse_moment("from", "2023-11-14T22:13:20Z").unwrap(), 1_700_000_000);
        assert_eq!(parse_moment("from", "1700000000").unwrap(), 1_700_000_000);
        for bad in ["", "yesterday", "-5", "99999999999999999999", "9223372036854775807", "1.5"] {
            assert!(parse_moment("from", bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_plan_is_bounded_and_covers_its_range(from_s in 0..NOW, span_s in 1..MAX_SPAN_S, step_s in prop::option::of(1..10_000_000_i64)) {
            if let Ok(plan) = plan(Range { from_s, to_s: from_s + span_s, step_s }, NOW, &Retention::default()) {
                prop_assert!(plan.points >= 1 && plan.points <= 600);
                prop_assert!(plan.start_s <= from_s && plan.start_s > from_s - plan.step_s);
                let end = plan.start_s + plan.step_s * i64::try_from(plan.points).unwrap();
                prop_assert!(end >= from_s + span_s && end - plan.step_s < from_s + span_s);
            }
        }
    }
}
