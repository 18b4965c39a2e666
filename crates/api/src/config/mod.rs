//! Settings: one TOML file, environment and flags; unknown keys are rejected with their line.

mod layers;
mod load;
mod mail;
mod net;
mod oidc;
mod public_url;
pub(crate) mod settings;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use layers::Sources;
pub use load::{Effective, Loaded};
pub use mail::{Mail, MailLogin, MailTls};
pub use net::Cidr;
pub(crate) use oidc::is_protected;
pub use oidc::{GroupMapping, OidcProvider};
pub use public_url::PublicUrl;

use crate::db::DbOptions;
use crate::secret::Secret;

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
    /// How browsers and agents reach the hub.
    pub public_url: PublicUrl,
    /// How connections are encrypted.
    pub tls: Tls,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Seconds between heartbeats.
    pub heartbeat_interval_s: u32,
    /// Seconds without a sign of life until a server counts as offline; pings count as one.
    pub offline_after_s: u32,
    /// Requests that one session or key may make in a minute; an address may make five times as many.
    pub requests_per_minute: u32,
    /// What the hub writes about itself.
    pub log: Log,
    /// What `GET /metrics` asks for as a bearer token; without one it answers to loopback only.
    pub metrics_token: Option<Secret>,
    /// How mail is sent; without it none is.
    pub mail: Option<Mail>,
    /// Certificates in PEM that peers of outgoing connections are trusted by, besides those of public authorities.
    pub trusted_ca_file: Option<PathBuf>,
    /// How long things are kept.
    pub retention: Retention,
    /// Identity providers that people sign in through.
    pub oidc: Vec<OidcProvider>,
}

/// How connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: the hub listens on loopback or behind a listed proxy.
    Off,
    /// A certificate that the hub makes for itself and that agents pin.
    SelfSigned,
    /// Certificate chain and key from PEM files, read again when they change.
    Files {
        /// The chain, leaf first.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

/// What the hub writes about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines: `info`, or directives such as `info,api::gateway=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Ended jobs and their logs.
    pub jobs_days: u32,
    /// Bytes that logs of jobs may take all together; none: as many as there are.
    pub job_logs_bytes: Option<u64>,
    /// Metric samples by the minute.
    pub minute_samples_days: u32,
    /// Metric samples by five minutes.
    pub five_minute_samples_days: u32,
    /// Metric samples by the hour.
    pub hour_samples_days: u32,
    /// Records of the audit log; 0: for ever.
    pub audit_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            jobs_days: 90,
            job_logs_bytes: None,
            minute_samples_days: 7,
            five_minute_samples_days: 31,
            hour_samples_days: 400,
            audit_days: 0,
        }
    }
}
