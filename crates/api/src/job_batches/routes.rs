//! `/v1/job-batches`.
#![expect(unused_qualifications, reason = "the path macro names argument types by their path")]

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::Body;
use super::model::{Batch, BatchState, BatchView, PlaceFilter, PlaceView};
use crate::access::verbs::{JobsCancel, JobsRead, ServersExec};
use crate::access::{Authorized, Visible};
use crate::error::Result;
use crate::http::extract::{CommaList, Json, Query};
use crate::http::page::{Cursor, Limit, Page};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(servers))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
}

impl FromStr for BatchState {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == name);
        known.ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// Which batches to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// In these states only, separated by commas.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "running,halted")]
    state: CommaList<BatchState>,
    /// How many batches at most, 1 to 200.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<Cursor>,
}

/// List batches, newest first.
#[utoipa::path(
    get,
    path = "/v1/job-batches",
    operation_id = "job_batches_list",
    tag = "jobs",
    params(ListQuery),
    responses((status = 200, description = "A page of batches", body = Page<BatchView>)),
)]
async fn list(
    State(app): State<App>,
    visible: Visible<JobsRead>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<BatchView>>> {
    let (batches, next_cursor) =
        super::list(&app, &visible, &query.state.0, query.cursor.as_ref(), query.limit).await?;
    Ok(Json(Page { data: batches.into_iter().map(BatchView::from).collect(), next_cursor }))
}

/// Run something on several servers, in waves.
///
/// Which servers the selector means is fixed now. An empty selector is an error; every server needs `all: true`. A wave
/// begins when all jobs of the one before have ended. When more than `max_failures` jobs ended otherwise than
/// `succeeded`, the batch halts: nothing more is begun, jobs that were not sent are taken back.
#[utoipa::path(
    post,
    path = "/v1/job-batches",
    operation_id = "job_batches_create",
    tag = "jobs",
    request_body = Body,
    responses((status = 201, description = "The batch", body = BatchView)),
)]
async fn create(
    State(app): State<App>,
    visible: Visible<ServersExec>,
    Json(body): Json<Body>,
) -> Result<(StatusCode, Json<BatchView>)> {
    let batch = super::create(&app, visible, body.parse()?).await?;
    Ok((StatusCode::CREATED, Json(batch.into())))
}

/// One batch.
#[utoipa::path(
    get,
    path = "/v1/job-batches/{id}",
    operation_id = "job_batches_get",
    tag = "jobs",
    params(("id" = String, Path, description = "The batch")),
    responses((status = 200, description = "The batch", body = BatchView)),
)]
async fn get(batch: Authorized<Batch, JobsRead>) -> Json<BatchView> {
    Json(batch.resource.into())
}

/// Which servers of a batch to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ServersQuery {
    /// Only those that stand there.
    #[param(inline)]
    state: Option<PlaceFilter>,
    /// How many servers at most, 1 to 200.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<Cursor>,
}

/// What became of each server of a batch, in the order of its waves.
#[utoipa::path(
    get,
    path = "/v1/job-batches/{id}/servers",
    operation_id = "job_batches_servers",
    tag = "jobs",
    params(("id" = String, Path, description = "The batch"), ServersQuery),
    responses((status = 200, description = "A page of servers with their jobs", body = Page<PlaceView>)),
)]
async fn servers(
    State(app): State<App>,
    batch: Authorized<Batch, JobsRead>,
    Query(query): Query<ServersQuery>,
) -> Result<Json<Page<PlaceView>>> {
    let (places, next_cursor) = super::places(&app, &batch, query.state, query.cursor.as_ref(), query.limit).await?;
    Ok(Json(Page { data: places.into_iter().map(PlaceView::from).collect(), next_cursor }))
}

/// Pause a batch.
///
/// Nothing more is begun; jobs that were not sent are taken back, those that run go on.
#[utoipa::path(
    post,
    path = "/v1/job-batches/{id}/pause",
    operation_id = "job_batches_pause",
    tag = "jobs",
    params(("id" = String, Path, description = "The batch")),
    responses((status = 202, description = "The batch", body = BatchView)),
)]
async fn pause(State(app): State<App>, batch: Authorized<Batch, ServersExec>) -> Result<(StatusCode, Json<BatchView>)> {
    Ok((StatusCode::ACCEPTED, Json(super::pause(&app, batch).await?.into())))
}

/// Go on with a batch that was paused or has halted.
///
/// Failures up to now do not count any more towards `max_failures`.
#[utoipa::path(
    post,
    path = "/v1/job-batches/{id}/resume",
    operation_id = "job_batches_resume",
    tag = "jobs",
    params(("id" = String, Path, description = "The batch")),
    responses((status = 202, description = "The batch", body = BatchView)),
)]
async fn resume(
    State(app): State<App>,
    batch: Authorized<Batch, ServersExec>,
) -> Result<(StatusCode, Json<BatchView>)> {
    Ok((StatusCode::ACCEPTED, Json(super::resume(&app, batch).await?.into())))
}

/// End a batch for good: nothing more is begun, and jobs that run are cancelled.
#[utoipa::path(
    post,
    path = "/v1/job-batches/{id}/cancel",
    operation_id = "job_batches_cancel",
    tag = "jobs",
    params(("id" = String, Path, description = "The batch")),
    responses((status = 202, description = "The batch", body = BatchView)),
)]
async fn cancel(State(app): State<App>, batch: Authorized<Batch, JobsCancel>) -> Result<(StatusCode, Json<BatchView>)> {
    Ok((StatusCode::ACCEPTED, Json(super::cancel(&app, batch).await?.into())))
}
