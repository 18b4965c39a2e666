//! The hub's end of one agent connection, as slices see it: send a message, close it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use protocol::job::{Ack, Log};
use protocol::session::{ErrorCode, WireError};
use protocol::{MAX_TEXT_FRAME, Message, MessageId, Outgoing, ServerId, WorkspaceId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::closing::Closing;
use super::log_window::{LogWindow, WindowError};
use super::requests::Pending;
use crate::access::{Actor, RequestOrigin};
use crate::clock::{Clock, Timestamp};
use crate::hub::Hub;
use crate::ids::Ids;
use crate::servers::AgentIdentity;

/// Most messages that wait for a slow agent.
const MAX_QUEUED_MESSAGES: usize = 1024;
/// Most payload bytes that wait for a slow agent.
const MAX_QUEUED_BYTES: usize = 4 << 20;
/// Room that an envelope needs beside its payload.
const ENVELOPE_BYTES: usize = 512;
/// Frames that an agent may send in answer to each order beyond its usual rate: acknowledgement, end, and some.
const ANSWERS_PER_ORDER: u32 = 4;

/// The connection is closed or about to be; whatever was to be sent is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent's connection is closed")]
pub struct LinkClosed;

/// One connected agent. Cheap to clone; it outlives the connection, and then every send fails.
#[derive(Debug, Clone)]
pub struct AgentLink {
    /// The server at the other end.
    pub server_id: ServerId,
    /// Its owner.
    pub workspace_id: WorkspaceId,
    /// Its name when it connected.
    pub server_name: Arc<str>,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    origin: RequestOrigin,
    connection: u64,
    clock: Arc<dyn Clock>,
    ids: Ids,
    queue: Mutex<Queue>,
    queued: Notify,
    heard_ms: AtomicI64,
    frames_heard: AtomicU64,
    answers_due: AtomicU32,
    log_window: Mutex<LogWindow>,
    closing: OnceLock<Closing>,
    closed: CancellationToken,
    start_over: AtomicBool,
    busy: AtomicBool,
    pending: Pending,
}

/// Messages for the agent. A queue of our own: a channel would keep room for dozens in every idle connection.
#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Outgoing>,
    bytes: usize,
}

/// The right to take messages out of the queue: the session's writer has it.
#[derive(Debug)]
pub(super) struct Outbox(());

impl AgentLink {
    /// A link for a new connection, and where its messages come out.
    pub(super) fn new(hub: &Hub, identity: AgentIdentity, origin: RequestOrigin, connection: u64) -> (Self, Outbox) {
        let inner = Inner {
            origin,
            connection,
            clock: Arc::clone(&hub.clock),
            ids: hub.ids.clone(),
            queue: Mutex::default(),
            queued: Notify::new(),
            heard_ms: AtomicI64::new(hub.now().as_ms()),
            frames_heard: AtomicU64::new(0),
            answers_due: AtomicU32::new(0),
            log_window: Mutex::default(),
            closing: OnceLock::new(),
            closed: CancellationToken::new(),
            start_over: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            pending: Pending::default(),
        };
        let AgentIdentity { server_id, workspace_id, server_name } = identity;
        let link = Self { server_id, workspace_id, server_name: server_name.into(), inner: Arc::new(inner) };
        (link, Outbox(()))
    }

    /// On whose behalf the agent's own messages change things.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::agent(self.workspace_id, self.server_id, self.server_name.to_string(), self.inner.origin.clone())
    }

    /// Where the connection comes from.
    #[must_use]
    pub fn origin(&self) -> &RequestOrigin {
        &self.inner.origin
    }

    /// Puts a message into the agent's queue and returns its id. It never waits: an agent that takes its messages too
    /// slowly is disconnected, and what it missed is brought up to date when it comes back.
    ///
    /// # Errors
    /// [`LinkClosed`]: nothing was sent.
    #[expect(clippy::needless_pass_by_value, reason = "whoever sends a message has no more use for it")]
    pub fn send(&self, message: Message, reference: Option<MessageId>) -> Result<MessageId, LinkClosed> {
        let id = self.new_message_id();
        self.send_as(id, &message, reference)?;
        Ok(id)
    }

    /// As [`AgentLink::send`], under an id that was made before: an answer may come before this returns.
    pub(super) fn send_as(
        &self,
        id: MessageId,
        message: &Message,
        reference: Option<MessageId>,
    ) -> Result<(), LinkClosed> {
        let link = &self.inner;
        if link.closed.is_cancelled() || link.closing.get().is_some() {
            return Err(LinkClosed);
        }
        let outgoing = Outgoing::new(message, id, link.clock.now().as_ms(), reference).map_err(|error| {
            tracing::error!(server.id = %self.server_id, kind = message.kind(), %error, "message cannot be written");
            LinkClosed
        })?;
        let bytes = outgoing.payload_bytes();
        if bytes + ENVELOPE_BYTES > MAX_TEXT_FRAME {
            tracing::error!(server.id = %self.server_id, kind = message.kind(), bytes, "message exceeds the frame limit");
            return Err(LinkClosed);
        }
        // Counted before it is on its way: an agent may have answered before this thread comes to its next line.
        match message {
            Message::Ack(Ack::Job { job_id, next_offset, done }) => {
                self.log_window().acknowledged(*job_id, *next_offset, *done);
            }
            Message::Cmd(_) | Message::Cancel(_) | Message::Request(_) => {
                link.answers_due.fetch_add(ANSWERS_PER_ORDER, Ordering::Relaxed);
            }
            _ => {}
        }
        if !locked(&link.queue).push(outgoing) {
            self.close(Closing::too_slow());
            return Err(LinkClosed);
        }
        link.queued.notify_one();
        Ok(())
    }

    /// An id for a message.
    pub(super) fn new_message_id(&self) -> MessageId {
        self.inner.ids.message()
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Answers that are due.
    pub(super) fn pending(&self) -> &Pending {
        &self.inner.pending
    }

    /// Tells the agent that its message was not taken. The connection stays up.
    pub fn refuse(&self, code: ErrorCode, message: String, offender: Option<MessageId>) {
        // A link that closes has no use for the answer.
        let _ = self.send(WireError { code, message }.into(), offender);
    }

    /// Ends the connection; the first reason counts.
    pub(super) fn close(&self, closing: Closing) {
        let _ = self.inner.closing.set(closing);
        self.inner.closed.cancel();
    }

    /// Resolves when the connection is to end from this side.
    pub(super) async fn closing(&self) -> Closing {
        self.inner.closed.cancelled().await;
        self.inner.closing.get().cloned().unwrap_or_else(Closing::internal)
    }

    /// Which connection of the server this is; the registry tells an old one from a new one by it.
    pub(crate) fn connection(&self) -> u64 {
        self.inner.connection
    }

    /// A frame arrived.
    pub(super) fn heard(&self) {
        self.inner.frames_heard.fetch_add(1, Ordering::Relaxed);
        self.inner.heard_ms.store(self.inner.clock.now().as_ms(), Ordering::Relaxed);
    }

    /// Counts up with every frame.
    pub(super) fn frames_heard(&self) -> u64 {
        self.inner.frames_heard.load(Ordering::Relaxed)
    }

    /// Whether the hub is at work on a frame of this agent. What it has sent since is not read yet, so its silence means
    /// nothing.
    pub(super) fn is_busy(&self) -> bool {
        self.inner.busy.load(Ordering::Relaxed)
    }

    /// The hub begins or ends its work on a frame.
    pub(super) fn set_busy(&self, busy: bool) {
        self.inner.busy.store(busy, Ordering::Relaxed);
    }

    /// When the last frame arrived; now, while the hub has not got round to the next one.
    #[must_use]
    pub fn heard_at(&self) -> Timestamp {
        if self.is_busy() {
            return self.inner.clock.now();
        }
        Timestamp::from_ms(self.inner.heard_ms.load(Ordering::Relaxed))
    }

    /// Uses up one answer that the hub asked for; `false` when it asked for none.
    pub(super) fn take_answer(&self) -> bool {
        let take = |due: u32| due.checked_sub(1);
        self.inner.answers_due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Counts a piece of log as in flight.
    pub(super) fn log_sent(&self, log: &Log, len: u64) -> Result<(), WindowError> {
        self.log_window().sent(log.job_id, log.offset, len)
    }

    fn log_window(&self) -> MutexGuard<'_, LogWindow> {
        locked(&self.inner.log_window)
    }

    /// Whether the connection ends from this side already.
    pub(super) fn is_closing(&self) -> bool {
        self.inner.closing.get().is_some()
    }

    /// The socket is gone: nothing can be sent any more.
    pub(super) fn end(&self) {
        self.inner.closed.cancel();
        self.inner.pending.abandon();
    }

    /// Something that the agent sent could not be stored: it has to connect again and resume, in a while.
    pub(crate) fn must_start_over(&self) {
        self.inner.start_over.store(true, Ordering::Relaxed);
    }

    /// Whether [`AgentLink::must_start_over`] was called.
    pub(super) fn starts_over(&self) -> bool {
        self.inner.start_over.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// `false` when the queue is full.
    fn push(&mut self, outgoing: Outgoing) -> bool {
        let bytes = self.bytes.saturating_add(outgoing.payload_bytes());
        if bytes > MAX_QUEUED_BYTES || self.messages.len() >= MAX_QUEUED_MESSAGES {
            return false;
        }
        self.bytes = bytes;
        self.messages.push_back(outgoing);
        true
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let outgoing = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(outgoing.payload_bytes());
        if self.messages.is_empty() && self.messages.capacity() > 16 {
            // Gives the room of a burst back.
            self.messages.shrink_to_fit();
        }
        Some(outgoing)
    }
}

impl Outbox {
    /// The next message for the agent; `None` when there will be none.
    pub(super) async fn next(&mut self, link: &AgentLink) -> Option<Outgoing> {
        loop {
            let next = locked(&link.inner.queue).pop();
            if next.is_some() || link.inner.closed.is_cancelled() {
                return next;
            }
            tokio::select! {
                () = link.inner.queued.notified() => {}
                () = link.inner.closed.cancelled() => {}
            }
        }
    }
}

/// No holder leaves these half-changed when it panics.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
