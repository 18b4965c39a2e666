//! `hello`, `welcome`, `error`, `bye`: how a connection starts and ends.

use serde::{Deserialize, Serialize};

use crate::hex::Hex;
use crate::ids::{JobId, ServerId};
use crate::job::SpoolState;
use crate::policy::PolicySummary;
use crate::signing::Signed;
use crate::version::VersionRange;

/// agent → hub, first frame: who speaks, on which host, and what its spool holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The agent's own build.
    pub agent: AgentBuild,
    /// Versions the agent speaks.
    pub protocol: VersionRange,
    /// Random, new for each connection; the welcome is signed over it.
    pub nonce: Hex<32>,
    /// Ephemeral X25519 public key for the session key.
    pub ephemeral_key: Hex<32>,
    /// The machine.
    pub host: Host,
    /// What this agent can do, e.g. `exec`, `workers.systemd` or `workers.forked`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What the host's local policy lets the hub do.
    pub policy: PolicySummary,
    /// Every job in the spool.
    #[serde(default)]
    pub jobs: Vec<HelloJob>,
}

/// Which agent binary is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentBuild {
    /// Semantic version.
    pub version: String,
    /// `x86_64-linux` or `aarch64-linux`.
    pub target: String,
    /// SHA-256 of the binary file.
    pub sha256: Hex<32>,
}

/// Facts about the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Host name.
    pub hostname: String,
    /// Operating system id of os-release, e.g. `debian`.
    pub os: String,
    /// Version id of os-release, e.g. `12`.
    pub os_version: String,
    /// Kernel release.
    pub kernel: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// Logical processors.
    pub cpus: u32,
    /// Physical memory, bytes.
    pub memory_bytes: u64,
    /// SHA-256 over a fixed prefix and /etc/machine-id; the id itself stays on the host.
    pub machine_id_hash: Hex<32>,
    /// /proc/sys/kernel/random/boot_id: a changed one means that the machine went down.
    pub boot_id: String,
}

/// One job in the agent's spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloJob {
    /// The job.
    pub job_id: JobId,
    /// Running, or how it ended.
    pub state: SpoolState,
    /// Bytes of log spooled so far.
    pub next_offset: u64,
}

/// The body of `welcome`, sent as a JSON string inside [`Signed`] under [`crate::signing::WELCOME`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WelcomeBody {
    /// The server that the agent token belongs to.
    pub server_id: ServerId,
    /// The version chosen.
    pub protocol: u16,
    /// The nonce of the hello.
    pub nonce: Hex<32>,
    /// The agent's ephemeral key, repeated so that the signature covers both.
    pub agent_ephemeral_key: Hex<32>,
    /// The hub's ephemeral X25519 public key.
    pub ephemeral_key: Hex<32>,
    /// The hub's build and clock.
    pub hub: HubInfo,
    /// Seconds between heartbeats.
    pub heartbeat_interval_s: u32,
    /// Licence of this server, signed under [`crate::signing::LICENSE`].
    pub license: Signed,
    /// How far the hub has stored each job of the hello.
    #[serde(default)]
    pub jobs: Vec<WelcomeJob>,
    /// What the hub wants of this agent.
    #[serde(default)]
    pub desired: Desired,
}

/// How a hub's signing key names its successor: signed by the old key under [`crate::signing::KEY_ROTATION`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotationBody {
    /// The key that signs this.
    pub old_key_id: Hex<8>,
    /// The Ed25519 key that counts from now on, in place of the old one.
    pub new_key: Hex<32>,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

/// The hub's build and clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubInfo {
    /// Semantic version.
    pub version: String,
    /// The hub's clock, Unix milliseconds.
    pub time_ms: i64,
}

/// What the hub has stored of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeJob {
    /// The job.
    pub job_id: JobId,
    /// Bytes of log stored; sending goes on here.
    pub next_offset: u64,
    /// The end is stored too: the agent may forget the job. Also set for jobs the hub does not know (any more).
    pub done: bool,
}

/// Desired state of the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Version the agent should run; absent: the one it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Increases when the server's configuration at the hub changes.
    #[serde(default)]
    pub config_rev: u64,
}

/// Either way: the message named in `ref` was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireError {
    /// Machine-readable reason.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

/// Reasons of [`WireError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Unknown `type`; the connection stays up.
    UnknownType,
    /// Not an envelope; the connection is closed with 1007.
    Malformed,
    /// An envelope or a protocol range that shares no version; closed with 1002.
    WrongVersion,
    /// A frame beyond its limit; closed with 1009.
    TooLarge,
    /// The payload does not fit its type; the connection stays up.
    BadPayload,
    /// A message that does not belong here, such as a second hello.
    Unexpected,
    /// More frames than the hub takes; closed with 1008.
    RateLimited,
    /// A signature or mac that does not verify.
    BadSignature,
    /// The receiver could not do its part; try again later.
    Internal,
    /// A code of a newer version.
    #[serde(other)]
    Other,
}

/// Either way: closing on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {
    /// Why.
    pub code: ByeCode,
    /// When to come back, seconds; wins over the back-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

/// Why a connection is closed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeCode {
    /// The sender stops or restarts.
    Shutdown,
    /// A newer connection of the same server took over.
    Replaced,
    /// The agent token is revoked: do not come back.
    Revoked,
    /// The agent restarts for its own update.
    Update,
    /// A code of a newer version.
    #[serde(other)]
    Other,
}
