//! Output of jobs: taken once and in order, stored compressed, read by pages, followed live.

mod follow;
mod limit;
mod live;
mod needle;
mod plain;
mod read;
mod room;
mod routes;
mod search;
mod segment;
mod store;
mod tail;
mod text;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use protocol::JobId;
use protocol::job::Log;

pub(super) use live::{EndTaken, Live};
pub(super) use room::{LogRoom, make_room};
pub(super) use routes::routes;
pub(super) use writer::{Writer, acknowledge};

use super::model::LogSize;
use crate::error::Result;
use crate::gateway::AgentLink;
use crate::hub::{App, Hub};
use live::Taken;
use segment::Piece;

/// A piece of output that cannot be taken yet, because something before it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    /// Where the log goes on.
    pub(super) expected: u64,
    /// Where the piece lies.
    pub(super) offset: u64,
}

/// Takes a piece of output; what is new of it is stored soon and acknowledged then.
pub(super) async fn take(
    app: &App,
    link: &AgentLink,
    live: &Arc<Live>,
    log: Log,
    bytes: Option<Bytes>,
) -> Result<Option<Missing>> {
    let Log { job_id, offset, s, at_ms, text, gap_bytes, bytes: _ } = log;
    let data = bytes.or_else(|| text.map(Bytes::from)).unwrap_or_default();
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
    // Room first: taking and queueing must not be torn apart by a wait.
    let room = app.jobs.writer.room(data.len()).await?;
    let piece = Piece { offset, bytes: length, stream: s, at_ms, gap_bytes: gap_bytes.unwrap_or(0), data };
    let queue = |pieces, carries| app.jobs.writer.store(app, Arc::clone(live), pieces, carries, room);
    match live.take(link, piece, queue)? {
        Taken::New => {}
        Taken::Known { stored } => acknowledge(link, job_id, stored),
        Taken::Gap { expected, stored } => {
            acknowledge(link, job_id, stored);
            return Ok(Some(Missing { expected, offset }));
        }
    }
    Ok(None)
}

/// How much of a job's log is stored.
pub(super) async fn size(hub: &Hub, job_id: JobId) -> Result<LogSize> {
    if let Some(live) = hub.jobs.live(job_id) {
        return Ok(live.size());
    }
    let mut session = hub.history.read().await?;
    let extent = store::extent(&mut session.conn(), job_id).await?;
    Ok(LogSize { bytes: extent.finish, truncated: extent.gap_bytes > 0, removed_at: None, stored: extent.stored })
}

/// The bytes of a log as a client gets them.
#[cfg(test)]
pub(super) async fn bytes(app: &App, job_id: JobId) -> Vec<u8> {
    let end = size(app, job_id).await.unwrap().bytes;
    let response = plain::respond(Arc::clone(app), job_id, 0, end, plain::Disposition::Inline);
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
}

/// Waits until everything that came in of a log is stored, and with it the end that waits for it.
#[cfg(test)]
pub(super) async fn settled(hub: &Hub, job_id: JobId) {
    let Some(live) = hub.jobs.live(job_id) else { return };
    let mut progress = live.watch();
    let ends = live.awaits_end();
    while if ends { !progress.borrow().ended } else { !live.is_idle() } {
        progress.changed().await.unwrap();
    }
}

/// Drops the middle of a log beyond a limit of the test's.
#[cfg(test)]
pub(super) async fn shorten(hub: &Hub, job_id: JobId, limit: u64) -> u64 {
    let mut tx = hub.history.write().await.unwrap();
    let kept = store::extent(&mut tx.conn(), job_id).await.unwrap().kept;
    let dropped = limit::shorten(&mut tx.conn(), job_id, kept, limit, hub.now()).await.unwrap();
    tx.commit().await.unwrap();
    dropped
}

/// Removes whole logs.
pub(super) async fn delete(hub: &Hub, job_ids: &[JobId]) -> Result<()> {
    let mut tx = hub.history.write().await?;
    store::delete(&mut tx.conn(), job_ids).await?;
    Ok(tx.commit().await?)
}
