//! Seals what the hub must keep but never stores in clear: secrets of jobs that were not sent yet, and those of one-time
//! codes.
//!
//! The key lies beside the signing key, outside the database. Unlike that one it may be lost: what it sealed is then
//! unreadable, and a new one takes its place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::data_dir;
use crate::random::Random;
use crate::secret::Secret;

const MAX_FILE_BYTES: u64 = 4096;

/// The installation's sealing key. Cheap to clone, never printed.
#[derive(Clone)]
pub struct Sealing {
    key: Arc<LessSafeKey>,
    digests: Arc<hmac::Key>,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").finish_non_exhaustive()
    }
}

/// What was sealed cannot be opened: under another key, for another purpose, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value cannot be opened with this hub's key")]
pub struct Unreadable;

impl Sealing {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn new(bytes: &[u8]) -> anyhow::Result<Self> {
        let Ok(key) = UnboundKey::new(&CHACHA20_POLY1305, bytes) else { bail!("a sealing key has 32 bytes") };
        // Its own key for its own purpose, made of the same secret.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"roadstead-digests-v1");
        let digests = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Ok(Self { key: Arc::new(LessSafeKey::new(key)), digests: Arc::new(digests) })
    }

    /// From its file, which is made when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or made, other users can read it, or it holds no key.
    pub fn open(keys_dir: &Path, random: &dyn Random) -> anyhow::Result<Self> {
        let path = Self::path(keys_dir);
        let bytes = match data_dir::read(&path, MAX_FILE_BYTES)? {
            Some(bytes) => {
                data_dir::require_private(&path)?;
                bytes
            }
            None => {
                let bytes = random.bytes::<32>().to_vec();
                data_dir::ensure_private_dir(keys_dir)?;
                data_dir::write_private(&path, &bytes)?;
                bytes
            }
        };
        match Self::new(&bytes) {
            Ok(sealing) => Ok(sealing),
            Err(_) => bail!(
                "the key file {} is damaged; put it back from your backup, or remove it: the hub then makes a new one, and \
                 jobs with secrets that were not sent yet are cancelled, and people with one-time codes need a recovery code",
                path.display()
            ),
        }
    }

    /// Where the key lies.
    #[must_use]
    pub fn path(keys_dir: &Path) -> PathBuf {
        keys_dir.join("hub-secrets.key")
    }

    /// Seals a secret. It opens only with the same `purpose`, so that it cannot be put elsewhere.
    ///
    /// # Errors
    /// When it is longer than the cipher allows (256 GiB).
    pub fn seal(&self, random: &dyn Random, purpose: &str, secret: &Secret) -> anyhow::Result<String> {
        let nonce = random.bytes::<NONCE_LEN>();
        let mut sealed = secret.reveal().as_bytes().to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let done = self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        if done.is_err() {
            bail!("a secret cannot be sealed");
        }
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Sealing::seal`] made.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn unseal(&self, purpose: &str, sealed: &str) -> Result<Secret, Unreadable> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Unreadable)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(Unreadable)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut sealed);
        let opened = opened.map_err(|_| Unreadable)?;
        std::str::from_utf8(opened).map(|text| Secret::new(text.to_owned())).map_err(|_| Unreadable)
    }

    /// A digest of something that may hold a secret: without the key nobody can try what it may have been.
    #[must_use]
    pub fn digest(&self, bytes: &[u8]) -> String {
        protocol::hex::encode(hmac::sign(&self.digests, bytes).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_with_its_key_only() {
        let random = SeededRandom::new(1);
        let (sealing, other) = (Sealing::new(&[1; 32]).unwrap(), Sealing::new(&[2; 32]).unwrap());
        let secret = Secret::new("s3cr3t-välue\n".to_owned());
        let sealed = sealing.seal(&random, "job/TOKEN", &secret).unwrap();
        assert_eq!(sealing.unseal("job/TOKEN", &sealed).unwrap(), secret);
        assert_ne!(sealing.seal(&random, "job/TOKEN", &secret).unwrap(), sealed, "never the same twice");
        assert_eq!(sealing.unseal("job/OTHER", &sealed), Err(Unreadable));
        assert_eq!(other.unseal("job/TOKEN", &sealed), Err(Unreadable));
        for damaged in [&sealed[1..], &sealed[..sealed.len() - 1], "", "AAAA", "no base64!"] {
            assert_eq!(sealing.unseal("job/TOKEN", damaged), Err(Unreadable), "{damaged}");
        }
        assert!(!format!("{sealing:?}").contains('1'));
        assert_ne!(sealing.digest(b"a"), other.digest(b"a"));
        assert_eq!(sealing.digest(b"a"), Sealing::new(&[1; 32]).unwrap().digest(b"a"));
    }

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let keys_dir = dir.path().join("keys");
        let random = SeededRandom::new(1);
        let made = Sealing::open(&keys_dir, &random).unwrap();
        let read = Sealing::open(&keys_dir, &random).unwrap();
        assert_eq!(made.digest(b"x"), read.digest(b"x"));
        let path = Sealing::path(&keys_dir);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(data_dir::read(&path, 100).unwrap().unwrap().len(), 32);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Sealing::open(&keys_dir, &random).unwrap_err().to_string().contains("other users can reach"));
        data_dir::write_private(&path, b"rubbish").unwrap();
        let message = Sealing::open(&keys_dir, &random).unwrap_err().to_string();
        assert!(message.contains("is damaged") && message.contains("remove it"), "{message}");
    }
}
