//! Where the agent keeps things. Both roles read this layout, so it is decided here and nowhere else.
//!
//! ```text
//! /var/lib/roadstead-agent/        root:root       0755
//!   trust/                         root:root       0755   what workers believe; the relay can read it, never write it
//!     hub.json                                     0644   the pinned hub key, this server's id (written by `register`)
//!     hub-history.json                             0644   keys that were pinned before, and how each named its successor
//!     hub-time.json                                0644   the latest time that the hub has signed
//!     restrictions.json                            0644   what the hub has taken from itself, as it signed it
//!   claims/                        root:root       0700   one file per job ever accepted, until it expires
//!   pending/                       root:root       0700   changes that are not confirmed, with what was before them
//!   spool/                         root:roadstead  2750   one directory per job, of the same group: its log and its end
//!   relay/                         roadstead       0700   the relay's own state
//!     agent.json                                   0600   hub address, agent token, TLS pin
//!     registration.json                            0600   token digest and nonce of a registration under way
//!     status.json                                  0600   what `status` shows
//!     license.json                                 0600   the last licence
//!     events/                                      0700   events that the hub has not acknowledged
//! /run/roadstead/                  root:root       0755
//!   work.sock                      root:roadstead  0660   one connection = one worker (systemd's socket unit)
//!   jobs/<job id>.sock             root:roadstead  0660   control socket of a running job
//! ```
//!
//! `hub.json` is `{"hub_url", "server_id", "hub_key", "hub_key_id", "hub_fingerprint"}`, keys and digests in lower-case
//! hexadecimal: the installer looks for the fingerprint in it, workers verify with the key.
//!
//! Another `--state-dir` moves everything below it: the runtime directory becomes `<state-dir>/run` and the policy file
//! `<state-dir>/policy.toml`, so that an agent for development never meets the machine's own.

use std::path::{Path, PathBuf};

use protocol::JobId;

/// State directory of an agent that an administrator installed.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/roadstead-agent";
const DEFAULT_RUNTIME_DIR: &str = "/run/roadstead";
const DEFAULT_POLICY_FILE: &str = "/etc/roadstead/policy.toml";

/// The system user that the relay runs as.
pub const RELAY_USER: &str = "roadstead";

/// Every path the agent uses, from one state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    state: PathBuf,
    runtime: PathBuf,
    policy: PathBuf,
}

impl Paths {
    /// The layout below `state_dir`.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        let state: PathBuf = state_dir.into();
        if state == Path::new(DEFAULT_STATE_DIR) {
            Self { state, runtime: DEFAULT_RUNTIME_DIR.into(), policy: DEFAULT_POLICY_FILE.into() }
        } else {
            Self { runtime: state.join("run"), policy: state.join("policy.toml"), state }
        }
    }

    /// The state directory itself.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// Root-owned: what workers believe.
    #[must_use]
    pub fn trust_dir(&self) -> PathBuf {
        self.state.join("trust")
    }

    /// The pinned hub key and this server's id.
    #[must_use]
    pub fn hub_file(&self) -> PathBuf {
        self.trust_dir().join("hub.json")
    }

    /// Keys that were pinned before.
    #[must_use]
    pub fn hub_history_file(&self) -> PathBuf {
        self.trust_dir().join("hub-history.json")
    }

    /// The hub's own restrictions of what it may do here.
    #[must_use]
    pub fn restrictions_file(&self) -> PathBuf {
        self.trust_dir().join("restrictions.json")
    }

    /// Root-owned: every job accepted, so that none runs twice.
    #[must_use]
    pub fn claims_dir(&self) -> PathBuf {
        self.state.join("claims")
    }

    /// Root-owned: changes of the host that wait for confirmation.
    #[must_use]
    pub fn pending_dir(&self) -> PathBuf {
        self.state.join("pending")
    }

    /// Logs and ends of jobs, until the hub has them.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        self.state.join("spool")
    }

    /// The relay's own state.
    #[must_use]
    pub fn relay_dir(&self) -> PathBuf {
        self.state.join("relay")
    }

    /// Hub address, agent token, TLS pin.
    #[must_use]
    pub fn identity_file(&self) -> PathBuf {
        self.relay_dir().join("agent.json")
    }

    /// A registration under way: the same nonce must be sent again after a lost answer.
    #[must_use]
    pub fn registration_file(&self) -> PathBuf {
        self.relay_dir().join("registration.json")
    }

    /// What `status` shows.
    #[must_use]
    pub fn status_file(&self) -> PathBuf {
        self.relay_dir().join("status.json")
    }

    /// The last licence the hub sent.
    #[must_use]
    pub fn license_file(&self) -> PathBuf {
        self.relay_dir().join("license.json")
    }

    /// Events that the hub has not acknowledged.
    #[must_use]
    pub fn events_dir(&self) -> PathBuf {
        self.relay_dir().join("events")
    }

    /// Sockets.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime
    }

    /// The socket unit's: one connection is one worker.
    #[must_use]
    pub fn work_socket(&self) -> PathBuf {
        self.runtime.join("work.sock")
    }

    /// Where running jobs have their control sockets.
    #[must_use]
    pub fn job_sockets_dir(&self) -> PathBuf {
        self.runtime.join("jobs")
    }

    /// Control socket of one running job.
    #[must_use]
    pub fn job_socket(&self, job: JobId) -> PathBuf {
        self.job_sockets_dir().join(format!("{job}.sock"))
    }

    /// The host's own policy, root-owned.
    #[must_use]
    pub fn policy_file(&self) -> &Path {
        &self.policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_state_dir_never_meets_the_machines_own_agent() {
        let installed = Paths::new(DEFAULT_STATE_DIR);
        assert_eq!(installed.work_socket(), Path::new("/run/roadstead/work.sock"));
        assert_eq!(installed.policy_file(), Path::new("/etc/roadstead/policy.toml"));
        let development = Paths::new("/tmp/agent");
        assert_eq!(development.work_socket(), Path::new("/tmp/agent/run/work.sock"));
        assert_eq!(development.policy_file(), Path::new("/tmp/agent/policy.toml"));
        assert_eq!(development.hub_file(), Path::new("/tmp/agent/trust/hub.json"));
    }
}
