//! The reading half of a session: every frame is checked, counted and handed to the slice that it concerns.

use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::SplitStream;
use protocol::frame::{BinaryFrame, FrameError, LOG_STREAM};
use protocol::job::Log;
use protocol::session::ErrorCode;
use protocol::{Envelope, MAX_BINARY_PAYLOAD, MAX_LOG_TEXT, Message, MessageId};
use tokio::time::{sleep, timeout};

use super::closing::Closing;
use super::dispatch;
use super::link::AgentLink;
use super::rate::Bucket;
use super::socket;
use crate::hub::App;

/// Frames a second that an agent may send without having been asked; logs have their own measure.
const FRAMES_PER_SECOND: u32 = 500;
const FRAMES_AT_ONCE: u32 = 2_000;
/// A frame that is refused is answered, and counts as so many.
const REFUSED_FRAME: u32 = 4;
/// Log pieces a second; beyond them the hub reads more slowly, and the agent waits.
const LOG_PIECES_PER_SECOND: u32 = 20_000;
const LOG_PIECES_AT_ONCE: u32 = 20_000;
/// How long a slice may take over one message.
const DISPATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The other end is gone.
    Gone,
    /// The link has been told to close; the writer says why.
    ToBeClosed,
}

/// A piece of log whose bytes come in the next frame.
#[derive(Debug)]
enum Awaited {
    Nothing,
    /// The message and how many bytes it announced.
    Log(Box<Log>, MessageId, u32),
    /// Bytes of a message that was refused.
    Refused,
}

pub(super) struct Reader<'s> {
    hub: &'s App,
    link: &'s AgentLink,
    frames: Bucket,
    log_pieces: Bucket,
    awaited: Awaited,
}

impl<'s> Reader<'s> {
    pub(super) fn new(hub: &'s App, link: &'s AgentLink) -> Self {
        let frames = Bucket::new(FRAMES_AT_ONCE, FRAMES_PER_SECOND);
        let log_pieces = Bucket::new(LOG_PIECES_AT_ONCE, LOG_PIECES_PER_SECOND);
        Self { hub, link, frames, log_pieces, awaited: Awaited::Nothing }
    }

    pub(super) async fn run(mut self, mut stream: SplitStream<WebSocket>) -> Ended {
        while let Some(frame) = stream.next().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    let Some(closing) = socket::closing_after(error) else { return Ended::Gone };
                    self.link.close(closing);
                    return Ended::ToBeClosed;
                }
            };
            self.link.heard();
            // What comes after the last word is read, so that the word gets through, and not listened to.
            if self.link.is_closing() {
                continue;
            }
            self.link.set_busy(true);
            // Boxed: an idle connection keeps no room for the largest message and its handler.
            if let Err(closing) = Box::pin(self.take(frame)).await {
                self.link.close(closing);
            }
            self.link.heard();
            self.link.set_busy(false);
        }
        Ended::Gone
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Closing> {
        match frame {
            Frame::Text(text) => self.take_text(text.as_str()).await,
            Frame::Binary(bytes) => self.take_binary(bytes).await,
            Frame::Ping(_) | Frame::Pong(_) => self.count(1),
            Frame::Close(_) => Ok(()),
        }
    }

    async fn take_text(&mut self, text: &str) -> Result<(), Closing> {
        if !matches!(self.awaited, Awaited::Nothing) {
            return Err(Closing::unexpected("a text frame where the bytes of a log were announced", None));
        }
        let envelope = match Envelope::decode(text) {
            Ok(envelope) => envelope,
            Err(error) => return Closing::damaged(&error).map_or(Ok(()), Err),
        };
        let (id, reference) = (envelope.id, envelope.reference);
        let message = match envelope.message() {
            Ok(message) => message,
            Err(error) => {
                self.count(REFUSED_FRAME)?;
                self.link.refuse(error.code(), error.to_string(), Some(id));
                return Ok(());
            }
        };
        match message {
            Message::Log(log) => self.take_log(log, id).await,
            Message::CmdAck(_) | Message::JobDone(_) | Message::Response(_) if self.link.take_answer() => {
                self.dispatch(message, id, reference).await
            }
            message => {
                self.count(1)?;
                self.dispatch(message, id, reference).await
            }
        }
    }

    fn count(&mut self, frames: u32) -> Result<(), Closing> {
        if self.frames.take(frames) {
            return Ok(());
        }
        Err(Closing::rate_limited(format!("more than {FRAMES_PER_SECOND} frames a second")))
    }

    async fn take_log(&mut self, log: Log, id: MessageId) -> Result<(), Closing> {
        while !self.log_pieces.take(1) {
            let wait = self.log_pieces.wait();
            sleep(wait).await;
        }
        if let Some(problem) = problem_of(&log) {
            self.count(REFUSED_FRAME)?;
            if log.bytes.is_some() {
                self.awaited = Awaited::Refused;
            }
            self.link.refuse(ErrorCode::BadPayload, problem, Some(id));
            return Ok(());
        }
        let len = log.bytes.map_or_else(|| log.text.as_ref().map_or(0, |text| text.len() as u64), u64::from);
        self.link.log_sent(&log, len).map_err(|error| Closing::rate_limited(error.to_string()))?;
        match log.bytes {
            Some(bytes) => {
                self.awaited = Awaited::Log(Box::new(log), id, bytes);
                Ok(())
            }
            None => self.dispatch_log(log, None, id).await,
        }
    }

    async fn take_binary(&mut self, bytes: Bytes) -> Result<(), Closing> {
        let frame = BinaryFrame::parse(&bytes).map_err(|error| match error {
            FrameError::TooLarge => Closing::too_large(&error.to_string()),
            FrameError::TooShort => Closing::unexpected(error.to_string(), None),
        })?;
        let (stream, len) = (frame.stream, frame.bytes.len());
        match std::mem::replace(&mut self.awaited, Awaited::Nothing) {
            Awaited::Log(log, id, announced) => {
                if stream != LOG_STREAM || len != announced as usize {
                    let message = format!("{len} bytes of stream {stream} where {announced} of a log were announced");
                    return Err(Closing::unexpected(message, Some(id)));
                }
                let payload = bytes.slice(bytes.len() - len..);
                self.dispatch_log(*log, Some(payload), id).await
            }
            Awaited::Refused => Ok(()),
            Awaited::Nothing => Err(Closing::unexpected("a binary frame that no message announced", None)),
        }
    }

    async fn dispatch(&mut self, message: Message, id: MessageId, reference: Option<MessageId>) -> Result<(), Closing> {
        self.bounded(dispatch::message(self.hub, self.link, message, id, reference), id).await
    }

    async fn dispatch_log(&mut self, log: Log, bytes: Option<Bytes>, id: MessageId) -> Result<(), Closing> {
        self.bounded(dispatch::log(self.hub, self.link, log, bytes), id).await
    }

    async fn bounded(
        &self,
        handled: impl Future<Output = crate::Result<()>> + Send,
        id: MessageId,
    ) -> Result<(), Closing> {
        let error = match timeout(DISPATCH_TIMEOUT, handled).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => crate::Error::unavailable("a message from an agent took too long"),
        };
        tracing::error!(server.id = %self.link.server_id, error = %error.chain(), "message from an agent failed: {error}");
        self.link.refuse(ErrorCode::Internal, "could not be stored; try again later".to_owned(), Some(id));
        self.link.must_start_over();
        Ok(())
    }
}

/// What is wrong with a piece of log, if anything.
fn problem_of(log: &Log) -> Option<String> {
    match (&log.text, log.bytes) {
        (Some(_), Some(_)) => Some("a piece of log has text or bytes, not both".to_owned()),
        (Some(text), None) if text.len() > MAX_LOG_TEXT => {
            Some(format!("text of {} bytes exceeds the limit of {MAX_LOG_TEXT}", text.len()))
        }
        (None, Some(bytes)) if bytes == 0 || bytes as usize > MAX_BINARY_PAYLOAD => {
            Some(format!("{bytes} bytes are not 1 to {MAX_BINARY_PAYLOAD}"))
        }
        (None, None) if log.gap_bytes.is_none() => Some("a piece of log has text, bytes or a gap".to_owned()),
        _ => None,
    }
}
