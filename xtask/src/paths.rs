//! Where things lie.

use std::path::{Path, PathBuf};

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

/// The dashboard's sources.
pub(crate) fn app() -> PathBuf {
    root().join("crates/dashboard/app")
}

/// A binary of the dev profile.
pub(crate) fn dev_binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}
