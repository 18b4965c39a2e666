//! What registration leaves on disk, and for whom: trust for root, the credential for the relay's user.
//!
//! The relay's directory belongs to an unprivileged user, so root writes into it as into foreign ground: by open
//! directory, never through a link, and each file changes hands before it gets its name.

use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, fchown, geteuid};
use protocol::Hex;
use serde::{Deserialize, Serialize};

use crate::host::files::{self, Dir};
use crate::host::random::{NoRandomness, Random};
use crate::host::users;
use crate::identity::{HubAnchor, Identity};
use crate::paths::{Paths, RELAY_USER};

const MAX_FILE: usize = 4 << 10;

/// The state directory cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
pub struct StoreError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A registration under way.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    install_token_sha256: Hex<32>,
    nonce: Hex<32>,
}

/// The prepared state directory.
#[derive(Debug)]
pub(super) struct Store {
    paths: Paths,
    relay: Dir,
    owner: Option<Owner>,
}

/// Whom the relay's files belong to, when somebody else writes them.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Store {
    /// Makes the directories, with the right owners when root does it.
    pub(super) fn prepare(paths: &Paths) -> Result<Self, StoreError> {
        let owner = relay_owner();
        let group = owner.map(|owner| owner.gid);
        make_parents(paths.state_dir())?;
        own_dir(paths.state_dir(), 0o755, None, None)?;
        own_dir(&paths.trust_dir(), 0o755, None, None)?;
        own_dir(&paths.claims_dir(), 0o700, None, None)?;
        own_dir(&paths.spool_dir(), 0o2750, None, group)?;
        let relay = own_dir(&paths.relay_dir(), 0o700, owner.map(|owner| owner.uid), group)?;
        Ok(Self { paths: paths.clone(), relay, owner })
    }

    /// The nonce for this token: the one of an earlier try, or a new one that is on disk now.
    pub(super) fn nonce(&self, token_sha256: Hex<32>, random: &Random) -> Result<Hex<32>, super::EnrollError> {
        let path = self.paths.registration_file();
        if let Some(pending) = self.pending()
            && pending.install_token_sha256 == token_sha256
        {
            return Ok(pending.nonce);
        }
        let pending = Pending { install_token_sha256: token_sha256, nonce: Hex(random.bytes::<32>()?) };
        self.write_relay_file(&path, &pending)?;
        Ok(pending.nonce)
    }

    fn pending(&self) -> Option<Pending> {
        let name = self.paths.registration_file();
        let bytes = self.relay.read(name.file_name()?, MAX_FILE).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps the result. The anchor comes last: with it the machine counts as registered.
    pub(super) fn keep(&self, identity: &Identity, anchor: &HubAnchor) -> Result<(), StoreError> {
        self.write_relay_file(&self.paths.identity_file(), identity)?;
        let path = self.paths.hub_file();
        let bytes = json(&path, anchor)?;
        files::write_atomic(&path, &bytes, 0o644).map_err(at(&path))?;
        let done = self.paths.registration_file();
        // Left over, it would do no harm: it holds the digest of a token that is used.
        let _ = done.file_name().map(|name| self.relay.remove(name));
        Ok(())
    }

    /// Writes a file of the relay's, whole or not at all. It belongs to the relay before it has its name, so that no
    /// link in that directory can make root give away another file.
    fn write_relay_file(&self, path: &Path, content: &impl Serialize) -> Result<(), StoreError> {
        let bytes = json(path, content)?;
        let name = path.file_name().unwrap_or_default();
        let temporary = format!(".{}.{}", name.to_string_lossy(), std::process::id());
        let write = || {
            let _ = self.relay.remove(&temporary);
            let mut file = self.relay.create(&temporary, 0o600)?;
            if let Some(owner) = self.owner {
                fchown(file.as_fd(), Some(owner.uid), Some(owner.gid))?;
            }
            file.write_all(&bytes)?;
            file.sync_all()?;
            self.relay.rename(&temporary, name)?;
            self.relay.sync()
        };
        write().map_err(at(path))
    }
}

/// The relay's user, when this process can give files away and there is one.
fn relay_owner() -> Option<Owner> {
    if !geteuid().is_root() {
        return None;
    }
    let user = users::find(RELAY_USER)?;
    Some(Owner { uid: Uid::from_raw(user.uid), gid: Gid::from_raw(user.gid) })
}

fn make_parents(path: &Path) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), |parent| std::fs::create_dir_all(parent).map_err(at(parent)))
}

/// Makes a directory, or takes the one that is there, with these owners.
fn own_dir(path: &Path, mode: u32, uid: Option<Uid>, gid: Option<Gid>) -> Result<Dir, StoreError> {
    let own = || {
        files::make_dir(path, mode)?;
        let dir = Dir::open(path)?;
        if uid.is_some() || gid.is_some() {
            fchown(dir.as_fd(), uid, gid)?;
            // Changing the group takes the set-group-id bit away.
            nix::sys::stat::fchmod(dir.as_fd(), nix::sys::stat::Mode::from_bits_truncate(mode))?;
        }
        Ok(dir)
    };
    own().map_err(at(path))
}

fn json(path: &Path, content: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = serde_json::to_vec_pretty(content).map_err(|error| at(path)(error.into()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn at(path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError { path: path.clone(), source }
}

impl From<NoRandomness> for StoreError {
    fn from(error: NoRandomness) -> Self {
        Self { path: PathBuf::from("/dev/urandom"), source: io::Error::other(error) }
    }
}
