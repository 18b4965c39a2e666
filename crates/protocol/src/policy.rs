//! What a host's local policy can allow and refuse, in words both sides share.

use serde::{Deserialize, Serialize};

/// How much power over the host a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Looks only.
    Read,
    /// A fixed operation with checked arguments.
    Typed,
    /// As good as root: arbitrary commands, terminals, file writes.
    Root,
}

/// Where the effective policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicySource {
    /// No policy file: everything is allowed.
    Absent,
    /// The root-owned file.
    File,
    /// A file that cannot be read or holds an unknown key: heartbeat only.
    Unreadable,
}

/// What the hub may show of a host's policy. The host decides by the policy itself, never by this summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Where it comes from.
    pub source: PolicySource,
    /// Tiers that are allowed at all.
    pub tiers: Vec<Tier>,
    /// Kinds refused although their tier is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_kinds: Vec<String>,
    /// Tiers that need an operator's signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require_operator_signature: Vec<Tier>,
    /// Why the file is unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
