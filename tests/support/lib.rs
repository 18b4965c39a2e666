//! What the end-to-end tests stand on: real hub and agent processes, a client of the public API, a link that can be cut,
//! and scanners that know every secret of the run: when a [`hub::Hub`] goes, what it leaves behind is looked through.
//!
//! Nothing here sleeps: [`wait::until`] polls a condition and fails with its last answer.

pub mod agent;
pub mod api;
pub mod gate;
pub mod hub;
pub mod link;
pub mod process;
pub mod receiver;
pub mod secrets;
pub mod sse;
pub mod tokens;
pub mod vps;
pub mod wait;

use std::path::PathBuf;

/// Directory of the binaries that cargo built for this run.
///
/// # Panics
/// When the test does not run from a cargo target directory.
#[must_use]
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the test binary");
    exe.parent().and_then(|deps| deps.parent()).expect("a test binary in target/<profile>/deps").to_owned()
}
