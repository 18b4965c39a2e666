//! What an agent's hello says about its host, as the hub stores and shows it.
//!
//! Everything here was said by the other side: texts are shortened and freed of control characters before they are kept.

use protocol::policy::{PolicySource, PolicySummary, Tier};
use protocol::session::{AgentBuild, Hello, Host};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest text kept of a hello, characters.
const MAX_TEXT: usize = 200;
/// Most entries kept of a list in a hello.
const MAX_ENTRIES: usize = 64;

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Host)]
pub struct HostFacts {
    /// Host name.
    pub hostname: String,
    /// Operating system id, e.g. `debian`.
    pub os: String,
    /// Operating system version, e.g. `12`.
    pub os_version: String,
    /// Kernel release.
    pub kernel: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// Logical processors.
    pub cpus: u32,
    /// Physical memory, bytes.
    pub memory_bytes: u64,
    /// Changes when the machine restarts.
    pub boot_id: String,
}

impl From<&Host> for HostFacts {
    fn from(host: &Host) -> Self {
        Self {
            hostname: short(&host.hostname),
            os: short(&host.os),
            os_version: short(&host.os_version),
            kernel: short(&host.kernel),
            arch: short(&host.arch),
            cpus: host.cpus,
            memory_bytes: host.memory_bytes,
            boot_id: short(&host.boot_id),
        }
    }
}

/// The agent that runs there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentInfo)]
pub struct AgentFacts {
    /// Semantic version.
    pub version: String,
    /// `x86_64-linux` or `aarch64-linux`.
    pub target: String,
    /// SHA-256 of its binary.
    pub sha256: String,
    /// What it can do.
    pub capabilities: Vec<String>,
}

impl AgentFacts {
    fn new(build: &AgentBuild, capabilities: &[String]) -> Self {
        Self {
            version: short(&build.version),
            target: short(&build.target),
            sha256: build.sha256.to_string(),
            capabilities: capabilities.iter().take(MAX_ENTRIES).map(|name| short(name)).collect(),
        }
    }
}

/// What the host's own policy lets the hub do. The host decides by the policy itself, never by this summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Policy)]
pub struct PolicyFacts {
    /// `absent` (everything is allowed), `file`, or `unreadable` (heartbeat only).
    pub source: PolicyOrigin,
    /// Tiers that are allowed at all: `read`, `typed`, `root`.
    pub tiers: Vec<String>,
    /// Kinds refused although their tier is allowed.
    pub denied_kinds: Vec<String>,
    /// Tiers that need an operator's signature.
    pub require_operator_signature: Vec<String>,
    /// Why the file cannot be read.
    #[schema(required)]
    pub problem: Option<String>,
}

/// Where a host's policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PolicySource)]
pub enum PolicyOrigin {
    /// No policy file.
    Absent,
    /// The root-owned file.
    File,
    /// A file that cannot be read.
    Unreadable,
}

impl From<&PolicySummary> for PolicyFacts {
    fn from(policy: &PolicySummary) -> Self {
        let tiers = |tiers: &[Tier]| {
            let mut tiers = tiers.to_vec();
            tiers.sort_unstable();
            tiers.dedup();
            tiers.into_iter().map(|tier| tier_name(tier).to_owned()).collect()
        };
        Self {
            source: match policy.source {
                PolicySource::Absent => PolicyOrigin::Absent,
                PolicySource::File => PolicyOrigin::File,
                PolicySource::Unreadable => PolicyOrigin::Unreadable,
            },
            tiers: tiers(&policy.tiers),
            denied_kinds: policy.denied_kinds.iter().take(MAX_ENTRIES).map(|kind| short(kind)).collect(),
            require_operator_signature: tiers(&policy.require_operator_signature),
            problem: policy.problem.as_deref().map(short),
        }
    }
}

const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Read => "read",
        Tier::Typed => "typed",
        Tier::Root => "root",
    }
}

/// Everything a hello says about its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The machine.
    pub host: HostFacts,
    /// The agent.
    pub agent: AgentFacts,
    /// The policy.
    pub policy: PolicyFacts,
}

impl From<&Hello> for Facts {
    fn from(hello: &Hello) -> Self {
        Self {
            host: HostFacts::from(&hello.host),
            agent: AgentFacts::new(&hello.agent, &hello.capabilities),
            policy: PolicyFacts::from(&hello.policy),
        }
    }
}

/// Foreign text for a column or a page: short, on one line, without what a text column cannot hold.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_TEXT).collect()
}
