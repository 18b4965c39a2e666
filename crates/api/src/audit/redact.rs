//! Taking personal data out of old records. The chain holds: what is removed was in it as a digest only.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::WorkspaceId;
use serde_json::json;
use uuid::Uuid;

use super::form;
use super::model::{Entry, Outcome, Subject, View};
use super::store;
use super::walk::REDACT;
use crate::access::verbs::AuditRedact;
use crate::access::{Authorized, Node, Place, Resource};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::hub::Hub;

impl Resource for Entry {
    const WORD: &'static str = "audit record";
    const READ: Node = Node::AuditRead;
    type Id = Uuid;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: Uuid) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id.to_string()).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    /// Whoever removes something from the log must answer for all of it.
    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place::WORKSPACE) }.boxed()
    }
}

/// Removes names, address, user agent and details of a record, and records that.
///
/// # Errors
/// 409 when it was redacted before, or is hashed in a form that cannot be redacted.
pub(super) async fn redact(hub: &Hub, record: Authorized<Entry, AuditRedact>, reason: &str) -> Result<View> {
    let Authorized { actor, resource: mut entry, .. } = record;
    if entry.form < form::NEWEST {
        return Err(Error::conflict(
            "this record was written by an older version of the hub and cannot be redacted without breaking the chain; \
             the retention of the audit log removes it in time",
        ));
    }
    entry.blank();
    let mut unit = hub.begin().await?;
    if !store::redact(&mut unit.conn(), &entry, hub.now()).await? {
        return Err(Error::conflict("this record was redacted before"));
    }
    let details = json!({ "reason": reason, "action": entry.action, "at": entry.at });
    let subject = Subject::new("audit_record", &entry.id, "");
    unit.audit(&actor, REDACT, subject, Outcome::Ok, details).await?;
    let redacted = store::by_id(&mut unit.conn(), entry.id).await?;
    let redacted = redacted.ok_or_else(|| Error::not_found("audit record"))?;
    unit.commit().await?;
    Ok(View::from(redacted))
}
