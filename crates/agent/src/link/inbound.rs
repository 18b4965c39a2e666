//! What the hub sends within a session.

use protocol::job::{Ack, Cancel, CancelBody, Cmd};
use protocol::session::{ErrorCode, WireError};
use protocol::{Envelope, Message, MessageId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::events::Report;
use crate::handover::job_of;
use crate::link::outbox::Acknowledged;
use crate::link::session::{Ended, Session};
use crate::relay::Relay;

/// Close code for a frame that did not come from the hub of this session.
const POLICY_VIOLATION: u16 = 1008;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Takes one frame. `Some`: the session has to end.
    pub(super) async fn receive(&mut self, frame: Frame, relay: &mut Relay) -> Option<Ended> {
        match frame {
            Frame::Text(text) => self.receive_text(&text, relay).await,
            Frame::Binary(bytes) => match self.guard.check_binary(&bytes) {
                // This build opens no streams, so nobody waits for the bytes.
                Ok(_) => None,
                Err(_) => Some(self.impostor("binary", None, relay).await),
            },
            Frame::Close(reason) => {
                let reason = reason.map(|reason| format!(": {} {}", reason.code, reason.reason)).unwrap_or_default();
                Some(Ended::Lost(format!("the hub closed the connection{reason}")))
            }
            // The library answers pings by itself.
            Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => None,
        }
    }

    async fn receive_text(&mut self, text: &str, relay: &mut Relay) -> Option<Ended> {
        let envelope = match Envelope::decode(text) {
            Ok(envelope) => envelope,
            Err(error) => {
                let message = error.to_string();
                let close = error.close_code().unwrap_or(POLICY_VIOLATION);
                let answer = WireError { code: error.code(), message: message.clone() };
                self.give_up(answer, error.offender(), close, relay).await;
                return Some(Ended::Lost(format!("the hub sent what is no message: {message}")));
            }
        };
        if self.guard.check_text(&envelope).is_err() {
            return Some(self.impostor(&envelope.kind, Some(envelope.id), relay).await);
        }
        match envelope.message() {
            Ok(message) => self.take(message, envelope.id, relay),
            Err(error) => {
                let answer = WireError { code: error.code(), message: error.to_string() };
                self.complain(answer, error.offender());
                None
            }
        }
    }

    fn take(&mut self, message: Message, id: MessageId, relay: &mut Relay) -> Option<Ended> {
        match message {
            Message::Watch(watch) => self.beat.watch(watch),
            Message::Cmd(cmd) => self.take_cmd(cmd, id, relay),
            Message::Cancel(cancel) => self.take_cancel(cancel, id, relay),
            Message::Request(request) => self.take_request(request, id, relay),
            Message::Ack(ack) => self.take_ack(ack, relay),
            Message::Bye(bye) => return Some(Ended::Bye(bye)),
            // Answering a complaint with a complaint could go on for ever.
            Message::Error(error) => log::warn!("the hub did not take a message: {} ({:?})", error.message, error.code),
            Message::Hello(_)
            | Message::Welcome(_)
            | Message::Heartbeat(_)
            | Message::Response(_)
            | Message::CmdAck(_)
            | Message::Log(_)
            | Message::JobDone(_)
            | Message::Event(_) => {
                let message = format!("{} is not for an agent within a session", message.kind());
                self.complain(WireError { code: ErrorCode::Unexpected, message }, Some(id));
            }
        }
        None
    }

    fn take_cmd(&mut self, cmd: Cmd, id: MessageId, relay: &mut Relay) {
        let Some(job_id) = job_of(&cmd) else {
            let message = "the body of the cmd names no job".to_owned();
            self.complain(WireError { code: ErrorCode::BadPayload, message }, Some(id));
            return;
        };
        relay.followers.start(self.number, id, job_id, cmd, self.welcome.clone());
    }

    fn take_cancel(&mut self, cancel: Cancel, id: MessageId, relay: &mut Relay) {
        // Only to find the job; its worker verifies the order.
        let Ok(CancelBody { job_id, .. }) = serde_json::from_str(&cancel.0.body) else {
            let message = "the body of the cancel names no job".to_owned();
            self.complain(WireError { code: ErrorCode::BadPayload, message }, Some(id));
            return;
        };
        if !self.outbox.contains(job_id) && !relay.followers.is_following(job_id) {
            let message = format!("there is no job {job_id} here");
            self.complain(WireError { code: ErrorCode::Unexpected, message }, Some(id));
            return;
        }
        // One that has ended while the order was on its way is answered by its end.
        if self.outbox.running().any(|running| running == job_id) {
            relay.followers.attach(job_id);
        }
        let _ = relay.followers.cancel(job_id, cancel);
    }

    fn take_ack(&mut self, ack: Ack, relay: &mut Relay) {
        match ack {
            Ack::Job { job_id, next_offset, done } => match self.outbox.acknowledged(job_id, next_offset, done) {
                Acknowledged::Noted => {}
                Acknowledged::Free(offset) => relay.free(job_id, offset),
                Acknowledged::Everything => relay.forget(job_id),
            },
            Ack::Event { event_id } => {
                relay.events.acknowledge(event_id);
                self.events_in_flight = self.events_in_flight.saturating_sub(1);
            }
        }
    }

    /// A frame that the hub of this session did not send: nothing on this connection can be believed any more.
    async fn impostor(&mut self, frame: &str, id: Option<MessageId>, relay: &mut Relay) -> Ended {
        relay.events.report(Report::bad_mac(frame));
        let message = "the frame's mac does not verify".to_owned();
        self.give_up(
            WireError { code: ErrorCode::BadSignature, message: message.clone() },
            id,
            POLICY_VIOLATION,
            relay,
        )
        .await;
        Ended::Lost(message)
    }
}
