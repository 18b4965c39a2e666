//! Tenants: everything but people belongs to exactly one.

mod model;
mod routes;
mod store;
#[cfg(test)]
mod tests;

pub use model::{Workspace, WorkspaceName};

use protocol::{UserId, WorkspaceId};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;

use crate::access::verbs::WorkspaceManage;
use crate::access::{Authorized, Workspace as Acting};
use crate::audit::{Outcome, Subject};
use crate::auth::{self, Person};
use crate::db::{Conn, DbError};
use crate::error::{Error, Result};
use crate::http::etag::{self, IfMatch};
use crate::hub::{App, Hub};
use crate::team;
use model::{Patch, WorkspaceView};

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// Makes a workspace with its first member, its owner. The caller owns the transaction and the audit record.
///
/// # Errors
/// When the database cannot be written.
pub async fn create(hub: &Hub, conn: &mut Conn<'_>, name: WorkspaceName, owner: UserId) -> Result<Workspace> {
    let workspace = Workspace { id: hub.ids.workspace(), name };
    store::insert(conn, &workspace, hub.now()).await?;
    team::found(hub, conn, workspace.id, owner).await?;
    Ok(workspace)
}

/// The workspaces of a person, oldest membership first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_user(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<Workspace>, DbError> {
    store::of_user(conn, user).await
}

/// What a workspace is called.
///
/// # Errors
/// 404 when there is none.
pub async fn name(conn: &mut Conn<'_>, id: WorkspaceId) -> Result<WorkspaceName> {
    let workspace = store::by_id(conn, id).await?;
    Ok(workspace.ok_or_else(|| Error::not_found("workspace"))?.name)
}

/// The workspace that settings name, by its id or else by its name; of several with one name, the oldest.
///
/// # Errors
/// When the database cannot be read.
pub async fn named(conn: &mut Conn<'_>, name: &str) -> Result<Option<WorkspaceId>, DbError> {
    store::named(conn, name.to_owned()).await
}

/// The first workspace of the installation: what concerns the hub as a whole is recorded there. `None` before set-up.
///
/// # Errors
/// When the database cannot be read.
pub async fn home(conn: &mut Conn<'_>) -> Result<Option<WorkspaceId>, DbError> {
    store::oldest(conn).await
}

/// The workspace that somebody acts in, for whoever is a member.
async fn current(hub: &Hub, person: &Person) -> Result<WorkspaceView> {
    let mut database = hub.db.read().await?;
    load(&mut database.conn(), person.actor.workspace_id).await
}

async fn update(
    hub: &Hub,
    workspace: Authorized<Acting, WorkspaceManage>,
    patch: Patch,
    if_match: IfMatch,
) -> Result<WorkspaceView> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    let mut unit = hub.begin().await?;
    let before = load(&mut unit.conn(), workspace.id).await?;
    if_match.check(before.version)?;
    let name = patch.name.unwrap_or_else(|| before.name.clone());
    let require_totp = patch.require_totp.unwrap_or(before.require_totp);
    let mut details = Map::new();
    if name != before.name {
        details.insert("name".to_owned(), json!({ "from": before.name, "to": name }));
    }
    if require_totp != before.require_totp {
        details.insert("require_totp".to_owned(), json!(require_totp));
    }
    if details.is_empty() {
        return Ok(before);
    }
    if require_totp && !before.require_totp {
        demand_second_factor(&mut unit.conn(), actor.user_id()).await?;
    }
    if !store::update(&mut unit.conn(), &before, name, require_totp).await? {
        return Err(etag::stale());
    }
    let subject = Subject::new("workspace", &before.id, before.name.as_str());
    unit.audit(&actor, "workspace.update", subject, Outcome::Ok, Value::Object(details)).await?;
    let after = load(&mut unit.conn(), workspace.id).await?;
    unit.commit().await?;
    // Streams of members who must get a second factor end now.
    hub.http.recheck_streams();
    Ok(after)
}

/// Whoever requires one-time codes of others must not lock themself out.
async fn demand_second_factor(conn: &mut Conn<'_>, user: Option<UserId>) -> Result<()> {
    match user {
        Some(user) if auth::has_second_factor(conn, user).await? => Ok(()),
        _ => Err(Error::conflict(
            "turn one-time codes on for your own account or add a passkey first, then require a second factor of others",
        )),
    }
}

async fn load(conn: &mut Conn<'_>, id: WorkspaceId) -> Result<WorkspaceView> {
    store::with_rules(conn, id).await?.ok_or_else(|| Error::not_found("workspace"))
}
