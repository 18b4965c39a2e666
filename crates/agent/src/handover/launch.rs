//! How a worker comes to be: by connecting to systemd's socket, or by forking.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::sleep;

use super::connection::Connection;
use crate::host::commands;
use crate::paths::{DEFAULT_STATE_DIR, Paths};

/// Present exactly where PID 1 is systemd.
const SYSTEMD_RUNS: &str = "/run/systemd/system";
/// What the program is called when its own file was replaced under it.
const SELF: &str = "/proc/self/exe";
/// A full backlog empties at the pace of systemd, a few milliseconds each.
const BACKLOG_RETRIES: u32 = 100;
const BACKLOG_PAUSE: Duration = Duration::from_millis(20);

/// Who starts workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerKind {
    /// PID 1, outside of every sandbox; jobs survive the agent and end as one cgroup.
    Systemd,
    /// The agent itself; jobs survive the agent.
    Forked,
}

#[derive(Debug)]
pub(super) enum Launcher {
    Systemd { runtime: PathBuf },
    Forked { program: PathBuf, state_dir: PathBuf },
}

impl Launcher {
    pub(super) fn detect(paths: &Paths) -> io::Result<Self> {
        let installed = paths.state_dir() == Path::new(DEFAULT_STATE_DIR);
        if installed && Path::new(SYSTEMD_RUNS).is_dir() {
            return Ok(Self::Systemd { runtime: paths.runtime_dir().to_owned() });
        }
        Ok(Self::forked(paths, std::env::current_exe()?))
    }

    pub(super) fn forked(paths: &Paths, program: PathBuf) -> Self {
        Self::Forked { program, state_dir: paths.state_dir().to_owned() }
    }

    pub(super) const fn kind(&self) -> WorkerKind {
        match self {
            Self::Systemd { .. } => WorkerKind::Systemd,
            Self::Forked { .. } => WorkerKind::Forked,
        }
    }

    /// A new worker that waits for its first line.
    pub(super) async fn open(&self) -> io::Result<Connection> {
        match self {
            Self::Systemd { runtime } => {
                let mut attempt = 0;
                loop {
                    match Connection::connect(runtime, "work.sock").await {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock && attempt < BACKLOG_RETRIES => {
                            attempt += 1;
                            sleep(BACKLOG_PAUSE).await;
                        }
                        other => return other,
                    }
                }
            }
            Self::Forked { program, state_dir } => {
                let (ours, theirs) = StdUnixStream::pair()?;
                ours.set_nonblocking(true)?;
                // An update renames another file over ours: workers of this relay still come from the same build.
                let program = if program.exists() { program.as_path() } else { Path::new(SELF) };
                commands::start_worker(program, state_dir, theirs.into())?;
                UnixStream::from_std(ours).map(Connection::new)
            }
        }
    }
}
