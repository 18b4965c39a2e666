//! The agents directory: what a hub serves to installers and to agents that update themselves.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::agent_build::{self, Agent, Arch};
use crate::{digest, release_key};

/// The version that everything in this workspace has.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `manifest.json` of an agents directory.
#[derive(Serialize)]
struct Manifest {
    version: &'static str,
    agents: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    target: &'static str,
    sha256: String,
    size_bytes: u64,
    signature: String,
    key_id: String,
}

/// Builds this machine's static agent and fills `dir` with it.
pub(crate) fn stage_native(dir: &Path) -> Result<()> {
    stage(dir, &[agent_build::native()?])
}

/// Fills `dir` with a development build of the agent, which runs here and perhaps nowhere else.
pub(crate) fn stage_dev(dir: &Path, binary: &Path) -> Result<()> {
    stage(dir, &[Agent { arch: Arch::native(), path: binary.to_owned() }])
}

/// Fills `dir` with `agents`, their signatures and the manifest.
pub(crate) fn stage(dir: &Path, agents: &[Agent]) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let key = release_key::load_or_create()?;
    let mut entries = Vec::new();
    for agent in agents {
        let target = agent.arch.target();
        let name = format!("roadstead-agent-{target}");
        let (sha256, size_bytes) = copy(&agent.path, &dir.join(&name))?;
        let signature = key.sign(&sha256, target, VERSION);
        replace(&dir.join(format!("{name}.sig")), format!("{signature}\n").as_bytes())?;
        entries.push(Entry { target, sha256, size_bytes, signature, key_id: key.id() });
    }
    let manifest = Manifest { version: VERSION, agents: entries };
    // Last: what it names is complete by now.
    replace(&dir.join("manifest.json"), format!("{}\n", serde_json::to_string_pretty(&manifest)?).as_bytes())
}

fn copy(from: &Path, to: &Path) -> Result<(String, u64)> {
    let content = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    replace(to, &content)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    digest::sha256_of_file(to)
}

/// A hub that serves from the directory meanwhile sees the old file or the new one.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, content)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
