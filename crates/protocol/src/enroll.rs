//! Registration: an install token is exchanged for an agent token, over `POST /v1/agent/register`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hex::Hex;
use crate::ids::ServerId;

/// Prefix of install tokens.
pub const INSTALL_TOKEN_PREFIX: &str = "rsi_";
/// Prefix of agent tokens.
pub const AGENT_TOKEN_PREFIX: &str = "rsa_";
/// Characters of a token after its prefix: 32 random bytes in base 62.
pub const TOKEN_DIGITS: usize = 43;

/// A token in clear text. It can be sent and compared, never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Takes `text` when it has the shape `<prefix><43 base-62 digits>`.
    #[must_use]
    pub fn parse(prefix: &str, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(prefix)?;
        let well_formed = digits.len() == TOKEN_DIGITS && digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The token itself, for the one place that sends or hashes it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What the agent sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// The install token.
    pub token: Token,
    /// Random; the same token and nonce are answered again until the agent has connected, so a lost answer strands nobody.
    pub nonce: Hex<32>,
    /// Host name.
    pub hostname: String,
    /// Operating system id of os-release.
    pub os: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// As in [`crate::session::Host`].
    pub machine_id_hash: Hex<32>,
    /// The agent's version.
    pub agent_version: String,
    /// The pasted fingerprint: a hub with another key refuses before the token is used up. The agent checks the answer's
    /// key against it all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub_fingerprint: Option<Hex<32>>,
}

/// What the hub answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterResponse {
    /// The new server.
    pub server_id: ServerId,
    /// Its credential.
    pub agent_token: Token,
    /// The hub's Ed25519 public key; its SHA-256 must be the fingerprint that was pasted.
    pub hub_key: Hex<32>,
    /// First 8 bytes of that SHA-256.
    pub hub_key_id: Hex<8>,
    /// Where to connect, `wss://…/v1/agent`.
    pub ws_url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_one_shape_and_never_print() {
        let text = format!("rsi_{}", "aB3".repeat(15).split_at(43).0);
        let token = Token::parse(INSTALL_TOKEN_PREFIX, &text).unwrap();
        assert_eq!(token.reveal(), text);
        assert!(!format!("{token:?}").contains("aB3"));
        assert!(Token::parse(AGENT_TOKEN_PREFIX, &text).is_none());
        assert!(Token::parse(INSTALL_TOKEN_PREFIX, "rsi_short").is_none());
        assert!(Token::parse(INSTALL_TOKEN_PREFIX, &format!("rsi_{}", "-".repeat(43))).is_none());
    }
}
