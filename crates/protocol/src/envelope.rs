//! The envelope around every text frame: who answers what, and where damage is noticed.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hex::Hex;
use crate::ids::MessageId;
use crate::message::Message;
use crate::session::ErrorCode;
use crate::{MAX_TEXT_FRAME, signing, version};

/// A received text frame whose payload has not been looked at yet.
///
/// Log payloads are never parsed by the hub beyond their few fields; keeping the payload raw makes that cheap and keeps
/// the exact bytes that `mac` covers.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    v: u16,
    /// Id of this message.
    pub id: MessageId,
    /// The sender's clock, Unix milliseconds.
    pub ts: i64,
    /// Discriminator of the payload.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// The message that this one answers.
    #[serde(rename = "ref", default)]
    pub reference: Option<MessageId>,
    /// The payload's JSON, exactly as received.
    #[serde(borrow)]
    pub payload: &'a RawValue,
    /// HMAC-SHA256 over [`signing::mac_input`], on every hub → agent frame after `welcome`.
    #[serde(default)]
    pub mac: Option<Hex<32>>,
}

/// Why a text frame could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// Longer than [`MAX_TEXT_FRAME`]; holds its length in bytes.
    TooLarge(usize),
    /// Not one JSON object with the envelope's fields.
    Malformed(String),
    /// An envelope of another version.
    WrongVersion(u16),
    /// A well-formed envelope of a type this side does not know.
    UnknownType(MessageId, String),
    /// A known type whose payload does not fit it.
    BadPayload(MessageId, String),
}

impl DecodeError {
    /// The code for the `error` message that answers the frame.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Malformed(_) => ErrorCode::Malformed,
            Self::WrongVersion(_) => ErrorCode::WrongVersion,
            Self::UnknownType(..) => ErrorCode::UnknownType,
            Self::BadPayload(..) => ErrorCode::BadPayload,
        }
    }

    /// The WebSocket close code, `None` when the connection stays up.
    #[must_use]
    pub const fn close_code(&self) -> Option<u16> {
        match self {
            Self::TooLarge(_) => Some(1009),
            Self::Malformed(_) => Some(1007),
            Self::WrongVersion(_) => Some(1002),
            Self::UnknownType(..) | Self::BadPayload(..) => None,
        }
    }

    /// The offending message, when it could be read far enough to know.
    #[must_use]
    pub const fn offender(&self) -> Option<MessageId> {
        match self {
            Self::UnknownType(id, _) | Self::BadPayload(id, _) => Some(*id),
            Self::TooLarge(_) | Self::Malformed(_) | Self::WrongVersion(_) => None,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(f, "text frame of {bytes} bytes exceeds the limit of {MAX_TEXT_FRAME}"),
            Self::Malformed(why) => write!(f, "not an envelope: {why}"),
            Self::WrongVersion(v) => write!(f, "envelope version {v}, this side speaks {}", version::CURRENT),
            Self::UnknownType(_, kind) => write!(f, "unknown message type {kind:?}"),
            Self::BadPayload(_, why) => write!(f, "payload does not fit its type: {why}"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl<'a> Envelope<'a> {
    /// Reads the envelope of one text frame.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`], [`DecodeError::Malformed`] or [`DecodeError::WrongVersion`].
    pub fn decode(text: &'a str) -> Result<Self, DecodeError> {
        if text.len() > MAX_TEXT_FRAME {
            return Err(DecodeError::TooLarge(text.len()));
        }
        // A later version may have other fields: its number must be reported, not their absence.
        let wrong_version = |found: u16| (found != version::CURRENT).then_some(DecodeError::WrongVersion(found));
        match serde_json::from_str::<Self>(text) {
            Ok(envelope) => wrong_version(envelope.v).map_or(Ok(envelope), Err),
            Err(error) => Err(serde_json::from_str::<VersionOnly>(text)
                .ok()
                .and_then(|only| wrong_version(only.v))
                .unwrap_or_else(|| DecodeError::Malformed(short(&error.to_string())))),
        }
    }

    /// The typed message inside.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`] or [`DecodeError::BadPayload`]; the connection stays up after either.
    pub fn message(&self) -> Result<Message, DecodeError> {
        Message::from_payload(&self.kind, self.payload)
            .ok_or_else(|| DecodeError::UnknownType(self.id, short(&self.kind)))?
            .map_err(|error| DecodeError::BadPayload(self.id, short(&error.to_string())))
    }

    /// The bytes that `mac` covers when this is the `counter`th frame of the session, see [`signing::mac_input`].
    #[must_use]
    pub fn mac_input(&self, counter: u64) -> Vec<u8> {
        signing::mac_input(counter, &self.kind, self.id, self.reference, self.payload.get().as_bytes())
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u16,
}

/// Foreign text goes into answers and logs: short, whatever was sent.
fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

/// A message on its way out.
#[derive(Debug)]
pub struct Outgoing {
    /// Id of this message.
    pub id: MessageId,
    ts: i64,
    kind: &'static str,
    reference: Option<MessageId>,
    payload: Box<RawValue>,
}

#[derive(Serialize)]
struct OutgoingEnvelope<'a> {
    v: u16,
    id: MessageId,
    ts: i64,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<MessageId>,
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<Hex<32>>,
}

impl Outgoing {
    /// Serialises `message`. `ts` is the sender's clock in Unix milliseconds.
    ///
    /// # Errors
    /// When the payload cannot be written as JSON, which no value of these types causes.
    pub fn new(
        message: &Message,
        id: MessageId,
        ts: i64,
        reference: Option<MessageId>,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self { id, ts, kind: message.kind(), reference, payload: message.to_payload()? })
    }

    /// Length of the payload, bytes: what a bounded queue counts.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload.get().len()
    }

    /// The bytes that `mac` must cover, see [`signing::mac_input`].
    #[must_use]
    pub fn mac_input(&self, counter: u64) -> Vec<u8> {
        signing::mac_input(counter, self.kind, self.id, self.reference, self.payload.get().as_bytes())
    }

    /// The text frame.
    ///
    /// # Errors
    /// As [`Outgoing::new`].
    pub fn to_text(&self, mac: Option<Hex<32>>) -> Result<String, serde_json::Error> {
        serde_json::to_string(&OutgoingEnvelope {
            v: version::CURRENT,
            id: self.id,
            ts: self.ts,
            kind: self.kind,
            reference: self.reference,
            payload: &self.payload,
            mac,
        })
    }
}
