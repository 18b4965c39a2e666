//! The Roadstead agent: one binary, two roles.
//!
//! The **relay** (`run`) keeps the connection to the hub, reports metrics and hands over what the hub signed. It runs as
//! its own user in a sandbox and has no power over the machine. **Workers** (`work`) run as root, one per job, started by
//! systemd outside of every sandbox; they believe nothing but the hub's signature and root-owned files.

pub mod cli;
pub mod commit_confirm;
pub mod enroll;
pub mod events;
#[cfg(test)]
mod fixture;
pub mod handover;
pub mod host;
pub mod identity;
pub mod inspect;
pub mod license;
pub mod link;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod operators;
pub mod ops;
pub mod paths;
pub mod policy;
pub mod relay;
pub mod spool;
pub mod status;
pub mod supervise;
pub mod text;
pub mod trust;
pub mod verify;
pub mod work;
