//! The socket of a session: frames out one at a time, frames in, and a close that is heard.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

/// For the last words of a session.
const FAREWELL: Duration = Duration::from_secs(2);

const GONE: &str = "the hub went away without a word";

/// A socket and the frames that wait for it.
pub(super) struct Wire<S> {
    socket: WebSocketStream<S>,
    outgoing: VecDeque<Frame>,
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) const fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, outgoing: VecDeque::new(), unflushed: false }
    }

    /// Adds a frame behind those that wait.
    pub(super) fn push(&mut self, frame: Frame) {
        self.outgoing.push_back(frame);
    }

    /// Nothing waits: it is time to decide what goes next.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// One step, writing before reading: a frame that came, `None` for progress of another kind. Nothing is lost when the
    /// future is dropped.
    pub(super) async fn turn(&mut self, read: bool) -> Result<Option<Frame>, WireError> {
        poll_fn(|cx| self.poll_turn(cx, read)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Result<Option<Frame>, WireError>> {
        let mut socket = Pin::new(&mut self.socket);
        if !self.outgoing.is_empty() {
            if let Poll::Ready(ready) = socket.as_mut().poll_ready(cx) {
                let written = ready.and_then(|()| match self.outgoing.pop_front() {
                    Some(frame) => socket.start_send(frame),
                    None => Ok(()),
                });
                self.unflushed = true;
                return Poll::Ready(written.map(|()| None).map_err(WireError::from));
            }
        } else if self.unflushed
            && let Poll::Ready(flushed) = socket.as_mut().poll_flush(cx)
        {
            self.unflushed = false;
            return Poll::Ready(flushed.map(|()| None).map_err(WireError::from));
        }
        if !read {
            return Poll::Pending;
        }
        socket.poll_next(cx).map(|received| match received {
            Some(Ok(frame)) => Ok(Some(frame)),
            Some(Err(error)) => Err(error.into()),
            None => Err(WireError::Closed),
        })
    }

    /// Sends what waits and a close, and leaves the other side a moment to read both.
    pub(super) async fn close(&mut self, code: u16, reason: &str) {
        let reason: String = reason.chars().take(60).collect();
        self.push(Frame::Close(Some(CloseFrame { code: code.into(), reason: reason.into() })));
        let last_words = async {
            while !self.outgoing.is_empty() || self.unflushed {
                if self.turn(false).await.is_err() {
                    return;
                }
            }
            // To close with something unread resets the connection, and the other side may lose what was just said.
            let stream = self.socket.get_mut();
            let mut unread = [0; 4096];
            while matches!(stream.read(&mut unread).await, Ok(1..)) {}
        };
        // Whoever does not listen any more is not waited for.
        let _ = timeout(FAREWELL, last_words).await;
    }
}

/// Why a wire ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// By the other side.
    #[error("the hub closed the connection")]
    Closed,
    /// A frame that is larger than any message.
    #[error("{0}")]
    TooLarge(tungstenite::Error),
    /// Text that is none.
    #[error("{0}")]
    NotText(tungstenite::Error),
    /// Not the WebSocket protocol.
    #[error("{0}")]
    Protocol(tungstenite::Error),
    /// The line.
    #[error("the connection broke off: {0}")]
    Broken(String),
}

impl From<tungstenite::Error> for WireError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Self::Closed,
            tungstenite::Error::Capacity(_) => Self::TooLarge(error),
            tungstenite::Error::Utf8(_) => Self::NotText(error),
            // Without a close the line broke, whatever the protocol says about it.
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Broken(GONE.to_owned()),
            tungstenite::Error::Protocol(_) => Self::Protocol(error),
            // A library's words for this are about its own manual.
            tungstenite::Error::Io(io) if io.kind() == io::ErrorKind::UnexpectedEof => Self::Broken(GONE.to_owned()),
            tungstenite::Error::Io(io) => Self::Broken(io.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}
