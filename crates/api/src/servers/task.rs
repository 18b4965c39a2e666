//! Presence as a reconciler: what was announced follows what is true.

use std::time::Duration;

use serde_json::json;

use super::presence::Transition;
use super::{store, token};
use crate::background;
use crate::error::Result;
use crate::events::{Change, ChangeSubject};
use crate::hub::{App, Hub};

/// How often presence looks; what happens at a connection wakes it besides.
const EVERY: Duration = Duration::from_secs(1);
/// How often signs of life are written down.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// Rows of one transaction: others want to write too.
const BATCH: usize = 200;

/// Starts the task.
pub fn start(app: &App) {
    token::start(app);
    background::spawn(app, "presence", EVERY, app.servers.wake.clone(), |hub| async move { sweep(&hub).await });
}

/// Compares and announces once.
///
/// # Errors
/// When the database cannot be written; nothing is lost, the next run does it.
pub async fn sweep(hub: &Hub) -> Result<()> {
    restore(hub).await?;
    let deadline = Duration::from_secs(hub.config.offline_after_s.into());
    let due = hub.servers.presence().due(hub.now(), deadline, |server| hub.gateway.heard_at(server));
    for batch in due.chunks(BATCH) {
        announce(hub, batch).await?;
    }
    flush(hub).await
}

/// Takes over what the database says, once.
async fn restore(hub: &Hub) -> Result<()> {
    if hub.servers.bookkeeping().restored {
        return Ok(());
    }
    let watched = {
        let mut session = hub.db.read().await?;
        store::watched(&mut session.conn()).await?
    };
    let now = hub.now();
    let mut presence = hub.servers.presence();
    for server in watched {
        presence.restore(server.id, server.workspace_id, server.status, server.last_seen_at, now);
    }
    drop(presence);
    hub.servers.bookkeeping().restored = true;
    Ok(())
}

async fn announce(hub: &Hub, transitions: &[Transition]) -> Result<()> {
    let mut gone = Vec::new();
    let mut unit = hub.begin().await?;
    for transition in transitions {
        let Transition { server_id, workspace_id, status, last_seen_at } = *transition;
        if store::set_status(&mut unit.conn(), server_id, status, last_seen_at).await? == 0 {
            gone.push(server_id);
            continue;
        }
        unit.announce(Change {
            workspace_id,
            kind: "server.status",
            subject: ChangeSubject::server(server_id),
            data: json!({ "status": status, "last_seen_at": last_seen_at }),
        });
    }
    unit.commit().await?;
    let mut presence = hub.servers.presence();
    for transition in transitions {
        tracing::info!(server.id = %transition.server_id, status = transition.status.as_str(), "server status");
        presence.announced(transition);
    }
    for server_id in gone {
        presence.forget(server_id);
    }
    Ok(())
}

/// Writes signs of life down, in batches and not at each ping.
async fn flush(hub: &Hub) -> Result<()> {
    let now = hub.now();
    if hub.servers.bookkeeping().flushed_at.is_some_and(|at| at <= now && now.since(at) < FLUSH_EVERY) {
        return Ok(());
    }
    let seen = hub.servers.presence().unwritten();
    for batch in seen.chunks(BATCH) {
        let mut tx = hub.db.write().await?;
        for (server_id, at) in batch {
            store::set_last_seen(&mut tx.conn(), *server_id, *at).await?;
        }
        tx.commit().await?;
        hub.servers.presence().written(batch);
    }
    hub.servers.bookkeeping().flushed_at = Some(now);
    Ok(())
}
