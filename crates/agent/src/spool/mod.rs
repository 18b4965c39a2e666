//! The spool: logs and ends of jobs, from the worker that writes them until the hub has them.
//!
//! Workers write with [`writer::SpoolWriter`]; the relay reads with [`Spool`] and frees what the hub acknowledged. What
//! lies here is a record, never a decision: which job may run is decided by claims, which the relay cannot write.

pub mod format;
pub mod limits;
pub mod reader;
pub mod writer;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use protocol::JobId;
use protocol::job::{EndState, JobDone, JobError, SpoolState};
use protocol::session::HelloJob;

pub use format::Meta;
pub use limits::Limits;
pub use reader::{Chunk, LogReader};

use crate::host::files::{Dir, changed_at_ms};
use format::{ACKED, END, End, MAX_RECORD, META};

/// Jobs whose log stays for local inspection after the hub has all of it.
const KEPT_JOBS: usize = 50;

/// The spool as the relay sees it.
#[derive(Debug)]
pub struct Spool {
    dir: Dir,
    boot_id: String,
    /// Acknowledged jobs whose log is still here, once that was looked up.
    kept: Mutex<Option<BTreeSet<JobId>>>,
}

/// A job in the spool.
#[derive(Debug, Clone, PartialEq)]
pub struct SpooledJob {
    /// The job.
    pub job_id: JobId,
    /// Bytes of log that are in the spool or were there. After a crash of the machine the hub may have more.
    pub next_offset: u64,
    /// When it was claimed, host's clock, Unix milliseconds.
    pub started_at_ms: i64,
    /// Whether it runs, and how it ended.
    pub phase: Phase,
}

/// Where a job is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Its worker lives.
    Running,
    /// It has ended; for a job whose worker was killed or whose machine went down, this says so.
    Ended(JobDone),
}

impl SpooledJob {
    /// Its state on the wire.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        match &self.phase {
            Phase::Running => SpoolState::Running,
            Phase::Ended(done) => done.state.into(),
        }
    }

    /// Its entry in `hello`.
    #[must_use]
    pub fn hello(&self) -> HelloJob {
        HelloJob { job_id: self.job_id, state: self.state(), next_offset: self.next_offset }
    }
}

impl Spool {
    /// Opens the spool. `boot_id` is the running kernel's: a job of another boot that has no end was interrupted.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn open(path: &Path, boot_id: impl Into<String>) -> io::Result<Self> {
        Ok(Self { dir: Dir::open(path)?, boot_id: boot_id.into(), kept: Mutex::default() })
    }

    /// Corrects the running kernel's id, once a worker has said what it is.
    pub fn set_boot_id(&mut self, boot_id: impl Into<String>) {
        self.boot_id = boot_id.into();
    }

    /// Every job that the hub does not have completely, the oldest first. What cannot be read is passed over.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn jobs(&self) -> io::Result<Vec<SpooledJob>> {
        let ids = self.job_ids()?;
        let waiting = ids.into_iter().filter(|id| !self.is_acknowledged(*id));
        let mut jobs: Vec<_> = waiting.filter_map(|id| self.job(id).ok().flatten()).collect();
        jobs.sort_by_key(|job| (job.started_at_ms, job.job_id));
        Ok(jobs)
    }

    /// One job; `None` when the spool does not know it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn job(&self, job_id: JobId) -> io::Result<Option<SpooledJob>> {
        let Some(dir) = self.open_job(job_id)? else { return Ok(None) };
        let meta_file = match dir.open_file(META) {
            // Its worker is just making it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let meta: Meta = serde_json::from_slice(&crate::host::files::read_file(&meta_file, MAX_RECORD)?)?;
        let alive = Flock::lock(meta_file, FlockArg::LockSharedNonblock).is_err();
        let written = reader::written_end(&dir)?;
        let phase = if alive { Phase::Running } else { Phase::Ended(self.end(&dir, &meta, written)) };
        let next_offset = match &phase {
            Phase::Ended(done) => done.next_offset,
            Phase::Running => written.map_or(0, |(offset, _)| offset),
        };
        Ok(Some(SpooledJob { job_id, next_offset, started_at_ms: meta.started_at_ms, phase }))
    }

    /// Whether the worker of a job lives; cheaper than [`Spool::job`].
    ///
    /// # Errors
    /// When the spool does not have the job.
    pub fn is_running(&self, job_id: JobId) -> io::Result<bool> {
        let meta_file = self.dir.open_dir(job_id.to_string())?.open_file(META)?;
        Ok(Flock::lock(meta_file, FlockArg::LockSharedNonblock).is_err())
    }

    /// When a job's place was made, by the file system; `None` where there is none (any more).
    #[must_use]
    pub fn made_at_ms(&self, job_id: JobId) -> Option<i64> {
        let stat = self.dir.open_dir(job_id.to_string()).ok()?.stat(META).ok()?;
        Some(changed_at_ms(&stat))
    }

    /// Where what is still here of a job's log begins; `None` when nothing is.
    ///
    /// # Errors
    /// When the spool does not have the job.
    pub fn log_start(&self, job_id: JobId) -> io::Result<Option<u64>> {
        Ok(reader::segments(&self.dir.open_dir(job_id.to_string())?)?.first().copied())
    }

    /// Reads a job's log from `offset` on.
    ///
    /// # Errors
    /// When the spool does not have the job.
    pub fn reader(&self, job_id: JobId, offset: u64) -> io::Result<LogReader> {
        Ok(LogReader::new(self.dir.open_dir(job_id.to_string())?, offset))
    }

    /// Frees what lies before `offset`, which the hub has. Space comes back segment by segment; the last one stays.
    ///
    /// # Errors
    /// When the spool cannot be written.
    pub fn free(&self, job_id: JobId, offset: u64) -> io::Result<()> {
        let Some(dir) = self.open_job(job_id)? else { return Ok(()) };
        let starts = reader::segments(&dir)?;
        for (start, next) in starts.iter().zip(starts.iter().skip(1)) {
            if *next <= offset {
                dir.remove(format::segment_name(*start))?;
            }
        }
        Ok(())
    }

    /// The hub has everything of this job. The end of its log stays for local inspection as long as it is among the last
    /// 50. Its worker's claim, which keeps it from running again, is not touched by this.
    ///
    /// # Errors
    /// When the spool cannot be written.
    pub fn forget(&self, job_id: JobId) -> io::Result<()> {
        let Some(dir) = self.open_job(job_id)? else { return Ok(()) };
        self.free(job_id, u64::MAX)?;
        match dir.create(ACKED, 0o640) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map(drop)?,
        }
        self.prune(job_id)
    }

    /// Records what the absence of an end means, for a job whose worker is dead: what is lost today must not be called
    /// interrupted after the next start of the machine. Workers do this; nothing changes for a job that runs or has ended.
    ///
    /// # Errors
    /// When the spool cannot be written.
    pub fn settle(&self, job_id: JobId) -> io::Result<()> {
        let (Some(dir), Some(job)) = (self.open_job(job_id)?, self.job(job_id)?) else { return Ok(()) };
        match job.phase {
            Phase::Ended(done) if reader::read_end(&dir).is_none() => {
                dir.write_atomic(END, &serde_json::to_vec(&End { done, lost_bytes: 0 })?, 0o640)
            }
            _ => Ok(()),
        }
    }

    /// Bytes of log that the hub does not have yet.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        limits::unacknowledged_bytes(&self.dir)
    }

    /// Ids of version 7 sort by time: the last 50 are the newest.
    fn prune(&self, acknowledged: JobId) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match &mut *kept {
            Some(kept) => kept,
            // Looked up once only: this directory may hold thousands of empty places until the next sweep.
            None => kept.insert(self.job_ids()?.into_iter().filter(|id| self.is_acknowledged(*id)).collect()),
        };
        kept.insert(acknowledged);
        while kept.len() > KEPT_JOBS
            && let Some(job_id) = kept.pop_first()
        {
            let Some(dir) = self.open_job(job_id)? else { continue };
            for entry in dir.entries()? {
                dir.remove(&entry)?;
            }
            // An installed relay may not do this; a sweep removes what is empty.
            let _ = self.dir.remove_dir(job_id.to_string());
        }
        Ok(())
    }

    /// Every job that has a place here, also an empty one, in no order.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn job_ids(&self) -> io::Result<Vec<JobId>> {
        Ok(self.dir.entries()?.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
    }

    /// Whether the hub has everything of a job.
    #[must_use]
    pub fn is_acknowledged(&self, job_id: JobId) -> bool {
        self.dir.open_dir(job_id.to_string()).is_ok_and(|dir| dir.stat(ACKED).is_ok())
    }

    fn open_job(&self, job_id: JobId) -> io::Result<Option<Dir>> {
        match self.dir.open_dir(job_id.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// The recorded end, or what its absence means.
    fn end(&self, dir: &Dir, meta: &Meta, written: Option<(u64, i64)>) -> JobDone {
        let (log_end, last_ms) = written.unwrap_or((0, meta.started_at_ms));
        if let Some(recorded) = reader::read_end(dir) {
            let mut done = recorded.done;
            // A log that the disk lost must not be waited for.
            if recorded.lost_bytes == 0 && written.is_some() {
                done.next_offset = done.next_offset.min(log_end);
            }
            return done;
        }
        let (state, code, message) = if meta.boot_id == self.boot_id {
            let message = "the worker of this job was killed; its log ends there, and whether the command had finished cannot be known";
            (EndState::Lost, "worker_killed", message)
        } else {
            (EndState::Interrupted, "machine_restarted", "the server went down while the job ran")
        };
        JobDone {
            job_id: meta.job_id,
            state,
            exit_code: None,
            signal: None,
            started_at_ms: meta.started_at_ms,
            duration_ms: u64::try_from(last_ms.saturating_sub(meta.started_at_ms)).unwrap_or(0),
            next_offset: log_end,
            result: None,
            error: Some(JobError { code: code.to_owned(), message: message.to_owned() }),
        }
    }
}
