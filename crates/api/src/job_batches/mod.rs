//! Batches: one job on several servers, in waves that stop when too many fail.
//!
//! Which servers a batch means is fixed when it is made. `advance` is the only function that moves one on: it notes what
//! has ended, stops at the threshold, and begins what is due. It takes no input, may run twice and after any crash: that
//! a server never gets a second job is held by a unique index over batch and server.

mod advance;
mod input;
mod model;
mod routes;
mod store;
mod task;
#[cfg(test)]
mod tests;

use protocol::BatchId;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

pub use task::{reconcile, spawn};

use crate::access::verbs::{JobsCancel, JobsRead, ServersExec};
use crate::access::{self, Actor, Authorized, Node, Visible};
use crate::audit::{Outcome, Subject};
use crate::background::Wake;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::events::{Change, ChangeSubject};
use crate::http::page::{Cursor, Limit, cut};
use crate::hub::{App, Hub, Unit};
use crate::jobs::CreatedBy;
use crate::servers::{self, Selected};
use input::NewBatch;
use model::{Batch, BatchState, BatchView, Counts, Place, PlaceFilter};

/// Wakes the reconciler before its time.
#[derive(Debug, Default)]
pub struct State {
    wake: Wake,
}

impl State {
    /// A job of a batch has ended.
    pub fn moved(&self) {
        self.wake.wake();
    }
}

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// Whether a batch goes on; if so, nobody pauses or ends it before the caller's transaction is over.
///
/// # Errors
/// When the database cannot be used.
pub async fn hold(conn: &mut Conn<'_>, id: BatchId) -> Result<bool> {
    Ok(store::hold(conn, id).await?)
}

/// Makes a batch for the servers that the selector means now. Its first wave begins at once.
async fn create(app: &App, visible: Visible<ServersExec>, new: NewBatch) -> Result<Batch> {
    let Visible { actor, reach, .. } = visible;
    let mut unit = app.begin().await?;
    let chosen = servers::select(&mut unit.conn(), actor.workspace_id, &reach, &new.selector).await?;
    let place = common_place(&chosen);
    if !actor.rights.allow(Node::JobsRead, place) {
        // Whoever starts a batch must be able to watch and to stop it.
        return Err(Error::invalid_field("selector", "means servers of several projects; make one batch for each"));
    }
    let total = chosen.len();
    let waves = new.strategy.waves(total);
    let batch = Batch {
        id: app.ids.batch(),
        workspace_id: actor.workspace_id,
        definition: new.definition,
        expires_in_s: new.expires_in_s,
        selector: new.selector,
        strategy: new.strategy,
        state: BatchState::Running,
        halt_message: None,
        forgiven: 0,
        wave: 0,
        waves: i64::try_from(waves.len()).unwrap_or(i64::MAX),
        next_wave_at: None,
        counts: Counts { total: i64::try_from(total).unwrap_or(i64::MAX), ..Counts::default() },
        created_at: app.now(),
        created_by: CreatedBy::from(&actor),
        finished_at: None,
        place,
    };
    store::insert(&mut unit.conn(), &batch).await?;
    let mut chosen = chosen.into_iter();
    let mut place = 0;
    for (wave, size) in waves.into_iter().enumerate() {
        for server in chosen.by_ref().take(size) {
            store::insert_place(&mut unit.conn(), batch.id, place, wave, &server).await?;
            place += 1;
        }
    }
    record(&mut unit, &actor, "job_batch.create", &batch).await?;
    unit.announce(change("job_batch.created", &batch)?);
    unit.commit().await?;
    app.job_batches.moved();
    Ok(batch)
}

/// Where a batch lies: on its only server, in the project that all its servers are in, else in the workspace.
fn common_place(servers: &[Selected]) -> access::Place {
    match servers {
        [one] => one.place(),
        [first, others @ ..] if others.iter().all(|other| other.project_id == first.project_id) => {
            access::Place { server_id: None, ..first.place() }
        }
        _ => access::Place::WORKSPACE,
    }
}

/// Begins nothing more until somebody resumes it; jobs that were not sent are taken back.
async fn pause(app: &App, batch: Authorized<Batch, ServersExec>) -> Result<Batch> {
    let Authorized { actor, resource: batch, .. } = batch;
    let message = format!("paused by {}", actor.name());
    let paused = move |batch: &mut Batch| {
        if batch.state != BatchState::Running {
            return Err(batch.refuse("be paused"));
        }
        batch.stop(BatchState::Paused, message);
        Ok(())
    };
    edit(app, &actor, batch.id, "job_batch.pause", paused).await
}

/// Goes on. Failures up to now are forgiven.
async fn resume(app: &App, batch: Authorized<Batch, ServersExec>) -> Result<Batch> {
    let Authorized { actor, resource: batch, .. } = batch;
    let resumed = |batch: &mut Batch| {
        if !matches!(batch.state, BatchState::Paused | BatchState::Halted) {
            return Err(batch.refuse("be resumed"));
        }
        batch.go_on();
        Ok(())
    };
    edit(app, &actor, batch.id, "job_batch.resume", resumed).await
}

/// Begins nothing more for good, and ends what runs.
async fn cancel(app: &App, batch: Authorized<Batch, JobsCancel>) -> Result<Batch> {
    let Authorized { actor, resource: batch, .. } = batch;
    let message = format!("cancelled by {}", actor.name());
    let now = app.now();
    let cancelled = move |batch: &mut Batch| {
        if batch.state.is_final() {
            return Err(batch.refuse("be cancelled"));
        }
        batch.stop(BatchState::Cancelled, message);
        batch.finished_at = Some(now);
        Ok(())
    };
    let batch = edit(app, &actor, batch.id, "job_batch.cancel", cancelled).await?;
    advance::end_active(app, &actor, &batch).await?;
    Ok(batch)
}

async fn edit(
    app: &App,
    actor: &Actor,
    id: BatchId,
    action: &'static str,
    change: impl FnOnce(&mut Batch) -> Result<()>,
) -> Result<Batch> {
    let mut unit = app.begin().await?;
    let mut batch = store::by_id(&mut unit.conn(), id).await?.ok_or_else(|| Error::not_found("job batch"))?;
    let from = batch.state;
    change(&mut batch)?;
    if !store::update(&mut unit.conn(), &batch, from).await? {
        return Err(Error::conflict("the batch has changed in this moment; look at it and try again"));
    }
    record(&mut unit, actor, action, &batch).await?;
    unit.announce(self::change("job_batch.state", &batch)?);
    unit.commit().await?;
    app.job_batches.moved();
    Ok(batch)
}

/// A page of batches, newest first.
async fn list(
    hub: &Hub,
    visible: &Visible<JobsRead>,
    states: &[BatchState],
    cursor: Option<&Cursor>,
    limit: Limit,
) -> Result<(Vec<Batch>, Option<Cursor>)> {
    let before = cursor.map(Cursor::key::<String>).transpose()?;
    let mut session = hub.db.read().await?;
    let batches = store::list(&mut session.conn(), visible, states, before, limit.with_next()).await?;
    cut(batches, limit, |batch| batch.id.to_string())
}

/// A page of what became of each server of a batch.
async fn places(
    hub: &Hub,
    batch: &Authorized<Batch, JobsRead>,
    filter: Option<PlaceFilter>,
    cursor: Option<&Cursor>,
    limit: Limit,
) -> Result<(Vec<Place>, Option<Cursor>)> {
    let after = cursor.map(Cursor::key::<i64>).transpose()?.unwrap_or(-1);
    let mut session = hub.db.read().await?;
    let places = store::places(&mut session.conn(), batch.resource.id, filter, after, limit.with_next()).await?;
    cut(places, limit, |place| place.place)
}

async fn record(unit: &mut Unit<'_>, actor: &Actor, action: &'static str, batch: &Batch) -> Result<()> {
    let subject = Subject::new("job_batch", &batch.id, batch.definition.kind.as_str());
    let details = json!({ "state": batch.state, "servers": batch.counts.total, "selector": batch.selector });
    unit.audit(actor, action, subject, Outcome::Ok, details).await
}

fn change(kind: &'static str, batch: &Batch) -> Result<Change> {
    Ok(Change {
        workspace_id: batch.workspace_id,
        kind,
        subject: ChangeSubject::new("job_batch", &batch.id).at(batch.place),
        data: serde_json::to_value(BatchView::from(batch.clone())).map_err(Error::internal)?,
    })
}
