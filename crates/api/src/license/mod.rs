//! Licences: what a workspace's plan lets a server do. Without a plan they are unlimited.

use std::time::Duration;

use protocol::license::LicenseBody;
use protocol::request::{LICENSE_SET, Request};
use protocol::{ServerId, Signed, WorkspaceId, signing};

use crate::background::{self, Wake};
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use crate::plans;

/// How long a licence holds. Agents get a new one with every connection, and every day.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often connected agents get a new one.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Licences that are signed before others get a turn.
const AT_ONCE: usize = 100;

/// Starts the task that renews the licences of connected agents.
pub fn spawn(app: &App) {
    background::spawn(app, "licenses", RENEW_EVERY, Wake::default(), |app| async move { renew(&app).await });
}

/// Sends every connected agent a new licence. One that it misses comes with its next welcome.
///
/// # Errors
/// When one cannot be written as JSON.
pub async fn renew(hub: &Hub) -> Result<()> {
    for (number, link) in hub.gateway.links().into_iter().enumerate() {
        let license = issue(hub, link.workspace_id, link.server_id).await?;
        let params = serde_json::to_value(license).map_err(Error::internal)?;
        let deadline_ms = hub.now().plus(RENEW_EVERY).as_ms();
        // Nobody waits for the answer; a refusal is reported as a security event.
        let _ = link.send(Request { method: LICENSE_SET.to_owned(), params, deadline_ms }.into(), None);
        if number % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// A licence for a server, signed: what the plan of its workspace says.
///
/// # Errors
/// When the database cannot be read, or it cannot be written as JSON.
pub async fn issue(hub: &Hub, workspace_id: WorkspaceId, server_id: ServerId) -> Result<Signed> {
    let now = hub.now();
    let plan = {
        let mut session = hub.db.read().await?;
        plans::of(&mut session.conn(), workspace_id).await?
    };
    let body = LicenseBody {
        server_id,
        workspace_id,
        plan: plan.name.as_str().to_owned(),
        features: plan.features.as_slice().to_vec(),
        limits: plan.limits.by_name(),
        issued_at_ms: now.as_ms(),
        expires_at_ms: now.plus(LIFE).as_ms(),
    };
    Ok(hub.keys.sign(signing::LICENSE, serde_json::to_string(&body).map_err(Error::internal)?))
}
