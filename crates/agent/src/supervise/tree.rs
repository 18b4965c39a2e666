//! The processes of a job. The worker is their subreaper, so none can leave the tree that starts at it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::files;
use crate::trust::claims::ProcessId;

const MAX_STAT: usize = 4 << 10;

/// A process, as /proc shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Number and start: the same process.
    pub id: ProcessId,
    /// Who is told of its end.
    pub parent: i32,
    /// Its session.
    pub session: i32,
    /// Its short name.
    pub name: String,
    /// Ended, and waiting for its parent to notice.
    pub is_zombie: bool,
}

impl Process {
    /// Sends a signal. That it has ended meanwhile is no failure.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.id.pid), signal);
    }
}

/// Every process of the machine.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(find).collect()
}

/// One process.
#[must_use]
pub fn find(pid: i32) -> Option<Process> {
    let stat = files::read(Path::new(&format!("/proc/{pid}/stat")), MAX_STAT).ok()?;
    parse_stat(&String::from_utf8_lossy(&stat))
}

/// Children, grandchildren and so on of `roots`, without them.
#[must_use]
pub fn descendants(processes: Vec<Process>, roots: impl IntoIterator<Item = i32>) -> Vec<Process> {
    let mut by_parent: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in processes {
        by_parent.entry(process.parent).or_default().push(process);
    }
    let mut parents: Vec<i32> = roots.into_iter().collect();
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        // Taken out, so that numbers that are given out again while /proc is read cannot make a circle.
        for process in by_parent.remove(&parent).unwrap_or_default() {
            parents.push(process.id.pid);
            found.push(process);
        }
    }
    found
}

/// The living processes of this worker's job.
#[must_use]
pub fn own() -> Vec<Process> {
    let me = nix::unistd::getpid().as_raw();
    descendants(all(), [me]).into_iter().filter(|process| !process.is_zombie).collect()
}

/// Asks processes to end. A stopped process hears it only once it goes on.
pub fn terminate(processes: &[Process]) {
    for process in processes {
        process.signal(Signal::SIGTERM);
        process.signal(Signal::SIGCONT);
    }
}

/// Processes that a dead worker's job left behind: those noted, those of the job's session, those that carry `marker` in
/// their environment, and all their descendants.
#[must_use]
pub fn orphans(noted: &[ProcessId], marker: &str) -> Vec<Process> {
    let processes = all();
    // The main process leads the session and is noted first.
    let is_own = |process: &Process| {
        let of_session =
            noted.first().is_some_and(|main| process.session == main.pid && process.id.started >= main.started);
        noted.contains(&process.id) || of_session || has_marker(process.id.pid, marker)
    };
    let mut own: Vec<Process> = processes.iter().filter(|process| is_own(process)).cloned().collect();
    let roots: Vec<i32> = own.iter().map(|process| process.id.pid).collect();
    own.extend(descendants(processes, roots));
    let me = nix::unistd::getpid().as_raw();
    let mut seen = BTreeSet::new();
    own.retain(|process| !process.is_zombie && process.id.pid != me && process.id.pid != 1 && seen.insert(process.id));
    own
}

fn has_marker(pid: i32, marker: &str) -> bool {
    let environment = files::read(Path::new(&format!("/proc/{pid}/environ")), 1 << 20).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|variable| variable == marker.as_bytes())
}

/// `pid (name) state parent group session … start …`; the name may hold anything, also `)`.
fn parse_stat(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (pid, name) = head.split_once('(')?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    Some(Process {
        id: ProcessId { pid: pid.trim().parse().ok()?, started },
        parent,
        session,
        name: name.to_owned(),
        is_zombie: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b (c)) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 12 34";

    #[test]
    fn names_may_hold_anything() {
        let process = parse_stat(STAT).unwrap();
        assert_eq!((process.id.pid, process.parent, process.session), (42, 7, 40));
        assert_eq!((process.name.as_str(), process.id.started), ("a) b (c)", 987_654));
        for bad in ["", "1", "1 (x)", "1 (x) S 1", "x (x) S 7 42 40 0 -1 1 1 2 3 4 5 6 7 8 20 0 1 0 9"] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
    }

    #[test]
    fn descendants_are_found_through_every_generation() {
        let process = |pid, parent| Process { id: ProcessId { pid, started: 1 }, parent, ..parse_stat(STAT).unwrap() };
        let processes = vec![process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(6, 9), process(9, 6)];
        let pids = |roots: &[i32]| {
            let found = descendants(processes.clone(), roots.iter().copied());
            found.into_iter().map(|process| process.id.pid).collect::<BTreeSet<_>>()
        };
        assert_eq!(pids(&[1]), BTreeSet::from([2, 3, 4, 5]));
        assert_eq!(pids(&[3]), BTreeSet::from([4]));
        assert_eq!(pids(&[6]), BTreeSet::from([6, 9]), "a circle ends");
    }

    #[test]
    fn this_process_is_there() {
        let me = nix::unistd::getpid().as_raw();
        let parent = nix::unistd::getppid().as_raw();
        assert_eq!(find(me).map(|process| process.parent), Some(parent));
        assert!(descendants(all(), [parent]).iter().any(|process| process.id.pid == me));
    }
}
