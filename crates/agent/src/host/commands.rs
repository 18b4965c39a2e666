//! The only place where processes are started.

mod confinement;
mod helper;
mod job;

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::Instant;

pub use confinement::Confinement;
pub use helper::run;
pub use job::{Identity, JobProcess, ProcessEnd, Reaped, StartError, StartedJob, Step, reap, start_job};

/// What a helper may say at most.
const MAX_OUTPUT: u64 = 64 << 10;
/// Where helpers are looked for.
const HELPER_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const POLL: Duration = Duration::from_millis(5);

/// Starts a worker of this agent with `connection` as its fd 0, in forked mode. It outlives this process; while this
/// process lives, the runtime reaps it.
///
/// # Errors
/// When no process can be made. Needs a tokio runtime.
pub fn start_worker(program: &Path, state_dir: &Path, connection: OwnedFd) -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the door for processes")]
    let mut command = tokio::process::Command::new(program);
    command.arg("work").arg("--state-dir").arg(state_dir);
    command.stdin(Stdio::from(connection)).stdout(Stdio::null());
    command.spawn().map(drop)
}

/// Runs a helper that answers with a few lines, and gives them back.
///
/// # Errors
/// When it cannot be started, fails, or is not done within `deadline`.
pub fn output(program: &str, arguments: &[&str], deadline: Duration) -> io::Result<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the door for processes")]
    let mut command = std::process::Command::new(program);
    command.args(arguments).env_clear().env("PATH", HELPER_PATH).env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let ends = Instant::now() + deadline;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= ends {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(POLL);
    };
    if !status.success() {
        return Err(io::Error::other(format!("{program} ended with {status}")));
    }
    let mut text = String::new();
    child.stdout.take().map(|stdout| stdout.take(MAX_OUTPUT).read_to_string(&mut text)).transpose()?;
    Ok(text)
}
