//! Enrolling: an install token, the line that a person pastes, the installer it fetches, and the registration that
//! exchanges the token for an agent token.
//!
//! A registration answers by the state of its token: 201 when it is fresh, the same again for the same nonce until the
//! agent has connected, 401 when it is malformed or unknown, 410 when it was used or has expired.

mod builds;
mod installer;
mod model;
mod registration;
mod routes;
mod store;
mod task;
#[cfg(test)]
mod tests;
mod tokens;

pub use builds::{AgentBuild, Builds, Target};
pub use model::{InstallToken, TokenStatus};
pub use routes::routes;
pub use task::start;

use crate::http::Limiter;

/// Agent builds that this hub hands out, and how often an address may register.
#[derive(Debug)]
pub struct State {
    builds: builds::Cache,
    registrations: Limiter,
}

impl Default for State {
    fn default() -> Self {
        Self { builds: builds::Cache::default(), registrations: Limiter::new(registration::LIMIT) }
    }
}

impl State {
    /// The agent builds that were found and checked last.
    #[must_use]
    pub fn builds(&self) -> std::sync::Arc<Builds> {
        self.builds.current()
    }
}
