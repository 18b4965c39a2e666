//! Helpers that either work or say why not: fixed argument vectors, never a shell, never without a bound.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::{HELPER_PATH, POLL};

/// Complaints that are kept.
const MAX_COMPLAINTS: usize = 4 << 10;

/// Runs `argv` to its end. Its output goes nowhere; what it complains of is in the error.
///
/// # Errors
/// When it cannot be started, fails, or is not done within `deadline`; its whole process group is ended then.
pub fn run(argv: &[&str], deadline: Duration) -> io::Result<()> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
    #[expect(clippy::disallowed_methods, reason = "this is the door for processes")]
    let mut command = std::process::Command::new(program);
    command.args(arguments).env_clear().env("PATH", HELPER_PATH).env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{program} cannot be started: {error}")))?;
    let mut complaints = Complaints::new(child.stderr.take())?;
    let ends = Instant::now() + deadline;
    let status = loop {
        // Read while it runs, or a full pipe would hold it up.
        complaints.read();
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= ends {
            end_group(&mut child)?;
            let message = format!("{program} was not done after {} s", deadline.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        std::thread::sleep(POLL);
    };
    complaints.read();
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program} ended with {status}{}", complaints.words())))
}

fn end_group(child: &mut Child) -> io::Result<()> {
    // The group is the child's own; it exists until the child is waited for.
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    child.wait().map(drop)
}

/// The beginning of what a helper writes to standard error.
struct Complaints {
    pipe: Option<ChildStderr>,
    text: Vec<u8>,
}

impl Complaints {
    fn new(pipe: Option<ChildStderr>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { pipe, text: Vec::new() })
    }

    /// Takes what is there. A daemon that keeps the pipe open is not waited for.
    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 1024];
        // At most one pipe's content, so that a helper that never stops talking still meets its deadline.
        for _ in 0..64 {
            let Ok(count @ 1..) = pipe.read(&mut buffer) else { return };
            let room = MAX_COMPLAINTS.saturating_sub(self.text.len());
            self.text.extend_from_slice(buffer.get(..count.min(room)).unwrap_or_default());
        }
    }

    fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.text).trim().replace('\n', "; ");
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn a_helper_that_fails_says_why() {
        run(&["true"], SOON).unwrap();
        let error = run(&["sh", "-c", "echo one >&2; echo two >&2; exit 3"], SOON).unwrap_err().to_string();
        assert!(error.contains("status: 3: one; two"), "{error}");
        let error = run(&["no-such-program-here"], SOON).unwrap_err();
        assert!(error.kind() == io::ErrorKind::NotFound && error.to_string().contains("no-such-program-here"));
        assert!(run(&[], SOON).is_err());
    }

    #[test]
    fn a_helper_that_talks_and_never_ends_is_ended_with_its_children() {
        let error = run(&["sh", "-c", "sleep 1000 & yes complaint >&2"], Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_daemon_that_holds_the_pipe_is_not_waited_for() {
        run(&["sh", "-c", "sleep 3 >/dev/null & exit 0"], SOON).unwrap();
    }
}
