//! Attempts to prove who one is: counted before they are looked at, and remembered beyond a restart.
//!
//! Attempts from a network that an account was signed in from before are counted apart from those of everybody else, so
//! that strangers who guess at an account do not keep its owner out.

use std::time::Duration;

use protocol::UserId;

use super::sign_in::refuse;
use super::store;
use super::throttle::{MEMORY, Network};
use crate::access::RequestOrigin;
use crate::background;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::error::Result;
use crate::hub::{App, Hub};

/// Networks of one person that are remembered.
const NETWORKS: i64 = 10;
/// Networks that nobody signed in from for this long are forgotten.
const NETWORK_MEMORY: Duration = Duration::from_secs(90 * 86_400);
/// Rows that are read at start.
const MAX_READ: i64 = 10_000;
/// Rows of each kind that are written at once.
const MAX_WRITTEN: usize = 500;
const EVERY: Duration = Duration::from_secs(60);
/// Between two writes: guessing must not become writing.
const PAUSE: Duration = Duration::from_secs(1);

/// An attempt that is being looked at.
#[derive(Debug)]
#[must_use = "a right attempt must be forgiven"]
pub(super) struct Attempt(String);

impl Attempt {
    /// It was right.
    pub(super) fn forgive(self, hub: &Hub) {
        hub.auth.throttle.forgive(&self.0);
        wake(hub);
    }
}

/// Counts an attempt at an account, which is named by the key of its address.
///
/// # Errors
/// 429 when there were too many: it must not be looked at then.
pub(super) async fn admit(hub: &Hub, origin: &RequestOrigin, account: &str) -> Result<Attempt> {
    admit_address(hub, origin).await?;
    admit_account(hub, origin, account).await
}

/// As [`admit`], of an address that was counted already.
///
/// # Errors
/// As [`admit`].
pub(super) async fn admit_account(hub: &Hub, origin: &RequestOrigin, account: &str) -> Result<Attempt> {
    let network = Network::of(&origin.ip).to_string();
    let is_known = {
        let mut database = hub.db.read().await?;
        store::knows_network(&mut database.conn(), account.to_owned(), network.clone()).await?
    };
    // No address holds a space.
    let name = if is_known { known_name(account, &network) } else { account.to_owned() };
    let admitted = hub.auth.throttle.admit_account(hub.now(), &name);
    wake(hub);
    match admitted {
        Ok(()) => Ok(Attempt(name)),
        Err(refusal) => Err(refuse(hub, origin.clone(), refusal).await),
    }
}

/// Somebody proved that an account is theirs in another way: what strangers did to it, and what they themselves did from
/// there, is forgotten.
pub(super) fn forgive_account(hub: &Hub, origin: &RequestOrigin, account: &str) {
    let network = Network::of(&origin.ip).to_string();
    Attempt(known_name(account, &network)).forgive(hub);
    Attempt(account.to_owned()).forgive(hub);
}

fn known_name(account: &str, network: &str) -> String {
    format!("{account} from {network}")
}

/// Whether somebody who has signed in before signs in from a network that they never signed in from.
pub(super) async fn is_new_place(conn: &mut Conn<'_>, user: UserId, origin: &RequestOrigin) -> Result<bool, DbError> {
    match Network::of(&origin.ip) {
        Network::Unknown => Ok(false),
        network => store::is_new_network(conn, user, network.to_string()).await,
    }
}

/// Counts an attempt at what is no account.
///
/// # Errors
/// As [`admit`].
pub(super) async fn admit_address(hub: &Hub, origin: &RequestOrigin) -> Result<()> {
    hub.auth.remembered.get_or_try_init(|| remember(hub)).await?;
    let admitted = hub.auth.throttle.admit_address(hub.now(), Network::of(&origin.ip));
    wake(hub);
    match admitted {
        Ok(()) => Ok(()),
        Err(refusal) => Err(refuse(hub, origin.clone(), refusal).await),
    }
}

/// Remembers where somebody signed in from.
pub(super) async fn note_network(
    conn: &mut Conn<'_>,
    user: UserId,
    origin: &RequestOrigin,
    now: Timestamp,
) -> Result<(), DbError> {
    match Network::of(&origin.ip) {
        Network::Unknown => Ok(()),
        network => store::note_network(conn, user, network.to_string(), now, NETWORKS).await,
    }
}

/// Reads what the hub knew before it stopped.
async fn remember(hub: &Hub) -> Result<()> {
    let now = hub.now();
    let mut database = hub.db.read().await?;
    let rows = store::attempts(&mut database.conn(), now.minus(MEMORY), MAX_READ).await?;
    hub.auth.throttle.restore(now, rows);
    Ok(())
}

fn wake(hub: &Hub) {
    if hub.auth.throttle.has_changes() {
        hub.auth.attempts.wake();
    }
}

/// Starts the task that writes attempts down.
pub(super) fn start(app: &App) {
    background::spawn(app, "auth.attempts", EVERY, app.auth.attempts.clone(), |hub| async move {
        write(&hub).await?;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = hub.tasks.stopping() => write(&hub).await?,
        }
        wake(&hub);
        Ok(())
    });
}

/// Writes down what changed, a bounded part of it; no statement when nothing did.
///
/// # Errors
/// When the database cannot be written; what changed is then written later.
pub(super) async fn write(hub: &Hub) -> Result<()> {
    let changes = hub.auth.throttle.take_changes(hub.now(), MAX_WRITTEN);
    if changes.is_empty() {
        return Ok(());
    }
    let written = async {
        let mut tx = hub.db.write().await?;
        for (kind, name) in &changes.delete {
            store::delete_attempts(&mut tx.conn(), kind, name.clone()).await?;
        }
        for row in &changes.put {
            store::put_attempts(&mut tx.conn(), row.clone()).await?;
        }
        tx.commit().await
    };
    if let Err(error) = written.await {
        hub.auth.throttle.give_back(&changes);
        return Err(error.into());
    }
    Ok(())
}

/// Forgets what is old, in memory and in the database.
pub(super) async fn forget_old(hub: &Hub, conn: &mut Conn<'_>) -> Result<(), DbError> {
    let now = hub.now();
    hub.auth.throttle.forget_old(now);
    store::delete_old_attempts(conn, now.minus(MEMORY)).await?;
    store::delete_old_networks(conn, now.minus(NETWORK_MEMORY)).await
}
