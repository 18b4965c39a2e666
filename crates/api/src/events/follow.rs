//! One follower of a workspace's changes: what it missed from the table, then what the bus brings, in order, each once.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::model::{Position, Recorded, StreamEvent, StreamStart};
use super::sight::Sight;
use super::store;
use crate::access::Actor;
use crate::error::Result;
use crate::http::sse;
use crate::hub::App;

/// Changes read from the table at once.
const BATCH: i64 = 200;

/// Starts with `hello`, then everything after `resume`, or after now. `reset` says that changes were missed that are
/// not kept any more: whoever follows must read everything again.
pub(super) async fn follow(
    hub: App,
    actor: &Actor,
    resume: Option<&str>,
) -> Result<impl Stream<Item = sse::Event> + Send + use<>> {
    // Subscribed before the table is looked at: a change is in one of the two, and numbers tell when it is in both.
    let changes = hub.bus.subscribe();
    let sight = Sight::of(actor);
    let head = store::head(&mut hub.db.read().await?.conn(), sight.workspace_id).await?;
    let kept = |position: &Position| (head.pruned_seq..=head.seq).contains(position);
    let resumed = resume.map(|id| Position::parse(id).filter(kept));
    let last = resumed.flatten().unwrap_or(head.seq);
    let mut ready = VecDeque::from([start("hello", last)?]);
    if resumed == Some(None) {
        ready.push_back(start("reset", last)?);
    }
    let follower = Follower { hub, sight, changes, last, known: head.seq, ready };
    Ok(stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((event, follower))
    }))
}

struct Follower {
    hub: App,
    sight: Sight,
    changes: Receiver<Arc<Recorded>>,
    /// Everything up to here was handed out.
    last: Position,
    /// Everything up to here is in the table.
    known: Position,
    ready: VecDeque<sse::Event>,
}

impl Follower {
    /// `None` ends the stream; whoever follows comes back and resumes.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let step = if self.last < self.known { self.read_table().await } else { self.hear_bus().await? };
            if let Err(error) = step {
                tracing::warn!(error = %error.chain(), "an event stream ended: {error}");
                return None;
            }
        }
    }

    async fn read_table(&mut self) -> Result<()> {
        let mut session = self.hub.db.read().await?;
        let events = store::between(&mut session.conn(), self.sight.workspace_id, self.last, self.known, BATCH).await?;
        drop(session);
        if events.first().and_then(|event| event.id) != Some(self.last.next()) {
            // The next change is not kept any more.
            self.last = self.known;
            self.ready.push_back(start("reset", self.last)?);
            return Ok(());
        }
        for event in events {
            self.last = event.id.unwrap_or(self.last);
            self.hand_out(&event).await?;
        }
        Ok(())
    }

    async fn hear_bus(&mut self) -> Option<Result<()>> {
        match self.changes.recv().await {
            Ok(recorded) if recorded.change.workspace_id != self.sight.workspace_id => Some(Ok(())),
            Ok(recorded) => Some(self.take(&recorded).await),
            // Live values are lost; the others are in the table.
            Err(RecvError::Lagged(_)) => Some(self.find_head().await),
            Err(RecvError::Closed) => None,
        }
    }

    async fn take(&mut self, recorded: &Recorded) -> Result<()> {
        match recorded.id {
            // Units of work may announce themselves in another order than they were committed in.
            Some(position) if position > self.last.next() => self.known = self.known.max(position),
            Some(position) if position <= self.last => {}
            Some(position) => {
                self.last = position;
                self.hand_out(&recorded.into()).await?;
            }
            None => self.hand_out(&recorded.into()).await?,
        }
        Ok(())
    }

    async fn hand_out(&mut self, event: &StreamEvent) -> Result<()> {
        if self.sight.covers(&self.hub, event).await? {
            self.ready.push_back(show(event)?);
        }
        Ok(())
    }

    async fn find_head(&mut self) -> Result<()> {
        let head = store::head(&mut self.hub.db.read().await?.conn(), self.sight.workspace_id).await?;
        self.known = self.known.max(head.seq);
        Ok(())
    }
}

fn start(kind: &'static str, id: Position) -> Result<sse::Event> {
    Ok(sse::Event::new(kind, &StreamStart { id })?.with_id(id))
}

fn show(event: &StreamEvent) -> Result<sse::Event> {
    let shown = sse::Event::new(&event.kind, event)?;
    Ok(match event.id {
        Some(id) => shown.with_id(id),
        None => shown,
    })
}
