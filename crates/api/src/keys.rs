//! The hub's Ed25519 signing key: what makes agents believe a welcome, a command, a licence.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use protocol::{Hex, Signed, signing};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::data_dir;
use crate::random::Random;
use crate::secret::sha256;

/// What stands before the 32 bytes of an Ed25519 key in a PKCS#8 document (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

const MAX_FILE_BYTES: u64 = 4096;

/// The installation's keys. Cheap to clone, never printed.
#[derive(Clone)]
pub struct Keys {
    signing: Arc<Ed25519KeyPair>,
    public: Hex<32>,
    fingerprint: Hex<32>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Keys {
    /// From a PKCS#8 document (RFC 8410), as the key file holds it.
    ///
    /// # Errors
    /// When it is not an Ed25519 key.
    pub fn from_pkcs8(document: &[u8]) -> anyhow::Result<Self> {
        let signing = Ed25519KeyPair::from_pkcs8_maybe_unchecked(document)
            .map_err(|error| anyhow::anyhow!("not an Ed25519 key in PKCS#8: {error}"))?;
        let mut public = [0; 32];
        for (byte, value) in public.iter_mut().zip(signing.public_key().as_ref()) {
            *byte = *value;
        }
        let fingerprint = sha256(&public);
        Ok(Self { signing: Arc::new(signing), public: Hex(public), fingerprint })
    }

    /// A new key as a PKCS#8 document, for the key file.
    #[must_use]
    pub fn generate_pkcs8(random: &dyn Random) -> Vec<u8> {
        [PKCS8_ED25519.as_slice(), &random.bytes::<32>()].concat()
    }

    /// From the key file, `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, other users can read it, or it holds no key.
    pub fn read(keys_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = Self::path(keys_dir);
        let Some(document) = data_dir::read(&path, MAX_FILE_BYTES)? else { return Ok(None) };
        data_dir::require_private(&path)?;
        Self::from_pkcs8(&document).map(Some).with_context(|| format!("the key file {} is damaged", path.display()))
    }

    /// Makes a key and its file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(keys_dir: &Path, random: &dyn Random) -> anyhow::Result<Self> {
        data_dir::ensure_private_dir(keys_dir)?;
        let document = Self::generate_pkcs8(random);
        data_dir::write_private(&Self::path(keys_dir), &document)?;
        Self::from_pkcs8(&document)
    }

    /// Where the key lies.
    #[must_use]
    pub fn path(keys_dir: &Path) -> PathBuf {
        keys_dir.join("hub-signing.pk8")
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> Hex<32> {
        self.public
    }

    /// SHA-256 of the public half: what people paste and agents check.
    #[must_use]
    pub const fn fingerprint(&self) -> Hex<32> {
        self.fingerprint
    }

    /// First 8 bytes of the fingerprint.
    #[must_use]
    pub fn key_id(&self) -> Hex<8> {
        let mut id = [0; 8];
        for (byte, value) in id.iter_mut().zip(self.fingerprint.as_bytes()) {
            *byte = *value;
        }
        Hex(id)
    }

    /// Signs `body` under `prefix`, one of the constants of [`signing`].
    #[must_use]
    pub fn sign(&self, prefix: &str, body: String) -> Signed {
        let signature = self.signing.sign(&signing::signed_bytes(prefix, &body));
        let mut sig = [0; 64];
        for (byte, value) in sig.iter_mut().zip(signature.as_ref()) {
            *byte = *value;
        }
        Signed { body, key_id: self.key_id(), sig: Hex(sig) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let keys_dir = dir.path().join("keys");
        assert!(Keys::read(&keys_dir).unwrap().is_none());
        let made = Keys::create(&keys_dir, &SeededRandom::new(1)).unwrap();
        let read = Keys::read(&keys_dir).unwrap().unwrap();
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!(sha256(made.public().as_bytes()), made.fingerprint());

        let path = Keys::path(&keys_dir);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Keys::read(&keys_dir).unwrap_err().to_string().contains("other users can reach"));
        data_dir::write_private(&path, b"rubbish").unwrap();
        assert!(Keys::read(&keys_dir).unwrap_err().to_string().contains("is damaged"));
    }

    #[test]
    fn signatures_verify_under_their_prefix_only() {
        let keys = Keys::from_pkcs8(&Keys::generate_pkcs8(&SeededRandom::new(1))).unwrap();
        let signed = keys.sign(signing::CMD, "{}".to_owned());
        let public =
            ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, keys.public().as_bytes().to_vec());
        let verifies =
            |prefix| public.verify(&signing::signed_bytes(prefix, &signed.body), signed.sig.as_bytes()).is_ok();
        assert!(verifies(signing::CMD) && !verifies(signing::CANCEL));
        assert!(keys.fingerprint().as_bytes().starts_with(signed.key_id.as_bytes()));
    }
}
