//! What a job may take of its server, made true before its first instruction.
//!
//! A worker that systemd started sets the limits as properties of its own unit: they hold for the whole tree, survive a
//! `daemon-reload`, and `systemctl show` tells them. The worker lives in the same unit, so processor time and memory
//! include the little that it takes itself, and `TasksMax` is one more than the job may have: a worker is one thread.
//! Elsewhere the process itself carries what a process can carry, and the log says what is not limited. A limit that
//! cannot be set is no limit: the job fails and nothing is run.

use std::ffi::CString;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use nix::unistd::geteuid;
use protocol::job::JobError;
use protocol::limits::JobLimits;

use super::unit::{UNIT_PREFIX, Unit};
use crate::host::commands::{self, Confinement, Identity};
use crate::host::files::{self, Dir};
use crate::host::users;

/// The error code of a job that was not run because its limits could not be set.
pub const LIMITS_UNAVAILABLE: &str = "limits_unavailable";
/// The error code of a job of which the kernel killed a process for want of memory.
pub const OUT_OF_MEMORY: &str = "out_of_memory";
/// systemd answers within milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// Where `set-property --runtime` keeps what it was told, and leaves it when the unit is gone.
const PROPERTIES_DIR: &str = "/run/systemd/system.control";
/// Of all that the kernel may kill, the worker comes last: it has to tell the end.
const WORKER_OOM_SCORE: &str = "-900";
/// What a job is moved forward where its worker cannot move back.
const RAISED_OOM_SCORE: i32 = 200;
const MOST_OOM_SCORE: i32 = 1000;
const OOM_SCORE: &str = "oom_score_adj";
const MAX_SCORE_FILE: usize = 64;

/// Limits that hold for a job, for as long as this lives.
#[derive(Debug)]
pub struct Imposed {
    /// What the job's main process takes on.
    pub confinement: Confinement,
    /// For the job's log: what is limited and how; `None` where nothing is.
    pub remark: Option<String>,
    /// The unit whose properties were changed.
    unit: Option<Unit>,
}

impl Imposed {
    /// Sets the limits of a job that runs as `user`.
    ///
    /// # Errors
    /// [`LIMITS_UNAVAILABLE`]: the job must not be started.
    pub fn new(limits: &JobLimits, user: &str, identity: Option<&Identity>) -> Result<Self, JobError> {
        let unit = if limits.is_none() { None } else { Unit::own() };
        let mut imposed = match unit {
            Some(unit) => Self::by_unit(limits, unit)?,
            None if limits.is_none() => Self { confinement: Confinement::default(), remark: None, unit: None },
            None => match identity {
                Some(identity) => Self::by_process(limits, user, identity.uid),
                None => Self::by_process(limits, &own_name(), geteuid().as_raw()),
            },
        };
        imposed.confinement.oom_score_adj = protect_worker();
        Ok(imposed)
    }

    fn by_unit(limits: &JobLimits, unit: Unit) -> Result<Self, JobError> {
        let properties = properties(limits);
        if !properties.is_empty() {
            let fixed = ["systemctl", "set-property", "--runtime", "--no-ask-password", "--", unit.name()];
            let argv: Vec<&str> = fixed.into_iter().chain(properties.iter().map(String::as_str)).collect();
            commands::run(&argv, DEADLINE).map_err(|error| {
                forget_properties(unit.name());
                let message = format!("the limits of {} cannot be set, nothing was run: {error}", unit.name());
                JobError { code: LIMITS_UNAVAILABLE.to_owned(), message }
            })?;
        }
        let unenforced =
            CONTROLLERS.iter().filter(|(is_set, controller, _)| is_set(limits) && !unit.has_controller(controller));
        let unenforced: Vec<_> = unenforced.map(|(.., name)| (*name).to_owned()).collect();
        let confinement = Confinement { nice: limits.nice, ..Confinement::default() };
        Ok(Self { confinement, remark: Some(unit_remark(limits, unit.name(), &unenforced)), unit: Some(unit) })
    }

    fn by_process(limits: &JobLimits, user: &str, uid: u32) -> Self {
        // The kernel counts the processes of root and limits them not.
        let counts_processes = uid != 0;
        let remark = process_remark(limits, user, counts_processes);
        Self { confinement: Confinement::of_process(limits, counts_processes), remark: Some(remark), unit: None }
    }
}

impl Drop for Imposed {
    fn drop(&mut self) {
        if let Some(unit) = &self.unit {
            forget_properties(unit.name());
        }
    }
}

/// Says that a job which has failed was short of memory, where its unit shows that.
#[must_use]
pub fn out_of_memory(limits: &JobLimits) -> Option<JobError> {
    let killed = Unit::own()?.oom_kills();
    let message = match (killed, limits.memory_bytes) {
        (0, _) => return None,
        (_, Some(most)) => {
            format!("the job needs more than its {} of memory; {killed} of its processes were killed", size(most))
        }
        (_, None) => format!("the server ran out of memory; {killed} of the job's processes were killed"),
    };
    Some(JobError { code: OUT_OF_MEMORY.to_owned(), message })
}

/// Removes what dead workers told systemd about units that are gone: a later unit of the same name must not inherit it.
pub fn sweep() {
    let Some(jobs) = super::unit::own_directory().and_then(|own| Dir::open(own.parent()?).ok()) else { return };
    let Ok(kept) = Dir::open(Path::new(PROPERTIES_DIR)) else { return };
    for name in kept.entries().unwrap_or_default() {
        let unit = name.to_str().and_then(|name| name.strip_suffix(".d")).filter(|unit| unit.starts_with(UNIT_PREFIX));
        if unit.is_some_and(|unit| jobs.stat(unit).is_err()) {
            // Another sweep may be doing the same.
            let _ = kept.remove_flat_dir(&name);
        }
    }
}

fn own_name() -> String {
    let uid = geteuid().as_raw();
    users::with_uid(uid).map_or_else(|| uid.to_string(), |user| user.name)
}

/// systemd has read it; the unit ends with this worker.
fn forget_properties(unit: &str) {
    let _ = Dir::open(Path::new(PROPERTIES_DIR)).and_then(|dir| dir.remove_flat_dir(format!("{unit}.d")));
}

/// Puts this worker behind its job in the kernel's order of killing. Returns what the job takes: what the worker had, or
/// more where this user may not lower its own (containers).
fn protect_worker() -> Option<CString> {
    let own = Dir::open(Path::new("/proc/self")).ok()?;
    let before = files::read_file(&own.open_file(OOM_SCORE).ok()?, MAX_SCORE_FILE).ok()?;
    let before: i32 = String::from_utf8_lossy(&before).trim().parse().ok()?;
    let lowered = own.open_for_writing(OOM_SCORE).and_then(|mut file| file.write_all(WORKER_OOM_SCORE.as_bytes()));
    let of_job = if lowered.is_ok() { before } else { before.saturating_add(RAISED_OOM_SCORE).min(MOST_OOM_SCORE) };
    CString::new(of_job.to_string()).ok()
}

type IsSet = fn(&JobLimits) -> bool;

/// What each limit needs of the kernel, and its name in the log.
const CONTROLLERS: [(IsSet, &str, &str); 4] = [
    (|limits| limits.cpu_percent.is_some(), "cpu", "processor time"),
    (|limits| limits.memory_bytes.is_some(), "memory", "memory"),
    (|limits| limits.pids.is_some(), "pids", "processes"),
    (|limits| limits.io_weight.is_some(), "io", "disk weight"),
];

fn properties(limits: &JobLimits) -> Vec<String> {
    let memory = limits.memory_bytes.map(|bytes| [format!("MemoryMax={bytes}"), "MemorySwapMax=0".to_owned()]);
    let cpu = limits.cpu_percent.map(|percent| format!("CPUQuota={percent}%"));
    // One for the worker.
    let tasks = limits.pids.map(|pids| format!("TasksMax={}", u64::from(pids) + 1));
    let io = limits.io_weight.map(|weight| format!("IOWeight={weight}"));
    cpu.into_iter().chain(memory.into_iter().flatten()).chain(tasks).chain(io).collect()
}

fn unit_remark(limits: &JobLimits, unit: &str, unenforced: &[String]) -> String {
    let cpu = limits.cpu_percent.map(|percent| format!("processor time {percent} %"));
    let memory = limits.memory_bytes.map(|bytes| format!("memory {}", size(bytes)));
    let pids = limits.pids.map(|pids| format!("{pids} processes"));
    let io = limits.io_weight.map(|weight| format!("disk weight {weight}"));
    let by_unit: Vec<_> = [cpu, memory, pids, io].into_iter().flatten().collect();
    let held = (!by_unit.is_empty()).then(|| format!("{} by the unit {unit}", list(&by_unit)));
    let nice = limits.nice.map(|nice| format!("nice {nice}"));
    let missing =
        (!unenforced.is_empty()).then(|| format!("the kernel of this machine does not enforce {}", list(unenforced)));
    let parts: Vec<_> = [held, nice, missing].into_iter().flatten().collect();
    format!("[limits: {}]\n", parts.join("; "))
}

fn process_remark(limits: &JobLimits, user: &str, counts_processes: bool) -> String {
    let memory = limits.memory_bytes.map(|bytes| format!("each process at most {} of address space", size(bytes)));
    let pids = limits.pids.filter(|_| counts_processes).map(|pids| format!("user {user} at most {pids} processes"));
    let nice = limits.nice.map(|nice| format!("nice {nice}"));
    let held: Vec<_> = [memory, pids, nice].into_iter().flatten().collect();
    let cpu = limits.cpu_percent.map(|_| "processor time".to_owned());
    let io = limits.io_weight.map(|_| "disk weight".to_owned());
    let pids = limits.pids.filter(|_| !counts_processes).map(|_| format!("the number of {user}'s processes"));
    let missing: Vec<_> = [cpu, io, pids].into_iter().flatten().collect();
    let verb = if missing.len() == 1 { "is" } else { "are" };
    let missing = (!missing.is_empty()).then(|| format!("{} {verb} not limited", list(&missing)));
    let held = (!held.is_empty()).then(|| held.join(", "));
    let parts: Vec<_> = [held, missing].into_iter().flatten().collect();
    format!("[limits without systemd: {}]\n", parts.join("; "))
}

/// `a, b and c`.
fn list(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units.into_iter().find(|(unit, _)| bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: JobLimits = JobLimits {
        cpu_percent: Some(150),
        memory_bytes: Some(256 << 20),
        pids: Some(64),
        io_weight: Some(10),
        nice: Some(5),
    };

    #[test]
    fn a_unit_is_told_everything_in_its_own_terms() {
        let expected = ["CPUQuota=150%", "MemoryMax=268435456", "MemorySwapMax=0", "TasksMax=65", "IOWeight=10"];
        assert_eq!(properties(&ALL), expected, "one more task, for the worker");
        assert_eq!(properties(&JobLimits { nice: Some(1), ..JobLimits::NONE }), [""; 0]);
    }

    #[test]
    fn the_log_says_what_is_limited_and_how() {
        let unit = "roadstead-work@3.service";
        assert_eq!(
            unit_remark(&ALL, unit, &[]),
            "[limits: processor time 150 %, memory 256 MiB, 64 processes and disk weight 10 by the unit \
             roadstead-work@3.service; nice 5]\n"
        );
        let some = JobLimits { memory_bytes: Some(5000), nice: None, pids: Some(3), ..JobLimits::NONE };
        assert_eq!(
            unit_remark(&some, unit, &["memory".to_owned(), "processes".to_owned()]),
            "[limits: memory 5000 bytes and 3 processes by the unit roadstead-work@3.service; the kernel of this machine \
             does not enforce memory and processes]\n"
        );
        assert_eq!(unit_remark(&JobLimits { nice: Some(-3), ..JobLimits::NONE }, unit, &[]), "[limits: nice -3]\n");
    }

    #[test]
    fn without_systemd_the_log_says_what_is_not_limited() {
        assert_eq!(
            process_remark(&JobLimits { nice: None, ..ALL }, "www-data", true),
            "[limits without systemd: each process at most 256 MiB of address space, user www-data at most 64 processes; \
             processor time and disk weight are not limited]\n"
        );
        assert_eq!(
            process_remark(&JobLimits { pids: Some(9), nice: Some(5), ..JobLimits::NONE }, "root", false),
            "[limits without systemd: nice 5; the number of root's processes is not limited]\n"
        );
        assert_eq!(
            process_remark(&JobLimits { cpu_percent: Some(9), ..JobLimits::NONE }, "root", false),
            "[limits without systemd: processor time is not limited]\n"
        );
    }

    #[test]
    fn a_job_without_limits_is_not_talked_about() {
        let imposed = Imposed::new(&JobLimits::NONE, "root", None).unwrap();
        assert_eq!(imposed.remark, None);
        assert_eq!(Confinement { oom_score_adj: None, ..imposed.confinement.clone() }, Confinement::default());
    }
}
