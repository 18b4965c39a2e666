//! A cgroup that holds only the job, below the worker's own unit: it can be killed in one stroke, forks and all.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crate::host::files::{self, Dir};

/// systemd leaves what is below these units alone (`Delegate=yes`).
const UNIT_PREFIX: &str = "roadstead-work@";
const NAME: &str = "job";
const MAX_FILE: usize = 1 << 20;

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
        let text = |path: &str| {
            files::read(Path::new(path), MAX_FILE).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let unit = unit_dir(&text("/proc/self/cgroup").ok()?, &text("/proc/self/mountinfo").ok()?)?;
        let unit = Dir::open(&unit).ok()?;
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

/// The directory of the version 2 cgroup that this process is in, if it is a worker's unit.
fn unit_dir(cgroups: &str, mounts: &str) -> Option<PathBuf> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    if !path.rsplit('/').next()?.starts_with(UNIT_PREFIX) {
        return None;
    }
    // "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
    let mount = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        (right.starts_with("cgroup2 ") && root == "/").then_some(mount_point)
    })?;
    Some(Path::new(mount).join(path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        23 1 0:21 / /proc rw - proc proc rw\n\
        31 23 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn only_a_workers_own_unit_counts() {
        let unit = "/roadstead.slice/roadstead-jobs.slice/roadstead-work@7-1.service";
        let cgroups = format!("1:cpu:/\n0::{unit}\n");
        assert_eq!(unit_dir(&cgroups, MOUNTS), Some(PathBuf::from(format!("/sys/fs/cgroup/unified{unit}"))));
        assert_eq!(unit_dir("0::/user.slice/session-1.scope\n", MOUNTS), None);
        assert_eq!(unit_dir("0::/\n", MOUNTS), None);
        assert_eq!(unit_dir("1:cpu:/\n", MOUNTS), None);
        assert_eq!(unit_dir(&cgroups, "23 1 0:21 / /proc rw - proc proc rw\n"), None);
    }
}
