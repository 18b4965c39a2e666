//! The key that signs agent builds. Releases are signed by a key that lies offline (`ROADSTEAD_RELEASE_KEY_FILE`); without
//! one, development builds are signed by a key that is made here and never leaves the machine.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::{digest, paths};

/// An Ed25519 key pair.
pub(crate) struct ReleaseKey(Ed25519KeyPair);

/// Reads the key; makes a development key where there is none.
pub(crate) fn load_or_create() -> Result<ReleaseKey> {
    if let Some(path) = std::env::var_os("ROADSTEAD_RELEASE_KEY_FILE") {
        return load(Path::new(&path));
    }
    let path = paths::state().join("release-key.pem");
    if !path.exists() {
        create(&path)?;
    }
    load(&path)
}

impl ReleaseKey {
    /// The public half, hex.
    pub(crate) fn public_hex(&self) -> String {
        digest::hex(self.0.public_key().as_ref())
    }

    /// First 8 bytes of the SHA-256 of the public half, hex.
    pub(crate) fn id(&self) -> String {
        digest::sha256(self.0.public_key().as_ref()).chars().take(16).collect()
    }

    /// The signature over one build, hex.
    pub(crate) fn sign(&self, sha256: &str, target: &str, version: &str) -> String {
        let message = format!("roadstead-release-v1\0{sha256}\0{target}\0{version}");
        digest::hex(self.0.sign(message.as_bytes()).as_ref())
    }
}

fn load(path: &Path) -> Result<ReleaseKey> {
    let pem =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the release key {}", path.display()))?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pkcs8 = STANDARD.decode(body).with_context(|| format!("{} is not a PEM file", path.display()))?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
        .map_err(|reason| anyhow!("{} holds no Ed25519 key: {reason}", path.display()))?;
    Ok(ReleaseKey(pair))
}

fn create(path: &Path) -> Result<()> {
    paths::create_state()?;
    let pkcs8 =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("no randomness to make a key"))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    let body = STANDARD.encode(pkcs8.as_ref());
    writeln!(file, "-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----")?;
    file.sync_all()?;
    println!("Made a development release key: {}", path.display());
    Ok(())
}
