//! Settings: one TOML file, environment and flags; unknown keys are rejected with their line.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::db::DbOptions;

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where data lives.
    pub data_dir: PathBuf,
    /// Where keys live.
    pub keys_dir: PathBuf,
    /// Where agent builds lie, with their manifest.
    pub agents_dir: PathBuf,
    /// Rows.
    pub database: DbOptions,
    /// Samples and logs.
    pub history: DbOptions,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How browsers and agents reach the hub, without a trailing slash.
    pub public_url: String,
    /// Seconds between heartbeats.
    pub heartbeat_interval_s: u32,
    /// Seconds without a sign of life until a server counts as offline.
    pub offline_after_s: u32,
}
