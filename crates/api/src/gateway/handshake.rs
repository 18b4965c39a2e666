//! The start of a connection: hello in, welcome out.

use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket};
use protocol::session::{Desired, Hello, HubInfo, WelcomeBody, WelcomeJob};
use protocol::version::VersionRange;
use protocol::{Envelope, Message, MessageId, Outgoing, signing};

use super::closing::Closing;
use super::link::AgentLink;
use super::session_key::{self, Agreed};
use super::socket;
use crate::hub::Hub;
use crate::license;

/// How long a connection may take to say hello, and to take the welcome.
const DEADLINE: Duration = Duration::from_secs(10);

/// A hello that was understood.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) id: MessageId,
    pub(super) hello: Hello,
    /// The agent's clock less the hub's, milliseconds.
    pub(super) clock_offset_ms: i64,
    /// The version that both speak.
    pub(super) protocol: u16,
    pub(super) agreed: Agreed,
}

/// Why there was no hello.
#[derive(Debug)]
pub(super) enum NoHello {
    /// The other end is gone.
    Gone,
    /// It has to be told something.
    Close(Closing),
}

/// Waits for the hello.
pub(super) async fn hello(hub: &Hub, socket: &mut WebSocket) -> Result<Greeting, NoHello> {
    let text = tokio::time::timeout(DEADLINE, first_text(socket)).await.map_err(|_| {
        let seconds = DEADLINE.as_secs();
        NoHello::Close(Closing::unexpected(format!("no hello within {seconds} s"), None))
    })??;
    read(hub, &text).map_err(NoHello::Close)
}

async fn first_text(socket: &mut WebSocket) -> Result<String, NoHello> {
    loop {
        match socket.recv().await {
            None | Some(Ok(Frame::Close(_))) => return Err(NoHello::Gone),
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
            Some(Ok(Frame::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Frame::Binary(_))) => {
                return Err(NoHello::Close(Closing::unexpected("a binary frame before the hello", None)));
            }
            Some(Err(error)) => return Err(socket::closing_after(error).map_or(NoHello::Gone, NoHello::Close)),
        }
    }
}

fn read(hub: &Hub, text: &str) -> Result<Greeting, Closing> {
    let envelope = Envelope::decode(text)
        .map_err(|error| Closing::damaged(&error).unwrap_or_else(|| Closing::unexpected(error.to_string(), None)))?;
    let id = envelope.id;
    let hello = match envelope.message() {
        Ok(Message::Hello(hello)) => hello,
        Ok(other) => return Err(Closing::unexpected(format!("{} before the hello", other.kind()), Some(id))),
        Err(error) => return Err(Closing::unexpected(format!("no hello: {error}"), Some(id))),
    };
    let protocol = VersionRange::OURS.choose(hello.protocol).ok_or_else(|| {
        let VersionRange { min, max } = hello.protocol;
        let ours = VersionRange::OURS;
        let message = format!("the agent speaks versions {min} to {max}, this hub {} to {}", ours.min, ours.max);
        Closing::wrong_version(message, id)
    })?;
    let agreed = session_key::agree(hello.nonce, hello.ephemeral_key)
        .ok_or_else(|| Closing::unexpected("the ephemeral key gives no secret", Some(id)))?;
    let clock_offset_ms = envelope.ts.saturating_sub(hub.now().as_ms());
    Ok(Greeting { id, hello, clock_offset_ms, protocol, agreed })
}

/// Sends the signed answer. It says how far the hub has stored each job of the hello.
pub(super) async fn welcome(
    hub: &Hub,
    socket: &mut WebSocket,
    link: &AgentLink,
    greeting: &Greeting,
    jobs: Vec<WelcomeJob>,
) -> anyhow::Result<()> {
    let now = hub.now();
    let body = WelcomeBody {
        server_id: link.server_id,
        protocol: greeting.protocol,
        nonce: greeting.hello.nonce,
        agent_ephemeral_key: greeting.hello.ephemeral_key,
        ephemeral_key: greeting.agreed.public,
        hub: HubInfo { version: env!("CARGO_PKG_VERSION").to_owned(), time_ms: now.as_ms() },
        heartbeat_interval_s: hub.config.heartbeat_interval_s,
        license: license::issue(hub, link.workspace_id, link.server_id).await?,
        jobs,
        desired: Desired::default(),
    };
    let signed = hub.keys.sign(signing::WELCOME, serde_json::to_string(&body)?);
    let message = Message::Welcome(protocol::message::Welcome { signed, rotations: hub.keys.rotations() });
    let outgoing = Outgoing::new(&message, hub.ids.message(), now.as_ms(), Some(greeting.id))?;
    let frame = Frame::Text(outgoing.to_text(None)?.into());
    tokio::time::timeout(DEADLINE, socket.send(frame)).await??;
    Ok(())
}

/// Ends a connection that has no session key yet.
pub(super) async fn dismiss(hub: &Hub, mut socket: WebSocket, closing: &Closing) {
    let goodbye = async {
        if let Some(last) = &closing.last {
            let outgoing = Outgoing::new(last, hub.ids.message(), hub.now().as_ms(), closing.reference)?;
            socket.send(Frame::Text(outgoing.to_text(None)?.into())).await?;
        }
        socket.send(socket::close_frame(closing)).await?;
        // Hanging up at once would destroy what is still on its way, when the other end has sent more than was read.
        while let Some(Ok(frame)) = socket.recv().await {
            if matches!(frame, Frame::Close(_)) {
                return anyhow::Ok(());
            }
        }
        std::future::pending().await
    };
    // Whoever does not take it in time does not get it.
    let _ = tokio::time::timeout(socket::LINGER, goodbye).await;
}
