//! Forgets sessions that have ended and attempts that are long past, and follows what the settings say of identity
//! providers.

use std::time::Duration;

use super::session::IDLE;
use super::{attempts, oidc, store};
use crate::background::{self, Wake};
use crate::error::Result;
use crate::hub::{App, Hub};

const EVERY: Duration = Duration::from_secs(3600);

/// Starts the tasks.
pub fn start(app: &App) {
    attempts::start(app);
    background::spawn(app, "auth.sweep", EVERY, Wake::default(), |hub| async move {
        let deleted = sweep(&hub).await?;
        if deleted > 0 {
            tracing::debug!(deleted, "expired sessions were deleted");
        }
        Ok(())
    });
}

/// Deletes expired sessions; how many. They open nothing any more, this only keeps the table small.
///
/// # Errors
/// When the database cannot be written.
pub async fn sweep(hub: &Hub) -> Result<u64> {
    let now = hub.now();
    let mut unit = hub.begin().await?;
    let deleted = store::delete_expired_sessions(&mut unit.conn(), now, now.minus(IDLE)).await?;
    store::delete_expired_resets(&mut unit.conn(), now).await?;
    store::delete_expired_email_changes(&mut unit.conn(), now).await?;
    attempts::forget_old(hub, &mut unit.conn()).await?;
    hub.auth.ceremonies.forget_old(now);
    for provider in &hub.config.oidc {
        store::set_both_factors(&mut unit.conn(), provider.issuer.clone(), provider.both_factors).await?;
    }
    unit.commit().await?;
    oidc::take_what_is_given_no_more(hub).await?;
    Ok(deleted)
}
