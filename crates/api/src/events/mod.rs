//! Changes that people may see: recorded in the change's own transaction, kept for a day, streamed by
//! `GET /v1/events` with resume.
//!
//! Every workspace numbers its changes without holes. The counter is a row that the change's transaction moves as its
//! last statement, so numbers follow the order of commits on both engines, and a follower that sees number 12 after
//! number 10 knows that 11 is in the table and reads it there. The bus may therefore lose, repeat or swap changes.

mod follow;
mod model;
mod routes;
mod sight;
mod store;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use model::{Change, ChangeSubject, Position, Recorded, StreamEvent};
pub use routes::routes;
pub use task::start;

use crate::db::Conn;
use crate::error::Result;
use crate::hub::Hub;

/// Writes the changes of a unit of work into its transaction; the last thing before its commit.
pub(crate) async fn record(hub: &Hub, conn: &mut Conn<'_>, changes: Vec<Change>) -> Result<Vec<Recorded>> {
    let mut counts = BTreeMap::new();
    for change in &changes {
        *counts.entry(change.workspace_id).or_insert(0_i64) += 1;
    }
    // In the order of ids, so that two units that touch the same workspaces never wait for each other.
    let mut positions = BTreeMap::new();
    for (workspace_id, count) in counts {
        let last = store::advance(conn, workspace_id, count).await?;
        positions.insert(workspace_id, Position::new(last.get() - count));
    }
    let at = hub.now();
    let mut recorded = Vec::with_capacity(changes.len());
    for change in changes {
        let next = positions.get(&change.workspace_id).map(|position| position.next());
        if let Some(position) = next {
            positions.insert(change.workspace_id, position);
            store::insert(conn, position, at, &change).await?;
        }
        recorded.push(Recorded { id: next, at, change });
    }
    Ok(recorded)
}

/// Tells whoever looks right now: not stored, never replayed.
pub fn announce_live(hub: &Hub, change: Change) {
    hub.bus.publish(Recorded { id: None, at: hub.now(), change });
}
