//! `/v1/workspace`: the one that the caller acts in.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Patch, WorkspaceView};
use crate::access::verbs::WorkspaceManage;
use crate::access::{Authorized, Workspace as Acting};
use crate::auth::Person;
use crate::error::Result;
use crate::http::etag::{IfMatch, of_version};
use crate::http::extract::Json;
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, update))
}

/// Look at the workspace and its rules
#[utoipa::path(
    get, path = "/v1/workspace", operation_id = "workspace_get", tag = "workspace",
    responses((status = 200, description = "The workspace that the session acts in", body = WorkspaceView))
)]
async fn get(State(hub): State<App>, person: Person) -> Result<Response> {
    Ok(tagged(super::current(&hub, &person).await?))
}

/// Rename the workspace, or change its rules
///
/// While one-time codes are required, members without them get 403 `totp_enrollment_required` on everything but their own
/// account, and their API keys do as well.
#[utoipa::path(
    patch, path = "/v1/workspace", operation_id = "workspace_update", tag = "workspace", request_body = Patch,
    params(("If-Match" = Option<String>, Header, description = "The version that was read, in quotes")),
    responses((status = 200, description = "The workspace", body = WorkspaceView))
)]
async fn update(
    State(hub): State<App>,
    workspace: Authorized<Acting, WorkspaceManage>,
    if_match: IfMatch,
    Json(patch): Json<Patch>,
) -> Result<Response> {
    Ok(tagged(super::update(&hub, workspace, patch, if_match).await?))
}

fn tagged(workspace: WorkspaceView) -> Response {
    ([(header::ETAG, of_version(workspace.version))], Json(workspace)).into_response()
}
