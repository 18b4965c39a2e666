//! How much the spool may hold, and how full it is.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use nix::sys::statvfs::{fstatvfs, statvfs};
use serde::Deserialize;

use super::format::{self, ACKED};
use crate::host::files::Dir;

/// Limits of the spool. They count what the hub has not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of log of one job; beyond them the middle of its log is dropped.
    pub job_bytes: u64,
    /// Bytes of log of all jobs together.
    pub total_bytes: u64,
    /// Bytes of the file system that are never taken.
    pub free_bytes: u64,
    /// Bytes after which a new segment is begun. What the hub has is freed segment by segment.
    #[serde(skip)]
    pub segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { job_bytes: 256 << 20, total_bytes: 2 << 30, free_bytes: 64 << 20, segment_bytes: 4 << 20 }
    }
}

impl Limits {
    /// Whether a new segment may be begun in `spool` now.
    #[must_use]
    pub fn has_room(&self, spool: &Dir) -> bool {
        unacknowledged_bytes(spool) <= self.total_bytes && self.has_free_space(spool)
    }

    /// Whether the file system has space. Logs that are kept only for local inspection make room.
    #[must_use]
    pub fn has_free_space(&self, spool: &Dir) -> bool {
        if free_bytes(spool) < self.free_bytes {
            drop_acknowledged(spool);
        }
        free_bytes(spool) >= self.free_bytes
    }
}

/// Bytes of log that the hub has not acknowledged, of all jobs.
#[must_use]
pub fn unacknowledged_bytes(spool: &Dir) -> u64 {
    let jobs = spool.entries().unwrap_or_default();
    let waiting = jobs.iter().filter_map(|name| spool.open_dir(name).ok()).filter(|job| job.stat(ACKED).is_err());
    waiting.map(|job| log_bytes(&job)).sum()
}

/// Bytes of log in one job's directory.
#[must_use]
pub fn log_bytes(job: &Dir) -> u64 {
    let entries = job.entries().unwrap_or_default();
    let segments = entries.iter().filter(|name| segment(name).is_some());
    segments.filter_map(|name| job.stat(name).ok()).map(|stat| u64::try_from(stat.st_size).unwrap_or(0)).sum()
}

fn segment(name: &OsStr) -> Option<u64> {
    name.to_str().and_then(format::segment_offset)
}

fn drop_acknowledged(spool: &Dir) {
    for name in spool.entries().unwrap_or_default() {
        if spool.open_dir(&name).is_ok_and(|job| job.stat(ACKED).is_ok()) {
            // Another worker, or the relay, may be doing the same.
            let _ = spool.remove_flat_dir(&name);
        }
    }
}

/// Size of the file system that `path` lies on; `None` where it does not say.
#[must_use]
pub fn disk_bytes(path: &Path) -> Option<u64> {
    let stat = statvfs(path).ok()?;
    Some(stat.blocks().saturating_mul(stat.fragment_size())).filter(|size| *size > 0)
}

/// Bytes that root could still write. A file system that does not say counts as empty.
#[must_use]
pub fn free_bytes(dir: &Dir) -> u64 {
    fstatvfs(dir).map_or(u64::MAX, |stat| stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// The error of a disk without room.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
