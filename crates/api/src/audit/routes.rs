//! `/v1/audit`.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::export::{self, Format};
use super::filter::Filter;
use super::model::{Entry, Outcome, View};
use super::verify::{self, Verification};
use super::{redact, store};
use crate::access::{Authorized, Visible, Workspace, verbs};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::extract::{Json, Query};
use crate::http::page::{Cursor, Limit, Page, cut};
use crate::hub::App;
use crate::line::one_line;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(audit_list))
        .routes(routes!(audit_export))
        .routes(routes!(audit_verify))
        .routes(routes!(audit_redact))
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
    /// Only what went so.
    result: Option<Outcome>,
    /// Only from this moment on.
    from: Option<Timestamp>,
    /// Only before this moment.
    to: Option<Timestamp>,
    /// A text in the name of the actor, of the subject or of the action, at most 100 characters; case does not matter.
    #[param(max_length = 100)]
    q: Option<String>,
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
    let ListQuery { limit, action, actor_id, subject_id, server_id, result, from: since, to: until, q, .. } = query;
    let filter = Filter { action, actor_id, subject_id, server_id, result, since, until, text: String::new() };
    let filter = filter.checked(q.as_deref())?;
    let mut database = hub.db.read().await?;
    let rows = store::list(&mut database.conn(), &visible, &filter, before, limit.with_next()).await?;
    let (rows, next_cursor) = cut(rows, limit, |row| row.id.clone())?;
    Ok(Json(Page { data: rows.into_iter().map(View::from).collect(), next_cursor }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// How it is written; `jsonl` unless told.
    #[serde(default)]
    #[param(inline, required = false)]
    format: Format,
    /// Only this action, e.g. `server.revoke`.
    action: Option<String>,
    /// Only what this user or agent did.
    actor_id: Option<String>,
    /// Only what was done to this thing.
    subject_id: Option<String>,
    /// Only what was done to this server or to something on it.
    server_id: Option<String>,
    /// Only what went so.
    result: Option<Outcome>,
    /// Only from this moment on.
    from: Option<Timestamp>,
    /// Only before this moment.
    to: Option<Timestamp>,
    /// A text in the name of the actor, of the subject or of the action, at most 100 characters; case does not matter.
    #[param(max_length = 100)]
    q: Option<String>,
}

/// The log of the workspace as a file, oldest first
///
/// As JSON lines it ends with the hub's signature, and `roadstead audit verify FILE` checks it without a hub. Without filters it
/// holds the whole chain of the installation: records of other workspaces stand in it as digests that say nothing of them.
/// As CSV it is for spreadsheets; cells that would be formulas begin with an apostrophe. Each export is itself recorded.
#[utoipa::path(
    get, path = "/v1/audit/export", operation_id = "audit_export", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "The log", content(
        (String = "application/x-ndjson"), (String = "text/csv"),
    )))
)]
async fn audit_export(
    State(hub): State<App>,
    workspace: Authorized<Workspace, verbs::AuditRead>,
    Query(query): Query<ExportQuery>,
) -> Result<Response> {
    let ExportQuery { format, action, actor_id, subject_id, server_id, result, from: since, to: until, q } = query;
    let filter = Filter { action, actor_id, subject_id, server_id, result, since, until, text: String::new() };
    export::respond(hub, workspace, filter.checked(q.as_deref())?, format).await
}

/// Why something is taken out of the log.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AuditRedactForm)]
struct RedactForm {
    /// One line of at most 500 characters, which is recorded; it must not repeat what is to be removed.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Remove personal data from a record
///
/// Names, address, user agent and details are removed for good, with the means to guess them. What was done to what, when
/// and by which id stays, and so does the chain. The redaction is recorded. Records that a version before redactions
/// wrote cannot be redacted: 409.
#[utoipa::path(
    post, path = "/v1/audit/{id}/redact", operation_id = "audit_redact", tag = "audit", request_body = RedactForm,
    params(("id" = uuid::Uuid, Path, description = "The record")),
    responses((status = 200, description = "What is left of the record", body = View))
)]
async fn audit_redact(
    State(hub): State<App>,
    record: Authorized<Entry, verbs::AuditRedact>,
    Json(form): Json<RedactForm>,
) -> Result<Json<View>> {
    let reason = one_line(&form.reason, 500).map_err(|problem| Error::invalid_field("reason", problem))?;
    Ok(Json(redact::redact(&hub, record, &reason).await?))
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
