//! How a connection ends from this side: a last message, then a close frame with a code.

use protocol::session::{Bye, ByeCode, ErrorCode, WireError};
use protocol::{DecodeError, Message, MessageId};

/// RFC 6455 status codes, the registered ones that fit.
mod code {
    pub(super) const NORMAL: u16 = 1000;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const INTERNAL: u16 = 1011;
    pub(super) const RESTART: u16 = 1012;
    pub(super) const TRY_AGAIN: u16 = 1013;
}

/// Why and how a connection ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Closing {
    /// WebSocket close code.
    pub(super) code: u16,
    /// For people, in the close frame (which takes 123 bytes) and in the log.
    pub(super) reason: String,
    /// Sent before the close frame.
    pub(super) last: Option<Box<Message>>,
    /// The message that `last` answers.
    pub(super) reference: Option<MessageId>,
}

impl Closing {
    /// On purpose.
    pub(super) fn bye(bye: ByeCode, retry_after_s: Option<u32>) -> Self {
        let (code, reason) = match bye {
            ByeCode::Shutdown => (code::RESTART, "the hub stops or restarts"),
            ByeCode::Replaced => (code::NORMAL, "a newer connection of this server took over"),
            ByeCode::Revoked => (code::POLICY, "the agent token is revoked"),
            ByeCode::Update | ByeCode::Other => (code::NORMAL, "closed on purpose"),
        };
        let last = Message::Bye(Bye { code: bye, retry_after_s });
        Self { code, reason: reason.to_owned(), last: Some(Box::new(last)), reference: None }
    }

    /// A frame that cannot be taken at all. `None` when the connection may stay up after it.
    pub(super) fn damaged(error: &DecodeError) -> Option<Self> {
        Some(Self::error(error.close_code()?, error.code(), error.to_string(), error.offender()))
    }

    /// A WebSocket frame beyond its limit.
    pub(super) fn too_large(what: &str) -> Self {
        Self::error(1009, ErrorCode::TooLarge, what.to_owned(), None)
    }

    /// A text frame that is no text.
    pub(super) fn not_utf8() -> Self {
        Self::error(1007, ErrorCode::Malformed, "a text frame that is not UTF-8".to_owned(), None)
    }

    /// No common version of the protocol.
    pub(super) fn wrong_version(message: String, hello: MessageId) -> Self {
        Self::error(code::PROTOCOL, ErrorCode::WrongVersion, message, Some(hello))
    }

    /// Something that has no place at this point of a conversation.
    pub(super) fn unexpected(message: impl Into<String>, offender: Option<MessageId>) -> Self {
        Self::error(code::PROTOCOL, ErrorCode::Unexpected, message.into(), offender)
    }

    /// More than the hub takes.
    pub(super) fn rate_limited(message: impl Into<String>) -> Self {
        Self::error(code::POLICY, ErrorCode::RateLimited, message.into(), None)
    }

    /// The agent takes its messages too slowly.
    pub(super) fn too_slow() -> Self {
        let reason = "the agent takes its messages too slowly".to_owned();
        Self { code: code::POLICY, reason, last: None, reference: None }
    }

    /// Silence.
    pub(super) fn silent() -> Self {
        let reason = "nothing heard within the deadline".to_owned();
        Self { code: code::NORMAL, reason, last: None, reference: None }
    }

    /// The hub failed; coming back later may help.
    pub(super) fn internal() -> Self {
        let message = "the hub could not do its part; come back later".to_owned();
        Self::error(code::INTERNAL, ErrorCode::Internal, message, None)
    }

    /// The hub could not store something for a while: what is unacknowledged has to be sent again.
    pub(super) fn start_over() -> Self {
        let message = "something could not be stored; connect again and resume".to_owned();
        Self::error(code::TRY_AGAIN, ErrorCode::Internal, message, None)
    }

    fn error(code: u16, error: ErrorCode, message: String, reference: Option<MessageId>) -> Self {
        let reason = message.clone();
        let last = Message::Error(WireError { code: error, message });
        Self { code, reason, last: Some(Box::new(last)), reference }
    }

    /// The reason as a close frame takes it: at most 123 bytes.
    pub(super) fn short_reason(&self) -> &str {
        let mut end = self.reason.len().min(123);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        self.reason.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_a_close_frame() {
        let closing = Closing::unexpected("é".repeat(100), None);
        assert!(closing.short_reason().len() <= 123);
        assert!(closing.short_reason().len() > 120);
    }
}
