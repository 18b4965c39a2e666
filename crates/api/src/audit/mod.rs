//! Who did what to what: written in the change's own transaction, chained within a second, readable by people with
//! `audit.read`.

mod budget;
mod chain;
mod checkpoint;
mod csv;
mod export;
mod file;
mod filter;
mod form;
mod lines;
mod model;
mod offline;
mod redact;
mod routes;
mod store;
mod task;
mod verify;
mod walk;

#[cfg(test)]
mod tests;

pub use model::{Outcome, Subject};
pub use offline::{Bad, Verdict, verify_database, verify_file};
pub use routes::routes;
pub use task::{chain, expire, start};

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};

use crate::access::Actor;
use crate::background::Wake;
use crate::db::Conn;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::Hub;
use model::Entry;

/// Exports that may run at once.
const EXPORTS: usize = 8;

/// Wakes the task that chains, and bounds what may run and be written.
#[derive(Debug)]
pub struct State {
    pub(crate) wake: Wake,
    /// Held by the one verification that may run.
    verifying: Mutex<()>,
    /// Held while the signed head is written, so that it never goes back.
    keeping: Mutex<()>,
    exports: Arc<Semaphore>,
    refusals: budget::Budgets,
}

impl Default for State {
    fn default() -> Self {
        Self {
            wake: Wake::default(),
            verifying: Mutex::default(),
            keeping: Mutex::default(),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            refusals: budget::Budgets::default(),
        }
    }
}

/// Records that somebody was refused, in a transaction of its own. Asking costs nothing, so one actor gets a number of
/// these a minute; the next one says how many were left out. No unit of work may be open.
///
/// # Errors
/// When the record cannot be written.
pub async fn record_refusal(
    hub: &Hub,
    actor: &Actor,
    action: &'static str,
    subject: Subject,
    mut details: Value,
) -> Result<()> {
    let who = format!("{} {} {}", actor.kind(), actor.id(), actor.workspace_id);
    let Some(left_out) = hub.audit.refusals.spend(hub.now(), &who) else { return Ok(()) };
    if let (Some(details), true) = (details.as_object_mut(), left_out > 0) {
        details.insert("unrecorded_before".to_owned(), left_out.into());
    }
    let mut unit = hub.begin().await?;
    unit.audit(actor, action, subject, Outcome::Denied, details).await?;
    unit.commit().await
}

/// Passes on how something went, and records when it was refused: somebody tried to give or take what they do not hold.
/// The unit of work of the attempt must have ended.
///
/// # Errors
/// That of the outcome, or when the record cannot be written.
pub async fn noting_refusal<T>(hub: &Hub, actor: &Actor, subject: Subject, outcome: Result<T>) -> Result<T> {
    if let Err(error) = &outcome
        && error.code() == ErrorCode::Forbidden
    {
        record_refusal(hub, actor, "access.deny", subject, json!({ "reason": error.message() })).await?;
    }
    outcome
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
    let mut entry = Entry {
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
        form: form::NEWEST,
        salt: None,
        sealed: None,
        redacted_at: None,
    };
    entry.seal(hub.random.bytes()).map_err(Error::internal)?;
    Ok(store::insert(conn, entry).await?)
}
