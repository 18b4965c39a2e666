//! What the hub forbids itself on a server, beyond what the host's own policy forbids it.
//!
//! The host keeps the rules and obeys the narrower of the two. The hub can take its own back, never the host's. What is
//! written here is wanted; it is in force once the host has said so.

use std::time::Duration;

use protocol::ServerId;
use protocol::WorkspaceId;
use protocol::policy::{PolicySummary, RestrictBody, Rules};
use protocol::request::POLICY_RESTRICT;
use protocol::signing;
use serde_json::json;

use super::facts::{OperatorKeyFacts, PolicyFacts};
use super::model::Server;
use super::{reload, store, subject, view};
use crate::access::verbs::ServersManage;
use crate::access::{Authorized, Fresh};
use crate::audit::Outcome;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::gateway::AgentLink;
use crate::hub::{App, Hub};

/// How long a host may take to write the rules down.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most entries of one list.
const MAX_ENTRIES: usize = 64;
/// Longest entry, bytes.
const MAX_ENTRY: usize = 200;

/// Sets what the hub forbids itself, and tells the host now or when it connects.
///
/// # Errors
/// 422 when the rules cannot be meant, or they cannot be stored.
pub(super) async fn set(app: &App, server: Authorized<Server, Fresh<ServersManage>>, rules: Rules) -> Result<Server> {
    check(&rules)?;
    let (actor, server) = (server.actor, server.resource);
    let mut unit = app.begin().await?;
    let before = reload(&mut unit, &server).await?;
    // A hub that was restored from a backup may have counted further once.
    let taken = before.policy.as_ref().map_or(0, |policy| i64::try_from(policy.0.hub_seq).unwrap_or(0));
    let seq = before.restrictions_seq.max(taken).saturating_add(1);
    store::set_restrictions(&mut unit.conn(), server.id, &rules, seq).await?;
    let details = json!({ "from": before.restrictions.as_ref().map(|rules| &rules.0), "to": rules });
    unit.audit(&actor, "server.restrict", subject(&before), Outcome::Ok, details).await?;
    let after = reload(&mut unit, &server).await?;
    unit.announce(view::change(app, "server.updated", &after)?);
    unit.commit().await?;
    if let Some(link) = app.gateway.link(server.id) {
        tell(app, link);
    }
    Ok(after)
}

/// Operators' keys that a server's policy lists, as its agent last said.
///
/// # Errors
/// When the database cannot be read.
pub async fn operators_of(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    id: ServerId,
) -> Result<Vec<OperatorKeyFacts>> {
    let server = store::by_id(conn, id).await?.filter(|server| server.workspace_id == workspace_id);
    Ok(server.and_then(|server| server.policy).map(|policy| policy.0.operators).unwrap_or_default())
}

/// Tells a host that has not got the newest rules, in the background.
pub(super) fn tell(app: &App, link: AgentLink) {
    let hub = App::clone(app);
    app.tasks.spawn(async move {
        if let Err(error) = bring_up_to_date(&hub, &link).await {
            // Told again when it connects anew.
            tracing::warn!(server.id = %link.server_id, error = %error.chain(), "restrictions are not in force yet");
        }
    });
}

async fn bring_up_to_date(hub: &Hub, link: &AgentLink) -> Result<()> {
    let server = {
        let mut session = hub.db.read().await?;
        store::by_id(&mut session.conn(), link.server_id).await?
    };
    let Some(server) = server.filter(|server| !server.restrictions_in_force()) else { return Ok(()) };
    let body = RestrictBody {
        server_id: server.id,
        seq: u64::try_from(server.restrictions_seq).unwrap_or(0),
        rules: server.restrictions.map(|rules| rules.0).unwrap_or_default(),
    };
    let signed = hub.keys.sign(signing::RESTRICT, serde_json::to_string(&body).map_err(Error::internal)?);
    let params = serde_json::to_value(signed).map_err(Error::internal)?;
    let summary = link.request(POLICY_RESTRICT, params, PATIENCE).await.map_err(Error::internal)?;
    let summary: PolicySummary = serde_json::from_value(summary).map_err(Error::internal)?;
    let mut unit = hub.begin().await?;
    store::set_policy(&mut unit.conn(), server.id, PolicyFacts::from(&summary)).await?;
    if let Some(after) = store::by_id(&mut unit.conn(), link.server_id).await? {
        unit.announce(view::change(hub, "server.updated", &after)?);
    }
    unit.commit().await
}

fn check(rules: &Rules) -> Result<()> {
    let lists = [("kinds", &rules.kinds), ("users", &rules.users), ("paths", &rules.paths)];
    let mut problems = Vec::new();
    for (field, list) in lists {
        let Some(list) = list else { continue };
        if list.len() > MAX_ENTRIES {
            problems.push((field.to_owned(), format!("must not have more than {MAX_ENTRIES} entries")));
        }
        let is_text =
            |entry: &String| !entry.is_empty() && entry.len() <= MAX_ENTRY && !entry.chars().any(char::is_control);
        if !list.iter().all(is_text) {
            problems.push((field.to_owned(), format!("must have entries of 1 to {MAX_ENTRY} bytes on one line")));
        }
    }
    let is_plain = |path: &String| path.starts_with('/') && !path.split('/').any(|part| part == "..");
    if rules.paths.iter().flatten().any(|path| !is_plain(path)) {
        problems.push(("paths".to_owned(), "must be absolute paths without \"..\"".to_owned()));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems)) }
}
