//! The only place where a batch moves on.

use std::time::Duration;

use protocol::BatchId;

use super::model::{Batch, BatchState, Counts};
use super::{change, record, store};
use crate::access::verbs::{JobsCancel, ServersExec};
use crate::access::{self, Actor, Node, Rights, authorize};
use crate::api_keys;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::App;
use crate::jobs::{self, Job, NewJob, SecretEnv};
use crate::servers::Server;

/// Jobs that are begun before the batch is looked at again: it may have to stop.
const AT_ONCE: i64 = 50;

/// Notes what has ended, stops where too much failed, begins what is due. `true`: there is more to do right now.
pub(super) async fn advance(app: &App, id: BatchId) -> Result<bool> {
    let Some(batch) = settle(app, id).await? else { return Ok(false) };
    match batch.state {
        BatchState::Running => begin_due(app, batch).await,
        // What was not sent when it stopped must not run later, when its server comes back.
        BatchState::Paused | BatchState::Halted => take_back(app, &batch).await.map(|()| false),
        BatchState::Succeeded | BatchState::Failed | BatchState::Cancelled => Ok(false),
    }
}

/// Ends the jobs of a cancelled batch: those that were not sent at once, the others on their servers.
pub(super) async fn end_active(app: &App, actor: &Actor, batch: &Batch) -> Result<()> {
    take_back(app, batch).await?;
    let active = {
        let mut session = app.db.read().await?;
        store::active_jobs(&mut session.conn(), batch.id).await?
    };
    for job_id in active {
        let job = authorize::<Job, JobsCancel>(app, actor.clone(), job_id).await?;
        match jobs::cancel(app, job).await {
            // It has ended meanwhile.
            Err(error) if error.code() == ErrorCode::Conflict => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Notes the ends of jobs, counts, and decides whether the batch has ended, halts, or waits for its next wave.
async fn settle(app: &App, id: BatchId) -> Result<Option<Batch>> {
    let mut unit = app.begin().await?;
    let Some(before) = store::by_id(&mut unit.conn(), id).await? else { return Ok(None) };
    store::note_ends(&mut unit.conn(), id).await?;
    let (counts, open_in_wave) = store::count(&mut unit.conn(), id, before.wave).await?;
    let mut batch = before.clone();
    batch.counts = counts;
    if batch.state == BatchState::Running {
        decide(app, &mut batch, open_in_wave);
    }
    if is_same(&before, &batch) {
        // Ends may be noted all the same.
        unit.commit().await?;
        return Ok(Some(batch));
    }
    if !store::update(&mut unit.conn(), &batch, before.state).await? {
        return Ok(None);
    }
    if batch.state != before.state {
        record(&mut unit, &Actor::system(batch.workspace_id), "job_batch.end", &batch).await?;
    }
    unit.announce(change("job_batch.state", &batch)?);
    unit.commit().await?;
    Ok(Some(batch))
}

fn is_same(before: &Batch, after: &Batch) -> bool {
    (before.state, before.wave, before.next_wave_at, before.counts)
        == (after.state, after.wave, after.next_wave_at, after.counts)
}

fn decide(app: &App, batch: &mut Batch, open_in_wave: i64) {
    let now = app.now();
    if batch.counts.succeeded + batch.counts.failed == batch.counts.total {
        batch.state = if batch.counts.failed == 0 { BatchState::Succeeded } else { BatchState::Failed };
        batch.finished_at = Some(now);
        return;
    }
    if batch.has_failed_too_often() {
        let (failed, allowed) = (batch.counts.failed - batch.forgiven, batch.strategy.max_failures);
        batch.stop(BatchState::Halted, format!("{failed} jobs failed where {allowed} may; nothing more is begun"));
        return;
    }
    if open_in_wave > 0 || batch.wave + 1 >= batch.waves {
        return;
    }
    let due =
        *batch.next_wave_at.get_or_insert_with(|| now.plus(Duration::from_secs(u64::from(batch.strategy.pause_s))));
    if due <= now {
        batch.wave += 1;
        batch.next_wave_at = None;
    }
}

/// Makes the jobs of the wave that is under way.
async fn begin_due(app: &App, batch: Batch) -> Result<bool> {
    if batch.next_wave_at.is_some() {
        return Ok(false);
    }
    let due = {
        let mut session = app.db.read().await?;
        store::due(&mut session.conn(), batch.id, batch.wave, AT_ONCE).await?
    };
    if due.is_empty() {
        return Ok(false);
    }
    let rights = rights_of_creator(app, &batch).await?;
    if !rights.anywhere().contains(Node::ServersExec) {
        let name = &batch.created_by.name;
        halt(app, &batch, format!("{name}, who started it, may not run commands here any more")).await?;
        return Ok(false);
    }
    for server_id in &due {
        let actor = Actor::system(batch.workspace_id);
        let made = match authorize::<Server, ServersExec>(app, actor, *server_id).await {
            Ok(server) if rights.allow(Node::ServersExec, server.resource.place()) => {
                jobs::create_for_batch(app, server, new_job(&batch)).await
            }
            // Taken from its maker, or moved out of their reach.
            Ok(_) => Err(Error::not_found("server")),
            Err(error) => Err(error),
        };
        match made {
            Ok(true) => {}
            // Somebody stopped it in this moment.
            Ok(false) => return Ok(true),
            // It was removed or revoked, or too much waits for it: this server has failed, the others go on.
            Err(error) if error.code().status().is_client_error() => {
                let mut unit = app.begin().await?;
                store::note_impossible(&mut unit.conn(), batch.id, *server_id).await?;
                unit.commit().await?;
                tracing::info!(batch.id = %batch.id, server.id = %server_id, %error, "no job could be made");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn new_job(batch: &Batch) -> NewJob {
    NewJob {
        definition: batch.definition.clone(),
        secrets: SecretEnv::new(),
        expires_in: Duration::from_secs(u64::from(batch.expires_in_s)),
        retry_of: None,
        batch: Some((batch.id, batch.created_by.clone())),
    }
}

/// A batch goes on for hours; whoever lost the right meanwhile must not go on using it.
async fn rights_of_creator(app: &App, batch: &Batch) -> Result<Rights> {
    let mut session = app.db.read().await?;
    match batch.created_by.kind.as_str() {
        "user" => {
            let Ok(user_id) = batch.created_by.id.parse() else { return Ok(Rights::none()) };
            Ok(access::rights_of(&mut session.conn(), batch.workspace_id, user_id).await?)
        }
        "api_key" => {
            let Ok(key_id) = batch.created_by.id.parse() else { return Ok(Rights::none()) };
            api_keys::rights(&mut session.conn(), key_id, app.now()).await
        }
        _ => Ok(Rights::everything()),
    }
}

async fn halt(app: &App, before: &Batch, message: String) -> Result<()> {
    let mut batch = before.clone();
    batch.stop(BatchState::Halted, message);
    let mut unit = app.begin().await?;
    if store::update(&mut unit.conn(), &batch, before.state).await? {
        record(&mut unit, &Actor::system(batch.workspace_id), "job_batch.end", &batch).await?;
        unit.announce(change("job_batch.state", &batch)?);
        unit.commit().await?;
    }
    Ok(())
}

/// Cancels jobs that have not been sent; their servers wait again.
async fn take_back(app: &App, batch: &Batch) -> Result<()> {
    let unsent = {
        let mut session = app.db.read().await?;
        store::unsent_jobs(&mut session.conn(), batch.id).await?
    };
    if unsent.is_empty() {
        return Ok(());
    }
    for (server_id, job_id) in unsent {
        jobs::take_back(app, server_id, job_id, batch.id).await?;
    }
    app.job_batches.moved();
    Ok(())
}

impl Counts {
    /// From what the table says: all, with an unfinished job, succeeded, ended.
    pub(super) const fn new(total: i64, active: i64, succeeded: i64, ended: i64) -> Self {
        Self { total, active, succeeded, failed: ended - succeeded }
    }
}
