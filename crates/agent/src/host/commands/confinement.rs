//! What a job's main process takes on between fork and exec, and hands on to all that it starts.

use std::ffi::CString;

use protocol::limits::JobLimits;

const PRIO_PROCESS: libc::c_int = 0;

/// Limits of a process, ready-made. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Kernel's number of the resource, and its limit.
    pub rlimits: Vec<(i64, u64)>,
    /// Scheduling priority, -20 to 19.
    pub nice: Option<i8>,
    /// For `/proc/self/oom_score_adj`: the job must not inherit the protection of its worker.
    pub oom_score_adj: Option<CString>,
}

impl Confinement {
    /// What of `limits` a process can carry itself: address space and, where `counts_processes`, the processes of its
    /// user, both as rlimits.
    #[must_use]
    pub fn of_process(limits: &JobLimits, counts_processes: bool) -> Self {
        let memory = limits.memory_bytes.map(|bytes| (i64::from(libc::RLIMIT_AS), bytes));
        let pids = limits.pids.filter(|_| counts_processes);
        let pids = pids.map(|pids| (i64::from(libc::RLIMIT_NPROC), u64::from(pids)));
        Self { rlimits: memory.into_iter().chain(pids).collect(), nice: limits.nice, oom_score_adj: None }
    }

    /// Takes effect on this process; false when something was refused, with `errno` saying why.
    ///
    /// # Safety
    /// Only in a new process that shares no memory with its parent. Makes system calls only.
    #[expect(unsafe_code, reason = "plain system calls on values that the parent prepared")]
    pub(super) unsafe fn apply(&self) -> bool {
        // SAFETY: every pointer is into memory that lives through its call.
        unsafe {
            if let Some(score) = &self.oom_score_adj {
                let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                // Refused, it stays as protected as its worker: that limits nothing and harms nobody else.
                libc::write(file, score.as_ptr().cast(), score.count_bytes());
                libc::close(file);
            }
            if let Some(nice) = self.nice
                && libc::syscall(libc::SYS_setpriority, PRIO_PROCESS, 0, libc::c_int::from(nice)) != 0
            {
                return false;
            }
            for &(resource, wanted) in &self.rlimits {
                // The kernel's own calls: those of the C library look for other threads.
                let (mut now, none) = ([0_u64; 2], std::ptr::null_mut::<[u64; 2]>());
                if libc::syscall(libc::SYS_prlimit64, 0, resource, none, &raw mut now) != 0 {
                    return false;
                }
                let [_, most] = now;
                let limit = [wanted.min(most); 2];
                if libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, none) != 0 {
                    return false;
                }
            }
            true
        }
    }
}
