//! How servers are doing: the newest sample of each, and their history.

pub mod agent;
mod live;
mod ring;
mod sample;
mod series;
mod state;

use protocol::ServerId;

pub use live::{Detail, Live};
pub use state::State;

use crate::hub::Hub;

/// The newest sample of a connected server in short.
#[must_use]
pub fn live(hub: &Hub, server: ServerId) -> Option<Live> {
    hub.metrics.rings().get(&server)?.live()
}

/// The newest sample of a connected server in full.
#[must_use]
pub fn detail(hub: &Hub, server: ServerId) -> Detail {
    let rings = hub.metrics.rings();
    rings.get(&server).and_then(|ring| ring.beat()).map(Detail::from).unwrap_or_default()
}

/// The routes of this slice.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::hub::App> {
    utoipa_axum::router::OpenApiRouter::new()
}
