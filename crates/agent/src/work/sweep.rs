//! What dead workers left behind: processes, sockets, directories; and claims that have had their time.

use std::time::Duration;

use nix::sys::signal::Signal;
use protocol::JobId;
use protocol::job::SpoolState;
use tokio::time::Instant;

use super::wire::Swept;
use crate::host::clock::Clock;
use crate::host::files::Dir;
use crate::ops::exec::JOB_ID_VARIABLE;
use crate::paths::Paths;
use crate::spool::format::META;
use crate::spool::{Phase, Spool};
use crate::supervise::{ending, limits, tree};
use crate::trust::claims::{ClaimEnd, Claims};
use crate::trust::hub_time::{HubTime, Moment};

/// Sweeps once.
pub(super) fn run(paths: &Paths) -> Swept {
    let clock = Clock::system();
    let (Ok(claims), Ok(moment)) = (Claims::open(paths), Moment::now(clock)) else { return Swept::default() };
    let mut swept = Swept::default();
    for job_id in claims.jobs() {
        let is_dead = claims.end(job_id).is_none() && !claims.is_alive(job_id);
        if is_dead && bury(paths, &claims, &moment, job_id) {
            swept.ended.push(job_id);
        }
    }
    remove_sockets(paths, &claims);
    remove_directories(paths, &claims);
    limits::sweep();
    let hub_ms = HubTime::estimate(HubTime::load(paths).as_ref(), &moment);
    swept.purged = claims.purge(&[moment.local_ms, hub_ms]);
    swept
}

/// Ends what is left of a job whose worker is dead, and notes its end. True when something was left.
fn bury(paths: &Paths, claims: &Claims, moment: &Moment, job_id: JobId) -> bool {
    let Some(claim) = claims.get(job_id) else { return false };
    let is_of_this_boot = claim.boot_id == moment.boot_id;
    let was_left = is_of_this_boot && kill_orphans(claims, job_id);
    let spool = Spool::open(&paths.spool_dir(), &moment.boot_id).ok();
    if let Some(Err(error)) = spool.as_ref().map(|spool| spool.settle(job_id)) {
        log::warn!("job {job_id}: its end cannot be recorded: {error}");
    }
    let spooled = spool.and_then(|spool| spool.job(job_id).ok().flatten());
    let end = match spooled {
        Some(job) if job.phase != Phase::Running => ClaimEnd { state: job.state(), next_offset: job.next_offset },
        _ if is_of_this_boot => ClaimEnd { state: SpoolState::Lost, next_offset: 0 },
        _ => ClaimEnd { state: SpoolState::Interrupted, next_offset: 0 },
    };
    match claims.note_end(job_id, end) {
        Ok(()) => claims.forget_tree(job_id),
        Err(error) => log::warn!("job {job_id}: its end cannot be noted: {error}"),
    }
    was_left
}

fn kill_orphans(claims: &Claims, job_id: JobId) -> bool {
    let (noted, marker) = (claims.tree(job_id), format!("{JOB_ID_VARIABLE}={job_id}"));
    let until = Instant::now() + ending::GIVE_UP;
    let mut was_left = false;
    loop {
        let orphans = tree::orphans(&noted, &marker);
        if orphans.is_empty() {
            return was_left;
        }
        was_left = true;
        for process in &orphans {
            process.signal(Signal::SIGKILL);
        }
        if Instant::now() >= until {
            let left: Vec<_> = orphans.iter().map(|process| format!("{} ({})", process.name, process.id.pid)).collect();
            log::warn!("job {job_id}: these processes cannot be killed: {}", left.join(", "));
            return was_left;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A socket whose worker is dead would look like a running job.
fn remove_sockets(paths: &Paths, claims: &Claims) {
    let Ok(dir) = Dir::open(&paths.job_sockets_dir()) else { return };
    for name in dir.entries().unwrap_or_default() {
        let job = name.to_str().and_then(|name| name.strip_suffix(".sock")?.parse().ok());
        if job.is_some_and(|job| !claims.is_alive(job)) {
            // Gone already when another sweep was faster.
            let _ = dir.remove(&name);
        }
    }
}

/// The relay empties the directories of jobs that it forgets, and cannot remove them.
fn remove_directories(paths: &Paths, claims: &Claims) {
    let Ok(spool) = Dir::open(&paths.spool_dir()) else { return };
    for name in spool.entries().unwrap_or_default() {
        let aside = name.to_str().is_some_and(|name| name.starts_with('.'));
        let job: Option<JobId> = name.to_str().and_then(|name| name.parse().ok());
        let is_empty = spool.open_dir(&name).is_ok_and(|dir| dir.stat(META).is_err());
        if aside || (job.is_some_and(|job| !claims.is_alive(job)) && is_empty) {
            let _ = spool.remove_flat_dir(&name);
        }
    }
}
