//! How full the disks are. `statvfs` may hang for ever on a dead device, so it never runs where anybody waits.
//!
//! Each refresh is a short-lived thread that leaves its results behind as it goes. A thread that does not come back is
//! left alone with the mount that holds it, which is not asked again; one more is started for the others.

use std::collections::HashMap;
use std::ffi::CString;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::stat::stat;
use nix::sys::statvfs::statvfs;
use protocol::heartbeat::Filesystem;
use tokio::time::Instant;

use super::mounts::{self, Mount};
use crate::host::files;

/// How often disks are asked.
const EVERY: Duration = Duration::from_secs(30);
/// How often mounts are listed.
const MOUNTS_EVERY: Duration = Duration::from_secs(60);
/// An answer that takes longer does not come.
const STUCK: Duration = Duration::from_secs(5);
/// Threads left behind at most.
const MAX_STUCK: usize = 2;
/// A figure that could not be renewed for this long is no longer shown.
const STALE: Duration = Duration::from_secs(120);
/// Largest mountinfo read.
const MAX_MOUNTINFO: usize = 4 << 20;
/// `statvfs` and a list need little of it.
const STACK: usize = 64 << 10;

/// Remembers the last figures of each mount.
#[derive(Debug, Default)]
pub(super) struct Filesystems {
    mounts: Vec<Mount>,
    mounts_read: Option<Instant>,
    asked: Option<Instant>,
    round: Option<Round>,
    stuck: Vec<Round>,
    figures: HashMap<String, Figure>,
}

/// One thread at work.
#[derive(Debug)]
struct Round {
    progress: Arc<Mutex<Progress>>,
    started: Instant,
}

#[derive(Debug, Default)]
struct Progress {
    /// The mount being asked.
    at: Option<String>,
    answers: Vec<Filesystem>,
    finished: bool,
}

#[derive(Debug)]
struct Figure {
    filesystem: Filesystem,
    renewed: Instant,
}

impl Filesystems {
    /// Takes what has been found out and asks again when it is time. Returns at once.
    pub(super) fn refresh(&mut self, now: Instant) {
        self.collect(now);
        let due = self.asked.is_none_or(|asked| now.duration_since(asked) >= EVERY);
        if !due || self.round.is_some() || self.stuck.len() > MAX_STUCK {
            return;
        }
        if self.mounts_read.is_none_or(|read| now.duration_since(read) >= MOUNTS_EVERY) {
            self.mounts = read_mounts();
            self.mounts_read = Some(now);
        }
        let held: Vec<String> = self.stuck.iter().filter_map(Round::at).collect();
        let asked: Vec<Mount> = self.mounts.iter().filter(|mount| !held.contains(&mount.point)).cloned().collect();
        self.asked = Some(now);
        self.round = Round::start(asked, now);
    }

    /// The latest figures, in the order of the mounts.
    pub(super) fn latest(&self, now: Instant) -> Vec<Filesystem> {
        let fresh = |mount: &Mount| {
            let figure = self.figures.get(&mount.point)?;
            (now.duration_since(figure.renewed) < STALE).then(|| figure.filesystem.clone())
        };
        self.mounts.iter().filter_map(fresh).collect()
    }

    fn collect(&mut self, now: Instant) {
        if let Some(round) = self.round.take() {
            for filesystem in round.take_answers() {
                self.figures.insert(filesystem.mount.clone(), Figure { filesystem, renewed: now });
            }
            if !round.is_finished() {
                if now.duration_since(round.started) < STUCK {
                    self.round = Some(round);
                } else {
                    log::warn!("the disk at {} does not answer", round.at().unwrap_or_default());
                    self.stuck.push(round);
                }
            }
        }
        self.stuck.retain(|round| !round.is_finished());
        self.figures.retain(|_, figure| now.duration_since(figure.renewed) < STALE);
    }
}

impl Round {
    fn start(mounts: Vec<Mount>, started: Instant) -> Option<Self> {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let shared = Arc::clone(&progress);
        let work = move || {
            for mount in &mounts {
                lock(&shared).at = Some(mount.point.clone());
                let answer = measure(mount);
                lock(&shared).answers.extend(answer);
            }
            let mut progress = lock(&shared);
            progress.at = None;
            progress.finished = true;
        };
        // No thread to be had: the next refresh tries again.
        thread::Builder::new().name("disks".to_owned()).stack_size(STACK).spawn(work).ok()?;
        Some(Self { progress, started })
    }

    fn take_answers(&self) -> Vec<Filesystem> {
        std::mem::take(&mut lock(&self.progress).answers)
    }

    fn is_finished(&self) -> bool {
        lock(&self.progress).finished
    }

    fn at(&self) -> Option<String> {
        lock(&self.progress).at.clone()
    }
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// PID 1 sees the machine's mounts; this process may sit in a sandbox with mounts of its own.
fn read_mounts() -> Vec<Mount> {
    let text = files::read(Path::new("/proc/1/mountinfo"), MAX_MOUNTINFO)
        .or_else(|_| files::read(Path::new("/proc/self/mountinfo"), MAX_MOUNTINFO))
        .unwrap_or_default();
    mounts::parse(&String::from_utf8_lossy(&text))
}

fn measure(mount: &Mount) -> Option<Filesystem> {
    let path = CString::new(mount.point.as_bytes()).ok()?;
    // In a sandbox another file system may lie at this path: no figure is better than a wrong one.
    if let Some((major, minor)) = mount.device {
        let device = stat(path.as_c_str()).ok()?.st_dev;
        if (u64::from(libc::major(device)), u64::from(libc::minor(device))) != (major, minor) {
            return None;
        }
    }
    let found = statvfs(path.as_c_str()).ok()?;
    let block = found.fragment_size();
    Some(Filesystem {
        mount: mount.point.clone(),
        fs: mount.fs.clone(),
        total_bytes: found.blocks().saturating_mul(block),
        used_bytes: found.blocks().saturating_sub(found.blocks_free()).saturating_mul(block),
        inodes_total: found.files(),
        inodes_used: found.files().saturating_sub(found.files_free()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(at: Option<&str>, answers: Vec<Filesystem>, finished: bool, started: Instant) -> Round {
        let progress = Progress { at: at.map(ToOwned::to_owned), answers, finished };
        Round { progress: Arc::new(Mutex::new(progress)), started }
    }

    fn mount(point: &str) -> Mount {
        Mount { point: point.to_owned(), fs: "ext4".to_owned(), device: None }
    }

    fn figures(point: &str) -> Filesystem {
        Filesystem { mount: point.to_owned(), fs: "ext4".to_owned(), ..Filesystem::default() }
    }

    #[test]
    fn a_dead_disk_is_left_out_and_the_others_go_on() {
        let start = Instant::now();
        let mut disks = Filesystems {
            mounts: vec![mount("/"), mount("/dead")],
            mounts_read: Some(start + Duration::from_secs(600)),
            asked: Some(start),
            round: Some(round(Some("/dead"), vec![figures("/")], false, start)),
            ..Filesystems::default()
        };
        disks.refresh(start + Duration::from_secs(1));
        assert_eq!(disks.latest(start).len(), 1, "what has answered is shown at once");
        assert!(disks.round.is_some());
        disks.refresh(start + STUCK + EVERY);
        assert_eq!(disks.stuck.len(), 1);
        let asked = disks.round.as_ref().expect("a new round without the dead disk");
        assert_ne!(asked.at().as_deref(), Some("/dead"));
        assert!(disks.latest(start + STALE * 2).is_empty(), "old figures are not shown for ever");
    }

    #[test]
    fn threads_left_behind_are_few() {
        let start = Instant::now();
        let mut disks = Filesystems {
            stuck: (0..=MAX_STUCK).map(|_| round(Some("/dead"), vec![], false, start)).collect(),
            ..Filesystems::default()
        };
        disks.refresh(start);
        assert!(disks.round.is_none());
    }

    #[test]
    fn the_root_of_this_machine_can_be_measured() {
        let found = measure(&mount("/")).unwrap();
        assert!(found.total_bytes > 0 && found.used_bytes <= found.total_bytes);
        assert!(measure(&mount("/nonexistent")).is_none());
        let elsewhere = Mount { device: Some((99, 99)), ..mount("/") };
        assert!(measure(&elsewhere).is_none(), "another file system at the same path is not measured");
    }
}
