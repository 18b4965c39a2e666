//! Servers: what they are, whether they can be reached, who may change them.
//!
//! Presence has one writer: connections only note what happened, the `presence` reconciler makes it durable and
//! announces it. [`agent`] takes what agents say about themselves.

pub mod agent;
mod facts;
mod list;
mod model;
mod pages;
mod presence;
mod restrictions;
mod routes;
mod selector;
mod state;
mod store;
mod task;
#[cfg(test)]
mod tests;
mod token;
#[cfg(test)]
mod trust_tests;
mod view;
mod watch;

use std::time::Duration;

use protocol::ServerId;
use protocol::session::ByeCode;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

pub use facts::{AgentFacts, Facts, HostFacts, OperatorKeyFacts, PolicyFacts, PolicyOrigin, PolicyRules};
pub use list::{Filter, Sort, Totals};
pub use model::{Labels, Name, NewServer, Server, Status};
pub use restrictions::operators_of;
pub use selector::{Selected, Selector, select};
pub use state::State;
pub use store::AgentIdentity;
pub use task::{start, sweep};
pub use view::{ServerDetail, ServerView};

use crate::access::verbs::{ServersManage, ServersRead};
use crate::access::{self, Actor, Authorized, Fresh, Node, NodeSet, Place, Scope, Standing};
use crate::audit::{self, Outcome, Subject};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::events::{Change, ChangeSubject};
use crate::http::etag::{self, IfMatch};
use crate::hub::{App, Hub, Unit};
use crate::ids::ProjectId;
use crate::secret::TokenDigest;
use crate::{jobs, metrics, projects};

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// Adds a server that registers. The caller audits it and commits.
///
/// # Errors
/// When it cannot be written.
pub async fn register(hub: &Hub, unit: &mut Unit<'_>, new: NewServer) -> Result<Server> {
    let id = hub.ids.server();
    let row = store::NewRow {
        id,
        workspace_id: new.workspace_id,
        name: &new.name,
        labels: &new.labels,
        token: new.token,
        machine_id_hash: new.machine_id_hash,
        project_id: new.project_id,
        registered_at: hub.now(),
    };
    store::insert(&mut unit.conn(), row).await?;
    let server = store::by_id(&mut unit.conn(), id).await?;
    let server = server.ok_or_else(|| Error::not_found("server"))?;
    unit.announce(view::change(hub, "server.created", &server)?);
    Ok(server)
}

/// Gives a server another agent token, when it enrols again: the one before stops working, and a revoked server may
/// come back. The caller closes the old connection after commit (`hub.gateway.close(id, ByeCode::Replaced)`).
///
/// # Errors
/// 404 when there is no such server, or it cannot be written.
pub async fn set_agent_token(conn: &mut Conn<'_>, id: ServerId, token: TokenDigest, now: Timestamp) -> Result<()> {
    match store::set_token(conn, id, token, now).await? {
        0 => Err(Error::not_found("server")),
        _ => Ok(()),
    }
}

/// The server that an agent token belongs to; `None` for an unknown or revoked one.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_agent_token(hub: &Hub, token: TokenDigest) -> Result<Option<AgentIdentity>> {
    let mut session = hub.db.read().await?;
    Ok(store::by_token(&mut session.conn(), token).await?)
}

/// Whether there is such a server, whoever owns it: for what is kept about servers in other stores.
///
/// # Errors
/// When the database cannot be read.
pub async fn exists(hub: &Hub, id: ServerId) -> Result<bool> {
    let mut session = hub.db.read().await?;
    Ok(store::exists(&mut session.conn(), id).await?)
}

/// What to change of a server; what is not given stays.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Another name.
    pub name: Option<Name>,
    /// Other labels.
    pub labels: Option<Labels>,
    /// Another project, or none.
    pub project_id: Option<Option<ProjectId>>,
}

/// Changes name, labels or project.
///
/// # Errors
/// 412 when somebody else changed it since it was read; 403 when the actor may not manage both projects, or would give
/// or take by the move what they do not hold.
pub async fn update(
    hub: &Hub,
    server: Authorized<Server, ServersManage>,
    patch: Patch,
    if_match: IfMatch,
) -> Result<Server> {
    let Authorized { actor, resource: server, .. } = server;
    let changed = change(hub, &actor, &server, patch, if_match).await;
    audit::noting_refusal(hub, &actor, subject(&server), changed).await
}

async fn change(hub: &Hub, actor: &Actor, server: &Server, patch: Patch, if_match: IfMatch) -> Result<Server> {
    let mut unit = hub.begin().await?;
    let before = reload(&mut unit, server).await?;
    if_match.check(before.version)?;
    let name = patch.name.unwrap_or_else(|| Name::stored(&before.name));
    let labels = patch.labels.unwrap_or_else(|| before.labels.0.clone());
    let hostname = before.host.as_ref().map(|host| host.hostname.as_str()).unwrap_or_default();
    let project_id = patch.project_id.unwrap_or(before.place().project_id);
    if project_id != before.place().project_id {
        check_move(&mut unit, actor, &before, project_id).await?;
    }
    let edited =
        store::Edited { id: before.id, version: before.version, name: &name, labels: &labels, project_id, hostname };
    if store::update(&mut unit.conn(), edited).await? == 0 {
        return Err(etag::stale());
    }
    let details = json!({
        "name": { "from": before.name, "to": name.as_str() },
        "labels": { "from": before.labels.0, "to": labels },
        "project_id": { "from": before.place().project_id, "to": project_id },
    });
    unit.audit(actor, "server.update", subject(&before), Outcome::Ok, details).await?;
    let after = reload(&mut unit, &before).await?;
    unit.announce(view::change(hub, "server.updated", &after)?);
    unit.commit().await?;
    if project_id != before.place().project_id {
        // What somebody may see has changed.
        hub.http.recheck_streams();
    }
    Ok(after)
}

/// A move takes a server out of the hands of some people and puts it into those of others, the mover's own perhaps:
/// whoever moves it must be allowed to manage where it goes and where it comes from, and must hold on the server, as it
/// lies before, everything that is granted over either project.
async fn check_move(unit: &mut Unit<'_>, actor: &Actor, server: &Server, to: Option<ProjectId>) -> Result<()> {
    let target = to.map_or(Scope::Workspace, Scope::Project);
    let target = projects::place_of(&mut unit.conn(), server.workspace_id, target).await?;
    let target = target.ok_or_else(|| Error::invalid_field("project_id", "names no project of this workspace"))?;
    let source = Place { server_id: None, ..server.place() };
    if !actor.rights.allow(Node::ProjectsManage, source) || !actor.rights.allow(Node::ProjectsManage, target) {
        return Err(Error::forbidden(Node::ProjectsManage.as_str()));
    }
    access::hold(&mut unit.conn(), server.workspace_id).await?;
    let mut nodes = NodeSet::default();
    for project in [source.project_id, to].into_iter().flatten() {
        let standing = Standing::over(&mut unit.conn(), server.workspace_id, project).await?;
        nodes = nodes.and(Standing::nodes(&standing));
    }
    actor.rights.demand(nodes, server.place())
}

/// Revokes the agent token and closes the connection. Revoking twice changes nothing.
///
/// # Errors
/// When it cannot be written.
pub async fn revoke(hub: &Hub, server: Authorized<Server, Fresh<ServersManage>>) -> Result<Server> {
    let (actor, server) = (server.actor, server.resource);
    let mut unit = hub.begin().await?;
    if store::revoke(&mut unit.conn(), server.id, hub.now()).await? == 0 {
        return reload(&mut unit, &server).await;
    }
    unit.audit(&actor, "server.revoke", subject(&server), Outcome::Ok, json!({})).await?;
    let after = reload(&mut unit, &server).await?;
    unit.announce(Change {
        workspace_id: after.workspace_id,
        kind: "server.status",
        subject: ChangeSubject::server(after.id).at(after.place()),
        data: json!({ "status": after.status, "last_seen_at": after.last_seen_at }),
    });
    unit.announce(view::change(hub, "server.updated", &after)?);
    unit.commit().await?;
    cut_off(hub, server.id);
    Ok(after)
}

/// Removes a server with everything that is kept of it, except what the audit log says.
///
/// # Errors
/// When it cannot be written.
pub async fn remove(hub: &Hub, server: Authorized<Server, Fresh<ServersManage>>) -> Result<()> {
    let (actor, server) = (server.actor, server.resource);
    let mut unit = hub.begin().await?;
    jobs::agent::server_removed(hub, &mut unit, server.id).await?;
    if store::delete(&mut unit.conn(), server.id).await? == 0 {
        return Err(Error::not_found("server"));
    }
    unit.audit(&actor, "server.delete", subject(&server), Outcome::Ok, json!({})).await?;
    unit.announce(Change {
        workspace_id: server.workspace_id,
        kind: "server.deleted",
        subject: ChangeSubject::server(server.id).at(server.place()),
        data: json!({ "name": server.name }),
    });
    unit.commit().await?;
    cut_off(hub, server.id);
    if let Err(error) = metrics::forget(hub, server.id).await {
        // The history's own reconciler finds what is left.
        tracing::warn!(server.id = %server.id, error = %error.chain(), "history of a removed server is still there");
    }
    Ok(())
}

/// Has a server send samples faster for a while.
pub fn watch(hub: &Hub, server: &Authorized<Server, ServersRead>, interval: Duration, ttl: Duration) {
    let id = server.resource.id;
    let link = hub.gateway.link(id);
    let mut watches = hub.servers.watches();
    let told = watches.add(id, hub.now(), interval, ttl, link.is_some());
    drop(watches);
    if let (Some(link), Some(watch)) = (link, told) {
        // A link that closed meanwhile: the next connection is told.
        let _ = link.send(watch.into(), None);
    }
}

/// A revoked or removed server must not act any more, and nobody waits for it.
fn cut_off(hub: &Hub, id: ServerId) {
    hub.servers.presence().forget(id);
    hub.gateway.close(id, ByeCode::Revoked);
}

async fn reload(unit: &mut Unit<'_>, server: &Server) -> Result<Server> {
    let found = store::by_id(&mut unit.conn(), server.id).await?;
    found.ok_or_else(|| Error::not_found("server"))
}

fn subject(server: &Server) -> Subject {
    Subject::server(server.id, server.name.as_str())
}
