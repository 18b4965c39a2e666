//! What a host's local policy can allow and refuse, in words both sides share.

use serde::{Deserialize, Serialize};

use crate::ids::ServerId;

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

impl Tier {
    /// Every tier, the weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Typed, Self::Root];

    /// Its name on the wire and in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Typed => "typed",
            Self::Root => "root",
        }
    }
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

/// Rules about what the hub may do on a host. Absent means: everything; each list names what is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Powers that are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<Tier>>,
    /// Kinds that are allowed, by name; a name of a newer version is no error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Users that commands may run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<String>>,
    /// Where working directories and files may lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Powers that need an operator's signature besides the hub's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub require_operator_signature: Vec<Tier>,
}

/// The body of `policy.restrict`, a JSON string inside [`crate::Signed`] under [`crate::signing::RESTRICT`].
///
/// The effective policy is the host's file *and* these rules: the hub can take back its own and never the file's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictBody {
    /// The only server that they are for.
    pub server_id: ServerId,
    /// Counts the hub's changes; a host takes only a higher number than it has, so that an old one cannot come back.
    pub seq: u64,
    /// The hub's rules; empty ones lift all that the hub had set.
    pub rules: Rules,
}

/// A key that a host's policy lists for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorKey {
    /// As `ssh-keygen -l` prints it: `SHA256:` and 43 characters of base64.
    pub fingerprint: String,
    /// The comment behind the key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
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
    /// Rules of the host's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Rules>,
    /// Rules that the hub has set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Rules>,
    /// [`RestrictBody::seq`] of the hub's rules; 0 when it never set any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hub_seq: u64,
    /// Keys whose signatures count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<OperatorKey>,
    /// Why the file is unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl PolicySummary {
    /// Of a host without a policy file: everything is allowed.
    #[must_use]
    pub fn open() -> Self {
        Self {
            source: PolicySource::Absent,
            tiers: Tier::ALL.to_vec(),
            denied_kinds: Vec::new(),
            require_operator_signature: Vec::new(),
            file: None,
            hub: None,
            hub_seq: 0,
            operators: Vec::new(),
            problem: None,
        }
    }

    /// Of a host that cannot tell what it allows: nothing.
    #[must_use]
    pub fn unusable(problem: String) -> Self {
        Self { source: PolicySource::Unreadable, tiers: Vec::new(), problem: Some(problem), ..Self::open() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}
