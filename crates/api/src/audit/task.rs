//! Chains what was recorded, and removes what is too old.

use std::time::Duration;

use crate::background::{self, Wake};
use crate::error::Result;
use crate::hub::{App, Hub};

/// Records of this long are chained together: one transaction and one signed file for all of them.
const GATHER: Duration = Duration::from_millis(500);
/// Wake-ups may be missed, and another hub's records have none here.
const EVERY: Duration = Duration::from_secs(60);
/// Days are counted, so this is often enough; each run that removes something is recorded.
const EXPIRE_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Starts the task that chains.
pub fn start(app: &App) {
    background::spawn(app, "audit.chain", EVERY, app.audit.wake.clone(), |hub| async move {
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = hub.tasks.stopping() => {}
        }
        chain(&hub).await
    });
    background::spawn(app, "audit.expire", EXPIRE_EVERY, Wake::default(), |hub| async move { expire(&hub).await });
}

/// Chains every record that is not yet in the chain, now.
///
/// # Errors
/// When the database or the data directory cannot be written.
pub async fn chain(hub: &Hub) -> Result<()> {
    super::chain::extend(hub).await
}

/// Removes what is older than `retention.audit_days`, now.
///
/// # Errors
/// When the database cannot be written, or what would be removed was tampered with: that is evidence.
pub async fn expire(hub: &Hub) -> Result<()> {
    super::checkpoint::expire(hub).await
}
