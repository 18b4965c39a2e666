//! The hub's Ed25519 signing key: what makes agents believe a welcome, a command, a licence.

use std::fmt;
use std::sync::Arc;

use protocol::{Hex, Signed, signing};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::random::Random;
use crate::secret::sha256;

/// What stands before the 32 bytes of an Ed25519 key in a PKCS#8 document (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

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
