//! A log as it grows: what is stored already, then every new piece, then the end of the job.
//!
//! A follower reads from the database by pages and is only told that there is more, so that one which stands still
//! costs a page of memory and holds up nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use futures_util::stream;
use tokio::sync::watch;

use super::live::{Live, Progress};
use super::read::{Cursor, LogChunk};
use super::segment::{self, Piece};
use crate::access::Actor;
use crate::error::Result;
use crate::http::sse::{self, Event};
use crate::hub::App;
use crate::jobs::model::{Job, JobView};
use crate::jobs::store;

/// Bytes of the log that a follower has in memory: the longest segment, so that none is read twice.
const PAGE: u64 = segment::MAX_BYTES;
/// The state of the job is looked up after so long without news, in case that something else ended it.
const LOOK: Duration = Duration::from_secs(10);

/// Follows the log of `job` from `from` on.
///
/// # Errors
/// When the log cannot be read, or the caller has too many streams open.
pub(super) async fn respond(app: App, actor: &Actor, job: Job, from: u64) -> Result<Response> {
    let live = Live::get(&app, job.id, job.server_id).await?;
    let progress = live.watch();
    let place = Place { app: Arc::clone(&app), live };
    // Only now: an end before this look is seen here, one after it wakes the follower.
    let job = look(&app, job).await?;
    let phase = if job.state.is_terminal() { Phase::Ended } else { Phase::Growing };
    let cursor = Cursor::new(job.id, from);
    let follower = Follower { cursor, place, progress, job, phase, pieces: VecDeque::new(), rest: VecDeque::new() };
    let events = stream::unfold(follower, |mut follower| async move {
        match follower.next().await {
            Ok(event) => event.map(|event| (event, follower)),
            Err(error) => {
                let job_id = follower.job.id;
                tracing::error!(job.id = %job_id, %error, chain = error.chain(), "a followed log breaks off");
                None
            }
        }
    });
    sse::respond(&app, actor, events)
}

struct Follower {
    cursor: Cursor,
    place: Place,
    progress: watch::Receiver<Progress>,
    job: Job,
    phase: Phase,
    pieces: VecDeque<Piece>,
    rest: VecDeque<LogChunk<'static>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// More may come.
    Growing,
    /// The job has ended; what is stored is all there will be.
    Ended,
    /// Everything but the end was sent.
    Closing,
    /// The end was sent.
    Over,
}

/// An entry of a log that is followed; dropping it gives it back.
struct Place {
    app: App,
    live: Arc<Live>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.jobs.release(&self.live);
    }
}

impl Follower {
    async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                let chunk = self.cursor.show(&piece);
                return Ok(Some(Event::new("log", &chunk)?.with_id(self.cursor.next())));
            }
            if let Some(chunk) = self.rest.pop_front() {
                return Ok(Some(Event::new("log", &chunk)?.with_id(self.cursor.next())));
            }
            match self.phase {
                Phase::Over => return Ok(None),
                Phase::Closing => {
                    self.phase = Phase::Over;
                    let end = Event::new("end", &JobView::from(self.job.clone()))?;
                    return Ok(Some(end.with_id(self.cursor.next())));
                }
                Phase::Growing | Phase::Ended => self.more().await?,
            }
        }
    }

    /// Reads what there is, else waits for more or for the end.
    async fn more(&mut self) -> Result<()> {
        // Marked as seen before reading: what is stored after that wakes the follower again.
        let seen = *self.progress.borrow_and_update();
        self.pieces = self.cursor.pieces(&self.place.app, PAGE).await?.into();
        if !self.pieces.is_empty() {
            return Ok(());
        }
        if self.phase == Phase::Ended {
            self.rest = self.cursor.finish(self.job.finished_at.unwrap_or(self.job.created_at)).into();
            self.phase = Phase::Closing;
            return Ok(());
        }
        let woken = seen.ended || tokio::time::timeout(LOOK, self.progress.changed()).await.is_ok();
        if !woken || self.progress.borrow().ended {
            self.job = look(&self.place.app, self.job.clone()).await?;
            if self.job.state.is_terminal() {
                self.phase = Phase::Ended;
            } else if seen.ended {
                // Not to be expected; a pause keeps it from spinning.
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }
}

async fn look(app: &App, job: Job) -> Result<Job> {
    let mut session = app.db.read().await?;
    Ok(store::by_id(&mut session.conn(), job.id).await?.unwrap_or(job))
}
