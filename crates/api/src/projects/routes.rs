//! `/v1/projects`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Project, ProjectName, ProjectView};
use crate::access::verbs::{ProjectsManage, ProjectsRead};
use crate::access::{Authorized, Fresh, Visible, Workspace};
use crate::error::Result;
use crate::http::etag::{IfMatch, of_version};
use crate::http::extract::{Json, Query};
use crate::http::page::{Page, PageQuery};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, delete))
}

/// Projects, by name
#[utoipa::path(
    get, path = "/v1/projects", operation_id = "projects_list", tag = "projects", params(PageQuery),
    responses((status = 200, description = "A page of projects", body = Page<ProjectView>))
)]
async fn list(
    State(hub): State<App>,
    visible: Visible<ProjectsRead>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ProjectView>>> {
    Ok(Json(super::list(&hub, visible, page).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProjectForm)]
struct Form {
    /// What people call it; unique in the workspace, whatever the case of its letters.
    name: ProjectName,
}

/// Make a project
#[utoipa::path(
    post, path = "/v1/projects", operation_id = "projects_create", tag = "projects", request_body = Form,
    responses((status = 201, description = "The project", body = ProjectView))
)]
async fn create(
    State(hub): State<App>,
    workspace: Authorized<Workspace, ProjectsManage>,
    Json(form): Json<Form>,
) -> Result<Response> {
    let project = super::create(&hub, workspace, form.name).await?;
    Ok((StatusCode::CREATED, tagged(project)).into_response())
}

/// Look at a project
#[utoipa::path(
    get, path = "/v1/projects/{id}", operation_id = "projects_get", tag = "projects",
    params(("id" = uuid::Uuid, Path, description = "The project")),
    responses((status = 200, description = "The project", body = ProjectView))
)]
async fn get(project: Authorized<Project, ProjectsRead>) -> Response {
    tagged(project.resource)
}

/// Rename a project
#[utoipa::path(
    patch, path = "/v1/projects/{id}", operation_id = "projects_update", tag = "projects", request_body = Form,
    params(
        ("id" = uuid::Uuid, Path, description = "The project"),
        ("If-Match" = Option<String>, Header, description = "The version that was read, in quotes"),
    ),
    responses((status = 200, description = "The project", body = ProjectView))
)]
async fn update(
    State(hub): State<App>,
    project: Authorized<Project, ProjectsManage>,
    if_match: IfMatch,
    Json(form): Json<Form>,
) -> Result<Response> {
    Ok(tagged(super::rename(&hub, project, form.name, if_match).await?))
}

/// Remove a project
///
/// Its servers stay, in no project; while it has some this needs `projects.manage` over the whole workspace. Grants over
/// the project, invitations to it and API keys for it end, and with them the install tokens that nobody used; whoever
/// removes it must hold there what they give.
#[utoipa::path(
    delete, path = "/v1/projects/{id}", operation_id = "projects_delete", tag = "projects",
    params(("id" = uuid::Uuid, Path, description = "The project")),
    responses((status = 204, description = "Removed"))
)]
async fn delete(State(hub): State<App>, project: Authorized<Project, Fresh<ProjectsManage>>) -> Result<StatusCode> {
    super::remove(&hub, project).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn tagged(project: Project) -> Response {
    ([(header::ETAG, of_version(project.version))], Json(ProjectView::from(project))).into_response()
}
