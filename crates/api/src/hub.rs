//! The one struct that a request can reach, and the unit of work that changes things.

use std::sync::Arc;

use serde_json::Value;

use crate::access::Actor;
use crate::audit::{Outcome, Subject};
use crate::bus::Bus;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::db::{Conn, Db, Tx};
use crate::error::Result;
use crate::events::Change;
use crate::ids::Ids;
use crate::keys::Keys;
use crate::outbound::Outbound;
use crate::random::Random;
use crate::sealing::Sealing;
use crate::tasks::Tasks;

/// How handlers receive the hub.
pub type App = Arc<Hub>;

/// A running hub. Slices keep their in-memory state in the field that carries their name.
#[derive(Debug)]
pub struct Hub {
    /// Settings, fixed at start.
    pub config: Config,
    /// Rows: people, servers, jobs, audit.
    pub db: Db,
    /// Samples and logs; the same database as `db` on PostgreSQL.
    pub history: Db,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Makes ids.
    pub ids: Ids,
    /// Signing keys.
    pub keys: Keys,
    /// Seals secrets that wait.
    pub sealing: Sealing,
    /// The way out, to where others wish.
    pub outbound: Outbound,
    /// Background tasks.
    pub tasks: Tasks,
    /// Fan-out of changes inside this process.
    pub bus: Bus,
    /// How the reconcilers fare.
    pub background: crate::background::State,
    /// Nothing, but for the test of the tests.
    pub access: crate::access::State,
    /// Limits, counters and the certificate's standing.
    pub http: crate::http::State,
    /// Sign-in throttling and the password hashing pool.
    pub auth: crate::auth::State,
    /// Keys that requests came with.
    pub api_keys: crate::api_keys::State,
    /// The task that chains records.
    pub audit: crate::audit::State,
    /// Connected agents.
    pub gateway: crate::gateway::Registry,
    /// Presence of servers.
    pub servers: crate::servers::State,
    /// Latest samples.
    pub metrics: crate::metrics::State,
    /// Delivery wake-ups and log followers.
    pub jobs: crate::jobs::State,
    /// Batches that may move on.
    pub job_batches: crate::job_batches::State,
    /// What is on its way out.
    pub deliveries: crate::deliveries::State,
    /// Agent builds that this hub hands out.
    pub enrollment: crate::enrollment::State,
}

impl Hub {
    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Closes the databases: the last thing a hub does.
    pub async fn close(&self) {
        self.db.close().await;
        self.history.close().await;
    }

    /// Starts a unit of work: one write transaction, its audit records in it, its changes announced after commit.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin(&self) -> Result<Unit<'_>> {
        Ok(Unit { hub: self, tx: self.db.write().await?, changes: Vec::new(), audited: false, delivers: false })
    }
}

/// One write transaction with everything that belongs to it. Dropped without [`Unit::commit`], nothing happened.
#[derive(Debug)]
#[must_use = "a unit of work that is not committed changes nothing"]
pub struct Unit<'h> {
    hub: &'h Hub,
    tx: Tx,
    changes: Vec<Change>,
    audited: bool,
    delivers: bool,
}

impl Unit<'_> {
    /// The connection, for store functions.
    pub fn conn(&mut self) -> Conn<'_> {
        self.tx.conn()
    }

    /// Records who did what to what, and tells webhooks of it; `details` must hold no secret.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn audit(
        &mut self,
        actor: &Actor,
        action: &'static str,
        subject: Subject,
        outcome: Outcome,
        details: Value,
    ) -> Result<()> {
        self.audited = true;
        let hub = self.hub;
        crate::webhooks::tell(hub, self, actor, action, &subject, (outcome, &details)).await?;
        crate::audit::record(hub, &mut self.tx.conn(), actor, action, subject, outcome, details).await
    }

    /// Something was put into the outbox.
    pub(crate) const fn delivers(&mut self) {
        self.delivers = true;
    }

    /// Announces a change on the event stream once it is committed.
    pub fn announce(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Commits, then announces.
    ///
    /// # Errors
    /// When it could not be made durable: nothing of it happened and nothing is announced.
    pub async fn commit(mut self) -> Result<()> {
        let recorded = crate::events::record(self.hub, &mut self.tx.conn(), self.changes).await?;
        self.tx.commit().await?;
        if self.audited {
            self.hub.audit.wake.wake();
        }
        if self.delivers {
            self.hub.deliveries.wake.wake();
        }
        for change in recorded {
            self.hub.bus.publish(change);
        }
        Ok(())
    }
}
