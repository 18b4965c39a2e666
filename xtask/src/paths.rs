//! Where things lie.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// What `cargo xtask` remembers between runs: stamps, tools, the VPS image.
pub(crate) fn cache() -> PathBuf {
    target().join("xtask")
}

/// State of the local demo installation; git ignores it.
pub(crate) fn state() -> PathBuf {
    root().join(".roadstead")
}

/// Makes the state directory, for nobody else's eyes.
pub(crate) fn create_state() -> Result<()> {
    let dir = state();
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// The dashboard's sources.
pub(crate) fn app() -> PathBuf {
    root().join("crates/dashboard/app")
}

/// A binary of the dev profile.
pub(crate) fn dev_binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}
