//! A server comes, goes, or is removed.

use std::collections::HashMap;

use protocol::job::{JobState, SpoolState};
use protocol::session::{Hello, HelloJob, WelcomeJob};
use protocol::{JobId, ServerId};

use crate::error::Result;
use crate::gateway::AgentLink;
use crate::hub::{Hub, Unit};
use crate::jobs::log::Live;
use crate::jobs::model::{Job, JobError};
use crate::jobs::step::{self, Step};
use crate::jobs::store;

/// Jobs that are looked at in one go when a server is removed.
const PAGE: usize = 200;

/// A server says hello: compares what it has with what the hub believes. The answer is for the welcome.
///
/// What the agent does not list: claimed under another boot, it was `interrupted`; claimed under this one, it is `lost`;
/// never claimed, it has not run and is sent again.
///
/// # Errors
/// When the database cannot be used: the agent shall come again.
pub async fn connected(hub: &Hub, link: &AgentLink, hello: &Hello) -> Result<Vec<WelcomeJob>> {
    let listed: HashMap<JobId, &HelloJob> = hello.jobs.iter().map(|job| (job.job_id, job)).collect();
    let boot_id = &hello.host.boot_id;
    // Before its jobs are shown as running again: nobody must take it for absent.
    hub.jobs.connect(link, boot_id);
    let mut step = Step::begin(hub, link.server_id).await?;
    for mut job in store::in_flight(&mut step.conn(), link.server_id).await? {
        if !listed.contains_key(&job.id) {
            // Output is as good a sign of having run as an answer.
            let ran = job.claimed || Live::get(hub, job.id, job.server_id).await?.has_any();
            missing(&mut step, &mut job, ran, boot_id).await?;
        }
    }

    let ids: Vec<_> = listed.keys().copied().collect();
    let known = store::by_ids(&mut step.conn(), &ids).await?;
    let mut known: HashMap<JobId, Job> =
        known.into_iter().filter(|job| job.server_id == link.server_id).map(|job| (job.id, job)).collect();
    let (mut answers, mut strays) = (Vec::with_capacity(hello.jobs.len()), Vec::new());
    for entry in &hello.jobs {
        let answer = match known.remove(&entry.job_id) {
            // Unknown here, or named twice: nobody waits for it.
            None => WelcomeJob { job_id: entry.job_id, next_offset: entry.next_offset, done: true },
            Some(job) if is_stray(&job, entry.state) => {
                // Not to be forgotten yet: the agent has to end it first.
                strays.push(job.id);
                WelcomeJob { job_id: job.id, next_offset: entry.next_offset, done: false }
            }
            Some(job) if job.state.is_terminal() => {
                WelcomeJob { job_id: job.id, next_offset: job.log.bytes, done: true }
            }
            Some(mut job) => {
                has(&mut step, &mut job, entry.state).await?;
                let live = Live::get(hub, job.id, job.server_id).await?;
                WelcomeJob { job_id: job.id, next_offset: live.size().bytes, done: false }
            }
        };
        answers.push(answer);
    }
    step.commit().await?;
    hub.jobs.set_strays(link.server_id, strays);
    Ok(answers)
}

/// The agent has no trace of a job that went to it.
async fn missing(step: &mut Step<'_>, job: &mut Job, ran: bool, boot_id: &str) -> Result<()> {
    if !ran {
        if job.cancel_requested_at.is_some() {
            step.end(job, JobState::Cancelled, None).await?;
        }
        // Else it is sent again once the agent has its welcome.
        return Ok(());
    }
    let (state, error) = if job.boot_id.as_deref() == Some(boot_id) {
        let message = "the server has no trace of this job any more: its worker was ended by force, or its data were \
                       removed; what it has done up to then is not known";
        (JobState::Lost, JobError::new("outcome_unknown", message))
    } else {
        let message = "the server went down while the job ran";
        (JobState::Interrupted, JobError::new("server_restarted", message))
    };
    step.end(job, state, Some(error)).await?;
    Ok(())
}

/// The agent has the job.
pub(super) async fn has(step: &mut Step<'_>, job: &mut Job, spooled: SpoolState) -> Result<()> {
    // What has ended there is on its way with the rest of its log; until then nothing is known but that it was claimed.
    if spooled == SpoolState::Running || !job.claimed {
        step.claim(job, None).await?;
    }
    Ok(())
}

/// Whether the job runs there although it has ended here: it was taken for never started.
pub(super) fn is_stray(job: &Job, spooled: SpoolState) -> bool {
    let taken_for_never_started = matches!(job.state, JobState::Cancelled | JobState::Expired | JobState::Rejected);
    spooled == SpoolState::Running && taken_for_never_started
}

/// The agent has its welcome: sends what it has not answered, what shall end, and the jobs whose turn has come.
///
/// # Errors
/// When the database cannot be used; the reconciler tries again.
pub async fn ready(hub: &Hub, link: &AgentLink) -> Result<()> {
    let strays = hub.jobs.ready(link.server_id);
    let mut step = Step::begin(hub, link.server_id).await?;
    let now = hub.now();
    for job in store::by_ids(&mut step.conn(), &strays).await? {
        step.send_cancel(&job, job.cancel_requested_at.unwrap_or(now));
    }
    for mut job in step.jobs_out().await? {
        // The agent has just said that it has no trace of it.
        if !job.claimed && !step.end_unreadable(&mut job).await? {
            step.send_again(&mut job).await?;
        }
        if let Some(at) = job.cancel_requested_at {
            step.send_cancel(&job, at);
        }
    }
    step.fill().await?;
    step.commit().await
}

/// A server has no connection any more: from this moment nobody knows how its jobs fare.
///
/// # Errors
/// When the database cannot be used; the reconciler tries again.
pub async fn disconnected(hub: &Hub, server_id: ServerId) -> Result<()> {
    hub.jobs.disconnect(server_id);
    let mut step = Step::begin(hub, server_id).await?;
    out_of_sight(&mut step, server_id).await?;
    step.commit().await
}

/// Shows the jobs of a server that is away as what they are.
pub(in crate::jobs) async fn out_of_sight(step: &mut Step<'_>, server_id: ServerId) -> Result<()> {
    for mut job in store::in_flight(&mut step.conn(), server_id).await? {
        step.transition(&mut job, JobState::Reconciling, |_| {}).await?;
    }
    Ok(())
}

/// Ends the jobs of a server that is removed, inside the removal's own unit of work: what had gone to it is `lost`, what
/// had not is `cancelled`.
///
/// # Errors
/// When the database cannot be used.
pub async fn server_removed(hub: &Hub, unit: &mut Unit<'_>, server_id: ServerId) -> Result<()> {
    loop {
        let jobs = store::unfinished(&mut unit.conn(), server_id, PAGE).await?;
        let last = jobs.len() < PAGE;
        for mut job in jobs {
            let (state, message) = match job.state {
                JobState::Queued | JobState::AwaitingSignature => {
                    (JobState::Cancelled, "the server was removed before the job was sent to it")
                }
                _ => (JobState::Lost, "the server was removed before it told how the job ended"),
            };
            let error = JobError::new("server_removed", message);
            step::transition(hub, unit, &mut job, state, |job| job.error = Some(error)).await?;
        }
        if last {
            return Ok(());
        }
    }
}
