//! The licence that every welcome carries and the agent caches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ServerId, WorkspaceId};

/// The body of a licence, sent as a JSON string inside [`crate::Signed`] under [`crate::signing::LICENSE`].
///
/// A licence that ran out never disconnects an agent and never stops what protects data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseBody {
    /// The server it is for.
    pub server_id: ServerId,
    /// Its owner.
    pub workspace_id: WorkspaceId,
    /// Name of the plan, `unlimited` on a self-hosted hub.
    pub plan: String,
    /// Features beyond the plan's.
    #[serde(default)]
    pub features: Vec<String>,
    /// Limits by name; absent = unlimited.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// Unix milliseconds.
    pub issued_at_ms: i64,
    /// Unix milliseconds, 30 days after the issue; renewed daily.
    pub expires_at_ms: i64,
}
