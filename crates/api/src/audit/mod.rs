//! Who did what to what: written in the change's own transaction.

use serde_json::Value;

use crate::access::Actor;
use crate::db::Conn;
use crate::error::Result;
use crate::hub::Hub;

/// What was acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `server`, `job`, `session`, …
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name at that time.
    pub name: String,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ok,
    /// Not allowed.
    Denied,
    /// Tried and failed.
    Failed,
}

/// Writes one record.
pub(crate) async fn record(
    hub: &Hub,
    conn: &mut Conn<'_>,
    actor: &Actor,
    action: &'static str,
    subject: Subject,
    outcome: Outcome,
    details: Value,
) -> Result<()> {
    let _ = (hub, conn, actor, action, subject, outcome, details);
    Ok(())
}

/// The routes of this slice.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::hub::App> {
    utoipa_axum::router::OpenApiRouter::new()
}
