//! One agent connection from hello to goodbye.

use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::Outgoing;
use protocol::session::{ByeCode, WelcomeJob};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::closing::Closing;
use super::handshake::{self, Greeting, NoHello};
use super::link::{AgentLink, Outbox};
use super::reader::{Ended, Reader};
use super::registry::{Cloned, Turn};
use super::session_key::Sealer;
use super::socket;
use crate::access::RequestOrigin;
use crate::error::Result;
use crate::hub::{App, Hub};
use crate::secret::TokenDigest;
use crate::servers::{self, AgentIdentity};
use crate::{jobs, metrics};

/// How often the hub pings.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long one frame may take to get out.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after a failed store an agent is told to start over.
const START_OVER_PINGS: u32 = 3;
/// Agents that come back within one second after a restart of the hub.
const RETURNS_PER_SECOND: usize = 200;

/// Who wants to connect.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: AgentIdentity,
    pub(super) token: TokenDigest,
    pub(super) origin: RequestOrigin,
    /// Its place among the connections that have not said hello.
    pub(super) place: OwnedSemaphorePermit,
}

/// Serves one connection until it ends.
pub(super) async fn run(hub: App, socket: WebSocket, caller: Caller) {
    let server_id = caller.identity.server_id;
    // Boxed: what a connection needs once is not kept by an idle one.
    let Some(started) = Box::pin(start(&hub, socket, caller)).await else { return };
    let link = started.link.clone();
    converse(&hub, started).await;
    link.end();

    let turn = hub.gateway.turn(server_id).await;
    if hub.gateway.leave(&turn, &link) {
        Box::pin(left(&hub, &link)).await;
    }
    hub.gateway.end_turn(turn, server_id);
}

/// Tells the slices that a server has no connection any more.
async fn left(hub: &Hub, link: &AgentLink) {
    servers::agent::disconnected(hub, link);
    metrics::agent::disconnected(hub, link.server_id);
    if let Err(error) = jobs::agent::disconnected(hub, link.server_id).await {
        tracing::error!(server.id = %link.server_id, error = %error.chain(), "jobs could not note a lost connection");
    }
}

/// A connection with a session key.
struct Started {
    socket: WebSocket,
    link: AgentLink,
    outbox: Outbox,
    sealer: Sealer,
}

async fn start(hub: &App, mut socket: WebSocket, caller: Caller) -> Option<Started> {
    let Caller { identity, token, origin, place } = caller;
    let server_id = identity.server_id;
    let greeted = tokio::select! {
        greeted = handshake::hello(hub, &mut socket) => greeted,
        () = hub.tasks.stopping() => Err(NoHello::Close(shut_down(hub))),
    };
    let greeting = match greeted {
        Ok(greeting) => greeting,
        Err(NoHello::Gone) => return None,
        Err(NoHello::Close(closing)) => {
            tracing::info!(server.id = %server_id, reason = closing.reason, "connection without a hello");
            handshake::dismiss(hub, socket, &closing).await;
            return None;
        }
    };

    let turn = hub.gateway.turn(server_id).await;
    let (link, outbox) = AgentLink::new(hub, identity, origin, hub.gateway.next_connection());
    let cloned = hub.gateway.enter(&turn, &link);
    let settled = settle(hub, &link, token, &greeting, cloned).await;
    let refused = match settled {
        Ok(Some(jobs)) => match handshake::welcome(hub, &mut socket, &link, &greeting, jobs).await {
            Ok(()) => None,
            Err(error) => {
                tracing::info!(server.id = %server_id, error = %format!("{error:#}"), "welcome was not taken");
                Some(Closing::silent())
            }
        },
        Ok(None) => Some(Closing::bye(ByeCode::Revoked, None)),
        Err(error) => {
            tracing::error!(server.id = %server_id, error = %error.chain(), "connection could not be taken: {error}");
            Some(Closing::internal())
        }
    };
    if let Some(closing) = refused {
        abandon(hub, turn, &link).await;
        handshake::dismiss(hub, socket, &closing).await;
        return None;
    }

    tracing::info!(server.id = %server_id, agent = greeting.hello.agent.version, "agent connected");
    servers::agent::ready(hub, &link);
    if let Err(error) = jobs::agent::ready(hub, &link).await {
        // The jobs' own reconciler delivers later.
        tracing::error!(server.id = %server_id, error = %error.chain(), "waiting jobs could not be delivered: {error}");
    }
    hub.gateway.end_turn(turn, server_id);
    drop(place);
    Some(Started { socket, link, outbox, sealer: greeting.agreed.sealer })
}

/// Brings servers and jobs up to date; `None` when the token was revoked meanwhile.
async fn settle(
    hub: &Hub,
    link: &AgentLink,
    token: TokenDigest,
    greeting: &Greeting,
    cloned: Option<Cloned>,
) -> Result<Option<Vec<WelcomeJob>>> {
    if !servers::agent::connected(hub, link, token, &greeting.hello, greeting.clock_offset_ms).await? {
        return Ok(None);
    }
    if let Some(cloned) = cloned {
        servers::agent::cloned(hub, link, cloned.replacements, &cloned.other_ip).await?;
    }
    jobs::agent::connected(hub, link, &greeting.hello).await.map(Some)
}

async fn abandon(hub: &Hub, turn: Turn, link: &AgentLink) {
    link.end();
    if hub.gateway.leave(&turn, link) {
        left(hub, link).await;
    }
    hub.gateway.end_turn(turn, link.server_id);
}

async fn converse(hub: &App, started: Started) {
    let Started { socket, link, outbox, sealer } = started;
    let (sink, stream) = socket.split();
    let mut writer = std::pin::pin!(Writer { hub, link: &link, sink, sealer }.run(outbox));
    let reader = Reader::new(hub, &link).run(stream);
    let ended = tokio::select! {
        ended = reader => ended,
        () = &mut writer => return,
    };
    if ended == Ended::ToBeClosed {
        // The writer is bounded by itself.
        writer.await;
    }
}

struct Writer<'s> {
    hub: &'s Hub,
    link: &'s AgentLink,
    sink: SplitSink<WebSocket, Frame>,
    sealer: Sealer,
}

impl Writer<'_> {
    async fn run(mut self, mut outbox: Outbox) {
        let link = self.link;
        let hub = self.hub;
        let closing = tokio::select! {
            closing = link.closing() => closing,
            () = hub.tasks.stopping() => shut_down(hub),
            closing = self.pump(&mut outbox) => closing,
        };
        tracing::info!(server.id = %link.server_id, code = closing.code, reason = closing.reason, "agent connection ends");
        link.close(closing.clone());
        let _ = timeout(socket::LINGER, Box::pin(self.say_goodbye(&closing))).await;
        // The reader notices the answer to the close frame, and ends the session.
        sleep(socket::LINGER).await;
    }

    async fn pump(&mut self, outbox: &mut Outbox) -> Closing {
        let silent_after = self.hub.config.offline_after_s.div_ceil(u32::try_from(PING_EVERY.as_secs()).unwrap_or(1));
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        // A hub that stood still for an hour has heard nobody for an hour: one tick, not 360.
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_at = self.link.frames_heard();
        let mut silent = 0;
        let mut start_over = 0;
        loop {
            tokio::select! {
                biased;
                Some(outgoing) = outbox.next(self.link) => {
                    if let Err(closing) = self.send(&outgoing).await {
                        return closing;
                    }
                }
                _ = pings.tick() => {
                    let heard = self.link.frames_heard();
                    silent = if heard == heard_at && !self.link.is_busy() { silent + 1 } else { 0 };
                    heard_at = heard;
                    start_over += u32::from(self.link.starts_over());
                    if silent >= silent_after {
                        return Closing::silent();
                    }
                    if start_over >= START_OVER_PINGS {
                        return Closing::start_over();
                    }
                    if let Err(closing) = self.write(Frame::Ping(Vec::new().into())).await {
                        return closing;
                    }
                }
            }
        }
    }

    async fn send(&mut self, outgoing: &Outgoing) -> std::result::Result<(), Closing> {
        let text = self.sealer.seal(outgoing).map_err(|error| {
            tracing::error!(server.id = %self.link.server_id, %error, "message cannot be written");
            Closing::internal()
        })?;
        self.write(Frame::Text(text.into())).await
    }

    async fn write(&mut self, frame: Frame) -> std::result::Result<(), Closing> {
        match timeout(WRITE_TIMEOUT, self.sink.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(server.id = %self.link.server_id, %error, "agent connection cannot be written");
                Err(Closing::silent())
            }
            Err(_) => Err(Closing::too_slow()),
        }
    }

    async fn say_goodbye(&mut self, closing: &Closing) -> anyhow::Result<()> {
        if let Some(last) = &closing.last {
            let outgoing = Outgoing::new(last, self.hub.ids.message(), self.hub.now().as_ms(), closing.reference)?;
            self.sink.send(Frame::Text(self.sealer.seal(&outgoing)?.into())).await?;
        }
        self.sink.send(socket::close_frame(closing)).await?;
        Ok(())
    }
}

/// The hub stops. Agents come back spread over so many seconds that it is not run over when it starts.
fn shut_down(hub: &Hub) -> Closing {
    let seconds = u32::try_from(hub.gateway.len() / RETURNS_PER_SECOND).unwrap_or(u32::MAX).clamp(2, 60);
    let retry_after_s = 1 + u32::from_be_bytes(hub.random.bytes()) % seconds;
    Closing::bye(ByeCode::Shutdown, Some(retry_after_s))
}
