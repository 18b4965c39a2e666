//! Finds what nobody reported: jobs that expired, servers that went while the hub was down, orders without an answer.

use std::time::Duration;

use protocol::job::JobState;

use super::step::Step;
use super::{agent, log, store};
use crate::background;
use crate::error::Result;
use crate::hub::{App, Hub};

/// How often to look.
const EVERY: Duration = Duration::from_secs(5);
/// An order is sent once more after so long without an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Servers, and jobs of each, that are looked at in one run; the next one goes on.
const AT_ONCE: i64 = 200;

/// Starts the reconciler of jobs.
pub fn spawn(app: &App) {
    background::spawn(app, "jobs", EVERY, app.jobs.wake.clone(), |app| async move { reconcile(&app).await });
}

/// Brings every job nearer to its one true end, as far as the hub can tell without its server.
///
/// # Errors
/// When the database cannot be used.
pub async fn reconcile(hub: &Hub) -> Result<()> {
    expire(hub).await?;
    notice_absence(hub).await?;
    send_unanswered(hub).await?;
    deliver_waiting(hub).await?;
    remove_old(hub).await?;
    log::make_room(hub).await
}

async fn expire(hub: &Hub) -> Result<()> {
    let now = hub.now();
    let servers = {
        let mut session = hub.db.read().await?;
        store::servers_with_expired(&mut session.conn(), now, AT_ONCE).await?
    };
    for server_id in servers {
        let mut step = Step::begin(hub, server_id).await?;
        for mut job in store::expired(&mut step.conn(), server_id, now, AT_ONCE).await? {
            step.end(&mut job, JobState::Expired, None).await?;
        }
        step.fill().await?;
        step.commit().await?;
    }
    Ok(())
}

/// A hub that was killed has told nobody that its connections were gone.
async fn notice_absence(hub: &Hub) -> Result<()> {
    let servers = {
        let mut session = hub.db.read().await?;
        store::servers_with_jobs_out(&mut session.conn()).await?
    };
    for server_id in servers {
        if hub.jobs.is_connected(server_id) {
            continue;
        }
        let mut step = Step::begin(hub, server_id).await?;
        // It may have come back while this waited for its turn.
        if !hub.jobs.is_connected(server_id) {
            agent::out_of_sight(&mut step, server_id).await?;
        }
        step.commit().await?;
    }
    Ok(())
}

/// An order may be lost although the connection lives on; sending it again is harmless.
async fn send_unanswered(hub: &Hub) -> Result<()> {
    let before = hub.now().minus(ANSWER_WITHIN);
    let servers = {
        let mut session = hub.db.read().await?;
        store::servers_with_unanswered(&mut session.conn(), before).await?
    };
    for server_id in servers {
        let mut step = Step::begin(hub, server_id).await?;
        for mut job in store::in_flight(&mut step.conn(), server_id).await? {
            if job.state == JobState::Sent && job.delivered_at.is_some_and(|at| at <= before) {
                step.send_again(&mut job).await?;
            }
        }
        step.commit().await?;
    }
    Ok(())
}

/// Every end makes room for the next job; this is for an end that could not do so.
async fn deliver_waiting(hub: &Hub) -> Result<()> {
    let servers = {
        let mut session = hub.db.read().await?;
        store::servers_with_queued(&mut session.conn()).await?
    };
    for server_id in servers {
        if hub.jobs.session(server_id).is_none() {
            continue;
        }
        let mut step = Step::begin(hub, server_id).await?;
        step.jobs_out().await?;
        step.fill().await?;
        step.commit().await?;
    }
    Ok(())
}

/// Ended jobs are kept for so many days, with their logs.
async fn remove_old(hub: &Hub) -> Result<()> {
    let keep = Duration::from_secs(u64::from(hub.config.retention.jobs_days) * 24 * 3600);
    let old = {
        let mut session = hub.db.read().await?;
        store::ended_before(&mut session.conn(), hub.now().minus(keep), AT_ONCE).await?
    };
    if old.is_empty() {
        return Ok(());
    }
    // Logs first: a job without its log is found again, a log without its job is not.
    log::delete(hub, &old).await?;
    let mut unit = hub.begin().await?;
    store::delete(&mut unit.conn(), &old).await?;
    unit.commit().await?;
    tracing::info!(jobs = old.len(), "removed old jobs and their logs");
    Ok(())
}
