//! What a record says.

use protocol::{ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::Timestamp;

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

impl Outcome {
    /// The word in the API and the database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
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
    /// How it is hashed: see [`super::form`].
    pub(super) form: i64,
    /// Opens `sealed`; gone once the record is redacted.
    pub(super) salt: Option<String>,
    /// Digest of what a redaction removes.
    pub(super) sealed: Option<String>,
    pub(super) redacted_at: Option<Timestamp>,
}

impl Entry {
    /// What a search looks through, folded.
    pub(super) fn search_key(&self) -> String {
        // No text that is searched for holds a line break, so nothing is found across two of these.
        [self.action.as_str(), &self.actor_name, &self.subject_name].join("\n").to_lowercase()
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
    /// When names, address, user agent and details were removed from it; null when they were not.
    #[schema(required)]
    redacted_at: Option<Timestamp>,
    /// Its place in the chain of the whole installation; null until the record is chained.
    #[schema(required)]
    position: Option<i64>,
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
            redacted_at: entry.redacted_at,
            position: entry.position,
            prev_hash: entry.prev_hash,
            hash: entry.hash,
        }
    }
}
