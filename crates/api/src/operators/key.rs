//! OpenSSH public keys, as `ssh-keygen` writes them into `.pub` files.

use ssh_key::HashAlg;
use ssh_key::public::KeyData;

/// Longest line that is taken for a key, bytes.
const MAX_LINE: usize = 1024;

/// An ed25519 public key with its comment.
#[derive(Debug, Clone)]
pub(super) struct PublicKey(ssh_key::PublicKey);

impl PublicKey {
    /// Takes the line of a `.pub` file. The error is the rest of a sentence about the field.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim();
        if line.contains("PRIVATE KEY") {
            return Err(
                "must be the public key, the file that ends in .pub: this looks like a private key, which nobody \
                        else may see; make a new pair"
                    .to_owned(),
            );
        }
        if line.len() > MAX_LINE || line.chars().any(char::is_control) {
            return Err("must be one line of a .pub file".to_owned());
        }
        let key = ssh_key::PublicKey::from_openssh(line)
            .map_err(|_| "must be an OpenSSH public key such as \"ssh-ed25519 AAAA… name\"".to_owned())?;
        match key.key_data() {
            KeyData::Ed25519(_) => Ok(Self(key)),
            _ => Err("must be an ed25519 key; make one with: ssh-keygen -t ed25519".to_owned()),
        }
    }

    pub(super) fn comment(&self) -> &str {
        self.0.comment()
    }

    /// As `ssh-keygen -l` prints it.
    pub(super) fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// As it stands in a `.pub` file.
    pub(super) fn line(&self) -> String {
        // It was read from such a line, so it can be written as one.
        self.0.to_openssh().unwrap_or_default()
    }
}
