//! Claims: which jobs were ever accepted here. A job runs at most once because its claim is made once.
//!
//! ```text
//! claims/<job id>        the signed order as evidence (with its secret variables: 0600, root's), start time and boot;
//!                        locked while its worker lives
//! claims/<job id>.tree   processes of the job, where no unit of systemd holds them together
//! claims/<job id>.end    how it ended, for as long as the order could come again
//! ```

use std::fs::File;
use std::io::{self, Write as _};

use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::unistd::linkat;
use protocol::JobId;
use protocol::job::{Cmd, SpoolState};
use serde::{Deserialize, Serialize};

use super::{TrustError, check_owner};
use crate::host::files::{self, Dir};
use crate::paths::Paths;

const MODE: u32 = 0o600;
const MAX_FILE: usize = 4 * protocol::MAX_TEXT_FRAME;
/// Kept longer than any clock is likely to be wrong.
const SAFETY_MS: i64 = 24 * 3_600_000;
const TREE: &str = ".tree";
const END: &str = ".end";

/// What is written when a job is claimed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The job.
    pub job_id: JobId,
    /// The order as the hub signed it.
    pub order: Cmd,
    /// When the order expires, hub's clock.
    pub expires_at_ms: i64,
    /// When it was claimed, host's clock.
    pub started_at_ms: i64,
    /// In which boot.
    pub boot_id: String,
}

/// A process that cannot be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number, which is given out again.
    pub pid: i32,
    /// Clock ticks after the start of the machine when it began.
    pub started: u64,
}

/// How a claimed job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimEnd {
    /// The state it ended in.
    pub state: SpoolState,
    /// Length of its log.
    pub next_offset: u64,
}

/// The directory of claims.
#[derive(Debug)]
pub struct Claims {
    dir: Dir,
}

/// Holds a claim while its job runs.
#[derive(Debug)]
pub struct Held(Flock<File>);

/// What became of an attempt to claim.
#[derive(Debug)]
pub enum ClaimOutcome {
    /// This worker runs the job, and no other ever will.
    Claimed(Held),
    /// It was claimed before.
    Taken,
}

impl Claims {
    /// Opens the directory, if it is root's alone.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn open(paths: &Paths) -> Result<Self, TrustError> {
        let path = paths.claims_dir();
        let unreadable = |source| TrustError::Unreadable { path: path.display().to_string(), source };
        let dir = Dir::open(&path).map_err(unreadable)?;
        check_owner(&path, &dir.metadata().map_err(unreadable)?)?;
        Ok(Self { dir })
    }

    /// Claims a job. Nothing of it may run before [`Claims::make_durable`].
    ///
    /// # Errors
    /// When the disk is full or fails. The job is then not claimed.
    pub fn claim(&self, claim: &Claim) -> io::Result<ClaimOutcome> {
        let name = claim.job_id.to_string();
        if self.contains(claim.job_id) {
            return Ok(ClaimOutcome::Taken);
        }
        // Whoever sees the name sees all of the content, and the lock.
        let unnamed = format!(".{name}.{}", std::process::id());
        let _ = self.dir.remove(&unnamed);
        let file = self.dir.create(&unnamed, MODE)?;
        let made = self.make(file, claim, &unnamed, &name);
        let _ = self.dir.remove(&unnamed);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(ClaimOutcome::Taken),
            other => other.map(|held| ClaimOutcome::Claimed(Held(held))),
        }
    }

    /// Brings a claim onto the disk, name and content.
    ///
    /// # Errors
    /// When the disk fails; then the claim has to be withdrawn.
    pub fn make_durable(&self, held: &Held) -> io::Result<()> {
        held.0.sync_all()?;
        self.dir.sync()
    }

    /// Whether a job was ever claimed here.
    #[must_use]
    pub fn contains(&self, job_id: JobId) -> bool {
        self.dir.stat(job_id.to_string()).is_ok()
    }

    fn make(&self, file: File, claim: &Claim, unnamed: &str, name: &str) -> io::Result<Flock<File>> {
        let mut locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
        locked.write_all(&serde_json::to_vec(claim)?)?;
        linkat(&self.dir, unnamed, &self.dir, name, AtFlags::empty())?;
        Ok(locked)
    }

    /// Takes a claim back, for a job that could not even be begun.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn withdraw(&self, job_id: JobId) -> io::Result<()> {
        self.dir.remove(job_id.to_string())
    }

    /// A job's claim; `None` when there is none that can be read.
    #[must_use]
    pub fn get(&self, job_id: JobId) -> Option<Claim> {
        serde_json::from_slice(&self.dir.read(job_id.to_string(), MAX_FILE).ok()?).ok()
    }

    /// Whether the worker that made the claim lives.
    #[must_use]
    pub fn is_alive(&self, job_id: JobId) -> bool {
        let file = self.dir.open_file(job_id.to_string());
        file.is_ok_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
    }

    /// When a job was claimed, by the file system; `None` when it was not, or that is forgotten.
    #[must_use]
    pub fn claimed_at_ms(&self, job_id: JobId) -> Option<i64> {
        self.dir.stat(job_id.to_string()).ok().map(|stat| files::changed_at_ms(&stat))
    }

    /// Every claimed job.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobId> {
        let entries = self.dir.entries().unwrap_or_default();
        entries.iter().filter_map(|name| name.to_str()?.parse().ok()).collect()
    }

    /// Notes how a job ended. Not durably: without it the spool says so.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn note_end(&self, job_id: JobId, end: ClaimEnd) -> io::Result<()> {
        self.note(&format!("{job_id}{END}"), &end)
    }

    /// How a job ended, as far as was noted.
    #[must_use]
    pub fn end(&self, job_id: JobId) -> Option<ClaimEnd> {
        self.noted(&format!("{job_id}{END}"))
    }

    /// Notes which processes belong to a job.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn note_tree(&self, job_id: JobId, tree: &[ProcessId]) -> io::Result<()> {
        self.note(&format!("{job_id}{TREE}"), &tree)
    }

    /// The processes that were last known to belong to a job.
    #[must_use]
    pub fn tree(&self, job_id: JobId) -> Vec<ProcessId> {
        self.noted(&format!("{job_id}{TREE}")).unwrap_or_default()
    }

    /// Drops what only mattered while the job ran.
    pub fn forget_tree(&self, job_id: JobId) {
        // It is not there for jobs in a unit of their own.
        let _ = self.dir.remove(format!("{job_id}{TREE}"));
    }

    /// Forgets claims whose orders are past expiry for each of `clocks`, by a day. Returns how many.
    pub fn purge(&self, clocks: &[i64]) -> u32 {
        let mut purged = 0;
        for job_id in self.jobs() {
            let expired = self
                .get(job_id)
                .is_some_and(|claim| clocks.iter().all(|&now| now > claim.expires_at_ms.saturating_add(SAFETY_MS)));
            if expired && !self.is_alive(job_id) && self.withdraw(job_id).is_ok() {
                self.forget_tree(job_id);
                let _ = self.dir.remove(format!("{job_id}{END}"));
                purged += 1;
            }
        }
        purged
    }

    fn note(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        let unnamed = format!(".{name}.{}", std::process::id());
        let _ = self.dir.remove(&unnamed);
        self.dir.create(&unnamed, MODE)?.write_all(&serde_json::to_vec(content)?)?;
        self.dir.rename(&unnamed, name)
    }

    fn noted<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&files::read_file(&self.dir.open_file(name).ok()?, MAX_FILE).ok()?).ok()
    }
}
