//! What a job may take of its server. Where a unit of systemd holds the job, its properties enforce them; elsewhere
//! resource limits of the process do as far as they can, and the job's log says so.

use serde::{Deserialize, Serialize};

use crate::exec::InvalidField;

/// Least memory that a job can be limited to, bytes: less does not even start a shell.
pub const MIN_MEMORY: u64 = 4 << 20;
/// Most processors that a job can be limited to, in percent of one.
pub const MAX_CPU_PERCENT: u32 = 100_000;
/// Most processes and threads that a job can be limited to.
pub const MAX_PIDS: u32 = 4_194_304;

/// Limits of a job; absent ones do not limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobLimits {
    /// Processor time, in percent of one processor: 150 is one and a half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
    /// Memory of all its processes, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Share of the disks beside others, 1 to 10000; others have 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u16>,
    /// Scheduling priority, -20 (first) to 19 (last).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nice: Option<i8>,
}

impl JobLimits {
    /// Nothing is limited.
    pub const NONE: Self = Self { cpu_percent: None, memory_bytes: None, pids: None, io_weight: None, nice: None };

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Checks every value; hub and agent apply the same rules.
    ///
    /// # Errors
    /// All fields that are not acceptable.
    pub fn check(&self) -> Result<(), Vec<InvalidField>> {
        let mut invalid = Vec::new();
        let mut within = |field, is_within: Option<bool>, problem: String| {
            if is_within == Some(false) {
                invalid.push(InvalidField { field, problem });
            }
        };
        let cpu = self.cpu_percent.map(|value| (1..=MAX_CPU_PERCENT).contains(&value));
        within("cpu_percent", cpu, format!("must be a number from 1 to {MAX_CPU_PERCENT}"));
        let memory = self.memory_bytes.map(|value| (MIN_MEMORY..=1 << 50).contains(&value));
        within("memory_bytes", memory, format!("must be at least {MIN_MEMORY}"));
        let pids = self.pids.map(|value| (1..=MAX_PIDS).contains(&value));
        within("pids", pids, format!("must be a number from 1 to {MAX_PIDS}"));
        let io = self.io_weight.map(|value| (1..=10_000).contains(&value));
        within("io_weight", io, "must be a number from 1 to 10000".to_owned());
        let nice = self.nice.map(|value| (-20..=19).contains(&value));
        within("nice", nice, "must be a number from -20 to 19".to_owned());
        if invalid.is_empty() { Ok(()) } else { Err(invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_make_no_sense_are_named() {
        assert_eq!(JobLimits::NONE.check(), Ok(()));
        let sensible = JobLimits {
            cpu_percent: Some(150),
            memory_bytes: Some(64 << 20),
            pids: Some(100),
            io_weight: Some(10),
            nice: Some(-20),
        };
        assert_eq!(sensible.check(), Ok(()));
        let senseless = JobLimits {
            cpu_percent: Some(0),
            memory_bytes: Some(1),
            pids: Some(0),
            io_weight: Some(10_001),
            nice: Some(20),
        };
        let fields: Vec<_> = senseless.check().unwrap_err().into_iter().map(|invalid| invalid.field).collect();
        assert_eq!(fields, ["cpu_percent", "memory_bytes", "pids", "io_weight", "nice"]);
    }
}
