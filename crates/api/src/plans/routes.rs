//! `/v1/plan` of one's workspace, `/v1/workspaces` for whoever runs the hub.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Features, Limits, Plan, PlanName, PlanView, TenantView};
use crate::access::verbs::HubManage;
use crate::access::{Authorized, Installation};
use crate::auth::Person;
use crate::error::{Error, Result};
use crate::http::etag::{IfMatch, of_version};
use crate::http::extract::{Json, Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(list)).routes(routes!(set))
}

/// The plan of my workspace, and how much of it is used
#[utoipa::path(
    get, path = "/v1/plan", operation_id = "plan_get", tag = "plans",
    responses((status = 200, description = "The plan", body = PlanView))
)]
async fn get(State(hub): State<App>, person: Person) -> Result<Json<PlanView>> {
    Ok(Json(super::view(&hub, person.actor.workspace_id).await?))
}

/// Every workspace of this hub with its plan, oldest first
///
/// For whoever runs the hub: needs `hub.manage` in its first workspace.
#[utoipa::path(
    get, path = "/v1/workspaces", operation_id = "workspaces_list", tag = "plans", params(PageQuery),
    responses((status = 200, description = "A page of workspaces", body = Page<TenantView>))
)]
async fn list(
    State(hub): State<App>,
    installation: Authorized<Installation, HubManage>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TenantView>>> {
    Ok(Json(super::tenants(&hub, installation, page).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PlanForm)]
struct Form {
    /// What it is called.
    name: PlanName,
    /// How much of what; what is not given is unlimited.
    limits: Limits,
    /// What the workspace may use beyond the ordinary.
    #[serde(default)]
    features: Features,
}

/// Put a workspace on a plan
///
/// A limit below what there is refuses what is new and takes nothing away. Needs `hub.manage` in the hub's first workspace.
#[utoipa::path(
    put, path = "/v1/workspaces/{id}/plan", operation_id = "plan_set", tag = "plans", request_body = Form,
    params(
        ("id" = uuid::Uuid, Path, description = "The workspace"),
        ("If-Match" = Option<String>, Header, description = "The version that was read, in quotes"),
    ),
    responses((status = 200, description = "The workspace", body = TenantView))
)]
async fn set(
    State(hub): State<App>,
    installation: Authorized<Installation, HubManage>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Json(form): Json<Form>,
) -> Result<Response> {
    let id = id.parse().map_err(|_| Error::not_found("workspace"))?;
    let Form { name, limits, features } = form;
    let plan = Plan { name, limits, features, version: 0 };
    let tenant = super::set(&hub, installation, id, plan, if_match).await?;
    Ok(([(header::ETAG, of_version(tenant.plan.version))], Json(tenant)).into_response())
}
