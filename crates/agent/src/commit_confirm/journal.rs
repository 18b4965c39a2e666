//! The journal of changes that are not confirmed yet: one directory each, its name is its state.
//!
//! ```text
//! pending/                  root 0700
//!   .lock                   held while a change is prepared
//!   .<id>                   being saved, or being removed: nothing of it counts
//!   <id>.prepared           everything that was is saved; nothing is changed yet
//!   <id>.applying           being applied, by the holder of its `lock`
//!   <id>.applied            waits for confirmation
//!   <id>.halting            to be reverted as soon as nobody applies it any more
//!   <id>.reverting          being reverted, by the holder of its `lock`
//!   <id>.confirmed          to be removed
//!   <id>.reverted .failed   the last ones, for people: `report` says why
//!     record.json           what was, which commands follow, until when
//!     file-0 …              content of files as they were
//!     reserve               room on this disk for putting them back; given up before that
//!     lock                  number and start of the process that holds it
//!     guarded               a guard has seen the change
//!     attempts              how often reverting was begun
//! ```
//!
//! Every step is one rename(2) of the directory, made durable before the next thing happens. Of two that want to take a
//! change from one state to different ones, one finds it gone.

use std::fs::File;
use std::io::{self, Write as _};

use nix::fcntl::{Flock, FlockArg, posix_fallocate};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::JobId;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::saved::SavedFile;
use super::{Patience, Reached};
use crate::host::files::{self, Dir};
use crate::paths::Paths;
use crate::supervise::tree;
use crate::trust::check_owner;
use crate::trust::claims::ProcessId;
use crate::trust::hub_time::Moment;

const MODE: u32 = 0o600;
const MAX_RECORD: usize = 1 << 20;
const LOCK: &str = "lock";
const RECORD: &str = "record.json";
const RESERVE: &str = "reserve";
const GUARDED: &str = "guarded";
const ATTEMPTS: &str = "attempts";
const REPORT: &str = "report";
/// Changes that were reverted are kept this many, for people to look at.
const KEPT: usize = 20;

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Saved; nothing is changed.
    Prepared,
    /// Being applied.
    Applying,
    /// Waits for confirmation.
    Applied,
    /// To be reverted; somebody may still be applying it.
    Halting,
    /// Being reverted.
    Reverting,
    /// For good.
    Confirmed,
    /// Everything is as it was.
    Reverted,
    /// Reverting was given up; somebody has to look.
    Failed,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Prepared,
        Self::Applying,
        Self::Applied,
        Self::Halting,
        Self::Reverting,
        Self::Confirmed,
        Self::Reverted,
        Self::Failed,
    ];

    /// The end of the directory's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Halting => "halting",
            Self::Reverting => "reverting",
            Self::Confirmed => "confirmed",
            Self::Reverted => "reverted",
            Self::Failed => "failed",
        }
    }
}

/// What is known of a change, written once before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u16,
    /// The boot that it is made in; another one means that it was not confirmed.
    pub(super) boot_id: String,
    /// Time since boot after which it is reverted, milliseconds.
    pub(super) deadline_uptime_ms: i64,
    /// The same by the host's clock, for people.
    pub(super) deadline_ms: i64,
    pub(super) applier: ProcessId,
    pub(super) files: Vec<SavedFile>,
    /// Run after the files were written, and after they were put back.
    pub(super) after: Vec<Vec<String>>,
}

impl Record {
    /// Whether the process that made the change still lives.
    pub(super) fn is_applier_alive(&self, moment: &Moment) -> bool {
        self.boot_id == moment.boot_id && is_alive(self.applier)
    }

    /// Milliseconds until it is due; not positive: it is.
    pub(super) fn due_in_ms(&self, moment: &Moment) -> i64 {
        if self.boot_id == moment.boot_id { self.deadline_uptime_ms.saturating_sub(moment.uptime_ms) } else { 0 }
    }
}

/// The directory of pending changes.
#[derive(Debug)]
pub struct Journal {
    root: Dir,
    pub(super) patience: Patience,
    pub(super) reached: Reached,
}

/// A lock on a change, or on the journal; gone with its process.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl Journal {
    /// Opens the journal, and makes it where there is none.
    ///
    /// # Errors
    /// When it cannot be made, or somebody else than root could write it.
    pub fn open(paths: &Paths) -> io::Result<Self> {
        let path = paths.pending_dir();
        files::make_dir(&path, 0o700)?;
        let root = Dir::open(&path)?;
        check_owner(&path, &root.metadata()?).map_err(io::Error::other)?;
        Ok(Self { root, patience: Patience::default(), reached: Reached::default() })
    }

    /// The same with other bounds, and somebody who is told of every step: for tests.
    #[must_use]
    pub fn with(self, patience: Patience, reached: Reached) -> Self {
        Self { patience, reached, ..self }
    }

    /// Every change and where it stands, oldest first.
    #[must_use]
    pub fn changes(&self) -> Vec<(JobId, State)> {
        let change = |name: &str| {
            let (id, state) = name.split_once('.')?;
            Some((id.parse().ok()?, State::ALL.into_iter().find(|known| known.name() == state)?))
        };
        let entries = self.root.entries().unwrap_or_default();
        let mut changes: Vec<_> = entries.iter().filter_map(|name| change(name.to_str()?)).collect();
        changes.sort_unstable();
        changes
    }

    /// Where a change stands; `None` for one that was confirmed, or never was.
    #[must_use]
    pub fn state(&self, id: JobId) -> Option<State> {
        State::ALL.into_iter().find(|state| self.root.stat(name(id, *state)).is_ok())
    }

    pub(super) fn is(&self, id: JobId, state: State) -> bool {
        self.root.stat(name(id, state)).is_ok()
    }

    /// Takes a change from one state to another, durably; false when it was not there (any more).
    pub(super) fn step(&self, id: JobId, from: State, to: State) -> io::Result<bool> {
        match self.root.rename(name(id, from), name(id, to)) {
            Ok(()) => self.root.sync().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn dir(&self, id: JobId, state: State) -> io::Result<Dir> {
        self.root.open_dir(name(id, state))
    }

    /// Held by one who prepares, so that no two changes save the same file.
    pub(super) fn lock_all(&self) -> io::Result<Lock> {
        let file = match self.root.create(".lock", MODE) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.root.open_for_writing(".lock")?,
            other => other?,
        };
        lock_within(file, self.patience.lock).map(Lock).ok_or_else(|| {
            io::Error::new(io::ErrorKind::ResourceBusy, "another change is being prepared; try again in a moment")
        })
    }

    /// A new directory for a change that is being saved, locked by this process.
    pub(super) fn begin(&self, id: JobId) -> io::Result<(Dir, Lock)> {
        if self.state(id).is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there is a change {id} already")));
        }
        let dir = self.root.make_dir(format!(".{id}"), 0o700)?;
        let lock = Lock(lock(dir.create(LOCK, MODE)?)?.ok_or(io::ErrorKind::ResourceBusy)?);
        Ok((dir, lock))
    }

    /// Gives a saved change its name.
    pub(super) fn prepared(&self, id: JobId) -> io::Result<()> {
        self.root.rename(format!(".{id}"), name(id, State::Prepared))?;
        self.root.sync()
    }

    /// Removes a change in this state, in a way that half of it never counts.
    pub(super) fn remove(&self, id: JobId, state: State) -> io::Result<()> {
        self.root.rename(name(id, state), format!(".{id}"))?;
        self.discard(id)
    }

    pub(super) fn discard(&self, id: JobId) -> io::Result<()> {
        match self.root.remove_flat_dir(format!(".{id}")) {
            // Somebody who tidies up was faster.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what was begun by processes that are dead, and old reports.
    pub(super) fn tidy(&self) {
        for entry in self.root.entries().unwrap_or_default() {
            let id = entry.to_str().and_then(|name| name.strip_prefix('.')?.parse::<JobId>().ok());
            let Some(id) = id else { continue };
            let held = self.root.open_dir(&entry).and_then(|dir| dir.open_for_writing(LOCK)).and_then(lock);
            if !matches!(held, Ok(None)) {
                let _ = self.discard(id);
            }
        }
        let old = self.changes().into_iter().filter(|(_, state)| matches!(state, State::Reverted | State::Failed));
        for (id, state) in old.rev().skip(KEPT) {
            let _ = self.remove(id, state);
        }
    }

    /// Takes the lock of a change. A holder that is stopped, or that is told to halt and does not, is killed: it would go
    /// on where it was. `None`: somebody is at work on it.
    pub(super) fn take(&self, id: JobId, dir: &Dir, must_halt: bool) -> io::Result<Option<Lock>> {
        let (begun, mut killed_at) = (Instant::now(), None);
        loop {
            if let Some(mut held) = lock(dir.open_for_writing(LOCK)?)? {
                held.set_len(0)?;
                held.write_all(&serde_json::to_vec(&own_process())?)?;
                return Ok(Some(Lock(held)));
            }
            let now = Instant::now();
            let is_late = now >= begun + self.patience.lock;
            let holder = holder(dir).filter(|holder| is_alive(*holder));
            match (killed_at, holder) {
                (None, Some(holder)) if is_stopped(holder) || (is_late && must_halt) => {
                    log::warn!("change {id}: process {} holds it and does not go on; it is killed", holder.pid);
                    // It may be ending by itself just now.
                    let _ = kill(Pid::from_raw(holder.pid), Signal::SIGKILL);
                    killed_at = Some(now);
                }
                (None, _) if is_late => return Ok(None),
                (Some(at), _) if now >= at + self.patience.lock => return Ok(None),
                _ => {}
            }
            std::thread::sleep(self.patience.poll);
        }
    }
}

pub(super) fn write_record(dir: &Dir, record: &Record) -> io::Result<()> {
    dir.write_atomic(RECORD, &serde_json::to_vec(record)?, MODE)
}

pub(super) fn record(dir: &Dir) -> io::Result<Record> {
    Ok(serde_json::from_slice(&dir.read(RECORD, MAX_RECORD)?)?)
}

/// Takes room for putting everything back.
pub(super) fn reserve(dir: &Dir, bytes: u64) -> io::Result<()> {
    let file = dir.create(RESERVE, MODE)?;
    posix_fallocate(&file, 0, i64::try_from(bytes).unwrap_or(i64::MAX))?;
    Ok(())
}

pub(super) fn give_up_reserve(dir: &Dir) {
    // Given up by an earlier attempt.
    let _ = dir.remove(RESERVE);
}

pub(super) fn write_holder(dir: &Dir) -> io::Result<()> {
    dir.open_for_writing(LOCK)?.write_all(&serde_json::to_vec(&own_process())?)
}

pub(super) fn mark_guarded(dir: &Dir) {
    // It may be marked already.
    let _ = dir.create(GUARDED, MODE);
}

pub(super) fn is_guarded(dir: &Dir) -> bool {
    dir.stat(GUARDED).is_ok()
}

/// Counts another attempt.
pub(super) fn attempt(dir: &Dir) -> u32 {
    let before = dir.read(ATTEMPTS, 16).ok().and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
    let attempt = before.unwrap_or(0_u32).saturating_add(1);
    // On a full disk it is not counted; the one who tries counts too.
    let _ = dir.write_atomic(ATTEMPTS, attempt.to_string().as_bytes(), MODE);
    attempt
}

pub(super) fn forget_attempts(dir: &Dir) {
    let _ = dir.remove(ATTEMPTS);
}

pub(super) fn write_report(dir: &Dir, text: &str) {
    if let Err(error) = dir.write_atomic(REPORT, text.as_bytes(), MODE) {
        log::warn!("the report of a reverted change cannot be kept: {error}");
    }
}

/// Why a change was reverted, and how that went.
#[must_use]
pub(super) fn report(dir: &Dir) -> String {
    String::from_utf8_lossy(&dir.read(REPORT, MAX_RECORD).unwrap_or_default()).into_owned()
}

pub(super) fn own_process() -> ProcessId {
    let pid = nix::unistd::getpid().as_raw();
    tree::find(pid).map_or(ProcessId { pid, started: 0 }, |process| process.id)
}

fn name(id: JobId, state: State) -> String {
    format!("{id}.{}", state.name())
}

fn lock(file: File) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(held)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

fn lock_within(mut file: File, patience: std::time::Duration) -> Option<Flock<File>> {
    let until = Instant::now() + patience;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => return Some(held),
            Err((same, _)) => file = same,
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn holder(dir: &Dir) -> Option<ProcessId> {
    serde_json::from_slice(&dir.read(LOCK, 256).ok()?).ok()
}

fn is_alive(process: ProcessId) -> bool {
    tree::find(process.pid).is_some_and(|found| found.id == process && !found.is_zombie)
}

/// Stopped by a signal or a debugger: it holds what it holds until somebody lets it go on.
fn is_stopped(process: ProcessId) -> bool {
    let path = format!("/proc/{}/stat", process.pid);
    let stat = files::read(path.as_ref(), 4 << 10).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let state = stat.rsplit_once(')').and_then(|(_, tail)| tail.trim_start().chars().next());
    is_alive(process) && matches!(state, Some('T' | 't'))
}
