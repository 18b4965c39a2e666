//! `event`: what an agent reports on its own; spooled and delivered until acknowledged.

use serde::{Deserialize, Serialize};

use crate::ids::EventId;

/// agent → hub: something happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Made by the agent; the hub stores each once.
    pub event_id: EventId,
    /// Dotted name, e.g. `security.bad_signature`.
    pub kind: String,
    /// How bad.
    pub severity: Severity,
    /// What it is about, e.g. a job id or a unit name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When, host's clock, Unix milliseconds.
    pub at_ms: i64,
    /// Details, at most 2 KiB.
    #[serde(default)]
    pub data: serde_json::Value,
}

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must look.
    Critical,
}

/// A `cmd` or `cancel` whose signature, server or expiry did not hold; data: {code, job_id?, message}.
pub const SECURITY_REJECTED_COMMAND: &str = "security.rejected_command";
/// A hub → agent frame whose mac did not verify; the session was closed. data: {type}.
pub const SECURITY_BAD_MAC: &str = "security.bad_mac";
/// A welcome that the pinned key did not sign; data: {key_id}.
pub const SECURITY_BAD_WELCOME: &str = "security.bad_welcome";
/// The host's clock is off by more than a minute; data: {offset_ms}.
pub const CLOCK_SKEW: &str = "clock.skew";
/// A licence that the pinned key did not sign for this server; data: {message}.
pub const SECURITY_BAD_LICENSE: &str = "security.bad_license";
/// The agent's queue of events was full; data: {count}.
pub const EVENTS_DROPPED: &str = "events.dropped";
/// The hub's key was replaced by the one it named as its successor; data: {old_key_id, new_key_id}.
pub const SECURITY_HUB_KEY_ROTATED: &str = "security.hub_key_rotated";
/// A change of the hub's own restrictions that does not count; data: {code, message}.
pub const SECURITY_BAD_RESTRICTION: &str = "security.bad_restriction";
