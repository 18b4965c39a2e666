//! Looks at the agents directory and forgets old install tokens.

use std::time::Duration;

use super::store;
use crate::background::{self, Wake};
use crate::error::Result;
use crate::hub::App;

const LOOK_EVERY: Duration = Duration::from_secs(30);
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Expired tokens stay visible for a week.
const KEEP_EXPIRED: Duration = Duration::from_hours(7 * 24);

/// Looks at the agents directory once, then starts the slice's background work.
pub async fn start(app: &App) {
    look_at_builds(App::clone(app)).await;
    background::spawn(app, "enrollment.builds", LOOK_EVERY, Wake::default(), |hub| async {
        look_at_builds(hub).await;
        Ok(())
    });
    background::spawn(app, "enrollment.tokens", FORGET_EVERY, Wake::default(), forget_expired);
}

async fn look_at_builds(hub: App) {
    hub.enrollment.builds.refresh(&hub.config.agents_dir).await;
}

pub(super) async fn forget_expired(hub: App) -> Result<()> {
    let mut tx = hub.db.write().await?;
    store::delete_expired(&mut tx.conn(), hub.now().minus(KEEP_EXPIRED)).await?;
    tx.commit().await?;
    Ok(())
}
