//! Which slice takes which message of an agent.

use bytes::Bytes;
use protocol::job::Log;
use protocol::session::ErrorCode;
use protocol::{Message, MessageId};

use super::link::AgentLink;
use crate::error::Result;
use crate::hub::App;
use crate::{jobs, metrics, servers};

/// Hands a message over. Whatever belongs to the hub's side of a conversation is refused.
pub(super) async fn message(
    hub: &App,
    link: &AgentLink,
    message: Message,
    id: MessageId,
    reference: Option<MessageId>,
) -> Result<()> {
    match message {
        Message::Heartbeat(heartbeat) => {
            metrics::agent::heartbeat(hub, link, heartbeat);
            Ok(())
        }
        Message::CmdAck(ack) => jobs::agent::cmd_ack(hub, link, ack).await,
        Message::Log(piece) => log(hub, link, piece, None).await,
        Message::JobDone(done) => jobs::agent::done(hub, link, done).await,
        Message::Event(event) => servers::agent::event(hub, link, event, id).await,
        Message::Error(error) => {
            tracing::warn!(server.id = %link.server_id, code = ?error.code, "agent refused a message");
            Ok(())
        }
        Message::Bye(bye) => {
            tracing::info!(server.id = %link.server_id, code = ?bye.code, "agent says goodbye");
            Ok(())
        }
        Message::Response(response) => {
            // Late answers are no fault of the agent's.
            if !reference.is_some_and(|request| link.answer(request, response)) {
                tracing::debug!(server.id = %link.server_id, "answer to a request that nobody waits for");
            }
            Ok(())
        }
        other @ (Message::Hello(_)
        | Message::Welcome(_)
        | Message::Watch(_)
        | Message::Cmd(_)
        | Message::Cancel(_)
        | Message::Ack(_)
        | Message::Request(_)) => {
            link.refuse(ErrorCode::Unexpected, format!("{} does not belong here", other.kind()), Some(id));
            Ok(())
        }
    }
}

/// Hands a piece of log over, with its bytes when they came in a frame of their own.
pub(super) async fn log(hub: &App, link: &AgentLink, log: Log, bytes: Option<Bytes>) -> Result<()> {
    jobs::agent::log(hub, link, log, bytes).await
}
