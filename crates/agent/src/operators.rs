//! Operators: people whose own signature a host asks for, with keys that no hub holds.
//!
//! A key is a line as in `authorized_keys`, without options; a signature is what `ssh-keygen -Y sign` makes (OpenSSH's
//! PROTOCOL.sshsig; keys and signatures inside as in RFC 8709, strings as in RFC 4251):
//!
//! ```text
//! -----BEGIN SSH SIGNATURE-----
//! base64 of: "SSHSIG", u32 version 1, string public key, string namespace, string reserved, string hash, string signature
//! -----END SSH SIGNATURE-----
//!
//! signed:    "SSHSIG", string namespace, string "", string hash, string H(message)
//! ```
//!
//! What counts here is a part of what `ssh-keygen -Y verify` takes, never more: ed25519 keys, the one namespace, version 1.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use protocol::operator::{MAX_SIGNATURE, NAMESPACE};
use protocol::policy::OperatorKey;
use ring::digest::{SHA256, SHA512, digest};
use ring::signature::{ED25519, UnparsedPublicKey};

const ALGORITHM: &[u8] = b"ssh-ed25519";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "\n-----END SSH SIGNATURE-----";
/// Longest line of a key.
const MAX_LINE: usize = 1024;

/// A key that the host's policy lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    key: [u8; 32],
    comment: String,
}

/// Why a line is no operator's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a key is a line such as \"ssh-ed25519 AAAAC3Nz… ada@laptop\", as `ssh-keygen -t ed25519` writes it to a .pub file"
)]
pub struct KeyError(&'static str);

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperatorSignatureError {
    /// Not what `ssh-keygen -Y sign` makes with an ed25519 key.
    #[error("it is no SSH signature by an ed25519 key ({0})")]
    Malformed(&'static str),
    /// Made for something else.
    #[error("it was made for another purpose than jobs: sign with `-n {NAMESPACE}`")]
    OtherNamespace,
    /// By a key that the policy file does not list.
    #[error("it is by the key {0}, which the policy file does not list under `operators`")]
    NotListed(String),
    /// The bytes are not the signed ones.
    #[error("it does not verify: other bytes were signed")]
    Forged,
}

impl Operator {
    /// Reads the line of a public key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        if line.len() > MAX_LINE {
            return Err(KeyError("it is longer than any key"));
        }
        if line.chars().any(char::is_control) {
            return Err(KeyError("it is not one line of text"));
        }
        let (algorithm, rest) = line.trim().split_once(' ').ok_or(KeyError("it is no public key"))?;
        if algorithm.as_bytes() != ALGORITHM {
            return Err(KeyError("it does not start with ssh-ed25519"));
        }
        let rest = rest.trim_start();
        let (blob, comment) = rest.split_once(' ').unwrap_or((rest, ""));
        let blob = STANDARD.decode(blob).map_err(|_| KeyError("what follows ssh-ed25519 is not base64"))?;
        let key = read_key(&blob).ok_or(KeyError("it holds no ed25519 key"))?;
        Ok(Self { key, comment: comment.trim().to_owned() })
    }

    /// As `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.key)
    }

    /// What the hub may show of it.
    #[must_use]
    pub fn summary(&self) -> OperatorKey {
        OperatorKey { fingerprint: self.fingerprint(), comment: self.comment.chars().take(100).collect() }
    }
}

/// Which of `operators` signed `message` as a job.
///
/// # Errors
/// [`OperatorSignatureError`].
pub fn verify<'a>(
    armoured: &str,
    message: &[u8],
    operators: &'a [Operator],
) -> Result<&'a Operator, OperatorSignatureError> {
    let signature = Signature::parse(armoured)?;
    if signature.namespace != NAMESPACE.as_bytes() {
        return Err(OperatorSignatureError::OtherNamespace);
    }
    let Some(operator) = operators.iter().find(|operator| operator.key == signature.key) else {
        return Err(OperatorSignatureError::NotListed(fingerprint(&signature.key)));
    };
    UnparsedPublicKey::new(&ED25519, operator.key)
        .verify(&signature.signed_bytes(message), &signature.bytes)
        .map_err(|_| OperatorSignatureError::Forged)?;
    Ok(operator)
}

struct Signature {
    key: [u8; 32],
    namespace: Vec<u8>,
    hash: &'static ring::digest::Algorithm,
    bytes: [u8; 64],
}

impl Signature {
    fn parse(armoured: &str) -> Result<Self, OperatorSignatureError> {
        let malformed = OperatorSignatureError::Malformed;
        if armoured.len() > MAX_SIGNATURE {
            return Err(malformed("it is too long"));
        }
        let blob = unarmour(armoured).ok_or(malformed("the lines around it or its base64 are damaged"))?;
        let rest = blob.strip_prefix(MAGIC).ok_or(malformed("it does not start with SSHSIG"))?;
        let (version, mut rest) = rest.split_first_chunk::<4>().ok_or(malformed("it is too short"))?;
        if u32::from_be_bytes(*version) != VERSION {
            return Err(malformed("its version is not 1"));
        }
        // Public key, namespace, reserved, hash, signature, and nothing more.
        let mut field = || take_string(&mut rest).ok_or(malformed("it is too short"));
        let (key, namespace, _reserved, hash, signature) = (field()?, field()?, field()?, field()?, field()?);
        if !rest.is_empty() {
            return Err(malformed("something follows it"));
        }
        let hash = match hash {
            b"sha256" => &SHA256,
            b"sha512" => &SHA512,
            _ => return Err(malformed("its hash is neither sha256 nor sha512")),
        };
        Ok(Self {
            key: read_key(key).ok_or(malformed("its key is of another kind"))?,
            namespace: namespace.to_vec(),
            hash,
            bytes: read_pair(signature).ok_or(malformed("the signature inside is of another kind"))?,
        })
    }

    fn signed_bytes(&self, message: &[u8]) -> Vec<u8> {
        let name: &[u8] = if self.hash == &SHA256 { b"sha256" } else { b"sha512" };
        let mut signed = MAGIC.to_vec();
        for string in [&self.namespace, b"".as_slice(), name, digest(self.hash, message).as_ref()] {
            signed.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
            signed.extend_from_slice(string);
        }
        signed
    }
}

/// As ssh-keygen reads it: the first line exactly, then base64 with any white space, up to the first line of the end.
fn unarmour(text: &str) -> Option<Vec<u8>> {
    let rest = text.strip_prefix(BEGIN)?;
    let rest = rest.strip_prefix('\n')?;
    let (base64, _) = rest.split_once(END)?;
    let base64: Vec<u8> = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(base64).ok()
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(string)
}

fn read_key(blob: &[u8]) -> Option<[u8; 32]> {
    read_pair(blob)
}

/// The name of the algorithm, then `N` bytes.
fn read_pair<const N: usize>(mut blob: &[u8]) -> Option<[u8; N]> {
    let algorithm = take_string(&mut blob)?;
    let bytes = take_string(&mut blob)?;
    (algorithm == ALGORITHM && blob.is_empty()).then(|| bytes.try_into().ok())?
}

fn fingerprint(key: &[u8; 32]) -> String {
    let mut blob = Vec::with_capacity(51);
    for string in [ALGORITHM, key.as_slice()] {
        blob.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
        blob.extend_from_slice(string);
    }
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest(&SHA256, &blob)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada lovelace@laptop";

    #[test]
    fn a_plain_line_is_a_key_and_nothing_else_is() {
        let operator = Operator::parse(LINE).unwrap();
        assert_eq!(operator.comment, "ada lovelace@laptop");
        assert!(operator.fingerprint().starts_with("SHA256:") && operator.fingerprint().len() == 7 + 43);
        let bare = LINE.split(" ada").next().unwrap();
        assert_eq!(Operator::parse(bare).unwrap().key, operator.key);
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 ",
            "ssh-ed25519 AAAA",
            &bare.replace("AAAAC3", "AAAAC4"),
            &format!("{bare}AAAA"),
            &format!("no-pty {LINE}"),
            &format!("{LINE}\n{LINE}"),
            &LINE.replace("ssh-ed25519 ", "ssh-rsa "),
            &format!("{LINE}{}", "x".repeat(MAX_LINE)),
        ] {
            assert!(Operator::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_and_never_panics(blob in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let operators = [Operator::parse(LINE).unwrap()];
            let mut magic = [MAGIC, &VERSION.to_be_bytes()].concat();
            magic.extend_from_slice(&blob);
            for blob in [blob, magic] {
                let armoured = format!("{BEGIN}\n{}{END}\n", STANDARD.encode(blob));
                prop_assert!(verify(&armoured, b"x", &operators).is_err());
            }
            prop_assert!(verify(&text, b"x", &operators).is_err());
            let _ = Operator::parse(&text);
        }

        #[test]
        fn no_length_inside_reaches_beyond_the_end(length in any::<u32>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let blob = [length.to_be_bytes().as_slice(), &bytes].concat();
            let mut rest = blob.as_slice();
            let taken = take_string(&mut rest);
            prop_assert_eq!(taken.is_some(), length as usize <= bytes.len());
        }
    }
}
