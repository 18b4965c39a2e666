//! What this slice needs of WebSockets beyond frames.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame};

use super::closing::Closing;

/// How long a closing connection may take to say goodbye.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// How to answer a failed read; `None` when nobody is there to answer.
pub(super) fn closing_after(error: axum::Error) -> Option<Closing> {
    use tungstenite::Error;
    // axum hides the library's error; a test holds the two to the same version.
    match error.into_inner().downcast_ref::<Error>()? {
        Error::Capacity(why) => Some(Closing::too_large(&why.to_string())),
        Error::Utf8(_) => Some(Closing::not_utf8()),
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(why) => Some(Closing::unexpected(format!("not a WebSocket frame: {why}"), None)),
        _ => None,
    }
}

/// The close frame of `closing`.
pub(super) fn close_frame(closing: &Closing) -> Frame {
    Frame::Close(Some(CloseFrame { code: closing.code, reason: closing.short_reason().to_owned().into() }))
}
