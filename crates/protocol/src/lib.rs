//! The agent wire of Roadstead: every message that crosses it, its limits, and what of it is signed.
//!
//! One WebSocket per server, dialled by the agent (`wss://HUB/v1/agent`, subprotocol [`version::SUBPROTOCOL`]). Text
//! frames hold one JSON [`envelope::Envelope`] each, binary frames hold [`frame::BinaryFrame`]s. Both sides use these
//! types and nothing else, and the golden files in `tests/golden` pin every message.
//!
//! This crate knows nothing of sockets, databases or cryptography: it names the bytes that are signed
//! ([`signing`]) and leaves signing and verifying to its users.
#![forbid(unsafe_code)]

pub mod version;

pub mod hex;
pub mod ids;

pub mod envelope;
pub mod frame;
pub mod message;

pub mod address;
pub mod enroll;
pub mod event;
pub mod exec;
pub mod heartbeat;
pub mod job;
pub mod kinds;
pub mod license;
pub mod limits;
pub mod operator;
pub mod policy;
pub mod probe;
pub mod request;
pub mod session;
pub mod signing;

pub use envelope::{DecodeError, Envelope, Outgoing};
pub use frame::BinaryFrame;
pub use hex::Hex;
pub use ids::{BatchId, EventId, JobId, MessageId, OperatorKeyId, ServerId, UserId, WorkspaceId};
pub use message::Message;
pub use signing::Signed;

/// Largest text frame either side may send, bytes.
pub const MAX_TEXT_FRAME: usize = 1 << 20;
/// Largest payload of a binary frame, bytes, without stream id and tag.
pub const MAX_BINARY_PAYLOAD: usize = 64 << 10;
/// Largest signed body of a command, bytes.
pub const MAX_SIGNED_BODY: usize = 256 << 10;
/// Largest `text` of one log message, bytes; longer output travels in binary frames.
pub const MAX_LOG_TEXT: usize = 4 << 10;
/// Log bytes that may be unacknowledged in flight on one connection.
pub const MAX_UNACKED_LOG: u64 = 1 << 20;
