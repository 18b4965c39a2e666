//! Keeps the logs of all jobs together within the room that the settings give them: those of the jobs that ended first
//! go first. The jobs stay, and say when their logs went.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::JobId;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::hub::Hub;
use crate::jobs::store;

/// How often the room is added up. An index holds the numbers, but there may be a million of them.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// Logs, and bytes of them, that go in one run: who writes logs at the same time has to wait for it.
const AT_ONCE: i64 = 200;
const BYTES_AT_ONCE: u64 = 256 << 20;

/// How much room logs take, as it was last added up.
#[derive(Debug, Default)]
pub(in crate::jobs) struct LogRoom(Mutex<Counted>);

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    bytes: u64,
    at: Option<Timestamp>,
    /// It was said that nothing can be removed.
    warned: bool,
}

impl LogRoom {
    /// Bytes of all logs.
    pub(in crate::jobs) fn bytes(&self) -> u64 {
        self.counted().bytes
    }

    // Holders of the lock do not panic between two changes that belong together.
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the oldest logs when all together take more room than they may, a bounded number at a time.
pub(in crate::jobs) async fn make_room(hub: &Hub) -> Result<()> {
    let limit = hub.config.retention.job_logs_bytes.unwrap_or(u64::MAX);
    let bytes = count(hub).await?;
    let Some(excess) = bytes.checked_sub(limit).filter(|excess| *excess > 0) else { return Ok(()) };
    let oldest = {
        let mut session = hub.db.read().await?;
        store::oldest_logs(&mut session.conn(), AT_ONCE).await?
    };
    let (going, freed) = choose(&oldest, excess.min(BYTES_AT_ONCE));
    if going.is_empty() {
        if std::mem::replace(&mut hub.jobs.log_room.counted().warned, true) {
            return Ok(());
        }
        tracing::warn!(bytes, limit, "the logs of jobs that have not ended take more room than all logs may");
        return Ok(());
    }
    // Logs first: one that is gone and not marked is found again.
    super::delete(hub, &going).await?;
    let mut unit = hub.begin().await?;
    store::expire_logs(&mut unit.conn(), &going, hub.now()).await?;
    unit.commit().await?;
    let left = bytes.saturating_sub(freed);
    hub.jobs.log_room.counted().bytes = left;
    tracing::info!(jobs = going.len(), bytes = freed, left, limit, "removed the oldest logs of jobs to make room");
    Ok(())
}

/// The room that all logs take: added up now and then, and after that known by what was removed.
async fn count(hub: &Hub) -> Result<u64> {
    let (now, last) = (hub.now(), *hub.jobs.log_room.counted());
    let is_fresh = last.at.is_some_and(|at| now < at.plus(COUNT_EVERY));
    if is_fresh {
        return Ok(last.bytes);
    }
    let ended = {
        let mut session = hub.db.read().await?;
        store::stored_logs(&mut session.conn()).await?
    };
    let bytes = ended.saturating_add(hub.jobs.live_log_room());
    *hub.jobs.log_room.counted() = Counted { bytes, at: Some(now), warned: false };
    Ok(bytes)
}

/// The first logs that free `wanted` bytes together, and how many they free.
fn choose(oldest: &[(JobId, u64)], wanted: u64) -> (Vec<JobId>, u64) {
    let mut freed = 0_u64;
    let mut going = Vec::new();
    for (id, bytes) in oldest {
        if freed >= wanted {
            break;
        }
        going.push(*id);
        freed = freed.saturating_add(*bytes);
    }
    (going, freed)
}
