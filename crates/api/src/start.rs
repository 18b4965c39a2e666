//! Puts a hub together: settings, databases, keys and the slices' state become one [`Hub`].

use std::sync::Arc;

use crate::bus::Bus;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::db::Db;
use crate::hub::{App, Hub};
use crate::ids::Ids;
use crate::keys::Keys;
use crate::random::{Random, SystemRandom};
use crate::tasks::Tasks;

/// What a hub is made of besides its settings. Tests put their own in.
#[derive(Debug)]
pub struct Parts {
    /// Rows.
    pub db: Db,
    /// Samples and logs.
    pub history: Db,
    /// Signing keys.
    pub keys: Keys,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// The machine's clock and randomness.
#[must_use]
pub fn system() -> (Arc<dyn Clock>, Arc<dyn Random>) {
    (Arc::new(SystemClock), Arc::new(SystemRandom::default()))
}

/// A hub of these parts. Nothing runs yet: no listener, no background task.
#[must_use]
pub fn assemble(config: Config, parts: Parts) -> App {
    let Parts { db, history, keys, clock, random } = parts;
    Arc::new(Hub {
        ids: Ids::new(Arc::clone(&clock), Arc::clone(&random)),
        tasks: Tasks::default(),
        bus: Bus::default(),
        http: crate::http::State::default(),
        background: crate::background::State::default(),
        auth: crate::auth::State::default(),
        audit: crate::audit::State::default(),
        gateway: crate::gateway::Registry::default(),
        servers: crate::servers::State::default(),
        metrics: crate::metrics::State::default(),
        jobs: crate::jobs::State::default(),
        enrollment: crate::enrollment::State::default(),
        config,
        db,
        history,
        clock,
        random,
        keys,
    })
}
