//! What a worker believes: files that only root can write. The relay can read some of them and change none.

pub mod claims;
pub mod hub_time;
pub mod rotation;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use protocol::Signed;
use protocol::signing::signed_bytes;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::host::files::{self, Dir};
use crate::identity::{HubAnchor, IdentityError};
use crate::paths::Paths;

/// Why there is nothing to believe.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No registration, or a damaged one.
    #[error(transparent)]
    Anchor(#[from] IdentityError),
    /// Somebody else than root could have written it.
    #[error("{path} {problem}: only root may be able to change it")]
    Exposed {
        /// The file or directory.
        path: String,
        /// What is wrong with its owner or mode.
        problem: String,
    },
    /// The file system fails.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file or directory.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Made with a key that is not pinned here.
    #[error("it is signed with another key than the one this server was registered with")]
    OtherKey,
    /// The bytes are not the signed ones.
    #[error("the signature does not verify")]
    Forged,
}

/// The pinned hub and this server's own id.
#[derive(Debug)]
pub struct Trust {
    anchor: HubAnchor,
    paths: Paths,
}

impl Trust {
    /// Reads the anchor, if only root could have written it.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn load(paths: &Paths) -> Result<Self, TrustError> {
        let dir = paths.trust_dir();
        let unreadable = |source| TrustError::Unreadable { path: dir.display().to_string(), source };
        if let Ok(opened) = Dir::open(&dir) {
            check_owner(&dir, &opened.metadata().map_err(unreadable)?)?;
        }
        let path = paths.hub_file();
        if let Ok(file) = files::open(&path) {
            check_owner(&path, &file.metadata().map_err(unreadable)?)?;
        }
        // What is missing is said here.
        Ok(Self { anchor: HubAnchor::load(paths)?, paths: paths.clone() })
    }

    /// What is believed by now: the hub's key may have been rotated.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn reload(&self) -> Result<Self, TrustError> {
        Self::load(&self.paths)
    }

    /// The pinned key.
    #[must_use]
    pub const fn anchor(&self) -> &HubAnchor {
        &self.anchor
    }

    /// The server that orders must be for.
    #[must_use]
    pub const fn server_id(&self) -> protocol::ServerId {
        self.anchor.server_id
    }

    /// Checks that the hub signed `body` for the purpose that `prefix` names.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, prefix: &str, signed: &Signed) -> Result<(), SignatureError> {
        self.anchor.verify(prefix, signed)
    }
}

impl HubAnchor {
    /// Checks that this key signed `body` for the purpose that `prefix` names.
    pub(crate) fn verify(&self, prefix: &str, signed: &Signed) -> Result<(), SignatureError> {
        if signed.key_id != self.hub_key_id {
            return Err(SignatureError::OtherKey);
        }
        UnparsedPublicKey::new(&ED25519, self.hub_key.as_bytes())
            .verify(&signed_bytes(prefix, &signed.body), signed.sig.as_bytes())
            .map_err(|_| SignatureError::Forged)
    }
}

/// Only root, and in a development run the user who runs it, may be able to change what is believed.
///
/// # Errors
/// [`TrustError::Exposed`].
pub fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), TrustError> {
    let exposed = |problem: &str| TrustError::Exposed { path: path.display().to_string(), problem: problem.to_owned() };
    let owner = metadata.uid();
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return Err(exposed("does not belong to root"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(exposed("can be written by others"));
    }
    Ok(())
}
