//! The lines of an export, as they are written and read again: JSON, one object a line.
//!
//! `start`, then records in the order of the chain, then `end`. A complete export holds the chain of the whole
//! installation: records of other workspaces stand in it as their digests only, which say nothing of them.

use protocol::{Hex, Signed, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::chain::HeadFile;
use super::model::{Entry, Outcome};
use crate::clock::Timestamp;

/// Under this prefix the end of an export is signed.
pub(super) const SIGNATURE_PREFIX: &str = "roadstead-audit-export-v1\0";
/// Of the format.
pub(super) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line {
    /// The first.
    Start(Start),
    /// A record of the workspace.
    Record(Box<Record>),
    /// Records of other workspaces, one digest each.
    Others(Others),
    /// A record of another workspace that was written in form 1, which has no digest: its hash.
    Other(Other),
    /// The last.
    End(End),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    pub(super) version: u32,
    pub(super) at: Timestamp,
    pub(super) workspace_id: WorkspaceId,
    /// Whether the chain is in it without a gap; not with filters.
    pub(super) complete: bool,
    /// What stands before the first record: 0, or what was removed because it was old.
    pub(super) position: i64,
    pub(super) hash: String,
    /// The signed head that the hub kept beside its database.
    pub(super) kept: Option<HeadFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Others {
    /// Position of the first.
    pub(super) from: i64,
    pub(super) digests: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Other {
    pub(super) position: i64,
    pub(super) hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// An [`EndBody`].
    pub(super) signed: Signed,
    pub(super) public_key: Hex<32>,
    /// SHA-256 of the public key.
    pub(super) fingerprint: Hex<32>,
}

/// What the hub signs at the end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndBody {
    pub(super) workspace_id: WorkspaceId,
    pub(super) complete: bool,
    /// The end of the chain that it goes up to.
    pub(super) position: i64,
    pub(super) hash: String,
    pub(super) at: Timestamp,
    /// Records in it.
    pub(super) records: u64,
    /// Of all bytes before this line.
    pub(super) sha256: Hex<32>,
}

/// A record with everything that is hashed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) position: i64,
    id: String,
    at: Timestamp,
    workspace_id: WorkspaceId,
    actor: Party,
    action: String,
    subject: Party,
    server_id: Option<String>,
    result: Outcome,
    ip: String,
    user_agent: String,
    request_id: String,
    /// The JSON text that is hashed, letter for letter.
    details: String,
    form: i64,
    salt: Option<String>,
    sealed: Option<String>,
    prev_hash: String,
    pub(super) hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Party {
    r#type: String,
    id: String,
    name: String,
}

impl Record {
    /// The line of a record that is chained.
    pub(super) fn of(entry: Entry) -> Self {
        Self {
            position: entry.position.unwrap_or_default(),
            id: entry.id,
            at: entry.at,
            workspace_id: entry.workspace_id,
            actor: Party { r#type: entry.actor_type, id: entry.actor_id, name: entry.actor_name },
            action: entry.action,
            subject: Party { r#type: entry.subject_type, id: entry.subject_id, name: entry.subject_name },
            server_id: entry.server_id,
            result: entry.result,
            ip: entry.ip,
            user_agent: entry.user_agent,
            request_id: entry.request_id,
            details: entry.details,
            form: entry.form,
            salt: entry.salt,
            sealed: entry.sealed,
            prev_hash: entry.prev_hash.unwrap_or_default(),
            hash: entry.hash.unwrap_or_default(),
        }
    }

    pub(super) fn into_entry(self) -> Entry {
        Entry {
            id: self.id,
            workspace_id: self.workspace_id,
            at: self.at,
            actor_type: self.actor.r#type,
            actor_id: self.actor.id,
            actor_name: self.actor.name,
            action: self.action,
            subject_type: self.subject.r#type,
            subject_id: self.subject.id,
            subject_name: self.subject.name,
            server_id: self.server_id,
            result: self.result,
            ip: self.ip,
            user_agent: self.user_agent,
            request_id: self.request_id,
            details: self.details,
            position: Some(self.position),
            prev_hash: Some(self.prev_hash),
            hash: Some(self.hash),
            form: self.form,
            salt: self.salt,
            sealed: self.sealed,
            redacted_at: None,
        }
    }
}
