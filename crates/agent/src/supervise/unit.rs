//! The unit of systemd that a worker runs in, as the worker itself can see it.

use std::path::{Path, PathBuf};

use crate::host::files::{self, Dir};

/// systemd leaves what is below these units alone (`Delegate=yes`).
pub const UNIT_PREFIX: &str = "roadstead-work@";
const UNIT_SUFFIX: &str = ".service";
const MAX_FILE: usize = 1 << 20;

/// A worker's own unit.
#[derive(Debug)]
pub struct Unit {
    name: String,
    dir: Option<Dir>,
    /// Controllers of the older kind of cgroups that hold this unit.
    older: Vec<String>,
}

impl Unit {
    /// The unit of this process; `None` where it has none of its own.
    #[must_use]
    pub fn own() -> Option<Self> {
        let cgroups = text("/proc/self/cgroup")?;
        let name = name_in(&cgroups)?;
        let dir = text("/proc/self/mountinfo").and_then(|mounts| Dir::open(&directory(&cgroups, &mounts)?).ok());
        Some(Self { older: older_controllers(&cgroups), name, dir })
    }

    /// Its name, `roadstead-work@….service`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the kernel enforces what systemd sets for `controller`.
    #[must_use]
    pub fn has_controller(&self, controller: &str) -> bool {
        let controllers = self.dir.as_ref().and_then(|dir| dir.read("cgroup.controllers", MAX_FILE).ok());
        let controllers = String::from_utf8_lossy(&controllers.unwrap_or_default()).into_owned();
        let older = if controller == "io" { "blkio" } else { controller };
        controllers.split_ascii_whitespace().any(|name| name == controller)
            || self.older.iter().any(|name| name == older)
    }

    /// Processes in it and below that the kernel has killed for want of memory, as far as it counts them.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        self.dir.as_ref().map_or(0, oom_kills)
    }
}

/// The directory of the version 2 cgroup that this process is in, if it is a worker's unit.
#[must_use]
pub(super) fn own_directory() -> Option<PathBuf> {
    let (cgroups, mounts) = (text("/proc/self/cgroup")?, text("/proc/self/mountinfo")?);
    directory(&cgroups, &mounts)
}

fn text(path: &str) -> Option<String> {
    files::read(Path::new(path), MAX_FILE).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok()
}

/// `hierarchy:controllers:path`; the last part of the path is the unit.
fn name_in(cgroups: &str) -> Option<String> {
    let unit = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let is_systemds = controllers.is_empty() || controllers == "name=systemd";
        let name = path.rsplit('/').next()?;
        (is_systemds && is_unit(name)).then(|| name.to_owned())
    };
    cgroups.lines().find_map(unit)
}

fn is_unit(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@-_.:\\".contains(&byte);
    name.starts_with(UNIT_PREFIX) && name.ends_with(UNIT_SUFFIX) && name.bytes().all(plain)
}

fn older_controllers(cgroups: &str) -> Vec<String> {
    let of_unit = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        is_unit(path.rsplit('/').next()?).then(|| controllers.to_owned())
    };
    let named = cgroups.lines().filter_map(of_unit);
    named.flat_map(|names| names.split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn directory(cgroups: &str, mounts: &str) -> Option<PathBuf> {
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

/// `oom_kill 3` in `memory.events`.
fn oom_kills(dir: &Dir) -> u64 {
    let events = dir.read("memory.events", MAX_FILE).unwrap_or_default();
    let events = String::from_utf8_lossy(&events);
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        23 1 0:21 / /proc rw - proc proc rw\n\
        31 23 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const PATH: &str = "/roadstead.slice/roadstead-jobs.slice/roadstead-work@7-1.service";

    #[test]
    fn only_a_workers_own_unit_counts() {
        let cgroups = format!("1:cpu:/\n0::{PATH}\n");
        assert_eq!(directory(&cgroups, MOUNTS), Some(PathBuf::from(format!("/sys/fs/cgroup/unified{PATH}"))));
        assert_eq!(name_in(&cgroups).as_deref(), Some("roadstead-work@7-1.service"));
        for other in ["0::/user.slice/session-1.scope\n", "0::/\n", "1:cpu:/\n", ""] {
            assert_eq!((directory(other, MOUNTS), name_in(other)), (None, None), "{other}");
        }
        assert_eq!(directory(&cgroups, "23 1 0:21 / /proc rw - proc proc rw\n"), None);
        // Where only the older kind of cgroups is there, the unit still has a name.
        assert_eq!(
            name_in(&format!("4:memory:{PATH}\n1:name=systemd:{PATH}\n")).as_deref(),
            Some("roadstead-work@7-1.service")
        );
        assert_eq!(name_in(&format!("4:memory:{PATH}\n")), None);
        assert_eq!(name_in("0::/roadstead-work@1 --force.service\n"), None, "never an argument of another meaning");
    }

    #[test]
    fn controllers_of_both_kinds_of_cgroups_are_known() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        dir.write_atomic("cgroup.controllers", b"cpu memory pids\n", 0o644).unwrap();
        let older = older_controllers(&format!("9:cpu,cpuacct:{PATH}\n8:blkio:{PATH}\n7:pids:/\n0::{PATH}\n"));
        let unit = Unit { name: "roadstead-work@1.service".to_owned(), dir: Some(dir), older };
        assert_eq!(["cpu", "memory", "pids", "io"].map(|name| unit.has_controller(name)), [true; 4]);
        let unit = Unit { dir: None, ..unit };
        assert_eq!(["cpu", "memory", "pids", "io"].map(|name| unit.has_controller(name)), [true, false, false, true]);
    }

    #[test]
    fn kills_for_want_of_memory_are_counted() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        assert_eq!(oom_kills(&dir), 0);
        dir.write_atomic("memory.events", b"low 0\nhigh 0\nmax 17\noom 2\noom_kill 3\noom_group_kill 1\n", 0o644)
            .unwrap();
        assert_eq!(oom_kills(&dir), 3);
    }
}
