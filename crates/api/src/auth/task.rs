//! Forgets sessions that have ended.

use super::session::IDLE;
use super::store;
use crate::error::Result;
use crate::hub::Hub;

/// Deletes expired sessions; how many. They open nothing any more, this only keeps the table small.
///
/// # Errors
/// When the database cannot be written.
pub async fn sweep(hub: &Hub) -> Result<u64> {
    let now = hub.now();
    let mut unit = hub.begin().await?;
    let deleted = store::delete_expired_sessions(&mut unit.conn(), now, now.minus(IDLE)).await?;
    unit.commit().await?;
    Ok(deleted)
}
