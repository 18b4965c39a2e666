//! The link: one connection to the hub, kept for as long as the relay runs.

pub mod backoff;
pub mod dial;
pub mod endpoint;
pub mod guard;
pub mod tls;
