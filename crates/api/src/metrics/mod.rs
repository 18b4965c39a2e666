//! How servers are doing: the newest sample of each, and their history.
//!
//! A heartbeat goes into the server's ring in memory. Minutes that are over are written to a journal, one append for all
//! servers; hours that are over become packed blocks of one server each, by the minute, by five minutes and by the hour.

pub mod agent;
mod block;
mod journal;
mod live;
mod mean;
mod query;
mod ring;
mod routes;
mod sample;
mod series;
mod state;
mod store;
mod task;
#[cfg(test)]
mod tests;
mod tier;

use protocol::ServerId;
use utoipa_axum::router::OpenApiRouter;

pub use live::{Detail, Live, Spark};
pub use state::{Health, State};
pub use task::{start, write};

use crate::error::Result;
use crate::hub::{App, Hub};
use ring::SPARK_MINUTES;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// The newest sample of a connected server in short.
#[must_use]
pub fn live(hub: &Hub, server: ServerId) -> Option<Live> {
    hub.metrics.rings().get(&server)?.live()
}

/// The same of many at once, in their order.
pub fn live_each(hub: &Hub, servers: impl Iterator<Item = ServerId>) -> Vec<Option<Live>> {
    let rings = hub.metrics.rings();
    servers.map(|server| rings.get(&server)?.live()).collect()
}

/// The newest sample of a connected server in full.
#[must_use]
pub fn detail(hub: &Hub, server: ServerId) -> Detail {
    let rings = hub.metrics.rings();
    rings.get(&server).and_then(|ring| ring.beat()).map(Detail::from).unwrap_or_default()
}

/// The last half hour of a server, as far as it is in memory.
#[must_use]
pub fn spark(hub: &Hub, server: ServerId) -> Spark {
    let after = ring::minute_of(hub.now()) + 1;
    let mut rows = vec![series::EMPTY; usize::try_from(SPARK_MINUTES).unwrap_or_default()];
    if let Some(ring) = hub.metrics.rings().get(&server) {
        for (minute, row) in ring.minutes(after - SPARK_MINUTES, after) {
            let index = usize::try_from(minute - (after - SPARK_MINUTES)).ok();
            if let Some(slot) = index.and_then(|index| rows.get_mut(index)) {
                *slot = row;
            }
        }
    }
    Spark::new(&rows)
}

/// Deletes what is kept of a server that was removed.
///
/// # Errors
/// When history cannot be written.
pub async fn forget(hub: &Hub, server: ServerId) -> Result<()> {
    hub.metrics.rings().remove(&server);
    let mut tx = hub.history.write().await?;
    store::delete_blocks(&mut tx.conn(), server).await?;
    Ok(tx.commit().await?)
}
