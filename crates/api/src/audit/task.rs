//! Chains what was recorded.

use std::time::Duration;

use crate::background;
use crate::error::Result;
use crate::hub::{App, Hub};

/// Records of this long are chained together: one transaction and one signed file for all of them.
const GATHER: Duration = Duration::from_millis(500);
/// Wake-ups may be missed, and another hub's records have none here.
const EVERY: Duration = Duration::from_secs(60);

/// Starts the task that chains.
pub fn start(app: &App) {
    background::spawn(app, "audit.chain", EVERY, app.audit.wake.clone(), |hub| async move {
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = hub.tasks.stopping() => {}
        }
        chain(&hub).await
    });
}

/// Chains every record that is not yet in the chain, now.
///
/// # Errors
/// When the database or the data directory cannot be written.
pub async fn chain(hub: &Hub) -> Result<()> {
    super::chain::extend(hub).await
}
