//! What arrives from agents, and what their coming and going means for jobs.
//!
//! Everything here may come twice, late, or from an agent or for a hub that was restored from a backup. The end of a job
//! is never rewritten, and nothing is acknowledged before it is stored.

mod arrival;
mod connection;

pub use arrival::{cmd_ack, done, log};
pub use connection::{connected, disconnected, ready, server_removed};

pub(in crate::jobs) use arrival::finish_later;
pub(in crate::jobs) use connection::out_of_sight;
