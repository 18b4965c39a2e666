//! The only place where processes are started.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

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
