//! Which key followed which: each step is signed by the older key, so whoever trusted that one can follow.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use protocol::session::KeyRotationBody;
use protocol::{Hex, Signed, signing};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::data_dir;
use crate::secret::sha256;

/// Steps that are kept; an agent that slept through more has to be enrolled again.
const MAX_STEPS: usize = 64;
const MAX_FILE_BYTES: u64 = 256 << 10;

/// One key names the next one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    /// The key that signed.
    pub(super) old_key: Hex<32>,
    /// A [`KeyRotationBody`].
    pub(super) signed: Signed,
}

impl Step {
    /// The key that it names, if the old one really signed this.
    fn new_key(&self) -> Option<Hex<32>> {
        let bytes = signing::signed_bytes(signing::KEY_ROTATION, &self.signed.body);
        UnparsedPublicKey::new(&ED25519, self.old_key.as_bytes()).verify(&bytes, self.signed.sig.as_bytes()).ok()?;
        serde_json::from_str::<KeyRotationBody>(&self.signed.body).ok().map(|body| body.new_key)
    }
}

/// The steps to the present key, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Succession(Vec<Step>);

impl Succession {
    /// From `hub-rotations.json`; none when there is no such file.
    pub(super) fn read(keys_dir: &Path) -> anyhow::Result<Self> {
        let path = path(keys_dir);
        let Some(bytes) = data_dir::read(&path, MAX_FILE_BYTES)? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).with_context(|| {
            let path = path.display();
            format!("{path} is damaged; put it back from your backup, or remove it if the key was never rotated")
        })
    }

    /// The unbroken part that ends with `key`; a step beyond it names a key that was never written.
    pub(super) fn up_to(mut self, key: Hex<32>) -> Self {
        while self.0.last().is_some_and(|step| step.new_key() != Some(key)) {
            self.0.pop();
        }
        self
    }

    pub(super) fn followed_by(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        let surplus = steps.len().saturating_sub(MAX_STEPS);
        Self(steps.split_off(surplus))
    }

    pub(super) fn write(&self, keys_dir: &Path) -> anyhow::Result<()> {
        data_dir::write_private(&path(keys_dir), &serde_json::to_vec_pretty(self)?)
    }

    pub(super) fn signed(&self) -> Vec<Signed> {
        self.0.iter().map(|step| step.signed.clone()).collect()
    }

    /// The keys before the present one.
    pub(super) fn old_keys(&self) -> impl Iterator<Item = Hex<32>> + '_ {
        self.0.iter().map(|step| step.old_key)
    }

    /// Whether the present key follows from the one with that fingerprint. Each step was signed by the key before it.
    pub(super) fn leads_from(&self, fingerprint: &str) -> bool {
        let mut steps = self.0.iter().skip_while(|step| sha256(step.old_key.as_bytes()).to_string() != fingerprint);
        let Some(first) = steps.next() else { return false };
        let Some(mut key) = first.new_key() else { return false };
        for step in steps {
            match step.new_key() {
                Some(next) if step.old_key == key => key = next,
                _ => return false,
            }
        }
        true
    }
}

fn path(keys_dir: &Path) -> PathBuf {
    keys_dir.join("hub-rotations.json")
}
