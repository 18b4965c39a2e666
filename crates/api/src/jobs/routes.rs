//! `/v1/jobs`.
#![expect(unused_qualifications, reason = "the path macro names argument types by their path")]

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use protocol::job::JobState;
use protocol::{BatchId, ServerId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::Body;
use super::model::{Job, JobView};
use super::signing::SigningView;
use super::store::Filter;
use crate::access::verbs::{JobsCancel, JobsRead, ServersExec};
use crate::access::{Authorized, Visible, authorize};
use crate::error::Result;
use crate::http::ErrorBody;
use crate::http::extract::{CommaList, Json, Query};
use crate::http::page::{Cursor, Limit, Page};
use crate::hub::App;
use crate::servers::Server;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(signing))
        .routes(routes!(sign))
}

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Of this server only.
    #[param(value_type = Option<String>, format = Uuid)]
    server_id: Option<ServerId>,
    /// Of this batch only.
    #[param(value_type = Option<String>, format = Uuid)]
    batch_id: Option<BatchId>,
    /// In these states only, separated by commas.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "running,queued")]
    state: CommaList<StateName>,
    /// How many jobs at most, 1 to 200.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<Cursor>,
}

/// A state by its name.
#[derive(Debug, Clone, Copy)]
struct StateName(JobState);

impl FromStr for StateName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = JobState::ALL.into_iter().find(|state| state.as_str() == name);
        known.map(Self).ok_or_else(|| {
            let names: Vec<_> = JobState::ALL.iter().map(|state| state.as_str()).collect();
            format!("must be one of {}", names.join(", "))
        })
    }
}

/// List jobs, newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    operation_id = "jobs_list",
    tag = "jobs",
    params(ListQuery),
    responses((status = 200, description = "A page of jobs", body = Page<JobView>)),
)]
async fn list(
    State(app): State<App>,
    visible: Visible<JobsRead>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<JobView>>> {
    let states = query.state.0.into_iter().map(|state| state.0).collect();
    let filter = Filter { server_id: query.server_id, batch_id: query.batch_id, states, before: None };
    let (jobs, next_cursor) = super::list(&app, visible, filter, query.cursor.as_ref(), query.limit).await?;
    Ok(Json(Page { data: jobs.into_iter().map(JobView::from).collect(), next_cursor }))
}

/// Run something on a server.
///
/// The job is stored before it is sent. When the server is away or busy it waits as `queued` until `expires_at`.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    operation_id = "jobs_create",
    tag = "jobs",
    request_body = Body,
    responses(
        (status = 201, description = "The job", body = JobView),
        (status = 404, description = "There is no such server", body = ErrorBody),
    ),
)]
async fn create(
    State(app): State<App>,
    visible: Visible<ServersExec>,
    Json(body): Json<Body>,
) -> Result<(StatusCode, Json<JobView>)> {
    let server = authorize::<Server, ServersExec>(&app, visible.actor, body.server_id).await?;
    let job = super::create(&app, server, body.parse()?).await?;
    Ok((StatusCode::CREATED, Json(job.into())))
}

/// One job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "jobs_get",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The job", body = JobView)),
)]
async fn get(State(app): State<App>, job: Authorized<Job, JobsRead>) -> Result<Json<JobView>> {
    Ok(Json(super::get(&app, job).await?.into()))
}

/// End a job.
///
/// One that was not sent is `cancelled` at once. Else its server ends the whole process tree: the answer shows
/// `cancel_requested_at`, and the state changes when the server says how the job ended.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    operation_id = "jobs_cancel",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 202, description = "The job", body = JobView)),
)]
async fn cancel(State(app): State<App>, job: Authorized<Job, JobsCancel>) -> Result<(StatusCode, Json<JobView>)> {
    Ok((StatusCode::ACCEPTED, Json(super::cancel(&app, job).await?.into())))
}

/// Run a job that has ended once more, as a new job.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/retry",
    operation_id = "jobs_retry",
    tag = "jobs",
    params(("id" = String, Path, description = "The job to repeat")),
    responses((status = 201, description = "The new job", body = JobView)),
)]
async fn retry(State(app): State<App>, job: Authorized<Job, ServersExec>) -> Result<(StatusCode, Json<JobView>)> {
    let Authorized { actor, resource: job, .. } = job;
    let server = authorize::<Server, ServersExec>(&app, actor, job.server_id).await?;
    Ok((StatusCode::CREATED, Json(super::retry(&app, &job, server).await?.into())))
}

/// What an operator has to sign before a job may run
///
/// Sign exactly the bytes of `op_body`: `ssh-keygen -Y sign -n roadstead-job -f KEY`, or `roadstead sign`, which shows
/// first what it says. 404 when the server's policy asks for no signature.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/signing",
    operation_id = "jobs_signing",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "What to sign, who may, who has", body = SigningView)),
)]
async fn signing(State(app): State<App>, job: Authorized<Job, JobsRead>) -> Result<Json<SigningView>> {
    Ok(Json(super::signing::show(&app, job).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = JobSign)]
struct SignBody {
    /// What `ssh-keygen -Y sign` wrote, from its BEGIN to its END line.
    signature: String,
}

/// Give an operator's signature to a job that waits for one
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/signatures",
    operation_id = "jobs_sign",
    tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    request_body = SignBody,
    responses((status = 200, description = "The job, which waits for its turn now", body = JobView)),
)]
async fn sign(
    State(app): State<App>,
    job: Authorized<Job, ServersExec>,
    Json(body): Json<SignBody>,
) -> Result<Json<JobView>> {
    Ok(Json(super::signing::sign(&app, job, &body.signature).await?.into()))
}
