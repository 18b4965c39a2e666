//! Which hubs somebody is signed in to from this machine: `hubs.json` in `$XDG_CONFIG_HOME/roadstead`, mode 0600.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use super::pin::KeyPin;
use crate::data_dir;

const MAX_BYTES: u64 = 1 << 20;

/// Everything that is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The hub that is meant when none is named: the last one that somebody signed in to.
    pub(super) default: Option<String>,
    /// By address.
    #[serde(default)]
    pub(super) hubs: BTreeMap<String, SavedHub>,
}

/// How to reach a hub, and as whom.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SavedHub {
    /// The API key in clear: the file is the only place that has it.
    pub(super) api_key: String,
    /// Its id where this program made it, so that signing out revokes it.
    pub(super) api_key_id: Option<String>,
    /// The hub's TLS key, where no public authority vouches for it.
    pub(super) pinned_key: Option<KeyPin>,
}

impl std::fmt::Debug for SavedHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SavedHub").field("pinned_key", &self.pinned_key).finish_non_exhaustive()
    }
}

impl Saved {
    /// What is kept; nothing yet is not an error.
    pub(super) fn load() -> anyhow::Result<Self> {
        let path = path()?;
        let Some(bytes) = data_dir::read(&path, MAX_BYTES)? else { return Ok(Self::default()) };
        data_dir::require_private(&path)?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{} cannot be read; remove it and sign in again", path.display()))
    }

    /// Keeps it, all or nothing.
    pub(super) fn store(&self) -> anyhow::Result<()> {
        let path = path()?;
        if let Some(dir) = path.parent() {
            data_dir::ensure_private_dir(dir)?;
        }
        data_dir::write_private(&path, &serde_json::to_vec_pretty(self)?)
    }

    /// The hub that is named, or the one that is meant when none is.
    pub(super) fn hub(&self, named: Option<&str>) -> anyhow::Result<(&str, &SavedHub)> {
        let Some(address) = named.or(self.default.as_deref()) else {
            return Err(anyhow!("you are not signed in to any hub; `roadstead login https://your-hub` does that"));
        };
        let found = self.hubs.get_key_value(address);
        let (address, hub) = found
            .ok_or_else(|| anyhow!("you are not signed in to {address}; `roadstead login {address}` does that"))?;
        Ok((address, hub))
    }
}

fn path() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let config = config.context("neither XDG_CONFIG_HOME nor HOME says where settings are kept")?;
    Ok(config.join("roadstead/hubs.json"))
}
