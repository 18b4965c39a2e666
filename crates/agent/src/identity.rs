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
    /// The credential that the hub took last.
    pub agent_token: Token,
    /// The one that the hub has sent in its place, until it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<Token>,
    /// The one before it: a hub restored from a backup may know no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_token: Option<Token>,
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
        if !identity.tokens().all(is_agent_token) {
            return Err(IdentityError::Damaged { path, why: "the agent token is malformed".to_owned() });
        }
        Ok(identity)
    }

    /// What the hub may take as this server's credential, the newest first.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.next_token.iter().chain([&self.agent_token]).chain(&self.previous_token)
    }

    /// With a new credential that is still to be tried.
    #[must_use]
    pub fn with_next(&self, token: Token) -> Self {
        Self { next_token: (token != self.agent_token).then_some(token), ..self.clone() }
    }

    /// After the hub has taken `token` as the credential. One that it was asked to take before that and refused is gone.
    #[must_use]
    pub fn with_taken(&self, token: &Token) -> Self {
        let mut taken = Self { agent_token: token.clone(), next_token: None, ..self.clone() };
        if *token != self.agent_token {
            taken.previous_token = Some(self.agent_token.clone());
        }
        taken
    }

    /// Puts `newer` in place of this, durably, unless somebody has registered this machine anew in between.
    ///
    /// # Errors
    /// When the file is not what was read from it, or cannot be written.
    pub fn replace(&mut self, newer: Self, paths: &Paths) -> io::Result<()> {
        let path = paths.identity_file();
        if Self::load(paths).map_err(io::Error::other)? != *self {
            return Err(io::Error::other(format!("{} was changed by somebody else", path.display())));
        }
        let mut bytes = serde_json::to_vec_pretty(&newer)?;
        bytes.push(b'\n');
        files::write_atomic(&path, &bytes, 0o600)?;
        *self = newer;
        Ok(())
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

/// Whether a token can be an agent's.
#[must_use]
pub fn is_agent_token(token: &Token) -> bool {
    Token::parse(AGENT_TOKEN_PREFIX, token.reveal()).is_some()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Machine;

    fn token(digit: char) -> Token {
        Token::parse(AGENT_TOKEN_PREFIX, &format!("rsa_{}", digit.to_string().repeat(43))).unwrap()
    }

    fn digits(identity: &Identity) -> String {
        identity.tokens().filter_map(|token| token.reveal().chars().last()).collect()
    }

    #[test]
    fn a_new_credential_is_tried_first_and_the_old_one_is_kept_for_one_more_generation() {
        let machine = Machine::new(7);
        let mut identity = Identity::load(&machine.paths).unwrap();
        assert_eq!(digits(&identity), "a");
        let mut step = |newer: Identity| {
            identity.replace(newer, &machine.paths).unwrap();
            assert_eq!(Identity::load(&machine.paths).unwrap(), identity);
            identity.clone()
        };
        let identity = step(machine_identity(&machine).with_next(token('b')));
        assert_eq!(digits(&identity), "ba");
        let refused = identity.with_taken(&token('a'));
        assert_eq!(digits(&refused), "a", "the hub did not take the new one");
        let identity = step(identity.with_taken(&token('b')));
        assert_eq!(digits(&identity), "ba");
        assert_eq!(identity.with_taken(&token('b')), identity, "nothing changes from then on");
        let identity = step(identity.with_next(token('c')));
        assert_eq!(digits(&identity), "cba");
        let identity = step(identity.with_taken(&token('c')));
        assert_eq!(digits(&identity), "cb");
        assert_eq!(digits(&identity.with_taken(&token('b'))), "bc", "a hub that was restored from a backup");
        assert_eq!(identity.with_next(token('c')), identity, "the same one again");
    }

    fn machine_identity(machine: &Machine) -> Identity {
        Identity::load(&machine.paths).unwrap()
    }

    #[test]
    fn a_registration_in_between_is_not_overwritten() {
        let machine = Machine::new(7);
        let mut held = machine_identity(&machine);
        let registered = Identity { agent_token: token('z'), ..held.clone() };
        files::write_atomic(&machine.paths.identity_file(), &serde_json::to_vec(&registered).unwrap(), 0o600).unwrap();
        assert!(held.clone().replace(held.with_next(token('b')), &machine.paths).is_err());
        held = machine_identity(&machine);
        assert_eq!(digits(&held), "z");
    }
}
