//! Starting a job's main process: in its own session, as the right user, in the right place, with nothing inherited.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Gid, Pid, Uid, fchown, pipe2};

use super::Confinement;
use crate::host::files;

/// Room in each output pipe; the job is not held up while the worker writes.
const PIPE_BYTES: i32 = 256 << 10;
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// The highest signal of Linux.
const LAST_SIGNAL: libc::c_int = 64;

/// What is to be started.
#[derive(Debug, Clone)]
pub struct JobProcess {
    /// Files to try, in this order.
    pub programs: Vec<CString>,
    /// Arguments, the program's name first.
    pub argv: Vec<CString>,
    /// `NAME=value`.
    pub env: Vec<CString>,
    /// Working directory.
    pub cwd: CString,
    /// Go on in `/` when the directory cannot be entered.
    pub cwd_is_optional: bool,
    /// Whom to become; absent: stay.
    pub identity: Option<Identity>,
    /// Standard input; absent: empty.
    pub stdin: Option<Vec<u8>>,
}

/// A user to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// A job's main process, and the read ends of its output.
#[derive(Debug)]
pub struct StartedJob {
    /// The process, leader of its own session.
    pub pid: Pid,
    /// Standard output, not blocking.
    pub out: File,
    /// Standard error, not blocking.
    pub err: File,
    /// The working directory could not be entered, it runs in `/`.
    pub cwd_missed: bool,
}

/// What could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Pipes, memory or the process itself.
    Prepare,
    /// Taking on the job's limits.
    Limits,
    /// Becoming the user.
    Identity,
    /// Entering the working directory.
    Cwd,
    /// Executing the program.
    Exec,
}

/// Why there is no process.
#[derive(Debug)]
pub struct StartError {
    /// What could not be done.
    pub step: Step,
    /// Why.
    pub error: io::Error,
}

impl<E: Into<io::Error>> From<E> for StartError {
    fn from(error: E) -> Self {
        Self { step: Step::Prepare, error: error.into() }
    }
}

/// What became of the children of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// This one has ended.
    Ended(Pid, ProcessEnd),
    /// There are some, and all of them live.
    Alive,
    /// There are none (any more).
    Nobody,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEnd {
    /// With an exit code.
    Exited(i32),
    /// By a signal, which may be one without a name.
    Signaled(i32),
}

/// Takes leave of one child that has ended, if one has.
#[must_use]
#[expect(unsafe_code, reason = "nix cannot say that a process was ended by a real-time signal")]
pub fn reap() -> Reaped {
    let mut status = 0;
    // SAFETY: the status lives through the call.
    match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
        0 => Reaped::Alive,
        pid if pid > 0 && libc::WIFSIGNALED(status) => {
            Reaped::Ended(Pid::from_raw(pid), ProcessEnd::Signaled(libc::WTERMSIG(status)))
        }
        pid if pid > 0 => Reaped::Ended(Pid::from_raw(pid), ProcessEnd::Exited(libc::WEXITSTATUS(status))),
        _ if nix::errno::Errno::last_raw() == libc::EINTR => Reaped::Alive,
        _ => Reaped::Nobody,
    }
}

/// Starts a job within `confinement`, in `cgroup` (an open directory) where one is given.
///
/// # Errors
/// [`StartError`]; no process is left then.
pub fn start_job(
    job: &JobProcess,
    confinement: &Confinement,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<StartedJob, StartError> {
    let stdin = match &job.stdin {
        Some(bytes) => filled_memory(bytes)?,
        None => files::open_null()?.into(),
    };
    let (out, out_end) = output_pipe(job.identity.as_ref())?;
    let (err, err_end) = output_pipe(job.identity.as_ref())?;
    let (mut report, report_end) = pipe2(OFlag::O_CLOEXEC).map(|(read, write)| (File::from(read), write))?;
    let cgroup_procs = cgroup.map(files::open_cgroup_procs).transpose()?;

    let pointers = |strings: &[CString]| {
        let ends = std::iter::once(std::ptr::null());
        strings.iter().map(|string| string.as_ptr()).chain(ends).collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(&job.argv), pointers(&job.env));
    let child = Child {
        job,
        confinement,
        argv: &argv,
        env: &env,
        stdio: [stdin.as_raw_fd(), out_end.as_raw_fd(), err_end.as_raw_fd()],
        report: report_end.as_raw_fd(),
        cgroup_procs: cgroup_procs.as_ref().map(AsRawFd::as_raw_fd),
    };
    let pid = fork(&child, cgroup)?;
    drop((stdin, out_end, err_end, report_end));

    // Empty up to the end: the program is running.
    let mut said = Vec::new();
    report.read_to_end(&mut said)?;
    let cwd_missed = said.first() == Some(&Child::CWD_MISSED);
    let failure = if cwd_missed { said.get(1..) } else { Some(said.as_slice()) }.unwrap_or_default();
    let Some((&step, errno)) = failure.split_first() else {
        return Ok(StartedJob { pid, out, err, cwd_missed });
    };
    let errno = errno.first_chunk::<4>().map_or(libc::EIO, |bytes| i32::from_ne_bytes(*bytes));
    // It said why and is ending.
    let _ = nix::sys::wait::waitpid(pid, None);
    let step = match step {
        Child::LIMITS => Step::Limits,
        Child::IDENTITY => Step::Identity,
        Child::CWD => Step::Cwd,
        Child::EXEC => Step::Exec,
        _ => Step::Prepare,
    };
    Err(StartError { step, error: io::Error::from_raw_os_error(errno) })
}

/// Standard input in memory: nobody has to feed it while the job runs.
fn filled_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    use std::io::Seek as _;
    let mut file = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn output_pipe(identity: Option<&Identity>) -> io::Result<(File, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // Refused where the user has many pipes already; then the pipe stays small.
    let _ = fcntl(&read, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    if let Some(identity) = identity {
        // Or the job could not open /dev/stdout and /dev/stderr.
        fchown(&write, Some(Uid::from_raw(identity.uid)), Some(Gid::from_raw(identity.gid)))?;
    }
    Ok((File::from(read), write))
}

/// What the new process needs, ready-made: between fork and exec nothing may be allocated.
struct Child<'a> {
    job: &'a JobProcess,
    confinement: &'a Confinement,
    argv: &'a [*const libc::c_char],
    env: &'a [*const libc::c_char],
    stdio: [RawFd; 3],
    report: RawFd,
    cgroup_procs: Option<RawFd>,
}

impl Child<'_> {
    const PREPARE: u8 = b'p';
    const LIMITS: u8 = b'l';
    const IDENTITY: u8 = b'i';
    const CWD: u8 = b'c';
    const CWD_MISSED: u8 = b'm';
    const EXEC: u8 = b'e';

    /// Becomes the job, or reports why not and ends.
    ///
    /// # Safety
    /// Only in a new process that shares no memory with its parent.
    #[expect(unsafe_code, reason = "plain system calls on values that the parent prepared and that this process owns")]
    unsafe fn run(&self, must_enter_cgroup: bool) -> ! {
        // SAFETY: every pointer is into memory prepared by the parent and copied by fork, every descriptor is open, and no
        // call below allocates, locks or unwinds.
        unsafe {
            if must_enter_cgroup
                && let Some(procs) = self.cgroup_procs
                && libc::write(procs, c"0".as_ptr().cast(), 1) != 1
            {
                self.give_up(Self::PREPARE);
            }
            libc::setsid();
            // A worker that was started with ignored signals must not hand that on.
            for signal in 1..=LAST_SIGNAL {
                // The kernel's own struct, all zeros: the C library keeps two signals to itself.
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    [0_u64; 4].as_ptr(),
                    std::ptr::null::<u64>(),
                    size_of::<u64>(),
                );
            }
            let mut none = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            libc::umask(0o022);
            for (target, &source) in (0..).zip(&self.stdio) {
                if libc::dup2(source, target) != target {
                    self.give_up(Self::PREPARE);
                }
            }
            // Everything is opened close-on-exec; this is for what was inherited from elsewhere. Old kernels lack it.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC);
            // While it still may: a user can give up, not take.
            if !self.confinement.apply() {
                self.give_up(Self::LIMITS);
            }
            if let Some(identity) = &self.job.identity {
                let groups = identity.groups.as_slice();
                // Not the C library's functions: those look for other threads to change along.
                if libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) != 0
                    || libc::syscall(libc::SYS_setgid, identity.gid) != 0
                    || libc::syscall(libc::SYS_setuid, identity.uid) != 0
                {
                    self.give_up(Self::IDENTITY);
                }
            }
            if libc::chdir(self.job.cwd.as_ptr()) != 0 {
                if !self.job.cwd_is_optional {
                    self.give_up(Self::CWD);
                }
                libc::write(self.report, [Self::CWD_MISSED].as_ptr().cast(), 1);
                if libc::chdir(c"/".as_ptr()) != 0 {
                    self.give_up(Self::CWD);
                }
            }
            let mut denied = false;
            for program in &self.job.programs {
                libc::execve(program.as_ptr(), self.argv.as_ptr(), self.env.as_ptr());
                match nix::errno::Errno::last_raw() {
                    libc::ENOENT | libc::ENOTDIR => {}
                    libc::EACCES => denied = true,
                    _ => self.give_up(Self::EXEC),
                }
            }
            // As a shell does: a program that may not be run is a better answer than none.
            nix::errno::Errno::set_raw(if denied { libc::EACCES } else { libc::ENOENT });
            self.give_up(Self::EXEC)
        }
    }

    #[expect(unsafe_code, reason = "write and _exit are what a process between fork and exec may do")]
    unsafe fn give_up(&self, step: u8) -> ! {
        let [a, b, c, d] = nix::errno::Errno::last_raw().to_ne_bytes();
        let words = [step, a, b, c, d];
        // SAFETY: the buffer is ours, and neither call allocates.
        unsafe {
            libc::write(self.report, words.as_ptr().cast(), words.len());
            libc::_exit(127)
        }
    }
}

/// `struct clone_args` of clone3(2), version 2.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Makes the process, born inside `cgroup` where the kernel can do that: moving it there afterwards costs many
/// milliseconds.
#[expect(unsafe_code, reason = "fork: the child only makes system calls and then executes or ends")]
fn fork(child: &Child<'_>, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Pid> {
    if let Some(cgroup) = cgroup {
        let arguments = CloneArgs {
            flags: CLONE_INTO_CGROUP,
            exit_signal: u64::try_from(libc::SIGCHLD).unwrap_or_default(),
            cgroup: u64::try_from(cgroup.as_fd().as_raw_fd()).unwrap_or_default(),
            ..CloneArgs::default()
        };
        // SAFETY: without CLONE_VM this is fork; the arguments live through the call.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArgs>()) };
        match i32::try_from(pid) {
            // SAFETY: this is the new process.
            Ok(0) => unsafe { child.run(false) },
            Ok(pid) if pid > 0 => return Ok(Pid::from_raw(pid)),
            // Too old a kernel, or forbidden by a container: by hand.
            _ => {}
        }
    }
    // SAFETY: the child does nothing that needs a lock which another thread of the parent may hold.
    match unsafe { libc::fork() } {
        // SAFETY: this is the new process.
        0 => unsafe { child.run(true) },
        pid if pid > 0 => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}
