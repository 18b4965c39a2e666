//! Moves every batch on that has not ended.

use std::time::Duration;

use protocol::BatchId;

use super::{advance, store};
use crate::background;
use crate::error::Result;
use crate::hub::App;

/// How often to look; the end of a job wakes it besides.
const EVERY: Duration = Duration::from_secs(1);
/// Batches that are read at once; batches that stand still for days must not hide the ones behind them.
const AT_ONCE: i64 = 200;

/// Starts the reconciler of batches.
pub fn spawn(app: &App) {
    let wake = app.job_batches.wake.clone();
    background::spawn(app, "job_batches", EVERY, wake, |app| async move { reconcile(&app).await });
}

/// Moves every batch on as far as it goes now.
///
/// # Errors
/// When the database cannot be used; nothing is lost, the next run does it.
pub async fn reconcile(app: &App) -> Result<()> {
    let mut after = String::new();
    loop {
        let open = {
            let mut session = app.db.read().await?;
            store::unfinished(&mut session.conn(), after, AT_ONCE).await?
        };
        let Some(last) = open.last() else { return Ok(()) };
        after = last.to_string();
        move_on(app, open).await;
    }
}

async fn move_on(app: &App, open: Vec<BatchId>) {
    for id in open {
        // One batch's trouble is no other's.
        while advance::advance(app, id)
            .await
            .inspect_err(|error| {
                tracing::error!(batch.id = %id, error = %error.chain(), "a batch could not be moved on: {error}");
            })
            .unwrap_or(false)
        {}
    }
}
