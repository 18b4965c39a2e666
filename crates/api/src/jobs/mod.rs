//! Jobs: work on servers that is stored before it is sent, runs at most once, and reaches exactly one true end.
//!
//! Routes and other slices make, list, cancel and repeat jobs here. [`agent`] takes what servers send about them, `step`
//! holds the only function that changes a job's state, `log` keeps their output, `task` finds what nobody reported.

pub mod agent;
mod input;
mod log;
mod model;
mod queue;
mod routes;
mod secrets;
mod sign;
mod signing;
mod state;
mod step;
mod store;
mod task;

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use protocol::job::JobState;
use protocol::{BatchId, JobId, ServerId};
use utoipa_axum::router::OpenApiRouter;

pub use input::{NewJob, Wanted};
pub use model::{CreatedBy, Definition, ExecArgs, Job, JobError, JobView, LimitsSchema, LogSize, StateName};
pub use secrets::{SealedEnv, SecretEnv};
pub use state::State;
pub use task::{reconcile, spawn};

use crate::access::verbs::{JobsCancel, JobsRead, ServersExec};
use crate::access::{Actor, Authorized, Visible};
use crate::error::{Error, Result};
use crate::http::page::{self, Cursor, Limit};
use crate::hub::{App, Hub};
use crate::job_batches;
use crate::servers::Server;
use step::Step;
use store::Filter;

/// Jobs that may wait for one server.
const MAX_WAITING: usize = 20_000;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes().merge(log::routes())
}

/// Makes a job and delivers it as soon as it is its turn: at once when the server is connected and not busy.
///
/// # Errors
/// 409 when the server is revoked or too many jobs wait for it, 422 when the order is too large to be sent.
pub async fn create(app: &App, server: Authorized<Server, ServersExec>, new: NewJob) -> Result<Job> {
    made(insert(app, server, new, "job.create").await?)
}

/// Makes the job of a server in a batch, unless it has been made already. `false`: the batch does not go on any more, and
/// nothing was made.
///
/// # Errors
/// As [`create`].
pub async fn create_for_batch(app: &App, server: Authorized<Server, ServersExec>, new: NewJob) -> Result<bool> {
    match insert(app, server, new, "job.create").await {
        // Another hub on the same database, or this one before it was killed.
        Err(error) if error.is_duplicate() => Ok(true),
        other => other.map(|job| job.is_some()),
    }
}

/// Only a job of a batch can be left unmade without an error.
fn made(job: Option<Job>) -> Result<Job> {
    job.ok_or_else(|| Error::internal("a job that belongs to no batch was not made"))
}

/// Cancels a job of a batch that stands still, if it was not sent yet, and parts the two: its server waits again.
///
/// # Errors
/// When the database cannot be used.
pub async fn take_back(app: &App, server_id: ServerId, id: JobId, batch_id: BatchId) -> Result<()> {
    let mut step = Step::begin(app, server_id).await?;
    let Some(mut job) = step.job(id).await? else { return Ok(()) };
    if !matches!(job.state, JobState::Queued | JobState::AwaitingSignature) {
        return Ok(());
    }
    let error = JobError::new("batch_halted", format!("batch {batch_id} stopped before this job was sent"));
    if step.end(&mut job, JobState::Cancelled, Some(error)).await? {
        store::leave_batch(&mut step.conn(), id).await?;
        step.audit(&Actor::system(job.workspace_id), "job.cancel", &job).await?;
        step.fill().await?;
    }
    step.commit().await
}

/// Makes a new job with the definition of one that has ended.
///
/// # Errors
/// 409 when the job has not ended, and as [`create`].
pub async fn retry(app: &App, job: &Job, server: Authorized<Server, ServersExec>) -> Result<Job> {
    if !job.state.is_terminal() {
        let state = job.state.as_str();
        return Err(Error::conflict(format!("this job has not ended yet ({state}); wait for its end or cancel it")));
    }
    if secrets::has_any(&job.definition) {
        let message = "the secrets of this job were erased when it ended, so it cannot be repeated; create it anew";
        return Err(Error::conflict(message));
    }
    let new = NewJob {
        definition: job.definition.clone(),
        secrets: SecretEnv::new(),
        expires_in: job.expires_at.since(job.created_at),
        retry_of: Some(job.id),
        batch: None,
    };
    made(insert(app, server, new, "job.retry").await?)
}

/// `None` when the job belongs to a batch that does not go on any more.
async fn insert(
    app: &App,
    server: Authorized<Server, ServersExec>,
    new: NewJob,
    action: &'static str,
) -> Result<Option<Job>> {
    let Authorized { actor, resource: server, .. } = server;
    if server.revoked_at.is_some() {
        return Err(Error::conflict("this server is revoked and takes no jobs; enrol it again first"));
    }
    let now = app.now();
    let (batch_id, created_by) = match new.batch {
        Some((batch_id, created_by)) => (Some(batch_id), created_by),
        None => (None, CreatedBy::from(&actor)),
    };
    let mut job = Job {
        id: app.ids.job(),
        workspace_id: server.workspace_id,
        server_id: server.id,
        position: app.jobs.next_position(now),
        definition: new.definition,
        created_at: now,
        expires_at: now.plus(new.expires_in),
        created_by,
        retry_of: new.retry_of,
        batch_id,
        op_body: None,
        state: JobState::Queued,
        sent_at: None,
        delivered_at: None,
        boot_id: None,
        claimed: false,
        cancel_requested_at: None,
        started_at: None,
        finished_at: None,
        duration_ms: None,
        exit_code: None,
        signal: None,
        error: None,
        result: None,
        log: LogSize::default(),
        secrets: None,
    };
    job.secrets = secrets::seal(app, job.id, &new.secrets)?;
    let order = sign::order(app, &job)?;
    job.op_body = signing::wanted(&server, &order)?;
    sign::check_size(&order, job.op_body.as_deref())?;
    if job.op_body.is_some() {
        secrets::refuse_signing(&job)?;
        job.state = JobState::AwaitingSignature;
    }
    let mut step = Step::begin(app, server.id).await?;
    if let Some(batch_id) = job.batch_id
        && !job_batches::hold(&mut step.conn(), batch_id).await?
    {
        return Ok(None);
    }
    step.insert(&mut job, MAX_WAITING).await?;
    step.audit(&actor, action, &job).await?;
    step.commit().await?;
    Ok(Some(job))
}

/// Ends a job: at once when it was not sent, else by telling its server now and whenever it comes back.
///
/// # Errors
/// 409 when the job has ended.
pub async fn cancel(app: &App, job: Authorized<Job, JobsCancel>) -> Result<Job> {
    let Authorized { actor, resource: job, .. } = job;
    let mut step = Step::begin(app, job.server_id).await?;
    let mut job = step.job(job.id).await?.ok_or_else(|| Error::not_found("job"))?;
    job.refuse_finished("be cancelled")?;
    if matches!(job.state, JobState::Queued | JobState::AwaitingSignature) {
        step.end(&mut job, JobState::Cancelled, None).await?;
        step.audit(&actor, "job.cancel", &job).await?;
    } else {
        let first = job.cancel_requested_at.is_none();
        let at = job.cancel_requested_at.unwrap_or(app.now());
        if first {
            store::request_cancel(&mut step.conn(), job.id, at).await?;
            job.cancel_requested_at = Some(at);
            with_log_size(app, &mut job).await?;
            step.announce("job.state", &job)?;
            step.audit(&actor, "job.cancel", &job).await?;
        }
        step.send_cancel(&job, at);
        step.changed(&job);
    }
    step.commit().await?;
    with_log_size(app, &mut job).await?;
    Ok(job)
}

/// How many jobs have not ended, by state.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_unfinished(hub: &Hub) -> Result<Vec<(String, i64)>> {
    let mut session = hub.db.read().await?;
    Ok(store::count_unfinished(&mut session.conn()).await?)
}

/// Bytes that the logs of all jobs take, as they were last added up.
#[must_use]
pub fn log_bytes(hub: &Hub) -> u64 {
    hub.jobs.log_room.bytes()
}

/// One job.
///
/// # Errors
/// When the database cannot be used.
pub async fn get(hub: &Hub, job: Authorized<Job, JobsRead>) -> Result<Job> {
    let mut job = job.resource;
    with_log_size(hub, &mut job).await?;
    Ok(job)
}

/// Jobs that the caller may see, newest first.
///
/// # Errors
/// 400 when the cursor is not one of this list.
async fn list(
    hub: &Hub,
    visible: Visible<JobsRead>,
    mut filter: Filter,
    cursor: Option<&Cursor>,
    limit: Limit,
) -> Result<(Vec<Job>, Option<Cursor>)> {
    filter.before = cursor.map(Cursor::key::<i64>).transpose()?;
    let jobs = {
        let mut session = hub.db.read().await?;
        let workspace = visible.actor.workspace_id;
        store::list(&mut session.conn(), workspace, &visible.reach, &filter, limit.with_next()).await?
    };
    let (mut jobs, next) = page::cut(jobs, limit, |job| job.position)?;
    for job in &mut jobs {
        with_log_size(hub, job).await?;
    }
    Ok((jobs, next))
}

/// The size in the row is that of a log that does not grow any more.
async fn with_log_size(hub: &Hub, job: &mut Job) -> Result<()> {
    if job.state.is_terminal() || job.sent_at.is_none() {
        return Ok(());
    }
    job.log = log::size(hub, job.id).await?;
    Ok(())
}

/// Longest time until a job that was not sent expires.
const MAX_EXPIRY: Duration = Duration::from_secs(30 * 24 * 3600);
