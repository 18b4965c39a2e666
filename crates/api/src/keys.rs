//! The hub's Ed25519 signing key: what makes agents believe a welcome, a command, a licence.

mod succession;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use protocol::session::KeyRotationBody;
use protocol::{Hex, Signed, signing};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use self::succession::{Step, Succession};
use crate::clock::Timestamp;
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
    succession: Arc<Succession>,
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
        Ok(Self { signing: Arc::new(signing), public: Hex(public), fingerprint, succession: Arc::default() })
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
        let keys =
            Self::from_pkcs8(&document).with_context(|| format!("the key file {} is damaged", path.display()))?;
        let succession = Succession::read(keys_dir)?.up_to(keys.public);
        Ok(Some(Self { succession: Arc::new(succession), ..keys }))
    }

    /// Makes another key that takes the place of this one, and has this one say so: agents that trust this one follow.
    /// Both files are durable when this returns; killed at any moment before, the directory holds one key or the other.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn rotate(&self, keys_dir: &Path, random: &dyn Random, now: Timestamp) -> anyhow::Result<Self> {
        let document = Self::generate_pkcs8(random);
        let next = Self::from_pkcs8(&document)?;
        let body = KeyRotationBody { old_key_id: self.key_id(), new_key: next.public, at_ms: now.as_ms() };
        let signed = self.sign(signing::KEY_ROTATION, serde_json::to_string(&body)?);
        let succession = self.succession.followed_by(Step { old_key: self.public, signed });
        // The word of the old key first: without it nobody would follow the new one.
        succession.write(keys_dir)?;
        data_dir::write_private(&Self::path(keys_dir), &document)?;
        Ok(Self { succession: Arc::new(succession), ..next })
    }

    /// How this key came to be the hub's, for agents that know one of its predecessors.
    #[must_use]
    pub fn rotations(&self) -> Vec<Signed> {
        self.succession.signed()
    }

    /// Whether this key follows, step by signed step, from the one with that fingerprint.
    #[must_use]
    pub fn follows(&self, fingerprint: &str) -> bool {
        self.succession.leads_from(fingerprint)
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

    /// Whether this hub signed it, with this key or with one that this key followed.
    #[must_use]
    pub fn has_signed(&self, prefix: &str, signed: &Signed) -> bool {
        let bytes = signing::signed_bytes(prefix, &signed.body);
        let by = |key: Hex<32>| UnparsedPublicKey::new(&ED25519, key.0).verify(&bytes, signed.sig.as_bytes()).is_ok();
        by(self.public) || self.succession.old_keys().any(by)
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
    fn a_key_names_its_successor_and_old_ones_are_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let (random, now) = (SeededRandom::new(7), Timestamp::from_ms(1_767_225_600_000));
        let first = Keys::create(dir.path(), &random).unwrap();
        let second = first.rotate(dir.path(), &random, now).unwrap();
        let third = second.rotate(dir.path(), &random, now).unwrap();
        let read = Keys::read(dir.path()).unwrap().unwrap();
        assert_eq!(read.fingerprint(), third.fingerprint());
        assert_eq!(read.rotations().len(), 2);
        for older in [&first, &second] {
            assert!(read.follows(&older.fingerprint().to_string()));
            assert!(read.has_signed(signing::CMD, &older.sign(signing::CMD, "{}".to_owned())));
        }
        assert!(!first.has_signed(signing::CMD, &third.sign(signing::CMD, "{}".to_owned())));
        let stranger = Keys::from_pkcs8(&Keys::generate_pkcs8(&SeededRandom::new(9))).unwrap();
        assert!(!read.follows(&stranger.fingerprint().to_string()));
        assert!(!first.follows(&third.fingerprint().to_string()), "never backwards");

        // Killed after the old key had named a successor that was never written.
        data_dir::write_private(&Keys::path(dir.path()), &Keys::generate_pkcs8(&SeededRandom::new(9))).unwrap();
        let strange = Keys::read(dir.path()).unwrap().unwrap();
        assert!(strange.rotations().is_empty() && !strange.follows(&first.fingerprint().to_string()));
    }

    #[test]
    fn a_rotation_that_was_cut_short_leaves_the_old_key_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let (random, now) = (SeededRandom::new(7), Timestamp::from_ms(0));
        let first = Keys::create(dir.path(), &random).unwrap();
        let document = data_dir::read(&Keys::path(dir.path()), MAX_FILE_BYTES).unwrap().unwrap();
        first.rotate(dir.path(), &random, now).unwrap();
        data_dir::write_private(&Keys::path(dir.path()), &document).unwrap();
        let read = Keys::read(dir.path()).unwrap().unwrap();
        assert_eq!(read.fingerprint(), first.fingerprint());
        assert!(read.rotations().is_empty(), "nobody is told of a key that does not exist");
        let again = read.rotate(dir.path(), &random, now).unwrap();
        assert_eq!(again.rotations().len(), 1);
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
