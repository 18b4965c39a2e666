//! `/v1/audit`.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::View;
use super::store::{self, Filter};
use super::verify::{self, Verification};
use crate::access::{Authorized, Visible, Workspace, verbs};
use crate::error::Result;
use crate::http::extract::{Json, Query};
use crate::http::page::{Cursor, Limit, Page, cut};
use crate::hub::App;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(audit_list)).routes(routes!(audit_verify))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// How many records at most, 1 to 200.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<Cursor>,
    /// Only this action, e.g. `server.revoke`.
    action: Option<String>,
    /// Only what this user or agent did.
    actor_id: Option<String>,
    /// Only what was done to this thing.
    subject_id: Option<String>,
    /// Only what was done to this server or to something on it.
    server_id: Option<String>,
}

/// What happened in the workspace, newest first
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "audit_list", tag = "audit", params(ListQuery),
    responses((status = 200, description = "One page of records", body = Page<View>))
)]
async fn audit_list(
    State(hub): State<App>,
    visible: Visible<verbs::AuditRead>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<View>>> {
    let before = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let ListQuery { limit, action, actor_id, subject_id, server_id, .. } = query;
    let filter = Filter { action, actor_id, subject_id, server_id, before };
    let mut database = hub.db.read().await?;
    let rows = store::list(&mut database.conn(), &visible, filter, limit.with_next()).await?;
    let (rows, next_cursor) = cut(rows, limit, |row| row.id.clone())?;
    Ok(Json(Page { data: rows.into_iter().map(View::from).collect(), next_cursor }))
}

/// Check that no record was changed or removed
#[utoipa::path(
    get, path = "/v1/audit/verify", operation_id = "audit_verify", tag = "audit",
    responses((status = 200, description = "What the check found", body = Verification))
)]
async fn audit_verify(
    State(hub): State<App>,
    _workspace: Authorized<Workspace, verbs::AuditRead>,
) -> Result<Json<Verification>> {
    Ok(Json(verify::verify(&hub).await?))
}
