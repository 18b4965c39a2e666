//! The control groups of one machine. Without its own, every systemd-nspawn below the same parent uses one `payload`: each
//! machine's systemd then removes groups that another's needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context as _, Result};

use super::until;

/// Where hierarchies are mounted: version 2 beside version 1, systemd's own of version 1, version 2 alone.
const MOUNTS: [&str; 3] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"];

/// A group in each hierarchy; dropping it removes them with whatever is below.
#[derive(Debug)]
pub(super) struct Cgroups(pub(super) Vec<PathBuf>);

impl Cgroups {
    /// Makes them. What an earlier machine of this name left is no concern: its systemd is gone.
    pub(super) fn new(name: &str) -> Result<Self> {
        let mut made = Self(Vec::new());
        for mount in MOUNTS.map(Path::new).into_iter().filter(|mount| mount.join("cgroup.procs").exists()) {
            let group = mount.join(format!("roadstead-{name}"));
            fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
            made.0.push(group);
        }
        Ok(made)
    }

    /// A command that runs `program` in them from its first moment on: add its arguments.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-ec", "for group in $GROUPS_OF_MACHINE; do echo 0 >$group/cgroup.procs; done; exec \"$0\" \"$@\""]);
        let groups = self.0.iter().map(|group| group.display().to_string()).collect::<Vec<_>>();
        command.env("GROUPS_OF_MACHINE", groups.join(" ")).arg(program);
        command
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for group in &self.0 {
            // A process that is still ending holds its group for a moment.
            let _held = until("its control groups are gone", Duration::from_secs(5), || {
                remove(group).is_ok() || !group.exists()
            });
        }
    }
}

/// Groups cannot be emptied, only removed from the leaves up.
fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
