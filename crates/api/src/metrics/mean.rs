//! The mean of rows, series by series; gaps do not count.

use super::series::{EMPTY, Row, Series};

/// Adds rows up.
#[derive(Debug, Clone)]
pub(super) struct Mean {
    sums: [f64; Series::COUNT],
    weights: [f32; Series::COUNT],
}

impl Default for Mean {
    fn default() -> Self {
        Self { sums: [0.0; Series::COUNT], weights: [0.0; Series::COUNT] }
    }
}

impl Mean {
    /// Adds a row that stands for `weight` units of time.
    pub(super) fn add(&mut self, row: &Row, weight: f32) {
        for ((sum, total), value) in self.sums.iter_mut().zip(&mut self.weights).zip(row) {
            if value.is_finite() {
                *sum += f64::from(*value) * f64::from(weight);
                *total += weight;
            }
        }
    }

    /// The mean of what was added.
    pub(super) fn row(&self) -> Row {
        let mut row = EMPTY;
        for ((slot, sum), weight) in row.iter_mut().zip(self.sums).zip(self.weights) {
            if weight > 0.0 {
                #[expect(clippy::cast_possible_truncation, reason = "a mean of such numbers is one")]
                let mean = (sum / f64::from(weight)) as f32;
                *slot = mean;
            }
        }
        row
    }
}
