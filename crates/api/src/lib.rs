//! The Roadstead hub: a small kernel (`db`, `http`, `bus`, `background`) and a folder per feature.
//!
//! Slices call each other's `mod.rs` only; SQL stands in `store.rs` only. `crates/README.md` has the map.
// Not forbid: `sql!` registers its texts in a link section, which the compiler counts as unsafe.
#![deny(unsafe_code)]
#![expect(unused_qualifications, reason = "the macros of utoipa name our types by longer paths than needed")]

pub mod cli;
pub mod config;
pub mod hub;
pub mod start;

pub mod background;
pub mod bus;
pub mod db;
pub mod http;
pub mod outbound;

pub mod access;
pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod enrollment;
pub mod events;
pub mod gateway;
pub mod installation;
pub mod job_batches;
pub mod jobs;
pub mod license;
pub mod metrics;
pub mod operators;
pub mod plans;
pub mod projects;
pub mod servers;
pub mod team;
pub mod workspaces;

pub mod clock;
pub mod data_dir;
pub mod error;
pub mod ids;
pub mod keys;
pub mod line;
pub mod random;
pub mod sealing;
pub mod secret;
pub mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::{Error, ErrorCode, Result};
pub use hub::{App, Hub};
