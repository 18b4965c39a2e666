//! What a record says.

use protocol::{ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::secret::sha256;

/// What was acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `server`, `job`, `session`, …
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name at that time.
    pub name: String,
    /// The server that it is, or is on.
    pub server_id: Option<ServerId>,
}

impl Subject {
    /// What is on no server.
    pub fn new(kind: &'static str, id: &impl ToString, name: impl Into<String>) -> Self {
        Self { kind, id: id.to_string(), name: name.into(), server_id: None }
    }

    /// A server.
    pub fn server(id: ServerId, name: impl Into<String>) -> Self {
        Self::new("server", &id, name).on(id)
    }

    /// The same, on this server.
    #[must_use]
    pub fn on(self, server_id: ServerId) -> Self {
        Self { server_id: Some(server_id), ..self }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditResult)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Ok,
    /// Not allowed.
    Denied,
    /// Tried and failed.
    Failed,
}

/// A record as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Entry {
    pub(super) id: String,
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    pub(super) at: Timestamp,
    pub(super) actor_type: String,
    pub(super) actor_id: String,
    pub(super) actor_name: String,
    pub(super) action: String,
    pub(super) subject_type: String,
    pub(super) subject_id: String,
    pub(super) subject_name: String,
    pub(super) server_id: Option<String>,
    pub(super) result: Outcome,
    pub(super) ip: String,
    pub(super) user_agent: String,
    pub(super) request_id: String,
    /// JSON text, exactly as it was written.
    pub(super) details: String,
    pub(super) position: Option<i64>,
    pub(super) prev_hash: Option<String>,
    pub(super) hash: Option<String>,
}

/// What is hashed: these fields in this order, as JSON without spaces.
#[derive(Serialize)]
struct Canonical<'a> {
    position: i64,
    id: &'a str,
    workspace_id: WorkspaceId,
    at_ms: i64,
    actor: [&'a str; 3],
    action: &'a str,
    subject: [&'a str; 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    server_id: Option<&'a str>,
    result: Outcome,
    ip: &'a str,
    user_agent: &'a str,
    request_id: &'a str,
    details: &'a str,
}

impl Entry {
    /// The link of the chain: SHA-256 over the hash before and the record at `position`.
    pub(super) fn link(&self, prev_hash: &str, position: i64) -> serde_json::Result<String> {
        let canonical = Canonical {
            position,
            id: &self.id,
            workspace_id: self.workspace_id,
            at_ms: self.at.as_ms(),
            actor: [&self.actor_type, &self.actor_id, &self.actor_name],
            action: &self.action,
            subject: [&self.subject_type, &self.subject_id, &self.subject_name],
            server_id: self.server_id.as_deref(),
            result: self.result,
            ip: &self.ip,
            user_agent: &self.user_agent,
            request_id: &self.request_id,
            details: &self.details,
        };
        let input = [prev_hash.as_bytes(), &serde_json::to_vec(&canonical)?].concat();
        Ok(protocol::hex::encode(sha256(&input).as_bytes()))
    }
}

/// A record as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(super) struct View {
    #[schema(value_type = uuid::Uuid)]
    id: String,
    at: Timestamp,
    actor: Party,
    /// What was done, `area.verb`.
    action: String,
    subject: Party,
    /// The server that the subject is, or is on.
    #[schema(value_type = Option<uuid::Uuid>, required)]
    server_id: Option<String>,
    result: Outcome,
    /// Where the request came from; empty when the hub itself acted.
    ip: String,
    user_agent: String,
    request_id: String,
    #[schema(value_type = Object)]
    details: Value,
    /// Hash of the record before; null until the record is chained, within a second.
    #[schema(required)]
    prev_hash: Option<String>,
    /// Hash of this record and all before it.
    #[schema(required)]
    hash: Option<String>,
}

/// Who acted, or what was acted upon.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditParty)]
struct Party {
    r#type: String,
    /// Empty where there is none.
    id: String,
    /// The name at that time.
    name: String,
}

impl From<Entry> for View {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor: Party { r#type: entry.actor_type, id: entry.actor_id, name: entry.actor_name },
            action: entry.action,
            subject: Party { r#type: entry.subject_type, id: entry.subject_id, name: entry.subject_name },
            server_id: entry.server_id,
            result: entry.result,
            ip: entry.ip,
            user_agent: entry.user_agent,
            request_id: entry.request_id,
            details: serde_json::from_str(&entry.details).unwrap_or(Value::Null),
            prev_hash: entry.prev_hash,
            hash: entry.hash,
        }
    }
}
