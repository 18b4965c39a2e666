//! Forgets changes after a day.

use std::time::Duration;

use super::model::Position;
use super::store;
use crate::background::{self, Wake};
use crate::error::Result;
use crate::hub::App;

const KEEP: Duration = Duration::from_hours(24);
const EVERY: Duration = Duration::from_mins(10);
/// Workspaces and changes per transaction, so that retention never holds the writer for long.
const BATCH_WORKSPACES: i64 = 100;
const BATCH_CHANGES: i64 = 5_000;

/// Starts the retention of changes.
pub fn start(app: &App) {
    background::spawn(app, "events.retention", EVERY, Wake::default(), forget_old);
}

pub(super) async fn forget_old(hub: App) -> Result<()> {
    let before = hub.now().minus(KEEP);
    loop {
        let outdated = store::outdated(&mut hub.db.read().await?.conn(), before, BATCH_WORKSPACES).await?;
        if outdated.is_empty() || hub.tasks.is_stopping() {
            return Ok(());
        }
        for workspace in outdated {
            let step = workspace.pruned_seq.get().saturating_add(BATCH_CHANGES).min(workspace.last_seq.get());
            let mut tx = hub.db.write().await?;
            store::prune(&mut tx.conn(), &workspace.workspace_id, Position::new(step)).await?;
            tx.commit().await?;
        }
    }
}
