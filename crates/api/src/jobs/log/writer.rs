//! One task stores what all agents send of logs: many pieces of many jobs in one transaction.
//!
//! What was taken stays in memory until it is stored, however long the database takes; nothing is acknowledged before.
//! Memory is bounded twice: by the window of each connection, and by a budget for all of them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use protocol::JobId;
use protocol::job::Ack;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::limit;
use super::live::{Growth, Live};
use super::segment::{Builder, Piece, Row};
use super::store;
use super::text::Carries;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::error::{Error, Result};
use crate::hub::{App, Hub};

/// Bytes of all agents that wait for the database.
const BUDGET: usize = 256 << 20;
/// What a piece costs beyond its data.
const OVERHEAD: usize = 256;
/// A transaction is closed when it holds so much, so that others do not wait long.
const BATCH: usize = 2 << 20;
/// Smaller batches are compressed on the spot: another thread would cost more.
const COMPRESS_ELSEWHERE_FROM: usize = 64 << 10;
/// Pause after the database refused.
const RETRY: Duration = Duration::from_secs(1);

/// The way into the task.
#[derive(Debug)]
pub(in crate::jobs) struct Writer {
    queue: OnceLock<mpsc::UnboundedSender<Arrival>>,
    budget: Arc<Semaphore>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { queue: OnceLock::new(), budget: Arc::new(Semaphore::new(BUDGET)) }
    }
}

/// Pieces on their way to the database.
#[derive(Debug)]
pub(in crate::jobs) struct Arrival {
    live: Arc<Live>,
    pieces: Vec<Piece>,
    carries: Carries,
    _budget: OwnedSemaphorePermit,
}

impl Writer {
    /// Waits until there is room for a piece of this size.
    pub(super) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let cost = u32::try_from(bytes + OVERHEAD).unwrap_or(u32::MAX);
        Arc::clone(&self.budget).acquire_many_owned(cost).await.map_err(Error::internal)
    }

    /// Has pieces stored. The task starts with the first.
    pub(super) fn store(
        &self,
        app: &App,
        live: Arc<Live>,
        pieces: Vec<Piece>,
        carries: Carries,
        budget: OwnedSemaphorePermit,
    ) -> Result<()> {
        let queue = self.queue.get_or_init(|| {
            let (queue, arrivals) = mpsc::unbounded_channel();
            let task = Task { hub: Arc::downgrade(app), arrivals, compressor: zstd::bulk::Compressor::new(1).ok() };
            app.tasks.spawn(task.run());
            queue
        });
        let arrival = Arrival { live, pieces, carries, _budget: budget };
        queue.send(arrival).map_err(|_| Error::unavailable("the hub is stopping"))
    }
}

struct Task {
    // The hub holds the way into this task; a strong reference back would keep both for ever.
    hub: Weak<Hub>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

/// Segments of one job in a batch.
struct Part {
    live: Arc<Live>,
    open: Builder,
    closed: Vec<Builder>,
}

/// A batch as rows.
#[derive(Clone)]
struct Stored {
    live: Arc<Live>,
    rows: Vec<Row>,
}

impl Task {
    async fn run(mut self) {
        let Some(stop) = self.hub.upgrade().map(|hub| hub.tasks.stop_token()) else { return };
        loop {
            let first = tokio::select! {
                biased;
                arrival = self.arrivals.recv() => arrival,
                () = stop.cancelled() => {
                    // What was taken before is still stored; what comes now the agent sends again to the next hub.
                    self.arrivals.close();
                    self.arrivals.recv().await
                }
            };
            let (Some(first), Some(hub)) = (first, self.hub.upgrade()) else { return };
            let batch = self.collect(first);
            // Held until the batch is stored: this is what the budget counts.
            let _budget: Vec<_> = batch.iter().map(|arrival| &arrival._budget).collect();
            let stored = self.encode(&batch).await;
            save(&hub, &batch, stored).await;
        }
    }

    /// Everything that waits, up to the size of a batch.
    fn collect(&mut self, first: Arrival) -> Vec<Arrival> {
        let size = |arrival: &Arrival| arrival.pieces.iter().map(|piece| piece.data.len() + OVERHEAD).sum::<usize>();
        let mut bytes = size(&first);
        let mut batch = vec![first];
        while bytes < BATCH
            && let Ok(next) = self.arrivals.try_recv()
        {
            bytes += size(&next);
            batch.push(next);
        }
        batch
    }

    async fn encode(&mut self, batch: &[Arrival]) -> Vec<Stored> {
        let parts = group(batch);
        let bytes: usize = parts.iter().flat_map(|part| part.closed.iter().chain([&part.open])).map(Builder::len).sum();
        let mut compressor = self.compressor.take();
        let encode = move || {
            let stored = parts.into_iter().map(|part| Stored {
                live: part.live,
                rows: part
                    .closed
                    .into_iter()
                    .chain([part.open])
                    .map(|builder| builder.finish(&mut compressor))
                    .collect(),
            });
            let stored = stored.collect::<Vec<_>>();
            (stored, compressor)
        };
        if bytes < COMPRESS_ELSEWHERE_FROM {
            let (stored, compressor) = encode();
            self.compressor = compressor;
            return stored;
        }
        match tokio::task::spawn_blocking(encode).await {
            Ok((stored, compressor)) => {
                self.compressor = compressor;
                stored
            }
            // Only a panic leads here; what was taken must not be lost with it.
            Err(error) => {
                tracing::error!(%error, "compressing logs failed; storing them as they are");
                let plain = |builder: Builder| builder.finish(&mut None);
                let rows = |part: Part| part.closed.into_iter().chain([part.open]).map(plain).collect();
                group(batch).into_iter().map(|part| Stored { live: Arc::clone(&part.live), rows: rows(part) }).collect()
            }
        }
    }
}

fn group(batch: &[Arrival]) -> Vec<Part> {
    let mut places = HashMap::<JobId, usize>::new();
    let mut parts = Vec::<Part>::new();
    for arrival in batch {
        let mut carries = arrival.carries;
        let place = *places.entry(arrival.live.job_id).or_insert_with(|| {
            let start = arrival.pieces.first().map_or(0, |piece| piece.offset);
            let open = Builder::new(start, carries);
            parts.push(Part { live: Arc::clone(&arrival.live), open, closed: Vec::new() });
            parts.len() - 1
        });
        let Some(part) = parts.get_mut(place) else { continue };
        for piece in &arrival.pieces {
            if part.open.is_full() {
                let full = std::mem::replace(&mut part.open, Builder::new(piece.offset, carries));
                part.closed.push(full);
            }
            part.open.push(piece);
            carries.skip(piece.stream, &piece.data);
        }
    }
    parts
}

/// Stores a batch, however often the database refuses.
async fn save(hub: &App, batch: &[Arrival], stored: Vec<Stored>) {
    let mut refused = false;
    loop {
        match commit(hub, &stored).await {
            Ok(outcomes) => {
                if refused {
                    tracing::info!(jobs = stored.len(), "logs are stored again");
                }
                for arrival in batch {
                    arrival.live.extend_tail(&arrival.pieces);
                }
                return tell(hub, stored, outcomes).await;
            }
            Err(error) if hub.tasks.is_stopping() => {
                return tracing::error!(%error, jobs = stored.len(), "logs not stored; agents send them again");
            }
            Err(error) => {
                if !refused {
                    tracing::error!(%error, jobs = stored.len(), "logs cannot be stored; trying again every second");
                    refused = true;
                }
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = hub.tasks.stopping() => {}
                }
            }
        }
    }
}

/// What each part added; `None` where the log does not end where this hub believed.
async fn commit(hub: &Hub, stored: &[Stored]) -> Result<Vec<Option<Growth>>, DbError> {
    let now = hub.now();
    let mut tx = hub.history.write().await?;
    let mut outcomes = Vec::with_capacity(stored.len());
    for part in stored {
        outcomes.push(append(&mut tx.conn(), part, now).await?);
    }
    tx.commit().await?;
    Ok(outcomes)
}

async fn append(conn: &mut Conn<'_>, part: &Stored, now: Timestamp) -> Result<Option<Growth>, DbError> {
    let job_id = part.live.job_id;
    let mut growth = Growth { finish: 0, gap_bytes: 0, kept: 0, dropped: 0, room: part.live.room() };
    for row in &part.rows {
        growth.finish = row.finish;
        growth.gap_bytes = growth.gap_bytes.saturating_add(row.gap_bytes);
        growth.kept = growth.kept.saturating_add(row.kept());
        growth.room = growth.room.saturating_add(u64::try_from(row.data.len()).unwrap_or(u64::MAX));
    }
    let Some((first, more)) = part.rows.split_first() else { return Ok(Some(growth)) };
    if !store::append(conn, job_id, first.clone()).await? {
        return Ok(None);
    }
    store::append_more(conn, job_id, more).await?;
    let kept = part.live.kept().saturating_add(growth.kept);
    growth.dropped = limit::shorten(conn, job_id, kept, limit::KEPT, now).await?;
    if growth.dropped > 0 {
        growth.room = store::extent(conn, job_id).await?.stored;
    }
    Ok(Some(growth))
}

async fn tell(hub: &App, stored: Vec<Stored>, outcomes: Vec<Option<Growth>>) {
    for (Stored { live, .. }, outcome) in stored.into_iter().zip(outcomes) {
        let Some(growth) = outcome else {
            start_over(hub, &live).await;
            continue;
        };
        let (done, link) = live.stored(growth);
        if let Some(link) = link {
            acknowledge(&link, live.job_id, growth.finish);
            if let Some(done) = done {
                crate::jobs::agent::finish_later(hub, link, done);
            }
        }
    }
}

async fn start_over(hub: &App, live: &Live) {
    tracing::warn!(job.id = %live.job_id, "another hub stored this log meanwhile; starting over from what is stored");
    let extent = async {
        let mut session = hub.history.read().await?;
        store::extent(&mut session.conn(), live.job_id).await
    };
    match extent.await {
        Ok(extent) => {
            if let Some(link) = live.start_over(extent) {
                acknowledge(&link, live.job_id, extent.finish);
            }
        }
        Err(error) => {
            tracing::error!(job.id = %live.job_id, %error, "the log cannot be read; the agent sends it again");
        }
    }
}

/// Tells the agent what it may forget. A closed link is no loss: the next welcome says the same.
pub(in crate::jobs) fn acknowledge(link: &crate::gateway::AgentLink, job_id: JobId, next_offset: u64) {
    let _ = link.send(Ack::Job { job_id, next_offset, done: false }.into(), None);
}
