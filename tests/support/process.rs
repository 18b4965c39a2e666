//! A process under test: its output goes to a file, its end is asked for by pid, and it never outlives the test.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// The process that a process was born of, or that has inherited it.
pub(crate) fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether the children of a process under test may become children of `pid` when it dies: of the first process, or of
/// one above the test that asks for it.
#[must_use]
pub fn inherits_orphans(pid: Pid) -> bool {
    let above = |pid: &i32| parent_of(*pid).filter(|parent| *parent > 0);
    let this = i32::try_from(std::process::id()).ok();
    std::iter::successors(this, above).chain([1]).any(|ancestor| ancestor == pid.as_raw())
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; its output is appended to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(program: &Path, args: &[A], env: &[(&str, &str)], log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("a log file");
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(env.iter().copied())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle of the log"))
            .stderr(output)
            .kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
        let pid = Pid::from_raw(i32::try_from(child.id().expect("a running child")).expect("a pid"));
        Self { child, pid, log: log.to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has gone already.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.pid));
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill_9(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().await.expect("the end of a killed process");
    }

    /// TERM, and waits for an orderly end.
    ///
    /// # Panics
    /// When it takes longer than 15 s.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended(Duration::from_secs(15)).await
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => status.expect("the status of a child"),
            Err(_) => panic!("{} still runs after {limit:?}:\n{}", self.pid, self.log_tail()),
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the status of a child").is_some()
    }

    /// Everything it wrote, also over restarts with the same log.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines it wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Resident memory, bytes.
    ///
    /// # Panics
    /// When the process has gone.
    #[must_use]
    pub fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number of kB") * 1024
    }
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started or takes longer than 60 s.
pub async fn run<A: AsRef<OsStr>>(program: &Path, args: &[A], stdin: &str) -> (ExitStatus, String) {
    run_for(program, args, stdin, Duration::from_secs(60)).await
}

/// The same, with another limit.
///
/// # Panics
/// When it cannot be started, or does not end in time.
pub async fn run_for<A: AsRef<OsStr>>(
    program: &Path,
    args: &[A],
    stdin: &str,
    limit: Duration,
) -> (ExitStatus, String) {
    let output = run_with(program, args, &[], stdin, limit).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&text).into_owned())
}

/// The same with variables of the environment; what it wrote to each of its outputs.
///
/// # Panics
/// When it cannot be started, or does not end in time.
pub async fn run_with<A: AsRef<OsStr>>(
    program: &Path,
    args: &[A],
    env: &[(&str, &str)],
    stdin: &str,
    limit: Duration,
) -> Output {
    use tokio::io::AsyncWriteExt as _;
    let mut child = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
    let mut pipe = child.stdin.take().expect("a piped stdin");
    // A program that does not read its input has closed it: not this function's business.
    let _ = pipe.write_all(stdin.as_bytes()).await;
    drop(pipe);
    let output = tokio::time::timeout(limit, child.wait_with_output()).await;
    output.expect("a program that ends in time").expect("its output")
}
