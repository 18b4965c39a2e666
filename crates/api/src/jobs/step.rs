//! One change to the jobs of one server: the only way a job's state ever changes.
//!
//! A step holds the server's turn and one write transaction. After the commit it tells followers and puts orders on
//! the wire, still in its turn, so that a server gets them in the order of its queue.

use protocol::job::JobState;
use protocol::{JobId, ServerId};
use serde_json::json;
use tokio::sync::MutexGuard;

use super::log::{self, Live};
use super::model::{Job, JobError, JobView};
use super::queue::InFlight;
use super::state::Session;
use super::{secrets, sign, store};
use crate::access::Actor;
use crate::access::Place;
use crate::audit::{Outcome, Subject};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::events::{Change, ChangeSubject};
use crate::hub::{Hub, Unit};

/// See the module.
#[derive(Debug)]
#[must_use = "a step that is not committed changes nothing"]
pub(super) struct Step<'h> {
    hub: &'h Hub,
    server_id: ServerId,
    turn: MutexGuard<'h, ()>,
    unit: Unit<'h>,
    session: Option<Session>,
    after: After,
}

/// What is due once the step is durable.
#[derive(Debug, Default)]
struct After {
    changed: Vec<Job>,
    deliver: Vec<Delivery>,
    cancel: Vec<(Job, Timestamp)>,
}

/// A job that goes out, with the signatures that operators gave.
#[derive(Debug)]
struct Delivery {
    job: Job,
    signatures: Vec<String>,
}

/// What became of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// The job is in the new state.
    Yes,
    /// No such move: nothing has changed.
    No,
    /// The job is not in the state any more that it was read in: nothing has changed.
    Overtaken,
}

impl<'h> Step<'h> {
    /// Waits for the server's turn and for the database.
    pub(super) async fn begin(hub: &'h Hub, server_id: ServerId) -> Result<Self> {
        let turn = hub.jobs.turn(server_id).await;
        let unit = hub.begin().await?;
        Ok(Self { hub, server_id, turn, unit, session: hub.jobs.session(server_id), after: After::default() })
    }

    /// The connection, for store functions.
    pub(super) fn conn(&mut self) -> Conn<'_> {
        self.unit.conn()
    }

    /// A job of this server.
    pub(super) async fn job(&mut self, id: JobId) -> Result<Option<Job>> {
        // What is out is remembered: it is asked for two or three times in its life, and most lives are short.
        if let Some(job) = self.hub.jobs.live(id).and_then(|live| live.job()) {
            return Ok(Some(job).filter(|job| job.server_id == self.server_id));
        }
        self.stored_job(id).await
    }

    async fn stored_job(&mut self, id: JobId) -> Result<Option<Job>> {
        let job = store::by_id(&mut self.unit.conn(), id).await?;
        Ok(job.filter(|job| job.server_id == self.server_id))
    }

    /// The jobs that are with the server and have not ended, in order.
    pub(super) async fn jobs_out(&mut self) -> Result<Vec<Job>> {
        let jobs = store::in_flight(&mut self.unit.conn(), self.server_id).await?;
        if let Some(session) = &mut self.session {
            session.out = InFlight::new(jobs.iter().map(|job| (job.id, job.definition.exclusive)));
            session.waiting = true;
        }
        Ok(jobs)
    }

    /// See [`transition`]. `false` when that move does not exist.
    pub(super) async fn transition(
        &mut self,
        job: &mut Job,
        next: JobState,
        change: impl Fn(&mut Job),
    ) -> Result<bool> {
        let mut moved = transition(self.hub, &mut self.unit, job, next, &change).await?;
        if moved == Moved::Overtaken {
            // What was remembered was not true any more.
            let Some(stored) = self.stored_job(job.id).await? else { return Ok(false) };
            *job = stored;
            moved = transition(self.hub, &mut self.unit, job, next, &change).await?;
        }
        if moved != Moved::Yes {
            return Ok(false);
        }
        if let Some(session) = &mut self.session {
            if next.is_terminal() {
                session.out.leave(job.id);
            } else if next.is_with_server() {
                session.out.enter(job.id, job.definition.exclusive);
            }
        }
        self.after.changed.push(job.clone());
        Ok(true)
    }

    /// The server has the job: it runs, as far as the hub knows.
    pub(super) async fn claim(&mut self, job: &mut Job, started_at: Option<Timestamp>) -> Result<bool> {
        // A hub that was restored from a backup may not know that it had sent the job.
        if job.state == JobState::Queued {
            let now = self.hub.now();
            self.transition(job, JobState::Sent, |job| job.sent_at = Some(now)).await?;
        }
        self.transition(job, JobState::Running, |job| {
            job.claimed = true;
            job.started_at = job.started_at.or(started_at);
        })
        .await
    }

    /// The job ends, for a reason that the hub found.
    pub(super) async fn end(&mut self, job: &mut Job, state: JobState, error: Option<JobError>) -> Result<bool> {
        self.transition(job, state, |job| job.error.clone_from(&error)).await
    }

    /// Records who did what to the job.
    pub(super) async fn audit(&mut self, actor: &Actor, action: &'static str, job: &Job) -> Result<()> {
        self.audit_with(actor, action, job, json!({})).await
    }

    /// As [`Step::audit`], with more to say; `more` is an object that holds no secret.
    pub(super) async fn audit_with(
        &mut self,
        actor: &Actor,
        action: &'static str,
        job: &Job,
        more: serde_json::Value,
    ) -> Result<()> {
        let subject = Subject::new("job", &job.id, job.definition.kind.as_str()).on(job.server_id);
        let mut details = json!({ "server_id": job.server_id, "state": job.state.as_str() });
        if let (Some(details), Some(exit_code)) = (details.as_object_mut(), job.exit_code) {
            details.insert("exit_code".to_owned(), exit_code.into());
        }
        if let (Some(details), Some(retry_of)) = (details.as_object_mut(), job.retry_of) {
            details.insert("retry_of".to_owned(), json!(retry_of));
        }
        if let (Some(details), serde_json::Value::Object(more)) = (details.as_object_mut(), more) {
            details.extend(more);
        }
        self.unit.audit(actor, action, subject, Outcome::Ok, details).await
    }

    /// A job has joined the queue that was made before others in it.
    pub(super) fn queued(&mut self) {
        if let Some(session) = &mut self.session {
            session.waiting = true;
        }
    }

    /// Stores a new job, and delivers it when it is its turn already.
    pub(super) async fn insert(&mut self, job: &mut Job, max_waiting: usize) -> Result<()> {
        match &mut self.session {
            Some(session)
                if job.state == JobState::Queued
                    && !session.waiting
                    && session.out.admits(job.definition.exclusive) =>
            {
                let now = self.hub.now();
                job.state = JobState::Sent;
                job.sent_at = Some(now);
                job.delivered_at = Some(now);
                job.boot_id = Some(session.boot_id.to_string());
                session.out.enter(job.id, job.definition.exclusive);
                self.after.deliver.push(Delivery { job: job.clone(), signatures: Vec::new() });
            }
            session => {
                if store::waiting(&mut self.unit.conn(), self.server_id).await? >= max_waiting {
                    return Err(Error::conflict(format!(
                        "{max_waiting} jobs wait for this server already; cancel some or wait until they have ended"
                    )));
                }
                // One that waits for a signature holds nobody up.
                if let Some(session) = session
                    && job.state == JobState::Queued
                {
                    session.waiting = true;
                }
            }
        }
        store::insert(&mut self.unit.conn(), job).await?;
        if let Some(secrets) = &job.secrets {
            store::keep_secrets(&mut self.unit.conn(), job.id, secrets).await?;
        }
        self.announce("job.created", job)
    }

    /// Sends the jobs whose turn has come, as many as may be with the server at once.
    pub(super) async fn fill(&mut self) -> Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        let room = session.out.room();
        if room == 0 || !session.waiting {
            return Ok(());
        }
        let boot_id = session.boot_id.to_string();
        let now = self.hub.now();
        let next = store::next_queued(&mut self.unit.conn(), self.server_id, now, room).await?;
        if next.len() < room
            && let Some(session) = &mut self.session
        {
            session.waiting = false;
        }
        for mut job in next {
            if self.end_unreadable(&mut job).await? {
                continue;
            }
            if !self.session.as_ref().is_some_and(|session| session.out.admits(job.definition.exclusive)) {
                // Nothing overtakes it.
                self.queued();
                break;
            }
            let sent = |job: &mut Job| {
                job.sent_at = Some(now);
                job.delivered_at = Some(now);
                job.boot_id = Some(boot_id.clone());
            };
            if self.transition(&mut job, JobState::Sent, sent).await? {
                self.deliver(job).await?;
            }
        }
        Ok(())
    }

    /// Ends a job that has not run and cannot be sent, because its secrets cannot be read any more.
    pub(super) async fn end_unreadable(&mut self, job: &mut Job) -> Result<bool> {
        if secrets::are_readable(self.hub, job) {
            return Ok(false);
        }
        let message = "its secrets cannot be read any more, because the hub has another key than when the job was made; \
                       create it anew";
        self.end(job, JobState::Cancelled, Some(JobError::new("secrets_unreadable", message))).await
    }

    /// Sends an unanswered job once more; the agent tells a repeat from a first time.
    pub(super) async fn send_again(&mut self, job: &mut Job) -> Result<()> {
        let Some(boot_id) = self.session.as_ref().map(|session| session.boot_id.to_string()) else { return Ok(()) };
        let now = self.hub.now();
        let sent = |job: &mut Job| {
            job.delivered_at = Some(now);
            job.boot_id = Some(boot_id.clone());
        };
        if job.state == JobState::Sent {
            sent(job);
            store::update(&mut self.unit.conn(), job, JobState::Sent).await?;
            self.after.changed.push(job.clone());
        } else if !self.transition(job, JobState::Sent, sent).await? {
            return Ok(());
        }
        self.deliver(job.clone()).await
    }

    /// Puts the order on the wire once the step is durable.
    async fn deliver(&mut self, job: Job) -> Result<()> {
        let signed = match job.op_body {
            Some(_) => store::signatures(&mut self.unit.conn(), job.id).await?,
            None => Vec::new(),
        };
        let signatures = signed.into_iter().map(|signed| signed.signature).collect();
        self.after.deliver.push(Delivery { job, signatures });
        Ok(())
    }

    /// Tells the agent to end the job, once the step is durable.
    pub(super) fn send_cancel(&mut self, job: &Job, at: Timestamp) {
        self.after.cancel.push((job.clone(), at));
    }

    /// The job was changed otherwise than in its state.
    pub(super) fn changed(&mut self, job: &Job) {
        self.after.changed.push(job.clone());
    }

    /// Announces a change of the job that is no change of its state.
    pub(super) fn announce(&mut self, kind: &'static str, job: &Job) -> Result<()> {
        let change = change(kind, job)?;
        self.unit.announce(change);
        Ok(())
    }

    /// Makes it durable, then tells followers and the agent.
    pub(super) async fn commit(self) -> Result<()> {
        let Self { hub, unit, session, after, turn, .. } = self;
        unit.commit().await?;
        for job in after.changed {
            if job.batch_id.is_some() && job.state.is_terminal() {
                hub.job_batches.moved();
            }
            hub.jobs.note(job);
        }
        if let Some(session) = session {
            hub.jobs.settle(&session);
            for Delivery { job, signatures } in after.deliver {
                send(&session, &job, sign::cmd(hub, &job, signatures));
                if job.sent_at == job.delivered_at {
                    // Its first sending: there is no log yet, and nobody has to ask the database for it.
                    hub.jobs.keep_live(Live::new(job.id, job.server_id)).remember(job);
                }
            }
            for (job, at) in &after.cancel {
                send(&session, job, sign::cancel(hub, job, *at));
            }
        }
        drop(turn);
        Ok(())
    }
}

/// The only place where the state of a job changes: it goes to `next`, with everything that `change` says of it, and the
/// change is announced.
pub(super) async fn transition(
    hub: &Hub,
    unit: &mut Unit<'_>,
    job: &mut Job,
    next: JobState,
    change: impl FnOnce(&mut Job),
) -> Result<Moved> {
    let from = job.state;
    if !from.can_become(next) {
        return Ok(Moved::No);
    }
    let mut changed = job.clone();
    change(&mut changed);
    changed.state = next;
    if next.is_terminal() {
        changed.finished_at = changed.finished_at.or_else(|| Some(hub.now()));
        changed.secrets = None;
    }
    if changed.sent_at.is_some() {
        changed.log = log::size(hub, job.id).await?;
    }
    if !store::update(&mut unit.conn(), &changed, from).await? {
        return Ok(Moved::Overtaken);
    }
    *job = changed;
    unit.announce(self::change("job.state", job)?);
    Ok(Moved::Yes)
}

/// What the event stream shows of a job.
fn change(kind: &'static str, job: &Job) -> Result<Change> {
    Ok(Change {
        workspace_id: job.workspace_id,
        kind,
        subject: ChangeSubject::new("job", &job.id).at(Place { project_id: None, server_id: Some(job.server_id) }),
        data: serde_json::to_value(JobView::from(job.clone())).map_err(Error::internal)?,
    })
}

fn send(session: &Session, job: &Job, message: Result<protocol::Message>) {
    match message {
        // A closed link is no loss: the next hello tells what the agent has, and the rest is sent again.
        Ok(message) => {
            let kind = message.kind();
            match session.link.send(message, None) {
                Ok(_) => tracing::debug!(server.id = %job.server_id, job.id = %job.id, kind, "order sent"),
                Err(closed) => {
                    tracing::info!(server.id = %job.server_id, job.id = %job.id, kind, %closed, "order not sent");
                }
            }
        }
        Err(error) => {
            tracing::error!(server.id = %job.server_id, job.id = %job.id, %error, chain = error.chain(), "order cannot be written");
        }
    }
}
