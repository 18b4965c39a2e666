//! Who did what to what: written in the change's own transaction, chained within a second, readable by people with
//! `audit.read`.

mod chain;
mod model;
mod routes;
mod store;
mod task;
mod verify;

#[cfg(test)]
mod tests;

pub use model::{Outcome, Subject};
pub use routes::routes;
pub use task::{chain, start};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::access::Actor;
use crate::background::Wake;
use crate::db::Conn;
use crate::error::Result;
use crate::hub::Hub;
use model::Entry;

/// Wakes the task that chains.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) wake: Wake,
    /// Held by the one verification that may run.
    verifying: Mutex<()>,
    /// Held while the signed head is written, so that it never goes back.
    keeping: Mutex<()>,
}

/// Writes one record into the caller's transaction.
pub(crate) async fn record(
    hub: &Hub,
    conn: &mut Conn<'_>,
    actor: &Actor,
    action: &'static str,
    subject: Subject,
    outcome: Outcome,
    details: Value,
) -> Result<()> {
    let entry = Entry {
        id: hub.ids.uuid().to_string(),
        workspace_id: actor.workspace_id,
        at: hub.now(),
        actor_type: actor.kind().to_owned(),
        actor_id: actor.id(),
        actor_name: actor.name().to_owned(),
        action: action.to_owned(),
        subject_type: subject.kind.to_owned(),
        subject_id: subject.id,
        subject_name: subject.name,
        server_id: subject.server_id.map(|id| id.to_string()),
        result: outcome,
        ip: actor.origin.ip.clone(),
        user_agent: actor.origin.user_agent.clone(),
        request_id: actor.origin.request_id.clone(),
        details: details.to_string(),
        position: None,
        prev_hash: None,
        hash: None,
    };
    Ok(store::insert(conn, entry).await?)
}
