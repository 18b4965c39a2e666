//! Forgets invitations whose time is over.

use std::time::Duration;

use super::store;
use crate::background;
use crate::error::Result;
use crate::hub::{App, Hub};

const EVERY: Duration = Duration::from_secs(3600);

/// Starts the task.
pub fn start(app: &App) {
    background::spawn(app, "team.invites", EVERY, background::Wake::default(), |hub| async move { sweep(&hub).await });
}

/// Forgets what has expired.
///
/// # Errors
/// When the database cannot be written.
pub async fn sweep(hub: &Hub) -> Result<()> {
    let mut tx = hub.db.write().await?;
    store::forget_expired_invites(&mut tx.conn(), hub.now()).await?;
    Ok(tx.commit().await?)
}
