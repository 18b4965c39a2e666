//! What the relay is doing, for `roadstead-agent status`, the installer and `systemctl status`.
//!
//! The relay keeps `relay/status.json` current and holds a lock on `relay/run.lock` for as long as it lives. A file alone
//! would go on saying "connected" after a crash; the lock says whether anybody still means it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use protocol::ServerId;
use serde::{Deserialize, Serialize};

use crate::host::clock::Clock;
use crate::host::files::{self, Dir};
use crate::identity::{HubAnchor, IdentityError};
use crate::notify::Notifier;
use crate::paths::Paths;
use crate::text;

const MAX_FILE: usize = 16 << 10;
const LOCK: &str = "run.lock";

/// Where the link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Dialling or shaking hands.
    Connecting,
    /// In a session.
    Connected,
    /// Between two tries.
    Waiting,
    /// The hub does not take this agent's credential.
    Revoked,
}

/// The content of `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where the link stands.
    pub state: LinkState,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
    /// The hub.
    pub hub_url: String,
    /// This server.
    pub server_id: ServerId,
    /// The relay's version.
    pub version: String,
    /// The hub's version, once it was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub_version: Option<String>,
    /// Why there is no connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When the next try is due, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at_ms: Option<i64>,
    /// How jobs are started here.
    pub workers: String,
}

/// The relay's end.
#[derive(Debug)]
pub struct Reporter {
    path: PathBuf,
    clock: Clock,
    status: Status,
    notifier: Notifier,
    _lock: Flock<File>,
}

/// Why a relay cannot start here.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another relay has this state directory.
    #[error("another agent runs with the state directory {}", .0.display())]
    AlreadyRunning(PathBuf),
    /// The directory cannot be written.
    #[error("{} cannot be used: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Reporter {
    /// Takes the lock and says that the relay is connecting.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        paths: &Paths,
        anchor: &HubAnchor,
        workers: &str,
        clock: Clock,
        notifier: Notifier,
    ) -> Result<Self, StartError> {
        let lock = take_lock(paths)?;
        let status = Status {
            state: LinkState::Connecting,
            since_ms: clock.now_ms(),
            hub_url: anchor.hub_url.clone(),
            server_id: anchor.server_id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hub_version: None,
            problem: None,
            next_try_at_ms: None,
            workers: workers.to_owned(),
        };
        let reporter = Self { path: paths.status_file(), clock, status, notifier, _lock: lock };
        reporter.publish();
        Ok(reporter)
    }

    /// The link to the service manager.
    #[must_use]
    pub const fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// The link was lost or could not be made: `problem`, and when the next try is due.
    pub fn waiting(&mut self, state: LinkState, problem: String, wait: std::time::Duration) {
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self.status.problem = Some(problem);
        self.status.next_try_at_ms = Some(self.clock.now_ms().saturating_add(wait_ms));
        self.change(state);
    }

    /// Another try. The problem of the last one stays visible until there is a session.
    pub fn connecting(&mut self) {
        self.status.next_try_at_ms = None;
        if self.status.state != LinkState::Revoked {
            self.change(LinkState::Connecting);
        }
    }

    /// In a session.
    pub fn connected(&mut self, hub_version: String) {
        self.status.hub_version = Some(hub_version);
        self.status.problem = None;
        self.status.next_try_at_ms = None;
        self.change(LinkState::Connected);
    }

    fn change(&mut self, state: LinkState) {
        self.status.state = state;
        self.status.since_ms = self.clock.now_ms();
        self.publish();
    }

    fn publish(&self) {
        self.notifier.status(&self.status.sentence(self.clock));
        // A full disk costs this file, nothing else.
        if let Ok(bytes) = serde_json::to_vec(&self.status)
            && let Err(error) = replace(&self.path, &bytes)
        {
            log::warn!("{} cannot be written: {error}", self.path.display());
        }
    }
}

/// Replaces the file without waiting for the disk: after a crash of the machine it means nothing anyway.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let dir = Dir::open(path.parent().unwrap_or(Path::new("/")))?;
    let _ = dir.remove(".status.new");
    dir.create(".status.new", 0o600)?.write_all(bytes)?;
    dir.rename(".status.new", path.file_name().unwrap_or_default())
}

fn take_lock(paths: &Paths) -> Result<Flock<File>, StartError> {
    let path = paths.relay_dir().join(LOCK);
    let unusable = |source: io::Error| StartError::Unusable { path: path.clone(), source };
    let dir = Dir::open(&paths.relay_dir()).map_err(unusable)?;
    let file = match dir.create(LOCK, 0o600) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => dir.open_file(LOCK),
        made => made,
    };
    let file = file.map_err(unusable)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EAGAIN => StartError::AlreadyRunning(paths.state_dir().to_owned()),
        other => unusable(other.into()),
    })
}

/// What `status` found.
#[derive(Debug)]
pub enum Found {
    /// A relay runs and says this.
    Running(Status),
    /// No relay runs; registered as this.
    Stopped(HubAnchor),
    /// No registration, or one that cannot be read.
    Unregistered(IdentityError),
    /// The state cannot be seen.
    Hidden(String),
}

impl Found {
    /// Looks.
    #[must_use]
    pub fn look(paths: &Paths) -> Self {
        let anchor = match HubAnchor::load(paths) {
            Ok(anchor) => anchor,
            Err(error) => return Self::Unregistered(error),
        };
        let hidden = |error: &dyn std::fmt::Display| {
            Self::Hidden(format!("{} cannot be read: {error}; run this as root", paths.relay_dir().display()))
        };
        let dir = match Dir::open(&paths.relay_dir()) {
            Ok(dir) => dir,
            Err(error) => return hidden(&error),
        };
        let lock = match dir.open_file(LOCK) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::Stopped(anchor),
            Err(error) => return hidden(&error),
        };
        // A shared lock, so that two people who look at once do not take each other for the relay.
        if Flock::lock(lock, FlockArg::LockSharedNonblock).is_ok() {
            return Self::Stopped(anchor);
        }
        let status = files::read(&paths.status_file(), MAX_FILE).map_err(|error| error.to_string());
        match status.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string())) {
            Ok(status) => Self::Running(status),
            Err(error) => hidden(&error),
        }
    }

    /// 0 connected, 1 running but not connected, 2 not running or not registered.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Running(Status { state: LinkState::Connected, .. }) => 0,
            Self::Running(_) => 1,
            Self::Stopped(_) | Self::Unregistered(_) | Self::Hidden(_) => 2,
        }
    }

    /// For people.
    #[must_use]
    pub fn sentence(&self, clock: Clock) -> String {
        match self {
            Self::Running(status) => status.sentence(clock),
            Self::Stopped(anchor) => {
                format!("not running (registered with {} as server {})", anchor.hub_url, anchor.server_id)
            }
            Self::Unregistered(error) => error.to_string(),
            Self::Hidden(why) => why.clone(),
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let mut value = match self {
            Self::Running(status) => serde_json::to_value(status).unwrap_or_default(),
            Self::Stopped(anchor) => {
                serde_json::json!({"state": "stopped", "hub_url": anchor.hub_url, "server_id": anchor.server_id})
            }
            Self::Unregistered(error) => serde_json::json!({"state": "unregistered", "problem": error.to_string()}),
            Self::Hidden(why) => serde_json::json!({"state": "unknown", "problem": why}),
        };
        if let Some(object) = value.as_object_mut() {
            object.insert("connected".to_owned(), (self.exit_code() == 0).into());
        }
        value
    }
}

impl Status {
    /// For people, one line.
    #[must_use]
    pub fn sentence(&self, clock: Clock) -> String {
        let seconds = |ms: i64| (ms / 1000).max(0);
        let since = text::seconds(seconds(clock.now_ms().saturating_sub(self.since_ms)));
        let problem = self.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        let next = self.next_try_at_ms.map_or_else(String::new, |at| {
            format!(", next try in {}", text::seconds(seconds(at.saturating_sub(clock.now_ms()))))
        });
        match self.state {
            LinkState::Connected => {
                format!("connected to {} for {since} as server {}", self.hub_url, self.server_id)
            }
            LinkState::Connecting => format!("connecting to {}{problem}", self.hub_url),
            LinkState::Waiting => format!("not connected to {}{problem}{next}", self.hub_url),
            LinkState::Revoked => format!("{} does not accept this server any more{problem}{next}", self.hub_url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Machine;

    fn start(machine: &Machine) -> Result<Reporter, StartError> {
        Reporter::start(&machine.paths, &machine.anchor, "workers.forked", Clock::fixed(10_000), Notifier::none())
    }

    #[test]
    fn each_state_has_its_exit_code_and_says_why() {
        let machine = Machine::new(7);
        let paths = machine.paths.clone();
        let clock = Clock::fixed(15_000);
        assert_eq!(Found::look(&paths).exit_code(), 2);
        let mut reporter = start(&machine).unwrap();
        assert_eq!(Found::look(&paths).exit_code(), 1);
        reporter.waiting(LinkState::Waiting, "refused".into(), std::time::Duration::from_secs(30));
        let found = Found::look(&paths);
        assert_eq!(found.exit_code(), 1);
        assert_eq!(found.sentence(clock), "not connected to https://hub: refused, next try in 25 s");
        reporter.connected("1.2.3".into());
        let found = Found::look(&paths);
        assert_eq!((found.exit_code(), &found.json()["connected"]), (0, &true.into()));
        assert!(found.sentence(clock).starts_with("connected to https://hub for 5 s"));
        drop(reporter);
        assert_eq!(Found::look(&paths).exit_code(), 2, "a relay that is gone is not connected, whatever its file says");
    }

    #[test]
    fn one_state_directory_has_one_relay() {
        let machine = Machine::new(7);
        let _first = start(&machine).unwrap();
        assert!(matches!(start(&machine), Err(StartError::AlreadyRunning(_))));
    }

    #[test]
    fn an_unregistered_machine_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let found = Found::look(&Paths::new(directory.path()));
        assert_eq!(found.exit_code(), 2);
        assert!(found.sentence(Clock::system()).contains("not registered"));
    }
}
