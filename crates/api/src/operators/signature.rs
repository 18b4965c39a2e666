//! Signatures in OpenSSH's format, checked as `ssh-keygen -Y verify` does (OpenSSH, PROTOCOL.sshsig).

use protocol::operator::{MAX_SIGNATURE, NAMESPACE};
use ring::signature::{ED25519, UnparsedPublicKey};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig};

/// A signature that was read, and not checked yet.
#[derive(Debug, Clone)]
pub struct Signature(SshSig);

impl Signature {
    /// Reads an armoured signature.
    ///
    /// # Errors
    /// The rest of a sentence about the field.
    pub fn parse(armoured: &str) -> Result<Self, String> {
        if armoured.len() > MAX_SIGNATURE {
            return Err(format!("must not be longer than {MAX_SIGNATURE} bytes"));
        }
        let signature = SshSig::from_pem(format!("{}\n", armoured.trim())).map_err(|_| {
            "must be what ssh-keygen -Y sign wrote, from -----BEGIN SSH SIGNATURE----- to its END line".to_owned()
        })?;
        // One signature has one text: what says the same in another way did not come from ssh-keygen.
        let again = signature.to_pem(LineEnding::LF).unwrap_or_default();
        if !again.split_whitespace().eq(armoured.split_whitespace()) {
            return Err("must be exactly what ssh-keygen -Y sign wrote, with its line breaks".to_owned());
        }
        if signature.namespace() != NAMESPACE {
            let namespace: String = signature.namespace().chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(format!("was made for {namespace:?}; sign with: ssh-keygen -Y sign -n {NAMESPACE}"));
        }
        Ok(Self(signature))
    }

    /// Of the key that it claims to be made with, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether it was made over exactly these bytes with the key that it names.
    ///
    /// # Errors
    /// The rest of a sentence about the field.
    pub fn verify(&self, text: &str) -> Result<(), String> {
        let KeyData::Ed25519(key) = self.0.public_key() else {
            return Err("must be made with an ed25519 key".to_owned());
        };
        let signed = SshSig::signed_data(NAMESPACE, self.0.hash_alg(), text.as_bytes())
            .map_err(|_| "uses an unknown hash".to_owned())?;
        let signature = self.0.signature();
        let genuine = signature.algorithm() == Algorithm::Ed25519
            && UnparsedPublicKey::new(&ED25519, key.as_ref()).verify(&signed, signature.as_bytes()).is_ok();
        if genuine {
            return Ok(());
        }
        Err("does not fit this job: sign exactly the op_body of this job, byte for byte".to_owned())
    }
}
