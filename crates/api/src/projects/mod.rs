//! Projects: groups of servers inside a workspace, and a scope that rights are granted over.

mod model;
mod routes;
mod store;
#[cfg(test)]
mod tests;

use protocol::{ServerId, WorkspaceId};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

pub use model::Project;

use crate::access::verbs::{ProjectsManage, ProjectsRead};
use crate::access::{self, Actor, Authorized, Fresh, Node, Place, Scope, Standing, Visible, Workspace};
use crate::audit::{self, Outcome, Subject};
use crate::db::{Conn, DbError};
use crate::error::{Error, ErrorCode, Result};
use crate::http::etag::{self, IfMatch};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::{App, Hub, Unit};
use crate::ids::ProjectId;
use model::{ProjectName, ProjectView};

/// Projects of one workspace.
const MAX: i64 = 1_000;
/// Grants, invitations and keys that the record of a project's end lists.
const MAX_SHOWN: usize = 200;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// Where something of this workspace lies that a scope names; `None` when there is no such thing in it.
///
/// # Errors
/// When the database cannot be read.
pub async fn place_of(conn: &mut Conn<'_>, workspace: WorkspaceId, scope: Scope) -> Result<Option<Place>, DbError> {
    match scope {
        Scope::Workspace => Ok(Some(Place::WORKSPACE)),
        Scope::Project(id) => {
            let project = store::by_id(conn, id).await?.filter(|project| project.workspace_id == workspace);
            Ok(project.map(|project| Place { project_id: Some(project.id), server_id: None }))
        }
        Scope::Server(id) => server_place(conn, workspace, id).await,
    }
}

async fn server_place(conn: &mut Conn<'_>, workspace: WorkspaceId, id: ServerId) -> Result<Option<Place>, DbError> {
    let project = store::project_of_server(conn, workspace, id).await?;
    Ok(project.map(|project_id| Place { project_id, server_id: Some(id) }))
}

async fn list(hub: &Hub, visible: Visible<ProjectsRead>, page: PageQuery) -> Result<Page<ProjectView>> {
    let after = page.cursor.as_ref().map(|cursor| cursor.key::<(String, String)>()).transpose()?;
    let mut session = hub.db.read().await?;
    let workspace = visible.actor.workspace_id;
    let rows = store::list(&mut session.conn(), workspace, &visible.reach, after, page.limit.with_next()).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| (row.name_key.clone(), row.project.id.to_string()))?;
    Ok(Page { data: rows.into_iter().map(ProjectView::from).collect(), next_cursor })
}

async fn create(hub: &Hub, workspace: Authorized<Workspace, ProjectsManage>, name: ProjectName) -> Result<Project> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    let project =
        Project { id: hub.ids.project(), workspace_id: workspace.id, name, created_at: hub.now(), version: 1 };
    let mut unit = hub.begin().await?;
    access::hold(&mut unit.conn(), workspace.id).await?;
    if store::count(&mut unit.conn(), workspace.id).await? >= MAX {
        return Err(Error::conflict(format!("a workspace has {MAX} projects at most; remove one first")));
    }
    store::insert(&mut unit.conn(), &project).await.map_err(taken)?;
    let details = json!({ "name": project.name });
    unit.audit(&actor, "project.create", subject(&project), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(project)
}

async fn rename(
    hub: &Hub,
    project: Authorized<Project, ProjectsManage>,
    name: ProjectName,
    if_match: IfMatch,
) -> Result<Project> {
    let Authorized { actor, resource: project, .. } = project;
    let mut unit = hub.begin().await?;
    let before = reload(&mut unit, project.id).await?;
    if_match.check(before.version)?;
    if !store::rename(&mut unit.conn(), &before, &name).await.map_err(taken)? {
        return Err(etag::stale());
    }
    let details = json!({ "name": { "from": before.name, "to": name } });
    unit.audit(&actor, "project.update", subject(&before), Outcome::Ok, details).await?;
    let after = reload(&mut unit, before.id).await?;
    unit.commit().await?;
    Ok(after)
}

/// Its servers stay, in no project; what was granted over it, invitations and keys go with it, and install tokens for it
/// that nobody used.
async fn remove(hub: &Hub, project: Authorized<Project, Fresh<ProjectsManage>>) -> Result<()> {
    let Authorized { actor, resource: project, .. } = project;
    let removed = end(hub, &actor, &project).await;
    audit::noting_refusal(hub, &actor, subject(&project), removed).await
}

async fn end(hub: &Hub, actor: &Actor, project: &Project) -> Result<()> {
    let mut unit = hub.begin().await?;
    access::hold(&mut unit.conn(), project.workspace_id).await?;
    let servers = store::servers(&mut unit.conn(), project.id).await?;
    if servers > 0 && !actor.may(Node::ProjectsManage) {
        let node = Node::ProjectsManage.as_str();
        let message = format!(
            "the project has {servers} servers, which only somebody with {node} over the whole workspace takes out of \
             it; move them to another project first"
        );
        return Err(Error::new(ErrorCode::Forbidden, message));
    }
    let standing = Standing::over(&mut unit.conn(), project.workspace_id, project.id).await?;
    actor.rights.demand(Standing::nodes(&standing), Place { project_id: Some(project.id), server_id: None })?;
    // They would go on, for servers in no project.
    let install_tokens = store::delete_install_tokens(&mut unit.conn(), project.id).await?;
    if !store::delete(&mut unit.conn(), project.id).await? {
        return Err(Error::not_found("project"));
    }
    let shown = standing.get(..MAX_SHOWN).unwrap_or(&standing);
    let details = json!({
        "servers": servers, "ended": Standing::shown(shown), "ended_in_all": standing.len(),
        "install_tokens": install_tokens,
    });
    unit.audit(actor, "project.delete", subject(project), Outcome::Ok, details).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

async fn reload(unit: &mut Unit<'_>, id: ProjectId) -> Result<Project> {
    store::by_id(&mut unit.conn(), id).await?.ok_or_else(|| Error::not_found("project"))
}

fn taken(error: DbError) -> Error {
    match error {
        DbError::UniqueViolation(_) => Error::conflict("there is a project with this name already"),
        other => other.into(),
    }
}

fn subject(project: &Project) -> Subject {
    Subject::new("project", &project.id, project.name.as_str())
}
