//! What an agent's hello says about its host, as the hub stores and shows it.
//!
//! Everything here was said by the other side: texts are shortened and freed of control characters before they are kept.

use protocol::policy::{PolicySource, PolicySummary, Rules, Tier};
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
    /// Tiers that are allowed at all.
    #[schema(value_type = Vec<TierName>)]
    pub tiers: Vec<String>,
    /// Kinds refused although their tier is allowed.
    pub denied_kinds: Vec<String>,
    /// Tiers that need an operator's signature.
    #[schema(value_type = Vec<TierName>)]
    pub require_operator_signature: Vec<String>,
    /// What the host's own file says; null when there is none that can be read.
    #[serde(default)]
    #[schema(required)]
    pub file: Option<PolicyRules>,
    /// What the hub has set and the host took; null when there is nothing.
    #[serde(default)]
    #[schema(required)]
    pub hub: Option<PolicyRules>,
    /// Which of the hub's changes the host has.
    #[serde(default)]
    #[schema(required)]
    pub hub_seq: u64,
    /// Keys whose signatures the host takes.
    #[serde(default)]
    #[schema(required)]
    pub operators: Vec<OperatorKeyFacts>,
    /// Why the file cannot be read.
    #[schema(required)]
    pub problem: Option<String>,
}

/// Rules about what the hub may do on a server. Absent means: everything; each list names what is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRules {
    /// Powers that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<TierName>>)]
    pub tiers: Option<Vec<String>>,
    /// Kinds that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Users that commands may run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<String>>,
    /// Where working directories and files may lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Powers that need an operator's signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<TierName>)]
    pub require_operator_signature: Vec<String>,
}

impl From<&Rules> for PolicyRules {
    fn from(rules: &Rules) -> Self {
        let texts = |list: &Option<Vec<String>>| {
            list.as_ref().map(|list| list.iter().take(MAX_ENTRIES).map(|text| short(text)).collect())
        };
        Self {
            tiers: rules.tiers.as_deref().map(tier_names),
            kinds: texts(&rules.kinds),
            users: texts(&rules.users),
            paths: texts(&rules.paths),
            require_operator_signature: tier_names(&rules.require_operator_signature),
        }
    }
}

/// How much power over a host a kind of job takes, for the API's document: the wire crate knows nothing of it.
#[derive(ToSchema)]
#[schema(as = Tier, rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum TierName {
    /// Looks only.
    Read,
    /// A fixed operation with checked arguments.
    Typed,
    /// As good as root.
    Root,
}

/// A key that a host's policy lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyOperator)]
pub struct OperatorKeyFacts {
    /// As `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The comment behind the key.
    pub comment: String,
}

fn tier_names(tiers: &[Tier]) -> Vec<String> {
    let mut tiers = tiers.to_vec();
    tiers.sort_unstable();
    tiers.dedup();
    tiers.into_iter().map(|tier| tier.name().to_owned()).collect()
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
        Self {
            source: match policy.source {
                PolicySource::Absent => PolicyOrigin::Absent,
                PolicySource::File => PolicyOrigin::File,
                PolicySource::Unreadable => PolicyOrigin::Unreadable,
            },
            tiers: tier_names(&policy.tiers),
            denied_kinds: policy.denied_kinds.iter().take(MAX_ENTRIES).map(|kind| short(kind)).collect(),
            require_operator_signature: tier_names(&policy.require_operator_signature),
            file: policy.file.as_ref().map(PolicyRules::from),
            hub: policy.hub.as_ref().map(PolicyRules::from),
            hub_seq: policy.hub_seq,
            operators: policy
                .operators
                .iter()
                .take(MAX_ENTRIES)
                .map(|key| OperatorKeyFacts { fingerprint: short(&key.fingerprint), comment: short(&key.comment) })
                .collect(),
            problem: policy.problem.as_deref().map(short),
        }
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
