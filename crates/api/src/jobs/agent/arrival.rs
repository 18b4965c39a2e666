//! Answers, output and ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::job::{Accepted, Ack, CmdAck, CmdOutcome, JobDone, JobState, Log, RejectCode, Rejected, SpoolState};
use protocol::session::{ErrorCode, WireError};
use protocol::{JobId, Message};

use super::connection::{has, is_stray};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::gateway::AgentLink;
use crate::hub::{App, Hub};
use crate::jobs::log::{self, EndTaken, Live};
use crate::jobs::model::{Job, JobError};
use crate::jobs::step::Step;
use crate::jobs::{sign, store};

/// The host's word on when a job started counts when it is so near to what the hub saw itself.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// Longest reason that is kept, characters.
const MAX_REASON: usize = 2000;
/// Longest code that is kept, characters.
const MAX_CODE: usize = 100;
/// Pause after the database refused an end whose log is stored.
const RETRY: Duration = Duration::from_secs(1);

/// What became of an order.
///
/// # Errors
/// When it could not be stored: the agent shall connect again and tell once more.
pub async fn cmd_ack(app: &App, link: &AgentLink, ack: CmdAck) -> Result<()> {
    detached(app, link, |hub, link| async move { answered(&hub, &link, ack).await }).await
}

async fn answered(hub: &Hub, link: &AgentLink, ack: CmdAck) -> Result<()> {
    let mut step = Step::begin(hub, link.server_id).await?;
    let Some(mut job) = step.job(ack.job_id).await? else {
        tracing::warn!(server.id = %link.server_id, job.id = %ack.job_id, "answer to a job that this server never had");
        return Ok(());
    };
    match ack.outcome {
        CmdOutcome::Accepted(Accepted { started_at_ms }) => {
            if job.state.is_terminal() {
                end_stray(&mut step, &job, SpoolState::Running);
            } else {
                let started_at = started(&job, started_at_ms, hub.now(), hub.now());
                step.claim(&mut job, Some(started_at)).await?;
            }
        }
        CmdOutcome::Already(already) if job.state.is_terminal() => end_stray(&mut step, &job, already.state),
        CmdOutcome::Already(already) => has(&mut step, &mut job, already.state).await?,
        CmdOutcome::Rejected(rejected) => {
            // The agent's clock may be wrong: only what is late by the hub's own is called expired.
            let late = rejected.code == RejectCode::Expired && job.expires_at <= hub.now();
            let state = if late { JobState::Expired } else { JobState::Rejected };
            if step.end(&mut job, state, Some(reason(&rejected))).await? {
                step.audit(&link.actor(), "job.end", &job).await?;
                step.fill().await?;
            }
        }
    }
    step.commit().await
}

fn end_stray(step: &mut Step<'_>, job: &Job, spooled: SpoolState) {
    if is_stray(job, spooled) {
        step.send_cancel(job, job.cancel_requested_at.or(job.finished_at).unwrap_or(job.created_at));
    }
}

/// A piece of output. It is acknowledged once it is stored.
///
/// # Errors
/// When it could not be taken: the agent shall connect again and go on where the hub has stored it.
pub async fn log(app: &App, link: &AgentLink, log: Log, bytes: Option<Bytes>) -> Result<()> {
    let length = log.bytes.map_or_else(|| log.text.as_ref().map_or(0, String::len), |bytes| bytes as usize);
    let end = log.offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
    let live = match app.jobs.live(log.job_id) {
        Some(live) => live,
        None => {
            let job = match job_of(app, link, log.job_id).await? {
                Some(job) if !job.state.is_terminal() => job,
                ended => {
                    // A worker that had the order already when its relay said that it knew nothing of it: its first
                    // words are the only sign of it.
                    if let Some(job) = ended.filter(|job| !job.claimed && is_stray(job, SpoolState::Running)) {
                        let at = job.cancel_requested_at.or(job.finished_at).unwrap_or(job.created_at);
                        // A closed link is no loss: the next hello lists the job.
                        let _ = link.send(sign::cancel(app, &job, at)?, None);
                    }
                    // Unknown, or ended: the hub has all of it that it will ever want.
                    forget(link, log.job_id, end);
                    return Ok(());
                }
            };
            Live::get(app, job.id, job.server_id).await?
        }
    };
    if live.server_id != link.server_id {
        tracing::warn!(server.id = %link.server_id, job.id = %log.job_id, "output of another server's job");
        forget(link, log.job_id, end);
        return Ok(());
    }
    let job_id = log.job_id;
    if let Some(log::Missing { expected, offset }) = log::take(app, link, &live, log, bytes).await? {
        let message = format!("the log of job {job_id} goes on at byte {expected}, not at {offset}");
        refuse(link, message);
    }
    Ok(())
}

/// The end of a job. It is stored, and acknowledged, once all of its log is stored.
///
/// # Errors
/// When it could not be stored: the agent shall connect again and tell once more.
pub async fn done(app: &App, link: &AgentLink, done: JobDone) -> Result<()> {
    let live = match app.jobs.live(done.job_id) {
        Some(live) => live,
        None => match job_of(app, link, done.job_id).await? {
            Some(job) if job.state.is_terminal() => {
                forget(link, job.id, job.log.bytes);
                return Ok(());
            }
            Some(job) => Live::get(app, job.id, job.server_id).await?,
            None => {
                forget(link, done.job_id, done.next_offset);
                return Ok(());
            }
        },
    };
    if live.server_id != link.server_id {
        tracing::warn!(server.id = %link.server_id, job.id = %done.job_id, "end of another server's job");
        forget(link, done.job_id, done.next_offset);
        return Ok(());
    }
    match live.end_with(link, done) {
        EndTaken::Now(done) => detached(app, link, |hub, link| async move { finish(&hub, &link, done).await }).await,
        EndTaken::Later => Ok(()),
        EndTaken::Incomplete { expected, stored } => {
            log::acknowledge(link, live.job_id, stored);
            let job_id = live.job_id;
            let message = format!("the log of job {job_id} is stored up to byte {expected} only; send the rest first");
            refuse(link, message);
            Ok(())
        }
    }
}

/// Stores an end whose log was not complete when it came. The agent has been told that the log is stored and waits for
/// this only, so it is tried until it works.
pub(in crate::jobs) fn finish_later(app: &App, link: AgentLink, done: JobDone) {
    let hub = Arc::clone(app);
    app.tasks.spawn(async move {
        while let Err(error) = finish(&hub, &link, done.clone()).await {
            let job_id = done.job_id;
            tracing::error!(job.id = %job_id, error = %error.chain(), "the end of a job cannot be stored; trying again: {error}");
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = hub.tasks.stopping() => return,
            }
        }
    });
}

async fn finish(hub: &Hub, link: &AgentLink, done: JobDone) -> Result<()> {
    let mut step = Step::begin(hub, link.server_id).await?;
    let Some(mut job) = step.job(done.job_id).await? else {
        forget(link, done.job_id, done.next_offset);
        return Ok(());
    };
    let now = hub.now();
    let duration = Duration::from_millis(done.duration_ms);
    if job.state == JobState::Queued {
        // A hub that was restored from a backup may not know that it had sent the job.
        step.transition(&mut job, JobState::Sent, |job| job.sent_at = Some(now)).await?;
    }
    let ended = step.transition(&mut job, done.state.into(), |job| {
        let started_at = job.started_at.unwrap_or_else(|| started(job, done.started_at_ms, now, now.minus(duration)));
        job.claimed = true;
        job.started_at = Some(started_at);
        job.finished_at = Some(started_at.plus(duration).min(now));
        job.duration_ms = Some(i64::try_from(done.duration_ms).unwrap_or(i64::MAX));
        job.exit_code = done.exit_code.map(i64::from);
        job.signal = done.signal.map(i64::from);
        job.result.clone_from(&done.result);
        job.error = done
            .error
            .as_ref()
            .map(|error| JobError { code: text(&error.code, MAX_CODE), message: text(&error.message, MAX_REASON) });
    });
    if ended.await? {
        step.audit(&link.actor(), "job.end", &job).await?;
        step.fill().await?;
    }
    step.commit().await?;
    if !job.state.is_terminal() {
        let (from, to) = (job.state.as_str(), JobState::from(done.state).as_str());
        return Err(Error::internal(format!("job {} cannot go from {from} to {to}", job.id)));
    }
    forget(link, job.id, job.log.bytes);
    Ok(())
}

/// A job that this server has; `None` for unknown and for other servers' jobs.
async fn job_of(hub: &Hub, link: &AgentLink, id: JobId) -> Result<Option<Job>> {
    let mut session = hub.db.read().await?;
    let job = store::by_id(&mut session.conn(), id).await?;
    Ok(job.filter(|job| job.server_id == link.server_id))
}

/// Tells the agent that the hub needs nothing more of a job. A closed link is no loss: the next welcome says the same.
fn forget(link: &AgentLink, job_id: JobId, next_offset: u64) {
    let _ = link.send(Ack::Job { job_id, next_offset, done: true }.into(), None);
}

/// Tells the agent that something before its message is missing. Within a connection nothing is sent twice, so it has to
/// come again: the welcome says where to go on.
fn refuse(link: &AgentLink, message: String) {
    tracing::warn!(server.id = %link.server_id, message, "refused");
    let _ = link.send(Message::Error(WireError { code: ErrorCode::Unexpected, message }), None);
    link.must_start_over();
}

/// Runs a change to its end although the connection that it came over may go away meanwhile.
async fn detached<F, Fut>(app: &App, link: &AgentLink, change: F) -> Result<()>
where
    F: FnOnce(App, AgentLink) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    app.tasks.spawn(change(Arc::clone(app), link.clone())).await.map_err(Error::internal)?
}

/// When a job started, by the hub's clock: the host's word when it is plausible, else `fallback`.
fn started(job: &Job, claimed_ms: i64, now: Timestamp, fallback: Timestamp) -> Timestamp {
    let earliest = job.sent_at.unwrap_or(job.created_at);
    let claimed = Timestamp::from_ms(claimed_ms);
    let plausible = claimed >= earliest.minus(CLOCK_TOLERANCE) && claimed <= now.plus(CLOCK_TOLERANCE);
    let moment = if plausible { claimed } else { fallback };
    // A clock that was set back meanwhile must not make `clamp` panic.
    moment.min(now).max(earliest.min(now))
}

fn reason(rejected: &Rejected) -> JobError {
    let code = serde_json::to_value(rejected.code).ok();
    let code = code.as_ref().and_then(|code| code.as_str()).unwrap_or("other");
    JobError::new(code, text(&rejected.message, MAX_REASON))
}

/// Foreign text as it can be stored: PostgreSQL takes no NUL.
fn text(foreign: &str, max: usize) -> String {
    foreign.chars().take(max).map(|character| if character == '\0' { '\u{fffd}' } else { character }).collect()
}
