//! What an operator signs: the job itself, in words that a person can check, under a key that no hub has.
//!
//! The signature is an SSHSIG (OpenSSH's PROTOCOL.sshsig) with the namespace [`NAMESPACE`] over the bytes of the JSON
//! text of an [`OpBody`], as `ssh-keygen -Y sign -n roadstead-job` makes it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::{JobId, ServerId};
use crate::job::CmdBody;
use crate::kinds::JobKind;
use crate::limits::JobLimits;

/// Namespace of operators' signatures: one made for another purpose does not count.
pub const NAMESPACE: &str = "roadstead-job";
/// Signatures that one job can carry.
pub const MAX_SIGNATURES: usize = 8;
/// Longest armoured signature, bytes.
pub const MAX_SIGNATURE: usize = 4 << 10;

/// The job as its operator signs it. The hub writes it once, when the job is made; both sides keep the text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpBody {
    /// The job; with it the signature holds for one run only.
    pub job_id: JobId,
    /// The only server that it is for.
    pub server_id: ServerId,
    /// What to do, see [`crate::kinds::JobKind`].
    pub kind: String,
    /// Arguments of the kind.
    pub args: Box<RawValue>,
    /// User that it runs as.
    pub user: String,
    /// Seconds the job may run.
    pub timeout_s: u32,
    /// What it may take of the server.
    #[serde(default, skip_serializing_if = "JobLimits::is_none")]
    pub limits: JobLimits,
    /// Not to be started after this moment (hub's clock, Unix milliseconds).
    pub expires_at_ms: i64,
}

impl OpBody {
    /// What has to be signed for an order.
    #[must_use]
    pub fn of(order: &CmdBody, kind: &JobKind) -> Self {
        Self {
            job_id: order.job_id,
            server_id: order.server_id,
            kind: order.kind.clone(),
            args: order.args.clone(),
            user: kind.user().to_owned(),
            timeout_s: order.timeout_s,
            limits: order.limits,
            expires_at_ms: order.expires_at_ms,
        }
    }

    /// Whether this is the same job, to the byte of its arguments.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        // Every field by name: one that is added later must not be forgotten here.
        let Self { job_id, server_id, kind, args, user, timeout_s, limits, expires_at_ms } = self;
        *job_id == other.job_id
            && *server_id == other.server_id
            && *kind == other.kind
            && args.get() == other.args.get()
            && *user == other.user
            && *timeout_s == other.timeout_s
            && *limits == other.limits
            && *expires_at_ms == other.expires_at_ms
    }
}
