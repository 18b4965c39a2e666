//! A cgroup that holds only the job, below the worker's own unit: it can be killed in one stroke, forks and all.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};

use super::unit;
use crate::host::files::Dir;

const NAME: &str = "job";

/// The job's own cgroup.
#[derive(Debug)]
pub struct JobCgroup {
    unit: Dir,
    job: Dir,
}

impl JobCgroup {
    /// Makes it, where this worker runs in a unit of its own and the kernel can kill a cgroup.
    #[must_use]
    pub fn make() -> Option<Self> {
        let unit = Dir::open(&unit::own_directory()?).ok()?;
        let job = unit.make_dir(NAME, 0o755).ok()?;
        let made = Self { unit, job };
        made.job.stat("cgroup.kill").is_ok().then_some(made)
    }

    /// The cgroup, to be born in.
    #[must_use]
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.job.as_fd()
    }

    /// Kills everything in it and below.
    pub fn kill(&self) {
        // A failure leaves the processes to the scan that follows.
        let _ = self.job.open_for_writing("cgroup.kill").and_then(|mut file| file.write_all(b"1"));
    }
}

impl Drop for JobCgroup {
    fn drop(&mut self) {
        // Not empty when the job made groups of its own; systemd removes them with the unit.
        let _ = self.unit.remove_dir(NAME);
    }
}
