//! Who this agent is to its hub: the credential that the relay holds, and the anchor that nobody but root can change.

use std::io;
use std::path::{Path, PathBuf};

use protocol::enroll::{AGENT_TOKEN_PREFIX, Token};
use protocol::{Hex, ServerId};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::host::files;
use crate::link::endpoint::{Endpoint, Family};
use crate::link::tls::TlsPin;
use crate::paths::Paths;

const MAX_FILE: usize = 16 << 10;

/// What the relay needs to connect, in `relay/agent.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The hub as it was given to `register`.
    pub hub_url: String,
    /// Where to connect, as the hub said.
    pub ws_url: String,
    /// This server.
    pub server_id: ServerId,
    /// The credential.
    pub agent_token: Token,
    /// The key of the hub's certificate, when that is self-signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_pin: Option<TlsPin>,
    /// SHA-256 of the install token that this came from: pasting the same line again changes nothing.
    pub install_token_sha256: Hex<32>,
}

/// What workers believe and the relay checks, in `trust/hub.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubAnchor {
    /// The hub as it was given to `register`, for people.
    pub hub_url: String,
    /// This server; orders for any other are refused.
    pub server_id: ServerId,
    /// The hub's Ed25519 public key.
    pub hub_key: Hex<32>,
    /// First 8 bytes of its SHA-256.
    pub hub_key_id: Hex<8>,
    /// Its SHA-256.
    pub hub_fingerprint: Hex<32>,
}

/// Why this agent does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No registration.
    #[error("this machine is not registered with a hub ({} is missing)", .0.display())]
    NotRegistered(PathBuf),
    /// A file that cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is not what `register` wrote.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Identity {
    /// Reads the relay's credential.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(paths: &Paths) -> Result<Self, IdentityError> {
        let path = paths.identity_file();
        let identity: Self = load(&path)?;
        if Token::parse(AGENT_TOKEN_PREFIX, identity.agent_token.reveal()).is_none() {
            return Err(IdentityError::Damaged { path, why: "the agent token is malformed".to_owned() });
        }
        Ok(identity)
    }

    /// Where to connect.
    ///
    /// # Errors
    /// [`IdentityError::Damaged`] when the address is none that may be dialled.
    pub fn endpoint(&self, paths: &Paths) -> Result<Endpoint, IdentityError> {
        Endpoint::parse(Family::WebSocket, &self.ws_url)
            .map_err(|error| IdentityError::Damaged { path: paths.identity_file(), why: error.to_string() })
    }
}

impl HubAnchor {
    /// Reads the pinned key.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(paths: &Paths) -> Result<Self, IdentityError> {
        let path = paths.hub_file();
        let anchor: Self = load(&path)?;
        if fingerprint(&anchor.hub_key) != anchor.hub_fingerprint
            || key_id(&anchor.hub_fingerprint) != anchor.hub_key_id
        {
            return Err(IdentityError::Damaged { path, why: "key and fingerprint do not belong together".to_owned() });
        }
        Ok(anchor)
    }
}

/// Reads both halves of a registration.
///
/// # Errors
/// [`IdentityError`], also when the two halves are of different registrations.
pub fn load_both(paths: &Paths) -> Result<(Identity, HubAnchor), IdentityError> {
    let anchor = HubAnchor::load(paths)?;
    let identity = Identity::load(paths)?;
    if anchor.server_id == identity.server_id {
        return Ok((identity, anchor));
    }
    let why =
        format!("it belongs to server {}, {} to {}", identity.server_id, paths.hub_file().display(), anchor.server_id);
    Err(IdentityError::Damaged { path: paths.identity_file(), why })
}

/// SHA-256 of a hub's public key: what people compare.
#[must_use]
pub fn fingerprint(hub_key: &Hex<32>) -> Hex<32> {
    sha256(&hub_key.0)
}

/// The first 8 bytes of a fingerprint: which key signed something.
#[must_use]
pub fn key_id(fingerprint: &Hex<32>) -> Hex<8> {
    Hex(fingerprint.0.first_chunk::<8>().copied().unwrap_or_default())
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hex<32> {
    // A SHA-256 has 32 bytes.
    Hex(digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default())
}

fn load<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, IdentityError> {
    let bytes = files::read(path, MAX_FILE).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => IdentityError::NotRegistered(path.to_owned()),
        _ => IdentityError::Unreadable { path: path.to_owned(), source },
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| IdentityError::Damaged { path: path.to_owned(), why: error.to_string() })
}
