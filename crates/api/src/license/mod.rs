//! Licences: what a workspace's plan lets a server do. A self-hosted hub issues unlimited ones.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::license::LicenseBody;
use protocol::{ServerId, Signed, WorkspaceId, signing};

use crate::error::{Error, Result};
use crate::hub::Hub;

/// How long a licence holds. Agents get a new one with every connection.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A licence for a server, signed.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn issue(hub: &Hub, workspace_id: WorkspaceId, server_id: ServerId) -> Result<Signed> {
    let now = hub.now();
    let body = LicenseBody {
        server_id,
        workspace_id,
        plan: "unlimited".to_owned(),
        features: Vec::new(),
        limits: BTreeMap::new(),
        issued_at_ms: now.as_ms(),
        expires_at_ms: now.plus(LIFE).as_ms(),
    };
    Ok(hub.keys.sign(signing::LICENSE, serde_json::to_string(&body).map_err(Error::internal)?))
}
