//! Which bytes are signed, under which name. No cryptography here: hub and agent sign and verify with these.

use serde::{Deserialize, Serialize};

use crate::hex::Hex;
use crate::ids::MessageId;

/// Prefix under which a `welcome` body is signed.
pub const WELCOME: &str = "roadstead-welcome-v1\0";
/// Prefix under which a `cmd` body is signed.
pub const CMD: &str = "roadstead-cmd-v1\0";
/// Prefix under which a `cancel` body is signed.
pub const CANCEL: &str = "roadstead-cancel-v1\0";
/// Prefix under which a licence body is signed.
pub const LICENSE: &str = "roadstead-license-v1\0";
/// Prefix under which the hub's restrictions of a host are signed.
pub const RESTRICT: &str = "roadstead-restrict-v1\0";
/// Prefix under which a hub's key names its successor.
pub const KEY_ROTATION: &str = "roadstead-key-rotation-v1\0";
/// HKDF-SHA256 info of the session key; the salt is the hello's nonce, the input the X25519 secret.
pub const SESSION_KEY_INFO: &str = "roadstead-session-v1";
/// Domain of [`mac_input`] for text frames.
pub const TEXT_MAC: &str = "roadstead-text-v1\0";
/// Domain of [`tag_input`] for binary frames.
pub const BINARY_TAG: &str = "roadstead-binary-v1\0";

/// A body that the hub's Ed25519 key signed. The body is a JSON string, so that its bytes are the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// JSON text.
    pub body: String,
    /// First 8 bytes of the SHA-256 of the signing public key.
    pub key_id: Hex<8>,
    /// Ed25519 signature over [`signed_bytes`].
    pub sig: Hex<64>,
}

/// `prefix || body`: what [`Signed::sig`] covers.
#[must_use]
pub fn signed_bytes(prefix: &str, body: &str) -> Vec<u8> {
    [prefix.as_bytes(), body.as_bytes()].concat()
}

/// What `mac` of a hub → agent text frame covers. Both sides count hub → agent frames, text and binary together, from 0
/// at the first frame after `welcome`.
///
/// `TEXT_MAC || counter (u64 BE) || len(type) (u32 BE) || type || id (16) || ref (16, zeros when absent) || payload`
#[must_use]
pub fn mac_input(counter: u64, kind: &str, id: MessageId, reference: Option<MessageId>, payload: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(TEXT_MAC.len() + 8 + 4 + kind.len() + 32 + payload.len());
    input.extend_from_slice(TEXT_MAC.as_bytes());
    input.extend_from_slice(&counter.to_be_bytes());
    input.extend_from_slice(&u32::try_from(kind.len()).unwrap_or(u32::MAX).to_be_bytes());
    input.extend_from_slice(kind.as_bytes());
    input.extend_from_slice(id.uuid().as_bytes());
    input.extend_from_slice(reference.map_or([0; 16], |reference| *reference.uuid().as_bytes()).as_slice());
    input.extend_from_slice(payload);
    input
}

/// What the tag of a hub → agent binary frame covers: `BINARY_TAG || counter (u64 BE) || frame without tag`.
#[must_use]
pub fn tag_input(counter: u64, frame: &[u8]) -> Vec<u8> {
    [BINARY_TAG.as_bytes(), &counter.to_be_bytes(), frame].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn mac_input_has_no_ambiguous_boundaries() {
        let id = MessageId::new(Uuid::from_u128(1));
        let a = mac_input(0, "cmd", id, None, b"x{}");
        let b = mac_input(0, "cmdx", id, None, b"{}");
        let c = mac_input(1, "cmd", id, None, b"x{}");
        let d = mac_input(0, "cmd", id, Some(MessageId::new(Uuid::from_u128(2))), b"x{}");
        assert!(a != b && a != c && a != d);
    }

    #[test]
    fn prefixes_differ_and_end_with_nul() {
        let prefixes = [WELCOME, CMD, CANCEL, LICENSE, RESTRICT, KEY_ROTATION, TEXT_MAC, BINARY_TAG];
        for (index, prefix) in prefixes.iter().enumerate() {
            assert!(prefix.ends_with('\0'));
            assert!(!prefixes.iter().skip(index + 1).any(|other| other == prefix));
        }
    }
}
